import {
  type AttributeValue,
  BatchGetItemCommand,
  BatchWriteItemCommand,
  DeleteItemCommand,
  DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  type TransactWriteItem,
  TransactWriteItemsCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureTable } from '../../functions/store/dynamodb.ts';
import type { DynamoCommand } from '../../functions/store/dynamodb-client.ts';
import type { Item } from './dynamodb-expressions.ts';
import { createFakeTable } from './dynamodb-fake.ts';
import { type DynamoLocal, noDynamoLocal, startDynamoLocal } from './dynamodb-local.ts';
import { seeded, seedsToRun } from './store-operations.ts';

const TableName = 'table';
const conditions: [string, Item][] = [
  ['attribute_not_exists(pk)', {}],
  ['attribute_exists(h)', {}],
  ['attribute_exists(h) AND attribute_not_exists(s)', {}],
  ['h = :h', { ':h': { N: '3' } }],
  ['attribute_not_exists(f) OR f < :f', { ':f': { N: '5' } }],
  ['attribute_not_exists(pk) OR (attribute_exists(d) AND h < :t)', { ':t': { N: '4' } }],
  ['h = :e AND attribute_not_exists(d)', { ':e': { N: '2' } }],
  ['m = :o', { ':o': { S: 'm1' } }],
  ['m <> :o AND NOT h >= :two', { ':o': { S: 'm1' }, ':two': { N: '2' } }],
];
const updates: [string, Item, Record<string, string>?][] = [
  ['ADD h :n', { ':n': { N: '2' } }],
  ['SET f = :g', { ':g': { N: '6' } }],
  ['SET s = h + :one', { ':one': { N: '1' } }],
  ['SET #ttl = :ttl, m = :m REMOVE d', { ':ttl': { N: '9' }, ':m': { S: 'm2' } }, { '#ttl': 'ttl' }],
  ['ADD f :n SET m = :m', { ':n': { N: '1' }, ':m': { S: 'm1' } }],
  ['SET ttl = :x', { ':x': { N: '1' } }],
];

interface Conditional {
  ConditionExpression?: string;
  ExpressionAttributeValues?: Item;
  ReturnValuesOnConditionCheckFailure?: 'ALL_OLD';
}

/** Random requests on ten items of two partitions, of the forms that the store sends, a few of them wrong. */
const createRequests = (random: () => number) => {
  const pick = <T>(some: readonly T[]): T => some[Math.floor(random() * some.length)] as T;
  const key = (): Item => ({ pk: { S: pick(['p', 'q']) }, sk: { S: pick(['a', 'b', 'ab', 'é', '\u{1f600}']) } });
  const item = (): Item => {
    const made: Item = key();
    if (random() < 0.8) made.h = { N: `${Math.floor(random() * 6)}` };
    if (random() < 0.5) made.f = { N: `${Math.floor(random() * 9)}` };
    if (random() < 0.2) made.d = { BOOL: true };
    if (random() < 0.4) made.m = { S: pick(['m1', 'm2']) };
    if (random() < 0.3) made.v = { B: Buffer.from(pick(['x', 'yy'])) };
    return made;
  };
  const condition = (): Conditional => {
    if (random() < 0.4) return {};
    const [ConditionExpression, values] = pick(conditions);
    return {
      ConditionExpression,
      ...(Object.keys(values).length > 0 ? { ExpressionAttributeValues: values } : {}),
      ...(random() < 0.7 ? { ReturnValuesOnConditionCheckFailure: 'ALL_OLD' as const } : {}),
    };
  };
  const update = () => {
    const [UpdateExpression, values, names] = pick(updates);
    const { ExpressionAttributeValues, ...rest } = condition();
    return {
      TableName,
      Key: key(),
      UpdateExpression,
      ...rest,
      ExpressionAttributeValues: { ...values, ...ExpressionAttributeValues },
      ...(names ? { ExpressionAttributeNames: names } : {}),
    };
  };
  const write = () => {
    const chance = random();
    if (chance < 0.5) return { Put: { TableName, Item: item(), ...condition() } };
    if (chance < 0.75) return { Update: update() };
    if (chance < 0.9) return { Delete: { TableName, Key: key(), ...condition() } };
    const [ConditionExpression, values] = pick(conditions);
    const given = Object.keys(values).length > 0 ? { ExpressionAttributeValues: values } : {};
    return { ConditionCheck: { TableName, Key: key(), ConditionExpression, ...given } };
  };
  const query = () => {
    const more: [string, Item] = pick([
      ['', {}],
      [' AND sk > :a', { ':a': { S: 'a' } }],
      [' AND sk BETWEEN :a AND :b', { ':a': { S: 'ab' }, ':b': { S: 'é' } }],
    ] as [string, Item][]);
    return new QueryCommand({
      TableName,
      ConsistentRead: true,
      KeyConditionExpression: `pk = :p${more[0]}`,
      ExpressionAttributeValues: { ':p': { S: pick(['p', 'q']) }, ...more[1] },
      ...(random() < 0.5 ? { Limit: 1 + Math.floor(random() * 4) } : {}),
    });
  };
  const several = (most: number): Item[] => Array.from({ length: 1 + Math.floor(random() * most) }, key);
  /** Items named twice are left out: DynamoDB Local looks at their conditions first, the service refuses them at once. */
  const transaction = () => {
    const writes = new Map<string, TransactWriteItem>();
    for (let i = 1 + Math.floor(random() * 3); i > 0; i--) {
      const made: TransactWriteItem = write();
      const { Put, Update, Delete, ConditionCheck } = made;
      const { pk, sk }: Item = Put?.Item ?? (Update ?? Delete ?? ConditionCheck)?.Key ?? {};
      writes.set(`${pk?.S} ${sk?.S}`, made);
    }
    return new TransactWriteItemsCommand({ TransactItems: [...writes.values()] });
  };
  const kinds: (() => DynamoCommand)[] = [
    () => new GetItemCommand({ TableName, Key: key(), ConsistentRead: true }),
    () => new PutItemCommand({ TableName, Item: item(), ...condition() }),
    () => new PutItemCommand({ TableName, Item: item(), ...condition() }),
    () => new UpdateItemCommand({ ...update(), ReturnValues: 'ALL_NEW' }),
    () => new UpdateItemCommand({ ...update(), ReturnValues: 'ALL_NEW' }),
    () => new DeleteItemCommand({ TableName, Key: key(), ...condition() }),
    query,
    () => new BatchGetItemCommand({ RequestItems: { [TableName]: { Keys: several(4), ConsistentRead: true } } }),
    () =>
      new BatchWriteItemCommand({
        RequestItems: { [TableName]: several(3).map((Key) => ({ DeleteRequest: { Key } })) },
      }),
    transaction,
    transaction,
  ];
  return () => pick(kinds)();
};

