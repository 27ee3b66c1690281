import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createSystemClock } from '../../clock/system.ts';
import { createMemoryStore } from '../memory.ts';
import type { Change, Domain, Store, Write } from '../store.ts';
import type { EncryptionKey } from './configuration.ts';
import { createEncryption, type Encryption } from './encryption.ts';
import { countKeys, createRewriting, readState } from './rewrite.ts';
import { encryptedStore } from './store.ts';

const secrets: Domain = { cluster: 'default', group: '', resource: 'secrets' };
const index = { labels: { app: 'x' }, fields: { type: 'Opaque' }, owners: [] };
const clock = createSystemClock();
const key = (name: string): EncryptionKey => ({ name, secret: randomBytes(32).toString('base64') });
const text = (value: string) => (revision: bigint) =>
  Buffer.from(JSON.stringify({ kind: 'Secret', metadata: { name: 'n', resourceVersion: `${revision}` }, data: value }));
const create = (at: string): Write => ({ op: 'create', key: at, index, bytes: text(`canary ${at}`) });

const setUp = async (n: number) => {
  const inner = createMemoryStore();
  for (let i = 0; i < n; i++) await inner.commit(secrets, [create(`default/s${i}`)]);
  let keys = [key('local-1')];
  let encryption: Encryption = await createEncryption({ own: { local: keys } });
  const store = encryptedStore(inner, () => encryption);
  const told: string[] = [];
  const options = { inner, store, encryption: () => encryption, clusters: async () => ['default', 'system'] };
  const rewriting = () =>
    createRewriting({ ...options, clock, log: (line) => told.push(line), resources: () => ['secrets'] });
  const rotate = async (name: string) => {
    keys = [key(name), ...keys];
    encryption = await createEncryption({ own: { local: keys } });
  };
  const drop = async () => {
    keys = keys.slice(0, 1);
    encryption = await createEncryption({ own: { local: keys } });
  };
  return { inner, store, told, rewriting, rotate, drop, counts: () => countKeys(options) };
};
const dump = async (inner: Store): Promise<string> => {
  const { items } = await inner.scan(secrets, '', 10_000);
  const changes = (await inner.changes(secrets, await inner.head(secrets), 1)) as Change[];
  const log = await inner.changes(secrets, 0n, 10_000);
  return [...items, ...changes.map(({ stored }) => stored), ...(log === 'compacted' ? [] : log.map((c) => c.stored))]
    .map(({ bytes }) => Buffer.from(bytes).toString('latin1'))
    .join('\n');
};

describe('rewriting', () => {
  it('seals what was plain, with its content, under a new resourceVersion; nothing plain stays in the log', async () => {
    const { inner, store, rewriting, counts, told } = await setUp(57);
    expect(await counts()).toEqual({ identity: 57 });
    const before = await store.get(secrets, 'default/s7');
    await rewriting().check();
    expect(await counts()).toEqual({ 'aesgcm:local-1': 57 });
    expect(await dump(inner)).not.toContain('canary');
    const after = await store.get(secrets, 'default/s7');
    expect(after?.index).toEqual(index);
    expect(after && before && after.revision > before.revision).toBe(true);
    expect(Buffer.from(after?.bytes ?? []).toString()).toBe(
      text('canary default/s7')(after?.revision ?? 0n).toString(),
    );
    expect(told).toEqual(['encrypted 57 stored values anew']);
  });

  it('does nothing where nothing has changed, and everything again under a new key; then the old one may go', async () => {
    const { inner, store, rewriting, rotate, drop, counts } = await setUp(25);
    await rewriting().check();
    const head = await inner.head(secrets);
    await rewriting().check();
    expect(await inner.head(secrets)).toBe(head);
    await rotate('local-2');
    await store.commit(secrets, [create('default/new')]);
    expect(await counts()).toEqual({ 'aesgcm:local-1': 25, 'aesgcm:local-2': 1 });
    await rewriting().check();
    expect(await counts()).toEqual({ 'aesgcm:local-2': 26 });
    await drop();
    for (const { bytes } of (await store.scan(secrets, '', 100)).items)
      expect(Buffer.from(bytes).toString()).toContain('canary');
  });

  it('goes on where it was cut off', async () => {
    const { inner, rewriting, counts } = await setUp(200);
    const first = rewriting();
    const run = first.check();
    await clock.sleep(25);
    await first.close();
    await run;
    const some = (await counts())['aesgcm:local-1'] ?? 0;
    expect(some).toBeLessThan(200);
    expect(await readState(inner)).toBeUndefined();
    await rewriting().check();
    expect(await counts()).toEqual({ 'aesgcm:local-1': 200 });
  });

  it('says that not all is done, and why, where the store fails', async () => {
    const { inner, rewriting, counts, told } = await setUp(30);
    const { commit } = inner;
    inner.commit = () => Promise.reject(new Error('the disk is full'));
    expect(await rewriting().check()).toBe(false);
    expect(told.join()).toContain('the disk is full');
    inner.commit = commit;
    expect(await rewriting().check()).toBe(true);
    expect(await counts()).toEqual({ 'aesgcm:local-1': 30 });
  });

  it('loses no write of others, who go on meanwhile', async () => {
    const { store, rewriting, rotate, counts } = await setUp(120);
    const run = rewriting().check();
    const last = new Map<string, string>();
    for (let i = 0; i < 300; i++) {
      const at = `default/s${(i * 7) % 120}`;
      const known = await store.get(secrets, at);
      if (!known) throw new Error(`${at} is gone`);
      const value = `canary write ${i}`;
      const write: Write = { op: 'update', key: at, expected: known.revision, index, bytes: text(value) };
      const [outcome] = await store.commit(secrets, [write]);
      if (outcome?.ok) last.set(at, value);
      if (i === 150) await rotate('local-2');
      if (i % 10 === 0) await clock.sleep(1);
    }
    await run;
    await rewriting().check();
    expect(await counts()).toEqual({ 'aesgcm:local-2': 120 });
    for (const [at, value] of last)
      expect(Buffer.from((await store.get(secrets, at))?.bytes ?? []).toString()).toContain(value);
    expect(last.size).toBeGreaterThan(100);
  });

  it('leaves what cannot be read, and says so', async () => {
    const { inner, rewriting, counts, told } = await setUp(3);
    const lost = Buffer.from('k8s:enc:aesgcm:v2:gone:00000000000000000000000000000000000000000000000000');
    await inner.commit(secrets, [{ op: 'create', key: 'default/lost', index, bytes: () => lost }]);
    await rewriting().check();
    expect(await counts()).toEqual({ 'aesgcm:local-1': 3, unknown: 1 });
    expect(told.join()).toContain('1 stored values cannot be decrypted');
    expect((await inner.get(secrets, 'default/lost'))?.bytes).toEqual(lost);
  });
});
