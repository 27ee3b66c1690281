// A client that keeps many requests open, in a thread of its own so that it does not slow whoever measures.
import { setTimeout as delay } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { get, quantile } from './get.ts';
import { open, type Target } from './load.ts';

/** What the flood asks for; it runs until it is sent any message, and then tells what became of it. */
export interface FloodOf {
  target: Target;
  path: string;
  headers: Record<string, string>;
  many: number;
}

export interface Flooded {
  statuses: Record<string, number>;
  p50Ms: number;
  p99Ms: number;
}

const { target, path, headers, many } = workerData as FloodOf;
const session = await open(target);
const times: number[] = [];
const statuses: Record<string, number> = {};
let isOn = true;
const work = async (): Promise<void> => {
  while (isOn) {
    const { status, retryAfter, ms } = await get(session, path, headers);
    if (status === 200) times.push(ms);
    statuses[`status${status}`] = (statuses[`status${status}`] ?? 0) + 1;
    if (status === 429 && retryAfter === '') throw new Error('429 without Retry-After');
    // A client that obeys Retry-After would be no flood.
    if (status === 429) await delay(50);
  }
};
parentPort?.once('message', () => {
  isOn = false;
});
await Promise.all(Array.from({ length: many }, work));
session.close();
parentPort?.postMessage({ statuses, p50Ms: quantile(times, 0.5), p99Ms: quantile(times, 0.99) } satisfies Flooded);