const plain = (item: Item | undefined): string =>
  JSON.stringify(
    Object.entries(item ?? {})
      .map(([name, value]: [string, AttributeValue]) => [name, value.B ? Buffer.from(value.B).toString() : value])
      .sort(([a], [b]) => (`${a}` < `${b}` ? -1 : 1)),
  );
type Answer = {
  Item?: Item;
  Items?: Item[];
  Attributes?: Item;
  LastEvaluatedKey?: Item;
  Responses?: Record<string, Item[]>;
};
const answerText = (answer: Answer): string => {
  const sorted = Object.values(answer.Responses ?? {}).flatMap((items) => items.map(plain).sort());
  // A page that ends at the last item may or may not say that there is more.
  return [answer.Item, answer.Attributes]
    .map(plain)
    .concat(answer.Items?.map(plain) ?? [], sorted)
    .join(' ');
};
const refusalText = (error: unknown): string => {
  const { name, Item, CancellationReasons } = error as {
    name: string;
    Item?: Item;
    CancellationReasons?: { Code?: string; Item?: Item }[];
  };
  const reasons = (CancellationReasons ?? []).map(({ Code, Item: item }) => `${Code} ${plain(item)}`);
  return [name, plain(Item), ...reasons].join(' ');
};

const reason = noDynamoLocal();
describe.skipIf(reason)(`the fake table${reason ? `: ${reason}` : ''}`, () => {
  let local: DynamoLocal;
  let client: DynamoDBClient;
  beforeAll(async () => {
    local = await startDynamoLocal();
    await ensureTable(local.config, TableName);
    client = new DynamoDBClient({ ...local.config, maxAttempts: 1 });
  });
  afterAll(async () => {
    client.destroy();
    await local.stop();
  });

  it.each(seedsToRun(1))(
    'answers 1,500 random requests as DynamoDB Local does, seed %i',
    async (seed) => {
      const fake = createFakeTable();
      const request = createRequests(seeded(seed));
      const seen = new Map<string, number>();
      for (let i = 0; i < 1000; i++) {
        const command = request();
        const wanted = await client.send(command as GetItemCommand).then(
          (answer) => answerText(answer as Answer),
          (error) => refusalText(error),
        );
        let got: string;
        try {
          got = answerText(fake.execute(command));
        } catch (error) {
          got = refusalText(error);
        }
        expect(got, `request ${i}: ${JSON.stringify(command.input)}`).toBe(wanted);
        const kind = /^\w+Exception/.exec(wanted)?.[0] ?? 'done';
        seen.set(kind, (seen.get(kind) ?? 0) + 1);
      }
      for (const kind of [
        'done',
        'ConditionalCheckFailedException',
        'TransactionCanceledException',
        'ValidationException',
      ])
        expect(seen.get(kind) ?? 0, kind).toBeGreaterThan(50);
    },
    60_000,
  );
});
