import { performance } from 'node:perf_hooks';
import { type Call, type Measured, median, open, run, send, type Target } from './load.ts';
import { podBody } from './pod.ts';
import { startBare, startSettled } from './process.ts';

const PODS = '/api/v1/namespaces/default/pods';
const WORKERS = 16;
const ROUNDS = 5;
const CALLS = 3000;
const LISTED = 4000;

const json = (method: string, path: string, body?: string): Call => ({
  method,
  path,
  ...(body !== undefined && { body }),
});

/** One round on each server in turn, so that both see the same machine; medians of the rounds. */
const interleaved = async (
  ours: (round: number) => Promise<Measured>,
  theirs: (round: number) => Promise<Measured>,
): Promise<Record<string, number>> => {
  const a: Measured[] = [];
  const b: Measured[] = [];
  // The first round warms both up and does not count.
  for (let round = 0; round <= ROUNDS; round++) {
    const own = await ours(round);
    const bare = await theirs(round);
    if (round > 0) {
      a.push(own);
      b.push(bare);
    }
  }
  const rate = median(a.map((m) => m.perSecond));
  const bareRate = median(b.map((m) => m.perSecond));
  return {
    perSecond: Math.round(rate),
    barePerSecond: Math.round(bareRate),
    ratio: round2(median(a.map((m, i) => m.perSecond / (b[i]?.perSecond ?? 1)))),
    p99Ms: round2(median(a.map((m) => m.p99Ms))),
  };
};
const round2 = (value: number): number => Math.round(value * 100) / 100;

const sizeOf = async (target: Target, path: string): Promise<number> => {
  const session = await open(target);
  try {
    return await send(session, target.token, json('GET', path));
  } finally {
    session.close();
  }
};

/** Durable creates of pods at 16 workers on one connection; the bare server answers with as many bytes. */
export const creates = async () => {
  const plane = await startSettled();
  await run(plane.target, 1, 1, () => json('POST', PODS, podBody('first')));
  const bare = await startBare(plane.pki, { [PODS]: await sizeOf(plane.target, `${PODS}/first`) });
  try {
    const next = (round: number) => (i: number) => json('POST', PODS, podBody(`pod-${round}-${i}`));
    return await interleaved(
      (round) => run(plane.target, WORKERS, CALLS, next(round)),
      (round) => run(bare.target, WORKERS, CALLS, next(round)),
    );
  } finally {
    await bare.stop();
    await plane.stop();
  }
};

/** Gets of one of 100 pods at 16 workers on one connection. */
export const gets = async () => {
  const plane = await startSettled();
  await run(plane.target, WORKERS, 100, (i) => json('POST', PODS, podBody(`pod-${i}`)));
  const size = await sizeOf(plane.target, `${PODS}/pod-0`);
  const path = (i: number) => `${PODS}/pod-${i % 100}`;
  const sizes = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [path(i), size]));
  const bare = await startBare(plane.pki, sizes);
  try {
    return await interleaved(
      () => run(plane.target, WORKERS, CALLS * 2, (i) => json('GET', path(i))),
      () => run(bare.target, WORKERS, CALLS * 2, (i) => json('GET', path(i))),
    );
  } finally {
    await bare.stop();
    await plane.stop();
  }
};

const timeOf = async (target: Target, path: string): Promise<number> => {
  const session = await open(target);
  const began = performance.now();
  await send(session, target.token, json('GET', path));
  const ms = performance.now() - began;
  session.close();
  return ms;
};

/** A full list of 4,000 pods against as many constant bytes, and the memory of the plane that holds them. */
export const lists = async () => {
  const plane = await startSettled();
  const idleRssMb = plane.rssMb();
  await run(plane.target, WORKERS, LISTED, (i) => json('POST', PODS, podBody(`pod-${i}`)));
  const storedRssMb = plane.rssMb();
  const bytes = await sizeOf(plane.target, PODS);
  const bare = await startBare(plane.pki, { [PODS]: bytes });
  const own: number[] = [];
  const others: number[] = [];
  try {
    for (let round = 0; round < 12; round++) {
      const a = await timeOf(plane.target, PODS);
      const b = await timeOf(bare.target, PODS);
      if (round < 2) continue;
      own.push(a);
      others.push(b);
    }
    return {
      bytes,
      ms: round2(median(own)),
      bareMs: round2(median(others)),
      times: round2(median(own.map((ms, i) => ms / (others[i] ?? 1)))),
      idleRssMb,
      storedRssMb,
      rssAfterListsMb: plane.rssMb(),
    };
  } finally {
    await bare.stop();
    await plane.stop();
  }
};
