import { describe, expect, it } from 'vitest';
import { createSimulatedClock } from '../clock/simulated.ts';
import type { Message } from './queue.ts';
import { createSqsQueue, readMessage, readTimer } from './sqs.ts';

interface Entry {
  Id: string;
  MessageBody: string;
  DelaySeconds?: number;
  MessageGroupId?: string;
  MessageDeduplicationId?: string;
}
interface Sent {
  url: string;
  entries: Entry[];
}

const clock = createSimulatedClock();
const message = (key: string, consumer = 'deployment'): Message => ({ cluster: 'c', consumer, key });

/** SQS that takes all but what `refuse` names. */
const fake = (refuse: (body: string, tries: number) => { SenderFault: boolean } | undefined = () => undefined) => {
  const sent: Sent[] = [];
  const tries = new Map<string, number>();
  const client = {
    send: async ({ input }: { input: { QueueUrl: string; Entries: Entry[] } }) => {
      sent.push({ url: input.QueueUrl, entries: input.Entries });
      const Failed = input.Entries.flatMap(({ Id, MessageBody }) => {
        const n = (tries.get(MessageBody) ?? 0) + 1;
        tries.set(MessageBody, n);
        const refusal = refuse(MessageBody, n);
        return refusal ? [{ Id, Code: 'Refused', ...refusal }] : [];
      });
      return { Failed };
    },
  };
  const queue = createSqsQueue({
    client: client as unknown as Parameters<typeof createSqsQueue>[0]['client'],
    clock,
    urls: { '': 'work', scheduler: 'schedule' },
    timers: 'timers',
  });
  return { queue, sent };
};

describe('the queue over SQS', () => {
  it('sends each message to its consumer’s queue, the key as its group, in batches of ten', async () => {
    const { queue, sent } = fake();
    await queue.send([...Array.from({ length: 12 }, (_, i) => message(`n/${i}`)), message('cluster', 'scheduler')]);
    expect(sent.map(({ url, entries }) => [url, entries.length])).toEqual([
      ['work', 10],
      ['work', 2],
      ['schedule', 1],
    ]);
    const all = sent.flatMap(({ entries }) => entries);
    expect(new Set(all.map((entry) => entry.MessageGroupId)).size).toBe(13);
    expect(all.every((entry) => /^[\w-]{43}$/.test(entry.MessageGroupId ?? ''))).toBe(true);
    expect(readMessage(all[3]?.MessageBody ?? '')).toEqual(message('n/3'));
    await queue.send([message('n/3')]);
    const again = sent.at(-1)?.entries[0];
    expect(again?.MessageGroupId).toBe(all[3]?.MessageGroupId);
    // A change while the first is being handled must not be taken for a duplicate of it.
    expect(again?.MessageDeduplicationId).not.toBe(all[3]?.MessageDeduplicationId);
  });

  it('holds delays in the queue of timers, at most a quarter of an hour at a time', async () => {
    const { queue, sent } = fake();
    await queue.send([message('a')], 1_500);
    await queue.send([message('b')], 7_200_000);
    expect(sent.map(({ url, entries }) => [url, entries[0]?.DelaySeconds])).toEqual([
      ['timers', 2],
      ['timers', 900],
    ]);
    expect(readTimer(sent[1]?.entries[0]?.MessageBody ?? '')).toEqual({
      message: message('b'),
      due: clock.now() + 7_200_000,
    });
  });

  it('sends again what SQS did not take, and only that', async () => {
    const { queue, sent } = fake((body, tries) =>
      body.includes('n/1') && tries < 3 ? { SenderFault: false } : undefined,
    );
    await queue.send([message('n/0'), message('n/1')]);
    expect(sent.map(({ entries }) => entries.length)).toEqual([2, 1, 1]);
  });

  it('rejects when a message is at fault, or is refused for good', async () => {
    const faulty = fake(() => ({ SenderFault: true }));
    await expect(faulty.queue.send([message('a')])).rejects.toThrow('Refused');
    const busy = fake(() => ({ SenderFault: false }));
    await expect(busy.queue.send([message('a')])).rejects.toThrow('Refused');
    expect(busy.sent.length).toBe(4);
  });

  it('goes on receiving after a receive that failed, a little later each time', async () => {
    const at: number[] = [];
    const handled: string[] = [];
    const stop = new AbortController();
    const began = clock.now();
    const client = {
      send: async (command: object) => {
        if (command.constructor.name !== 'ReceiveMessageCommand') return {};
        at.push(clock.now() - began);
        if (at.length < 4) throw new Error('ServiceUnavailable');
        return { Messages: [{ Body: JSON.stringify(message('n/a')), ReceiptHandle: 'r' }] };
      },
    } as unknown as Parameters<typeof createSqsQueue>[0]['client'];
    const queue = createSqsQueue({ client, clock, urls: { '': 'work' }, timers: 'timers' });
    const running = queue.run(async ({ key }) => {
      handled.push(key);
      stop.abort();
    }, stop.signal);
    for (let i = 0; i < 8; i++) await clock.advance(1000);
    await running;
    expect(at).toEqual([0, 1000, 3000, 7000]);
    expect(handled).toEqual(['n/a']);
  });

  it('reads no other bodies', () => {
    expect(() => readMessage('{"cluster":"c"}')).toThrow();
    expect(() => readMessage('null')).toThrow();
    expect(() => readTimer('{"message":{}}')).toThrow();
  });
});
