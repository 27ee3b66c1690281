// The figures of the project, one JSON line each: npm run bench [-- NAME...]. A figure that misses its goal is printed as
// it is, with "met": false.
import { setTimeout as delay } from 'node:timers/promises';
import { audited } from './audit.ts';
import { hollow, realPod } from './deployments.ts';
import { median } from './load.ts';
import { apply, strategic } from './patches.ts';
import { startPlane } from './process.ts';
import { creates, gets, lists } from './ratios.ts';
import { stored } from './stored.ts';
import { watches } from './watch.ts';

type Figures = Record<string, number | string | boolean>;

const STARTS = 5;
/** Long enough for what a start leaves behind to be collected, in milliseconds. */
const SETTLED_MS = 5000;

const start = async (): Promise<Figures> => {
  const starts: number[] = [];
  for (let i = 0; i < STARTS; i++) {
    const plane = await startPlane();
    starts.push(plane.startMs);
    await plane.stop();
  }
  const plane = await startPlane();
  await delay(SETTLED_MS);
  const idleRssMb = plane.rssMb();
  await plane.stop();
  const ms = Math.round(median(starts));
  return { ms, goalMs: 1000, idleRssMb, goalRssMb: 130, met: ms < 1000 && idleRssMb < 130 };
};

const benches: Record<string, () => Promise<Figures>> = {
  start,
  creates: async () => {
    const figures = await creates();
    return { ...figures, goalRatio: 0.5, met: (figures.ratio ?? 0) >= 0.5 };
  },
  gets: async () => {
    const figures = await gets();
    return { ...figures, goalRatio: 0.6, met: (figures.ratio ?? 0) >= 0.6 };
  },
  lists: async () => {
    const figures = await lists();
    return { ...figures, goalTimes: 2, goalRssMb: 300, met: figures.times <= 2 && figures.storedRssMb < 300 };
  },
  strategic: async () => {
    const figures = await strategic();
    return { ...figures, goalRatio: 0.35, met: (figures.ratio ?? 0) >= 0.35 };
  },
  apply: async () => {
    const figures = await apply();
    return { ...figures, goalRatio: 0.35, met: (figures.ratio ?? 0) >= 0.35 };
  },
  stored: async () => {
    const figures = await stored();
    return { ...figures, goalTimes: 1.3, goalKBPerPod: 8, met: figures.times <= 1.3 && figures.kBPerPod < 8 };
  },
  audit: async () => {
    const figures = await audited();
    return { ...figures, goalRatio: 0.9, met: figures.getsRatio >= 0.9 && figures.createsRatio >= 0.9 };
  },
  watch: watches,
  hollow,
  'real-pod': realPod,
};

const main = async (): Promise<void> => {
  const names = process.argv.slice(2);
  const unknown = names.find((name) => !benches[name]);
  if (unknown !== undefined) throw new Error(`no bench "${unknown}": ${Object.keys(benches).join(', ')}`);
  for (const name of names.length > 0 ? names : Object.keys(benches)) {
    const figures = await benches[name]?.();
    console.log(JSON.stringify({ bench: name, ...figures }));
  }
};

await main();
