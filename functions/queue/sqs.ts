import { createHash, randomUUID } from 'node:crypto';
import {
  ChangeMessageVisibilityCommand,
  DeleteMessageCommand,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  type SendMessageBatchRequestEntry,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import type { Clock } from '../clock/clock.ts';
import type { Message, Queue } from './queue.ts';

export interface SqsQueueOptions {
  client: Pick<SQSClient, 'send'>;
  clock: Clock;
  /** URL of the FIFO queue of each consumer; '' is that of every consumer without one of its own. */
  urls: Record<string, string>;
  /** URL of the standard queue whose messages come back later: FIFO queues have no delay per message. */
  timers: string;
}

/** The longest delay that SQS gives; a timer that is due later is sent again. */
const delaySecondsMax = 900;
const batchMax = 10;
const waitSeconds = 20;
const backoffSecondsMax = 900;

/** A message that waits in the timers queue until a time, in milliseconds since the epoch. */
export interface Timer {
  message: Message;
  due: number;
}

const isMessage = (value: unknown): value is Message => {
  const { cluster, consumer, key } = (value ?? {}) as Partial<Message>;
  return typeof cluster === 'string' && typeof consumer === 'string' && typeof key === 'string';
};

/** Reads the body of a work message; throws on anything else. */
export const readMessage = (body: string): Message => {
  const value: unknown = JSON.parse(body);
  if (!isMessage(value)) throw new Error('the message names no key to look at');
  return { cluster: value.cluster, consumer: value.consumer, key: value.key };
};

/** Reads the body of a timer; throws on anything else. */
export const readTimer = (body: string): Timer => {
  const value = JSON.parse(body) as Partial<Timer>;
  if (!isMessage(value.message) || typeof value.due !== 'number') throw new Error('the message is no timer');
  return { message: value.message, due: value.due };
};

/** One at a time per key: the group is the key, hashed since SQS takes 128 characters of few kinds. */
const groupOf = ({ cluster, consumer, key }: Message): string =>
  createHash('sha256').update(`${cluster}\n${consumer}\n${key}`).digest('base64url');

/**
 * Work over SQS: FIFO queues with the key as message group, and a standard queue for delays. Every send is a message of
 * its own: one that is dropped as a duplicate of a message already being handled would be a change that nobody looks at.
 * Rejects where SQS takes a message in none of its tries.
 */
export const createSqsQueue = ({ client, clock, urls, timers }: SqsQueueOptions): Queue => {
  const urlOf = (message: Message): string => {
    const url = urls[message.consumer] ?? urls[''];
    if (!url) throw new Error(`no queue takes messages to ${message.consumer}`);
    return url;
  };
  const sendBatch = async (url: string, entries: SendMessageBatchRequestEntry[]): Promise<void> => {
    for (let tries = 0; entries.length > 0; tries++) {
      const { Failed = [] } = await client.send(new SendMessageBatchCommand({ QueueUrl: url, Entries: entries }));
      const failed = new Map(Failed.map((entry) => [entry.Id, entry]));
      entries = entries.filter((entry) => failed.has(entry.Id));
      const fault = Failed.find((entry) => entry.SenderFault) ?? (tries >= 3 ? Failed[0] : undefined);
      if (fault) throw new Error(`SQS took a message not: ${fault.Code} ${fault.Message ?? ''}`);
    }
  };
  const sendAll = async (url: string, entries: Omit<SendMessageBatchRequestEntry, 'Id'>[]): Promise<void> => {
    for (let at = 0; at < entries.length; at += batchMax) {
      const batch = entries
        .slice(at, at + batchMax)
        .map((entry, i) => ({ ...entry, Id: `${i}` }) as SendMessageBatchRequestEntry);
      await sendBatch(url, batch);
    }
  };
  const later = (messages: Message[], delayMs: number): Promise<void> => {
    const due = clock.now() + delayMs;
    const DelaySeconds = Math.min(delaySecondsMax, Math.ceil(delayMs / 1000));
    return sendAll(
      timers,
      messages.map((message) => ({ MessageBody: JSON.stringify({ message, due } satisfies Timer), DelaySeconds })),
    );
  };
  const now = async (messages: Message[]): Promise<void> => {
    for (const [url, own] of Map.groupBy(messages, urlOf)) {
      await sendAll(
        url,
        own.map((message) => ({
          MessageBody: JSON.stringify(message),
          MessageGroupId: groupOf(message),
          MessageDeduplicationId: randomUUID(),
        })),
      );
    }
  };

  /** Takes messages of one queue one after another until aborted. */
  const consume = async (url: string, handle: (message: Message) => Promise<void>, signal: AbortSignal) => {
    const receive = new ReceiveMessageCommand({
      QueueUrl: url,
      MaxNumberOfMessages: batchMax,
      WaitTimeSeconds: waitSeconds,
      MessageSystemAttributeNames: ['ApproximateReceiveCount'],
    });
    let failures = 0;
    while (!signal.aborted) {
      const received = await client.send(receive, { abortSignal: signal }).then(
        (answer) => {
          failures = 0;
          return answer;
        },
        async () => {
          // The service may be away for a while; its messages wait.
          if (!signal.aborted) await clock.sleep(1000 * 2 ** Math.min(failures++, 5), signal).catch(() => {});
        },
      );
      for (const { Body = '', ReceiptHandle, Attributes } of received?.Messages ?? []) {
        try {
          await handle(readMessage(Body));
          await client.send(new DeleteMessageCommand({ QueueUrl: url, ReceiptHandle }));
        } catch {
          const tries = Number(Attributes?.ApproximateReceiveCount ?? 1);
          const VisibilityTimeout = Math.min(backoffSecondsMax, 2 ** Math.min(tries - 1, 10));
          await client.send(new ChangeMessageVisibilityCommand({ QueueUrl: url, ReceiptHandle, VisibilityTimeout }));
        }
      }
    }
  };

  return {
    send: (messages, delayMs = 0) => (delayMs > 0 ? later(messages, delayMs) : now(messages)),
    run: async (handle, signal) => {
      await Promise.all([...new Set(Object.values(urls))].map((url) => consume(url, handle, signal)));
    },
  };
};
