import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSystemClock } from '../clock/system.ts';
import type { EncryptionConfiguration } from '../store/encryption/configuration.ts';
import { createSqliteStore, DirectoryRefused } from '../store/sqlite.ts';
import type { Domain, Store, Write } from '../store/store.ts';
import { createLocalEncryption, type LocalEncryption } from './local-encryption.ts';

const system = createSystemClock();
let ahead = 0;
const clock = { ...system, now: () => system.now() + ahead };
const secrets: Domain = { cluster: 'default', group: '', resource: 'secrets' };
const index = { labels: {}, fields: {}, owners: [] };
const CANARY = 'canary-in-a-coal-mine';
const text = (value: string) => (revision: bigint) =>
  Buffer.from(JSON.stringify({ kind: 'Secret', metadata: { name: 'n', resourceVersion: `${revision}` }, data: value }));
const create = (key: string, more = ''): Write => ({
  op: 'create',
  key,
  index,
  bytes: text(`${CANARY} ${key}${more}`),
});

/** Every file below a folder that holds a text. */
const filesWith = (directory: string, found: string): string[] =>
  readdirSync(directory).flatMap((name) => {
    const path = join(directory, name);
    if (statSync(path).isDirectory()) return filesWith(path, found);
    return readFileSync(path).includes(found) ? [path] : [];
  });
const revisionOf = async (store: Store, key: string, domain = secrets): Promise<bigint> =>
  (await store.get(domain, key))?.revision ?? 0n;

