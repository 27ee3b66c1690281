// One seed of the DynamoDB simulation: processes with writers, readers and watchers on a table that fails, then a quiet end
// at which everything must agree.
import { randomBytes } from 'node:crypto';
import { domainName } from '../../functions/store/domain.ts';
import { createDynamoStore } from '../../functions/store/dynamodb.ts';
import { clusterKey, isVoid } from '../../functions/store/dynamodb-items.ts';
import type { Domain, Indexed, Revision, Store, Stored, Write } from '../../functions/store/store.ts';
import { bytesOf, checkHistory, resultOf, type Seen, seenOf, tokenOf } from './dynamodb-history.ts';
import { createWorld, type Faults, type Process, type World } from './dynamodb-network.ts';
import { createTruth, type Segment, type Truth } from './dynamodb-truth.ts';
import { seeded } from './store-operations.ts';

const all: Domain[] = [
  { cluster: 'a', group: '', resource: 'pods' },
  { cluster: 'a', group: 'apps', resource: 'deployments' },
  { cluster: 'b', group: '', resource: 'pods' },
];
/** Does not compress, and is larger than what one item holds inline. */
const large = randomBytes(140_000);

export interface Plan {
  faults: Faults;
  processes: number;
  writersEach: number;
  operations: number;
  keys: number;
  domains: Domain[];
  commitMsMax: number;
  fenceMs: number;
  retentionMs: number;
  drops: boolean;
  compactions: boolean;
  large: boolean;
  thinkMsMax: number;
  pollMsMax: number;
}

/** Which faults a seed has, and how many: some seeds have few of them, so that long runs between two are seen too. */
export const planOf = (random: () => number): Plan => {
  const some = (most: number): number => (random() < 0.4 ? 0 : random() * most);
  const short = random() < 0.25;
  return {
    faults: {
      requestLost: some(0.05),
      replyLost: some(0.08),
      late: some(0.06),
      lateMsMax: 20_000,
      throttled: some(0.15),
      broken: some(0.06),
      conflict: some(0.15),
      unprocessed: some(0.2),
      crash: some(0.01),
      freeze: some(0.02),
      freezeMsMax: short ? 60_000 : 8000,
      latencyMsMax: 1 + random() * 40,
      skewMsMax: some(500),
    },
    processes: 2 + Math.floor(random() * 2),
    writersEach: 1 + Math.floor(random() * 2),
    operations: 4 + Math.floor(random() * 5),
    keys: 1 + Math.floor(random() * 4),
    domains: all.slice(0, random() < 0.7 ? 1 : 3),
    commitMsMax: 3000,
    fenceMs: [20, 100, 400][Math.floor(random() * 3)] ?? 100,
    retentionMs: short ? 40_000 : 3_600_000,
    drops: random() < 0.3,
    compactions: random() < 0.3,
    large: random() < 0.05,
    thinkMsMax: random() < 0.3 ? 20_000 : 100,
    pollMsMax: random() < 0.2 ? 500 : 30_000,
  };
};

interface Run {
  world: World;
  plan: Plan;
  truth: Truth;
  history: Seen[];
  segments: Segment[];
  tick(): number;
  pick<T>(some: readonly T[]): T;
  /** Clusters that were dropped, and the tick at which the last drop had ended; Infinity while one may go on. */
  drops: Map<string, number>;
  /** Work under way, by process. */
  working: Map<Process, number>;
}

const sleep = (run: Run, clock: Process['clock']): Promise<void> =>
  clock.sleep(run.world.random() * run.plan.thinkMsMax);

const indexOf = (token: string): Indexed => ({ labels: { t: token }, fields: {}, owners: [] });

