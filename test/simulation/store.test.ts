import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createSystemClock } from '../../functions/clock/system.ts';
import { createMemoryStore } from '../../functions/store/memory.ts';
import { createReplicas } from '../../functions/store/replica.ts';
import type { Replica } from '../../functions/store/replica-port.ts';
import { createSqliteStore } from '../../functions/store/sqlite.ts';
import type { Change, CommitFeed, Domain, Store, Stored } from '../../functions/store/store.ts';
import { changeText, domains, outcomeText, randomWrite, seeded, seedsToRun, statesText } from './store-operations.ts';

type Any = Store & Partial<CommitFeed>;

const compare = async (model: Any, other: Any, domain: Domain, after: bigint): Promise<void> => {
  expect(await other.head(domain)).toBe(await model.head(domain));
  const [a, b] = [await model.scan(domain, '', 1000), await other.scan(domain, '', 1000)];
  expect(statesText(b.items)).toEqual(statesText(a.items));
  const [x, y] = [await model.changes(domain, after, 1000), await other.changes(domain, after, 1000)];
  if (x === 'compacted' || y === 'compacted') expect(y).toBe(x);
  else expect(y.map(changeText)).toEqual(x.map(changeText));
};

/** The same operations on both, in the same order; batches of several callers are started together. */
const sameAsModel = async (seed: number): Promise<void> => {
  const random = seeded(seed);
  const path = mkdtempSync(join(tmpdir(), 'skiff-simulation-'));
  const model = createMemoryStore();
  let other: Any = await createSqliteStore({ path, bytesMax: 20_000 });
  const believed = domains.map(() => new Map<string, bigint>());
  try {
    for (let round = 0; round < 60; round++) {
      const at = Math.floor(random() * domains.length);
      const domain = domains[at] as Domain;
      const known = believed[at] ?? new Map();
      const calls = Array.from({ length: 1 + Math.floor(random() * 4) }, () =>
        Array.from({ length: 1 + Math.floor(random() * 5) }, () => randomWrite(random, known)),
      );
      await other.head(domain);
      const [expected, got] = await Promise.all([
        Promise.all(calls.map((writes) => model.commit(domain, writes))),
        Promise.all(calls.map((writes) => other.commit(domain, writes))),
      ]);
      expect(got.flat().map(outcomeText)).toEqual(expected.flat().map(outcomeText));
      for (const stored of (await model.scan(domain, '', 1000)).items) known.set(stored.key, stored.revision);
      const chance = random();
      if (chance < 0.05) {
        const keep = Math.floor(random() * 20);
        await Promise.all([model.compact(domain, keep), other.compact(domain, keep)]);
      } else if (chance < 0.08) {
        await Promise.all([model.drop(domain.cluster), other.drop(domain.cluster)]);
        domains.forEach((d, i) => {
          if (d.cluster === domain.cluster) believed[i]?.clear();
        });
      } else if (chance < 0.12) {
        await other.close();
        other = await createSqliteStore({ path, bytesMax: 20_000 });
      }
      const head = await model.head(domain);
      const back = BigInt(Math.floor(random() * 30));
      await compare(model, other, domain, head > back ? head - back : 0n);
    }
    for (const domain of domains) await compare(model, other, domain, 0n);
  } finally {
    await other.close();
    rmSync(path, { recursive: true, force: true });
  }
};

/** Everything a domain ever was: the state at each revision, and the changes. */
const createHistory = (store: CommitFeed, domain: Domain) => {
  const states = new Map<bigint, Map<string, Stored>>([[0n, new Map()]]);
  const changes: Change[] = [];
  let now = new Map<string, Stored>();
  store.subscribe((of, fresh) => {
    if (of.cluster !== domain.cluster || of.resource !== domain.resource) return;
    for (const change of fresh) {
      changes.push(change);
      now = new Map(now);
      if (change.type === 'put') now.set(change.stored.key, change.stored);
      else now.delete(change.stored.key);
      states.set(change.stored.revision, now);
    }
  });
  return { states, changes };
};
const inOrder = (state: ReadonlyMap<string, Stored> | undefined, keep: (stored: Stored) => boolean = () => true) =>
  [...(state?.values() ?? [])].filter(keep).sort((a, b) => (a.key < b.key ? -1 : 1));

