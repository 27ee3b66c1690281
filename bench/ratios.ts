import { performance } from 'node:perf_hooks';
import { type Call, type Measured, median, open, run, send, type Target } from './load.ts';
import { podBody } from './pod.ts';
import { cpuMs, startBare, startSettled } from './process.ts';

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

interface Side {
  target: Target;
  pid: number;
}
interface Round extends Measured {
  /** Processor time of the server per call, in microseconds. */
  cpuMicros: number;
}

const round = async (side: Side, count: number, next: (i: number) => Call): Promise<Round> => {
  const before = cpuMs(side.pid);
  const measured = await run(side.target, WORKERS, count, next);
  return { ...measured, cpuMicros: ((cpuMs(side.pid) - before) * 1000) / count };
};

/** One round on each server in turn, so that both see the same machine; medians of the rounds. */
export const interleaved = async (
  own: Side,
  bare: Side,
  count: number,
  next: (round: number) => (i: number) => Call,
  toBare = next,
): Promise<Record<string, number>> => {
  const a: Round[] = [];
  const b: Round[] = [];
  // The first round warms both up and does not count.
  for (let i = 0; i <= ROUNDS; i++) {
    const ours = await round(own, count, next(i));
    const theirs = await round(bare, count, toBare(i));
    if (i > 0) {
      a.push(ours);
      b.push(theirs);
    }
  }
  return {
    perSecond: Math.round(median(a.map((m) => m.perSecond))),
    barePerSecond: Math.round(median(b.map((m) => m.perSecond))),
    ratio: round2(median(a.map((m, i) => m.perSecond / (b[i]?.perSecond ?? 1)))),
    p99Ms: round2(median(a.map((m) => m.p99Ms))),
    cpuMicros: Math.round(median(a.map((m) => m.cpuMicros))),
    bareCpuMicros: Math.round(median(b.map((m) => m.cpuMicros))),
  };
};
const round2 = (value: number): number => Math.round(value * 100) / 100;

export const sizeOf = async (target: Target, path: string): Promise<number> => {
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
    const next = (at: number) => (i: number) => json('POST', PODS, podBody(`pod-${at}-${i}`));
    return await interleaved(plane, bare, CALLS, next);
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
    return await interleaved(plane, bare, CALLS * 2, () => (i) => json('GET', path(i)));
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
