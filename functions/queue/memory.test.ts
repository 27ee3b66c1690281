import { expect, test } from 'vitest';
import { createSimulatedClock, settle } from '../clock/simulated.ts';
import { createMemoryQueue } from './memory.ts';
import type { Message } from './queue.ts';

const message = (key: string, cluster = 'a'): Message => ({ cluster, consumer: 'c', key });

const start = (handle: (m: Message) => Promise<void>, options: { workers?: number; spacingMs?: number } = {}) => {
  const clock = createSimulatedClock();
  const queue = createMemoryQueue({ clock, ...options });
  const abort = new AbortController();
  void queue.run(handle, abort.signal);
  return { clock, queue, abort };
};

test('a message that waits is delivered once, one that comes while it is handled once more', async () => {
  const seen: string[] = [];
  const gate = Promise.withResolvers<void>();
  const { queue, abort } = start(async (m) => {
    seen.push(m.key);
    if (seen.length === 1) await gate.promise;
  });
  await queue.send([message('k'), message('k')]);
  await queue.send([message('k')]);
  await settle();
  await queue.send([message('k')]);
  await settle();
  expect(seen).toEqual(['k']);
  gate.resolve();
  await settle();
  expect(seen).toEqual(['k', 'k']);
  expect(queue.idle()).toBe(true);
  abort.abort();
});

test('an earlier send wins over a later one, and delays are kept', async () => {
  const at: number[] = [];
  const { clock, queue, abort } = start(async () => {
    at.push(clock.now());
  });
  const zero = clock.now();
  await queue.send([message('k')], 1_000);
  await queue.send([message('k')], 5_000);
  await queue.send([message('k')], 200);
  await clock.advance(10_000);
  expect(at).toEqual([zero + 200]);
  abort.abort();
});

test('failures come back after 5 ms, doubling; a success starts anew', async () => {
  const at: number[] = [];
  const { clock, queue, abort } = start(async () => {
    at.push(clock.now());
    if (at.length < 4) throw new Error('not yet');
  });
  const zero = clock.now();
  await queue.send([message('k')]);
  await clock.advance(1_000);
  expect(at.map((time) => time - zero)).toEqual([0, 5, 15, 35]);
  abort.abort();
});

test('a cluster with much work does not hold up another', async () => {
  const seen: string[] = [];
  const { queue, abort } = start(async (m) => void seen.push(`${m.cluster}${m.key}`), { workers: 1 });
  await queue.send([message('1'), message('2'), message('3'), message('4')]);
  await queue.send([message('1', 'b')]);
  await settle();
  expect(seen.indexOf('b1')).toBeLessThan(3);
  expect(seen).toHaveLength(5);
  abort.abort();
});

test('deliveries of one key keep their distance, what comes in between is one delivery', async () => {
  const at: number[] = [];
  const { clock, queue, abort } = start(async () => void at.push(clock.now()), { spacingMs: 50 });
  const zero = clock.now();
  for (let i = 0; i < 30; i++) {
    await queue.send([message('k')]);
    await clock.advance(5);
  }
  await clock.advance(100);
  expect(at.map((time) => time - zero)).toEqual([0, 50, 100, 150]);
  abort.abort();
});
