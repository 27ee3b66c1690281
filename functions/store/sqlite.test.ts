import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSqliteStore, DirectoryInUse, DirectoryRefused } from './sqlite.ts';
import { type Domain, firstHead, type Write } from './store.ts';

const pods: Domain = { cluster: 'c', group: '', resource: 'pods' };
const at = (n: number): bigint => firstHead(pods) + BigInt(n - 1);
const index = { labels: {}, fields: {}, owners: [] };
const create = (key: string, size = 10): Write => ({ op: 'create', key, index, bytes: () => new Uint8Array(size) });
const update = (key: string, expected: bigint, size = 10): Write => ({
  op: 'update',
  key,
  expected,
  index,
  bytes: () => new Uint8Array(size),
});

describe('sqlite store', () => {
  let path: string;
  beforeEach(() => {
    path = mkdtempSync(join(tmpdir(), 'skiff-sqlite-'));
  });
  afterEach(() => rmSync(path, { recursive: true, force: true }));

  it('refuses a directory that is open', async () => {
    const store = await createSqliteStore({ path });
    await expect(createSqliteStore({ path })).rejects.toThrow(DirectoryInUse);
    await store.commit(pods, [create('a')]);
    await store.close();
    const again = await createSqliteStore({ path });
    expect(await again.head(pods)).toBe(at(2));
    await again.close();
  });

  it('refuses a directory of a newer version and a file of something else', async () => {
    await (await createSqliteStore({ path })).close();
    const db = new DatabaseSync(join(path, 'store.db'));
    db.exec('PRAGMA user_version=99');
    db.close();
    await expect(createSqliteStore({ path })).rejects.toThrow(/newer version/);
    await expect(createSqliteStore({ path })).rejects.toThrow(DirectoryRefused);
    writeFileSync(join(path, 'store.db'), 'x'.repeat(20_000));
    await expect(createSqliteStore({ path })).rejects.toThrow(DirectoryRefused);
  });

  it('refuses writes when full, loses nothing acknowledged and goes on when there is room', async () => {
    const store = await createSqliteStore({ path, fileBytesMax: 512 * 1024 });
    const seen: bigint[] = [];
    store.subscribe((_, changes) => seen.push(...changes.map((c) => c.stored.revision)));
    const kept: string[] = [];
    let refused = 0;
    for (let i = 0; i < 40; i++) {
      const keys = Array.from({ length: 8 }, (_, k) => `k${i}-${k}`);
      const outcomes = await Promise.all(keys.map((key) => store.commit(pods, [create(key, 4000)])));
      outcomes.forEach(([outcome], k) => {
        if (outcome?.ok) kept.push(keys[k] ?? '');
        else expect(outcome?.reason).toBe('full');
        if (!outcome?.ok) refused++;
      });
    }
    expect(refused).toBeGreaterThan(0);
    expect(kept.length).toBeGreaterThan(10);
    const have = async (s: typeof store) => (await s.scan(pods, '', 10_000)).items.map((item) => item.key);
    expect((await have(store)).sort()).toEqual([...kept].sort());
    expect(seen).toEqual(kept.map((_, i) => at(i + 2)));
    await store.close();
    const again = await createSqliteStore({ path });
    expect((await have(again)).sort()).toEqual([...kept].sort());
    expect((await again.commit(pods, [create('more', 4000)]))[0]?.ok).toBe(true);
    await again.close();
  });

  it('readers see a change when it is durable, and not before', async () => {
    const store = await createSqliteStore({ path });
    await store.head(pods);
    const commit = store.commit(pods, [create('a')]);
    expect(await store.get(pods, 'a')).toBeUndefined();
    expect(await store.head(pods)).toBe(at(1));
    await commit;
    expect((await store.get(pods, 'a'))?.revision).toBe(at(2));
    await store.close();
  });

  it('keeps its log within bounds, on disk too, with every replaced state of what is left', async () => {
    const store = await createSqliteStore({ path, logKeep: 100 });
    await store.commit(pods, [create('a'), create('b')]);
    for (let r = at(2); r < at(401); r++) await store.commit(pods, [update('a', r === at(2) ? at(2) : r + 1n)]);
    expect(await store.changes(pods, at(101), 10)).toBe('compacted');
    await store.close();
    const db = new DatabaseSync(join(path, 'store.db'), { readOnly: true });
    const rows = Number(db.prepare('SELECT count(*) AS n FROM entries').get()?.n);
    db.close();
    expect(rows).toBeLessThan(260);
    const again = await createSqliteStore({ path });
    expect(await again.head(pods)).toBe(at(402));
    const changes = await again.changes(pods, at(302), 1000);
    if (changes === 'compacted') throw new Error('compacted');
    expect(changes.map((c) => c.previous?.revision)).toEqual(changes.map((c) => c.stored.revision - 1n));
    expect((await again.get(pods, 'b'))?.revision).toBe(at(3));
    await again.close();
  });

  it('takes idle domains out of memory and reads them again', async () => {
    const store = await createSqliteStore({ path, bytesMax: 200_000 });
    const domain = (i: number): Domain => ({ cluster: `c${i}`, group: '', resource: 'pods' });
    for (let i = 0; i < 60; i++) await store.commit(domain(i), [create('a', 20_000)]);
    const all = Array.from({ length: 60 }, (_, i) => store.commit(domain(i), [create('b', 20_000), create('c')]));
    for (const outcomes of await Promise.all(all)) expect(outcomes.map((o) => o.ok)).toEqual([true, true]);
    for (let i = 0; i < 60; i++) expect((await store.get(domain(i), 'a'))?.bytes.byteLength).toBe(20_000);
    expect((await store.commit(domain(0), [update('a', at(2))]))[0]?.ok).toBe(true);
    await store.close();
  });

  it('fails every call once it is closed', async () => {
    const store = await createSqliteStore({ path });
    await store.close();
    await expect(store.commit(pods, [create('a')])).rejects.toThrow('closed');
    await expect(store.head(pods)).rejects.toThrow('closed');
  });
});