/** Random writes by what the caller last saw of each key; an answer is noted for each. */
const writer = async (run: Run, process: Process, store: Store, id: string): Promise<void> => {
  const { world, plan, history, pick } = run;
  const { random } = world;
  const known = new Map<string, Revision>();
  const padding = () => (plan.large && random() < 0.2 ? large : new Uint8Array());
  const makeWrite = (domain: Domain, token: string): Write => {
    const key = `k${Math.floor(random() * plan.keys)}`;
    const last = known.get(`${domainName(domain)} ${key}`);
    const bytes = bytesOf(token, padding());
    const expected = last ?? 100_000n;
    const chance = random();
    if (last === undefined ? chance < 0.9 : chance < 0.15) return { op: 'create', key, index: indexOf(token), bytes };
    if (chance < 0.7) return { op: 'update', key, expected, index: indexOf(token), bytes };
    return { op: 'delete', key, expected };
  };
  const note = (domain: Domain, key: string, stored: Stored | undefined): void => {
    const name = `${domainName(domain)} ${key}`;
    if (stored) known.set(name, stored.revision);
    else known.delete(name);
  };
  const read = async (domain: Domain): Promise<void> => {
    const key = `k${Math.floor(random() * plan.keys)}`;
    const start = run.tick();
    const found = await store.get(domain, key);
    note(domain, key, found);
    const call = { op: 'get' as const, ...(found ? { found: tokenOf(found) } : {}) };
    history.push({ domain: domainName(domain), key, start, end: run.tick(), call });
  };
  const write = async (domain: Domain, at: number): Promise<void> => {
    const writes = Array.from({ length: random() < 0.7 ? 1 : 2 + Math.floor(random() * 3) }, (_, i) =>
      makeWrite(domain, `${id}-${at}-${i}`),
    );
    const start = run.tick();
    const noted = writes.map((made, i): Seen => {
      const call = { ...seenOf(made), token: `${id}-${at}-${i}`, result: { kind: 'unknown' as const } };
      return { domain: domainName(domain), key: made.key, start, end: Number.POSITIVE_INFINITY, call };
    });
    history.push(...noted);
    const outcomes = await store.commit(domain, writes);
    const end = run.tick();
    noted.forEach((seen, i) => {
      if (seen.call.op === 'drop' || seen.call.op === 'get') return;
      const outcome = outcomes[i];
      seen.end = end;
      seen.call.result = resultOf(outcome);
      const gone = seen.call.op === 'delete' && outcome?.ok;
      if (outcome?.ok && !gone) note(domain, seen.key, outcome.stored);
      else if (gone) note(domain, seen.key, undefined);
      else if (outcome && 'current' in outcome) note(domain, seen.key, outcome.current);
    });
  };
  for (let at = 0; at < plan.operations; at++) {
    const domain = pick(plan.domains);
    try {
      if (random() < 0.25) await read(domain);
      else await write(domain, at);
    } catch {
      // Nobody knows, and the history says so.
    }
    if (random() < 0.5) await sleep(run, process.clock);
  }
};

/** Lists and then follows, as a replica does; notes what it saw. */
const watcher = async (run: Run, process: Process, store: Store, domain: Domain, stop: AbortSignal): Promise<void> => {
  const { world, truth, segments } = run;
  let at: Revision | undefined;
  let segment: Segment | undefined;
  while (process.alive() && !stop.aborted) {
    try {
      if (at === undefined || !segment) {
        const least = truth.head(domainName(domain));
        at = await store.head(domain);
        if (at < least) truth.faults.push(`head() gave ${at} when ${least} was given out`);
        segment = { domain, from: at, reached: at, changes: [] };
        segments.push(segment);
      }
      const head = await store.head(domain);
      const limit = 1 + Math.floor(world.random() * 20);
      const changes = await store.changes(domain, at, limit);
      if (changes === 'compacted') {
        at = undefined;
        continue;
      }
      segment.changes.push(...changes);
      const last = changes.at(-1)?.stored.revision ?? at;
      // Fewer than asked for: everything up to the head that was read before.
      at = changes.length < limit && head > last ? head : last;
      segment.reached = at;
      if (changes.length === 0) await store.wake(domain, at, stop);
    } catch {
      await process.clock.sleep(50);
    }
    if (world.random() < 0.1) await sleep(run, process.clock);
  }
};

