// The store by itself: durable creates a second at 16 callers against raw batched SQLite transactions of the same run,
// memory of a stored pod with its replica, and what a replica costs. JSON lines.
//   node --expose-gc bench/store.ts
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { createSystemClock } from '../functions/clock/system.ts';
import { createMemoryStore } from '../functions/store/memory.ts';
import { createReplicas } from '../functions/store/replica.ts';
import { createSqliteStore } from '../functions/store/sqlite.ts';
import type { Change, Domain } from '../functions/store/store.ts';

const pods: Domain = { cluster: 'default', group: '', resource: 'pods' };
const podBytes = 2400;
const filler = 'x'.repeat(podBytes - 40);
const bytes = (revision: bigint) => Buffer.from(`{"resourceVersion":"${revision}","x":"${filler}"}`);
const index = (i: number) => ({
  labels: { app: `app-${i % 50}`, 'pod-template-hash': '5d8f7c9b6' },
  fields: { 'spec.nodeName': `node-${i % 50}`, 'status.phase': 'Running' },
  owners: [`uid-${i % 200}`],
});
const print = (name: string, figures: Record<string, number>) =>
  console.log(JSON.stringify({ bench: name, ...figures }));
const inDirectory = async <T>(run: (path: string) => T | Promise<T>): Promise<T> => {
  const path = mkdtempSync(join(tmpdir(), 'skiff-bench-'));
  try {
    return await run(path);
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
};
const seconds = 2;

const creates = (callers: number): Promise<number> =>
  inDirectory(async (path) => {
    const store = await createSqliteStore({ path });
    const start = performance.now();
    let n = 0;
    const caller = async () => {
      while (performance.now() - start < seconds * 1000) {
        const i = n++;
        await store.commit(pods, [{ op: 'create', key: `ns/pod-${i}`, index: index(i), bytes }]);
      }
    };
    await Promise.all(Array.from({ length: callers }, caller));
    const rate = (n / (performance.now() - start)) * 1000;
    await store.close();
    return rate;
  });

/** Raw: batches of 16 rows of the same size, each batch one durable transaction, nothing else done. */
const raw = (rows: number): Promise<number> =>
  inDirectory((path) => {
    const db = new DatabaseSync(join(path, 'raw.db'));
    db.exec('PRAGMA page_size=8192; PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL');
    db.exec('CREATE TABLE entries (id INTEGER PRIMARY KEY, key TEXT, bytes BLOB)');
    const insert = db.prepare('INSERT INTO entries (key, bytes) VALUES (?, ?)');
    const start = performance.now();
    let n = 0;
    while (performance.now() - start < seconds * 1000) {
      db.exec('BEGIN IMMEDIATE');
      for (let i = 0; i < rows; i++) insert.run(`ns/pod-${n++}`, bytes(BigInt(n)));
      db.exec('COMMIT');
    }
    const rate = (n / (performance.now() - start)) * 1000;
    db.close();
    return rate;
  });

const settle = async () => {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};

const memory = (): Promise<void> =>
  inDirectory(async (path) => {
    const count = 20_000;
    const store = await createSqliteStore({ path, logKeep: 1000 });
    const replicas = createReplicas(store, {
      bytesMax: 1e9,
      windowChanges: 1000,
      windowMs: 3e5,
      clock: createSystemClock(),
    });
    await replicas.of(pods);
    const before = await settle();
    for (let i = 0; i < count; i += 100) {
      const writes = Array.from({ length: 100 }, (_, k) => i + k);
      await store.commit(
        pods,
        writes.map((n) => ({ op: 'create', key: `ns/pod-${n}`, index: index(n), bytes })),
      );
    }
    const after = await settle();
    print('store memory', { podBytes, perPodBytes: Math.round((after - before) / count) });
    await replicas.close();
    await store.close();
  });

const replica = async (): Promise<void> => {
  const store = createMemoryStore();
  const replicas = createReplicas(store, {
    bytesMax: 1e9,
    windowChanges: 5000,
    windowMs: 3e5,
    clock: createSystemClock(),
  });
  const count = 4000;
  const changes: Change[] = [];
  store.subscribe((_, more) => changes.push(...more));
  for (let i = 0; i < count; i++)
    await store.commit(pods, [{ op: 'create', key: `ns${i % 10}/pod-${i}`, index: index(i), bytes }]);
  const time = (times: number, run: () => unknown) => {
    const start = performance.now();
    for (let i = 0; i < times; i++) run();
    return Number((((performance.now() - start) / times) * 1000).toFixed(3));
  };
  const one = await replicas.of(pods);
  one.byField('spec.nodeName', 'node-1');
  const start = performance.now();
  for (const [i, change] of [...changes].entries()) {
    await store.commit(pods, [
      { op: 'update', key: change.stored.key, expected: change.stored.revision, index: index(i), bytes },
    ]);
  }
  const withReplica = ((performance.now() - start) / count) * 1000;
  const freshStart = performance.now();
  for (let i = 0; i < 100_000; i++) await one.fresh();
  print('replica', {
    commitAndApplyMicros: Number(withReplica.toFixed(3)),
    freshMicros: Number(((performance.now() - freshStart) / 100).toFixed(3)),
    list4000Micros: time(200, () => one.list({})),
    listNamespace400Micros: time(200, () => one.list({ namespace: 'ns3' })),
    page500AtOlderMicros: time(200, () => one.listAt(one.revision - 100n, { limit: 500, after: 'ns4/' })),
  });
  await replicas.close();
};

await creates(16);
const batched = await raw(16);
for (const callers of [1, 16, 64]) {
  const rate = await creates(callers);
  print('durable creates', {
    callers,
    perSecond: Math.round(rate),
    raw16PerSecond: Math.round(batched),
    ratio: Number((rate / batched).toFixed(2)),
  });
}
await memory();
await replica();
