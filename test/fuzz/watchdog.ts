import { writeSync } from 'node:fs';
import { Worker, workerData } from 'node:worker_threads';

/**
 * Sees from a thread of its own that the event loop turns: one slot counts its turns, the others hold the index of the
 * request that each lane is at. When the loop has not turned for so long the process is ended with the indices told.
 */
export interface Watchdog {
  at(lane: number, index: number): void;
  stop(): Promise<unknown>;
}

const watch = (slots: Int32Array, stuckMs: number): void => {
  let seen = -1;
  let since = Date.now();
  setInterval(() => {
    const turns = Atomics.load(slots, 0);
    if (turns !== seen) {
      seen = turns;
      since = Date.now();
    } else if (Date.now() - since > stuckMs) {
      writeSync(
        2,
        `the event loop has stood still for ${stuckMs} ms in one of the requests ${[...slots.slice(1)].join(', ')}\n`,
      );
      process.kill(process.pid, 'SIGKILL');
    }
  }, 500);
};

export const startWatchdog = (lanes: number, stuckMs: number): Watchdog => {
  const slots = new Int32Array(new SharedArrayBuffer(4 * (lanes + 1)));
  const worker = new Worker(new URL(import.meta.url), { workerData: { slots, stuckMs } });
  worker.unref();
  const turning = setInterval(() => Atomics.add(slots, 0, 1), 100);
  turning.unref();
  return {
    at: (lane, index) => void Atomics.store(slots, lane + 1, index),
    stop: () => {
      clearInterval(turning);
      return worker.terminate();
    },
  };
};

const given = workerData as { slots?: Int32Array; stuckMs?: number } | null;
if (given?.slots && given.stuckMs !== undefined) watch(given.slots, given.stuckMs);