const checkReplica = (
  replica: Replica,
  states: ReadonlyMap<bigint, Map<string, Stored>>,
  random: () => number,
): void => {
  const now = states.get(replica.revision);
  expect(statesText(replica.list({}))).toEqual(statesText(inOrder(now)));
  expect(statesText(replica.list({ namespace: 'ns1', after: 'ns1/k3', limit: 3 }))).toEqual(
    statesText(inOrder(now, (s) => s.key.startsWith('ns1/') && s.key > 'ns1/k3').slice(0, 3)),
  );
  const byKey = (items: Iterable<Stored>) => [...items].sort((a, b) => (a.key < b.key ? -1 : 1));
  expect(statesText(byKey(replica.byOwner('u1')))).toEqual(
    statesText(inOrder(now, (s) => s.index.owners.includes('u1'))),
  );
  expect(statesText(byKey(replica.byField('spec.nodeName', 'n1')))).toEqual(
    statesText(inOrder(now, (s) => s.index.fields['spec.nodeName'] === 'n1')),
  );
  const back = BigInt(Math.floor(random() * 50));
  const older = replica.revision > back ? replica.revision - back : 0n;
  const reached = replica.at(older);
  const page = replica.listAt(older, { namespace: 'ns2', limit: 4 });
  expect(reached === undefined).toBe(page === undefined);
  if (!reached || !page) return;
  expect(statesText(reached.values())).toEqual(statesText(inOrder(states.get(older))));
  expect(statesText(page)).toEqual(statesText(inOrder(states.get(older), (s) => s.key.startsWith('ns2/')).slice(0, 4)));
};

/** Follows from a revision and collects what it sees, until stopped. */
const watcher = (replica: Replica, after: bigint) => {
  const controller = new AbortController();
  const seen: string[] = [];
  let reached = after;
  const followed = replica.follow(after, controller.signal);
  const done = (async () => {
    if (followed === 'expired') return;
    for await (const item of followed) {
      if (item.type === 'change')
        seen.push(`${item.change.type} ${item.change.stored.key}@${item.change.stored.revision}`);
      reached = item.type === 'change' ? item.change.stored.revision : item.revision;
    }
  })();
  return { after, seen, done, expired: followed === 'expired', reached: () => reached, stop: () => controller.abort() };
};

/** Replicas of a store under interleaved writers; `pull` hides the feed, as a store of another process has none. */
const replicasFollow = async (seed: number, pull: boolean): Promise<void> => {
  const random = seeded(seed);
  const domain = domains[0] as Domain;
  const memory = createMemoryStore();
  const { states, changes } = createHistory(memory, domain);
  const { subscribe, ...rest } = memory;
  const lag = () => new Promise<void>((resolve) => (random() < 0.3 ? setImmediate(resolve) : resolve()));
  const slow: Any = {
    ...rest,
    head: async (d) => {
      await lag();
      return memory.head(d);
    },
    changes: async (d, after, limit) => {
      await lag();
      return memory.changes(d, after, limit);
    },
    scan: async (d, after) => {
      await lag();
      return memory.scan(d, after, 5);
    },
    ...(pull ? {} : { subscribe }),
  };
  const replicas = createReplicas(slow, {
    bytesMax: 1e8,
    windowChanges: 40,
    windowMs: 1e9,
    clock: createSystemClock(),
  });
  const known = new Map<string, bigint>();
  const watchers: ReturnType<typeof watcher>[] = [];
  const write = async () => {
    const writes = Array.from({ length: 1 + Math.floor(random() * 3) }, () => randomWrite(random, known));
    for (const outcome of await memory.commit(domain, writes)) {
      if (outcome.ok) known.set(outcome.stored.key, outcome.stored.revision);
    }
  };
  for (let i = 0; i < 20; i++) await write();
  for (let round = 0; round < 60; round++) {
    const opening = replicas.of(domain);
    await Promise.all([write(), lag().then(write)]);
    const replica = await opening;
    const before = await memory.head(domain);
    expect((await replica.fresh()) >= before).toBe(true);
    checkReplica(replica, states, random);
    if (random() < 0.3) {
      const back = BigInt(Math.floor(random() * 60));
      watchers.push(watcher(replica, replica.revision > back ? replica.revision - back : 0n));
    }
  }
  const replica = await replicas.of(domain);
  const head = await replica.fresh();
  for (const w of watchers) {
    for (let i = 0; !w.expired && w.reached() < head && i < 1000; i++) await new Promise((r) => setImmediate(r));
    w.stop();
    await w.done;
    const expected = changes.filter((c) => c.stored.revision > w.after);
    const texts = expected.map((c) => `${c.type} ${c.stored.key}@${c.stored.revision}`);
    expect(w.seen).toEqual(w.expired ? [] : texts);
  }
  expect(watchers.some((w) => !w.expired && w.seen.length > 0)).toBe(true);
  await replicas.close();
};

describe('stores under random operations', () => {
  const seeds = seedsToRun(12);
  console.log(`seeds ${seeds[0]} to ${seeds.at(-1)}; replay one with SEED=N`);
  it.each(seeds)('sqlite does what memory does, seed %i', (seed) => sameAsModel(seed));
  it.each(seeds)('replicas that are pushed to see every change once, seed %i', (seed) => replicasFollow(seed, false));
  it.each(seeds)('replicas that pull see every change once, seed %i', (seed) => replicasFollow(seed, true));
});
