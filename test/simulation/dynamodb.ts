// The store on DynamoDB under faults, seed by seed; a seed that fails is printed and runs the same again.
//   node test/simulation/dynamodb.ts [--seeds N] [--from FIRST] [--workers W]
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { runSeed } from './dynamodb-scenario.ts';

interface Totals {
  seeds: number;
  failed: number;
  requests: number;
  crashes: number;
  acknowledged: number;
  unknown: number;
  changesSeen: number;
}
const none: Totals = { seeds: 0, failed: 0, requests: 0, crashes: 0, acknowledged: 0, unknown: 0, changesSeen: 0 };
const shownMax = 5;
/** A worker says how far it is every so many seeds. */
const toldEvery = 10_000;

const runSeeds = async (first: number, end: number, step: number): Promise<Totals> => {
  const totals = { ...none };
  for (let seed = first; seed < end; seed += step) {
    const summary = await runSeed(seed).catch((error: Error) => ({ ...none, faults: [`${error.stack}`] }));
    totals.seeds++;
    totals.requests += summary.requests;
    totals.crashes += summary.crashes;
    totals.acknowledged += summary.acknowledged;
    totals.unknown += summary.unknown;
    totals.changesSeen += summary.changesSeen;
    if (totals.seeds % toldEvery === 0) console.log(`${totals.seeds} seeds, ${totals.failed} failed`);
    if (summary.faults.length === 0) continue;
    if (totals.failed++ < shownMax)
      console.log(`seed ${seed}: ${summary.faults.slice(0, 3).join('\n  ').slice(0, 3000)}`);
  }
  return totals;
};

const main = async (): Promise<void> => {
  const { values } = parseArgs({
    options: { seeds: { type: 'string' }, from: { type: 'string' }, workers: { type: 'string' } },
  });
  const from = Number(values.from ?? 1);
  const end = from + Number(values.seeds ?? 10_000);
  const workers = Math.min(Number(values.workers ?? availableParallelism()), end - from);
  const began = Date.now();
  const parts = await Promise.all(
    Array.from(
      { length: workers },
      (_, i) =>
        new Promise<Totals>((resolve, reject) => {
          const worker = new Worker(new URL(import.meta.url), { workerData: { first: from + i, end, step: workers } });
          worker.once('message', resolve);
          worker.once('error', reject);
        }),
    ),
  );
  const totals = parts.reduce(
    (sum, part) => {
      for (const name of Object.keys(sum) as (keyof Totals)[]) sum[name] += part[name];
      return sum;
    },
    { ...none },
  );
  const { seeds, failed, requests, crashes, acknowledged, unknown, changesSeen } = totals;
  const seconds = ((Date.now() - began) / 1000).toFixed(1);
  console.log(
    `seeds ${from} to ${end - 1} in ${seconds} s: ${requests} requests, ${crashes} crashes, ${acknowledged} writes`,
  );
  console.log(`acknowledged, ${unknown} of unknown fate, ${changesSeen} changes seen by watchers`);
  console.log(`${seeds - failed} passed, ${failed} failed`);
  process.exitCode = failed > 0 || acknowledged < seeds ? 1 : 0;
};

if (isMainThread) await main();
else {
  // Errors are many here, and their stacks are half of the work.
  Error.stackTraceLimit = 0;
  const { first, end, step } = workerData as { first: number; end: number; step: number };
  parentPort?.postMessage(await runSeeds(first, end, step));
}
