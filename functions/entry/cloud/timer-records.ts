import { createHash } from 'node:crypto';
import { GetItemCommand, PutItemCommand } from '@aws-sdk/client-dynamodb';
import type { TimerRecords } from '../../queue/merged-timers.ts';
import type { Message } from '../../queue/queue.ts';
import type { DynamoSender } from '../../store/dynamodb-client.ts';

/** A record outlives its timer by this long, in case a clock is wrong. */
const KEPT_SECONDS = 86_400;

const keyOf = ({ cluster, consumer, key }: Message) => ({
  pk: { S: `timer/${createHash('sha256').update(`${cluster}\n${consumer}\n${key}`).digest('base64url')}` },
  sk: { S: 't' },
});

/** Timers' records in the deployment's table, one item per key, forgotten by the table's TTL. */
export const createTimerRecords = (client: DynamoSender, table: string): TimerRecords => ({
  get: async (message) => {
    const answer = await client.send(new GetItemCommand({ TableName: table, Key: keyOf(message) }));
    const due = 'Item' in answer ? answer.Item?.due?.N : undefined;
    return due === undefined ? undefined : Number(due);
  },
  put: async (message, due) => {
    const ttl = Math.ceil(due / 1000) + KEPT_SECONDS;
    const item = { ...keyOf(message), due: { N: `${Math.ceil(due)}` }, ttl: { N: `${ttl}` } };
    await client.send(new PutItemCommand({ TableName: table, Item: item }));
  },
});