describe('secrets of a data directory', () => {
  let directory: string;
  const told: string[] = [];
  const opened: { inner: Awaited<ReturnType<typeof createSqliteStore>>; encryption: LocalEncryption }[] = [];
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'skiff-encryption-'));
    told.length = 0;
  });
  afterEach(async () => {
    for (const { encryption, inner } of opened.splice(0)) {
      await encryption.close();
      await inner.close();
    }
    rmSync(directory, { recursive: true, force: true });
  });
  const openInner = () => createSqliteStore({ path: join(directory, 'store') });
  const open = async (configured: () => EncryptionConfiguration | undefined = () => undefined) => {
    const inner = await openInner();
    const log = (line: string) => void told.push(line);
    const encryption = await createLocalEncryption({ directory, inner, clock, configured, log }).catch(
      async (error) => {
        await inner.close();
        throw error;
      },
    );
    opened.push({ inner, encryption });
    return { inner, encryption, store: encryption.store };
  };
  const close = async (): Promise<void> => {
    for (const { encryption, inner } of opened.splice(0)) {
      await encryption.close();
      await inner.close();
    }
  };
  const settled = async (encryption: LocalEncryption, is: (values: Record<string, number>) => boolean = () => true) => {
    for (let tries = 0; tries < 400; tries++) {
      const { rewritten, values } = await encryption.status();
      if (rewritten && is(values)) return values;
      await delay(10);
    }
    throw new Error(`not rewritten: ${JSON.stringify(await encryption.status())} ${told.join('; ')}`);
  };

  it('are in no file, after create, update, delete, compaction and a drop', async () => {
    const { store, encryption } = await open();
    encryption.begin();
    const other = { ...secrets, cluster: 'team' };
    for (let i = 0; i < 30; i++) await store.commit(secrets, [create(`a/${i}`)]);
    await store.commit(other, [create('a/other')]);
    expect(filesWith(directory, CANARY)).toEqual([]);
    for (let i = 0; i < 30; i++) {
      const expected = await revisionOf(store, `a/${i}`);
      const bytes = text(`${CANARY} again`);
      if (i % 3 === 0) await store.commit(secrets, [{ op: 'delete', key: `a/${i}`, expected, bytes }]);
      else await store.commit(secrets, [{ op: 'update', key: `a/${i}`, expected, index, bytes }]);
    }
    expect(filesWith(directory, CANARY)).toEqual([]);
    await store.compact(secrets, 0);
    await store.drop('team');
    await close();
    expect(filesWith(directory, CANARY)).toEqual([]);
    const again = await open();
    expect(Buffer.from((await again.store.get(secrets, 'a/1'))?.bytes ?? []).toString()).toContain(CANARY);
  });

  it('of an older version, which lie plain, are encrypted: nothing plain stays in values, log, free pages and WAL', async () => {
    const old = await openInner();
    const gone = { ...secrets, cluster: 'gone' };
    for (let i = 0; i < 60; i++) await old.commit(secrets, [create(`a/${i}`, 'x'.repeat(i * 200))]);
    for (let i = 0; i < 30; i++) {
      const expected = await revisionOf(old, `a/${i}`);
      if (i % 2) await old.commit(secrets, [{ op: 'delete', key: `a/${i}`, expected }]);
      else await old.commit(secrets, [{ op: 'update', key: `a/${i}`, expected, index, bytes: text(`${CANARY} new`) }]);
    }
    for (let i = 0; i < 600; i++) await old.commit(gone, [create(`a/${i}`)]);
    await old.compact(secrets, 10);
    await old.drop('gone');
    await old.close();
    expect(filesWith(directory, CANARY).length).toBeGreaterThan(0);

    const { encryption, store } = await open();
    expect(Buffer.from((await store.get(secrets, 'a/59'))?.bytes ?? []).toString()).toContain(CANARY);
    encryption.begin();
    const values = await settled(encryption);
    expect(Object.values(values)).toEqual([45]);
    expect(Object.keys(values)[0]).toMatch(/^aesgcm:local-/);
    expect(filesWith(directory, CANARY)).toEqual([]);
    expect(told).toContain('encrypted 45 stored values anew');
    await close();
    expect(filesWith(directory, CANARY)).toEqual([]);
  });

  it('turn over to a new key; the old one goes when nothing lies under it, and not before', async () => {
    const { encryption, store } = await open();
    encryption.begin();
    for (let i = 0; i < 40; i++) await store.commit(secrets, [create(`a/${i}`)]);
    const [first] = (await encryption.status()).keys;
    const second = await encryption.rotate();
    expect(await encryption.remove(second.name)).toContain('is the newest key');
    expect(await encryption.remove('nobody')).toContain('there is no key');
    const values = await settled(encryption, (found) => found[`aesgcm:${second.name}`] === 40);
    expect(values).toEqual({ [`aesgcm:${second.name}`]: 40 });
    expect(await encryption.remove(first?.name ?? '')).toBeUndefined();
    await close();
    expect(readFileSync(join(directory, 'encryption-keys.json'), 'utf8')).not.toContain(first?.name);
    const again = await open();
    expect(Buffer.from((await again.store.get(secrets, 'a/7'))?.bytes ?? []).toString()).toContain(CANARY);
  });

  it('refuse a key to go that values lie under', async () => {
    const { encryption, store } = await open();
    await store.commit(secrets, [create('a/1')]);
    const [first] = (await encryption.status()).keys;
    // Nothing follows before begin(): the values stay where they are for now.
    const rotated = encryption.rotate();
    const refused = await encryption.remove(first?.name ?? '');
    await rotated;
    expect(refused).toMatch(/is the newest key|1 values lie under|being encrypted anew/);
  });

  it('follow a configuration: other keys, other kinds, and back', async () => {
    const pods: Domain = { ...secrets, resource: 'configmaps' };
    const key = { name: 'mine', secret: Buffer.alloc(32, 9).toString('base64') };
    let configuration: EncryptionConfiguration | undefined;
    const { encryption, store } = await open(() => configuration);
    encryption.begin();
    await store.commit(secrets, [create('a/1')]);
    await store.commit(pods, [create('a/1')]);
    configuration = {
      resources: [{ resources: ['secrets', 'configmaps'], providers: [{ aescbc: { keys: [key] } }, { identity: {} }] }],
    };
    await settled(encryption, (found) => found['aescbc:mine'] === 2);
    expect(filesWith(directory, CANARY)).toEqual([]);
    configuration = {
      resources: [{ resources: ['secrets', 'configmaps'], providers: [{ identity: {} }, { aescbc: { keys: [key] } }] }],
    };
    const values = await settled(encryption, (found) => found.identity === 2);
    expect(values).toEqual({ identity: 2 });
    configuration = undefined;
    const last = await settled(encryption, (found) => found.identity === 1);
    expect(Object.keys(last).join()).toContain('aesgcm:local-');
    expect(Buffer.from((await store.get(secrets, 'a/1'))?.bytes ?? []).toString()).toContain(CANARY);
  });

  it('are encrypted a minute after that failed', async () => {
    const old = await openInner();
    await old.commit(secrets, [create('a/1')]);
    await old.close();
    const { encryption, inner } = await open();
    const { commit } = inner;
    inner.commit = () => Promise.reject(new Error('the disk is full'));
    encryption.begin();
    await expect.poll(() => told.join()).toContain('the disk is full');
    inner.commit = commit;
    ahead = 60_000;
    await expect.poll(async () => (await encryption.status()).rewritten, { timeout: 5_000 }).toBe(true);
    ahead = 0;
    expect(filesWith(directory, CANARY)).toEqual([]);
  });

  it('are not opened with a new key where theirs is gone', async () => {
    const { store } = await open();
    await store.commit(secrets, [create('a/1')]);
    await close();
    rmSync(join(directory, 'encryption-keys.json'));
    await expect(open()).rejects.toThrow(DirectoryRefused);
    await expect(open()).rejects.toThrow('encryption-keys.json is missing');
  });

  it('have a key that only its owner reads', async () => {
    await open();
    expect(statSync(join(directory, 'encryption-keys.json')).mode & 0o777).toBe(0o600);
  });
});
