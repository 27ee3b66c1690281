import { expect, it } from 'vitest';
import type { Clock } from '../clock/clock.ts';
import { mergedTimers, type TimerRecords } from './merged-timers.ts';
import type { Message } from './queue.ts';

const message = (key: string): Message => ({ cluster: 'default', consumer: 'nodelifecycle', key });

const start = () => {
  const sent: [string, number][] = [];
  const due = new Map<string, number>();
  const time = { now: 1_000 };
  const clock = { now: () => time.now } as Clock;
  const records: TimerRecords = {
    get: async ({ key }) => due.get(key),
    put: async ({ key }, at) => void due.set(key, at),
  };
  const queue = {
    send: async (messages: Message[], delayMs = 0) =>
      void sent.push(...messages.map(({ key }) => [key, delayMs] as [string, number])),
  };
  return { sent, time, queue: mergedTimers(queue, records, clock) };
};

it('sends at once what is due at once', async () => {
  const { sent, queue } = start();
  await queue.send([message('a'), message('a')]);
  expect(sent).toEqual([
    ['a', 0],
    ['a', 0],
  ]);
});

it('keeps one timer per key: the earlier one', async () => {
  const { sent, queue } = start();
  await queue.send([message('a')], 500);
  await queue.send([message('a')], 600);
  await queue.send([message('b')], 600);
  await queue.send([message('a')], 100);
  expect(sent).toEqual([
    ['a', 500],
    ['b', 600],
    ['a', 100],
  ]);
});

it('however often a key is looked at, one chain of timers goes on', async () => {
  const { sent, time, queue } = start();
  for (let look = 0; look < 100; look++) {
    await queue.send([message('a')], 500);
    time.now += 10;
  }
  expect(sent).toHaveLength(2);
});

it('does not count on a timer whose time has passed', async () => {
  const { sent, time, queue } = start();
  await queue.send([message('a')], 500);
  time.now += 501;
  await queue.send([message('a')], 500);
  expect(sent).toHaveLength(2);
});
