import { median, run } from './load.ts';
import { podBody } from './pod.ts';
import { type Plane, startSettled } from './process.ts';

const PODS = '/api/v1/namespaces/default/pods';
const STORED = 100_000;
const ROUNDS = 5;
const CALLS = 400;

/** Median latency of creates one after another, in milliseconds. */
const latency = async (plane: Plane, name: string): Promise<number> => {
  const { p50Ms } = await run(plane.target, 1, CALLS, (i) => ({
    method: 'POST',
    path: PODS,
    body: podBody(`${name}-${i}`),
  }));
  return p50Ms;
};

/** The latency of a create with 100,000 pods stored against that of an empty store, and the memory that each pod takes. */
export const stored = async () => {
  const full = await startSettled();
  const empty = await startSettled();
  try {
    await latency(full, 'warm');
    await latency(empty, 'warm');
    const before = full.rssMb();
    for (let at = 0; at < STORED; at += 10_000) {
      await run(full.target, 16, 10_000, (i) => ({ method: 'POST', path: PODS, body: podBody(`pod-${at + i}`) }));
    }
    // What the writes left behind goes first.
    await new Promise((resolve) => setTimeout(resolve, 10_000));
    const kBPerPod = ((full.rssMb() - before) * 1000) / STORED;
    const times: number[] = [];
    const ms: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const a = await latency(full, `full-${round}`);
      const b = await latency(empty, `empty-${round}`);
      ms.push(a);
      times.push(a / b);
    }
    return { stored: STORED, ms: median(ms), times: median(times), kBPerPod };
  } finally {
    await empty.stop();
    await full.stop();
  }
};