const dropper = async (run: Run, process: Process, store: Store): Promise<void> => {
  const cluster = run.pick(run.plan.domains).cluster;
  await process.clock.sleep(run.world.random() * 3000);
  await dropNow(run, store, cluster).catch(() => undefined);
};
/** Noted as one deletion of every key; one that nobody saw the end of may happen at any time. */
const dropNow = async (run: Run, store: Store, cluster: string): Promise<void> => {
  run.drops.set(cluster, Number.POSITIVE_INFINITY);
  const start = run.tick();
  const noted = run.plan.domains
    .filter((domain) => domain.cluster === cluster)
    .flatMap((domain) =>
      Array.from({ length: run.plan.keys }, (_, i): Seen => {
        const end = Number.POSITIVE_INFINITY;
        return { domain: domainName(domain), key: `k${i}`, start, end, call: { op: 'drop' } };
      }),
    );
  run.history.push(...noted);
  await store.drop(cluster);
  const end = run.tick();
  for (const seen of noted) seen.end = end;
  run.drops.set(cluster, end);
};

const compactor = async (run: Run, process: Process, store: Store): Promise<void> => {
  for (let i = 0; i < 2; i++) {
    await process.clock.sleep(run.world.random() * 2000);
    await store.compact(run.pick(run.plan.domains), Math.floor(run.world.random() * 6)).catch(() => undefined);
  }
};

const open = (run: Run, process: Process): Store =>
  createDynamoStore({
    table: 'table',
    clock: process.clock,
    client: process.client,
    commitMsMax: run.plan.commitMsMax,
    fenceMs: run.plan.fenceMs,
    retentionMs: run.plan.retentionMs,
    lateMsMax: Math.min(run.plan.retentionMs, 300_000),
    pollMsMax: run.plan.pollMsMax,
  });

const startProcess = (run: Run, id: string, stop: AbortSignal): Process => {
  const process = run.world.process();
  const store = open(run, process);
  const busy = async (work: Promise<void>): Promise<void> => {
    run.working.set(process, (run.working.get(process) ?? 0) + 1);
    await work;
    run.working.set(process, (run.working.get(process) ?? 0) - 1);
  };
  for (let i = 0; i < run.plan.writersEach; i++) void busy(writer(run, process, store, `${id}${i}`));
  void watcher(run, process, store, run.pick(run.plan.domains), stop);
  if (run.plan.drops && id === '0') void busy(dropper(run, process, store));
  if (run.plan.compactions && id === '1') void busy(compactor(run, process, store));
  return process;
};

/** After the storm: what was begun and not finished is begun again, then everything is compared. */
const finish = async (run: Run): Promise<void> => {
  const { world, plan, truth, segments } = run;
  const process = world.process();
  const store = open(run, process);
  const work = async (): Promise<void> => {
    for (const cluster of run.drops.keys()) if (world.random() < 0.5) await dropNow(run, store, cluster);
    for (const domain of plan.domains) {
      const name = domainName(domain);
      const least = truth.head(name);
      const head = await store.head(domain);
      if (head < least) truth.faults.push(`the last head of ${name} is ${head}, not ${least}`);
      for (let i = 0; i < plan.keys; i++) {
        const start = run.tick();
        const found = await store.get(domain, `k${i}`);
        const call = { op: 'get' as const, ...(found ? { found: tokenOf(found) } : {}) };
        run.history.push({ domain: name, key: `k${i}`, start, end: run.tick(), call });
      }
      const { items } = await store.scan(domain, '', 1000);
      const found = await store.domains(domain.cluster);
      if (items.length > 0 && !found.some((one) => domainName(one) === name))
        truth.faults.push(`${name} holds objects and is not in the directory`);
      const from = segments.find((one) => one.domain === domain)?.from ?? 0n;
      const changes = await store.changes(domain, from, 100_000);
      if (changes !== 'compacted') segments.push({ domain, from, reached: head, changes });
    }
    await store.close();
  };
  let over = false;
  let failed: unknown;
  work().then(
    () => {
      over = true;
    },
    (error) => {
      over = true;
      failed = error;
    },
  );
  await world.run(() => over, 3_600_000);
  if (failed) truth.faults.push(`at the end: ${(failed as Error).stack}`);
  if (!over) truth.faults.push('the end hangs');
};

/** What is left of a dropped cluster: nothing but its floor, and voids that expire. */
const checkDropped = ({ world, plan, truth }: Run): void => {
  const heads = plan.domains.filter((domain) => world.table.get(`${domainName(domain)}/h`, 'h'));
  for (const partition of world.table.partitions()) {
    const living = heads.some((domain) => partition.startsWith(`${domainName(domain)}/`));
    const cluster = partition.split('/')[0] ?? '';
    if (living || partition === clusterKey(cluster).pk.S) continue;
    for (const item of world.table.items(partition))
      if (!item.ttl) truth.faults.push(`${partition} ${item.sk?.S} was left: ${JSON.stringify(item).slice(0, 200)}`);
      else if (!isVoid(item) && partition.split('/')[3] === 'l')
        truth.faults.push(`entry ${partition} ${item.sk?.S} was left`);
  }
};

export interface Summary {
  faults: string[];
  requests: number;
  crashes: number;
  acknowledged: number;
  unknown: number;
  changesSeen: number;
}

/** Runs one seed; the faults found, none when all is well. */
export const runSeed = async (seed: number): Promise<Summary> => {
  const random = seeded(seed);
  const plan = planOf(random);
  let ticks = 0;
  const truth: Truth = createTruth(() => world.table);
  const world = createWorld(random, plan.faults, truth.observe, truth.settle);
  const run: Run = {
    world,
    plan,
    truth,
    history: [],
    segments: [],
    tick: () => ticks++,
    pick: (some) => some[Math.floor(random() * some.length)] as never,
    drops: new Map(),
    working: new Map(),
  };
  const stop = new AbortController();
  const processes: Process[] = [];
  for (let i = 0; i < plan.processes; i++)
    world.after(random() * 300, () => processes.push(startProcess(run, `${i}`, stop.signal)));
  let stormEnds = world.now() + 15_000 + random() * (plan.thinkMsMax > 1000 ? 120_000 : 15_000);
  // One more comes when one has died.
  const replace = (): void => {
    if (world.crashes() > 0 && processes.length < plan.processes + 2)
      processes.push(startProcess(run, `${processes.length}`, stop.signal));
    if (plan.retentionMs < 1e6) world.table.expire(world.now() / 1000, () => random() < 0.8);
    if (world.now() < stormEnds) world.after(1000, replace);
  };
  world.after(1000, replace);
  const idle = (): boolean =>
    processes.length >= plan.processes && [...run.working].every(([process, works]) => works === 0 || !process.alive());
  await world.run(() => world.now() >= stormEnds || idle(), 600_000);
  stormEnds = 0;
  world.calm();
  // Whatever is under way arrives, and watchers see all of it.
  const quiet = world.now() + plan.faults.lateMsMax + plan.faults.freezeMsMax + 5000;
  await world.run(() => world.now() >= quiet, 600_000);
  await finish(run);
  const settled = world.now() + 3000;
  await world.run(() => world.now() >= settled, 600_000);
  for (const process of processes) process.crash();
  stop.abort();
  for (const domain of plan.domains) truth.checkTable(domain);
  for (const segment of run.segments) truth.checkSegment(segment);
  truth.checkSeen(run.history, (cluster) => run.drops.get(cluster) ?? -1);
  checkDropped(run);
  const kinds = run.history.map(({ call }) => ('result' in call ? call.result.kind : ''));
  return {
    faults: [...truth.faults, ...checkHistory(run.history)],
    requests: world.requests(),
    crashes: world.crashes(),
    acknowledged: kinds.filter((kind) => kind === 'ok').length,
    unknown: kinds.filter((kind) => kind === 'unknown').length,
    changesSeen: run.segments.reduce((sum, { changes }) => sum + changes.length, 0),
  };
};
