import { describe, expect, it } from 'vitest';
import { createSystemClock } from '../../clock/system.ts';
import { StatusError } from '../../machinery/status.ts';
import { createMemoryStore } from '../memory.ts';
import type { Domain, Store, Stored, Write } from '../store.ts';
import type { KmsSettings } from './configuration.ts';
import { listDataKeys, removeDataKey } from './data-keys.ts';
import { createEncryption } from './encryption.ts';
import { createKmsProvider, currentMs, type KmsProvider } from './kms.ts';
import { createTestKms, type TestKms } from './kms-for-tests.ts';
import { rewriteValues } from './rewrite.ts';
import { encryptedStore } from './store.ts';

const secrets: Domain = { cluster: 'default', group: '', resource: 'secrets' };
const pods: Domain = { ...secrets, resource: 'pods' };
const index = { labels: {}, fields: {}, owners: [] };
const create = (key: string): Write => ({
  op: 'create',
  key,
  index,
  bytes: () => Buffer.from(`{"data":"canary ${key}"}`),
});
const textOf = (stored: Stored | undefined): string => Buffer.from(stored?.bytes ?? []).toString();

/** One process of a deployment: its own memory, over the same table and KMS. */
const openProcess = async (inner: Store, kms: TestKms, kmsKey = 'key-1') => {
  let now = Date.parse('2026-01-01T00:00:00Z');
  const clock = { ...createSystemClock(), now: () => now };
  const made: { provider?: KmsProvider } = {};
  const settings: KmsSettings = { apiVersion: 'v2', name: 'skiff', endpoint: `awskms:///${kmsKey}` };
  const encryption = await createEncryption({
    own: { kms: settings },
    kms: (given) => {
      made.provider = createKmsProvider({ settings: given, kms, inner, clock });
      return made.provider;
    },
  });
  const { provider } = made;
  if (!provider) throw new Error('no provider');
  const later = (ms: number) => {
    now += ms;
  };
  const store = encryptedStore(inner, () => encryption);
  return { store, encryption, provider, clock, later };
};
const failureOf = async (act: () => Promise<unknown>): Promise<string> => {
  try {
    await act();
  } catch (error) {
    if (error instanceof StatusError) return `${error.code} ${error.message}`;
    throw error;
  }
  return 'done';
};

describe('values under a key of KMS', () => {
  it('get another data key where the chosen one is gone from the table', async () => {
    const [inner, kms] = [createMemoryStore(), createTestKms()];
    const first = await openProcess(inner, kms);
    await first.store.commit(secrets, [create('a')]);
    const [chosen] = await listDataKeys(inner);
    await removeDataKey(inner, chosen?.id ?? '');
    const second = await openProcess(inner, kms);
    await second.store.commit(secrets, [create('b')]);
    expect(kms.calls.generate).toBe(2);
    expect((await listDataKeys(inner)).map(({ id }) => id)).not.toContain(chosen?.id);
    expect(textOf(await (await openProcess(inner, kms)).store.get(secrets, 'b'))).toContain('canary b');
  });

  it('ask KMS once per process, whatever the number of values', async () => {
    const [inner, kms] = [createMemoryStore(), createTestKms()];
    const first = await openProcess(inner, kms);
    expect(kms.calls).toEqual({ generate: 0, unwrap: 0 });
    for (let i = 0; i < 50; i++) await first.store.commit(secrets, [create(`a/${i}`)]);
    expect(kms.calls).toEqual({ generate: 1, unwrap: 0 });
    expect(textOf(await inner.get(secrets, 'a/7'))).toMatch(/^k8s:enc:kms:v2:skiff:[0-9a-f]{16}:/);
    const second = await openProcess(inner, kms);
    expect((await second.store.scan(secrets, '', 100)).items.map(textOf).join()).toContain('canary a/49');
    await second.store.commit(secrets, [create('a/new')]);
    expect(kms.calls).toEqual({ generate: 1, unwrap: 1 });
    expect((await listDataKeys(inner)).length).toBe(1);
  });

  it('of processes that begin at once lie under one data key', async () => {
    const [inner, kms] = [createMemoryStore(), createTestKms()];
    const processes = await Promise.all(Array.from({ length: 5 }, () => openProcess(inner, kms)));
    await Promise.all(processes.map(({ store }, i) => store.commit(secrets, [create(`a/${i}`)])));
    const { items } = await inner.scan(secrets, '', 10);
    expect(new Set(items.map((stored) => textOf(stored).slice(0, 38))).size).toBe(1);
    expect((await listDataKeys(inner)).length).toBe(1);
  });

  it('fail with a 500 that names no account while KMS is away; other kinds do not', async () => {
    const [inner, kms] = [createMemoryStore(), createTestKms()];
    const before = await openProcess(inner, kms);
    await before.store.commit(secrets, [create('a')]);
    const cold = await openProcess(inner, kms);
    kms.fail('AccessDeniedException');
    const message =
      '500 Internal error occurred: kms provider "skiff": the data key cannot be had: AccessDeniedException';
    expect(await failureOf(() => cold.store.get(secrets, 'a'))).toBe(message);
    expect(await failureOf(() => cold.store.scan(secrets, '', 10))).toBe(message);
    expect(await failureOf(() => cold.store.commit(secrets, [create('b')]))).toBe(message);
    expect(await failureOf(() => cold.store.commit(pods, [create('b')]))).toBe('done');
    expect(await failureOf(() => before.store.commit(secrets, [create('b')]))).toBe('done');
    expect(kms.calls.unwrap).toBe(1);
    kms.fail(undefined);
    cold.later(1001);
    expect(textOf(await cold.store.get(secrets, 'a'))).toContain('canary');
  });

  it('rotate: other processes write under the new data key within a minute and read both; then the old one may go', async () => {
    const [inner, kms] = [createMemoryStore(), createTestKms()];
    const [first, second] = [await openProcess(inner, kms), await openProcess(inner, kms)];
    await first.store.commit(secrets, [create('a')]);
    await second.store.get(secrets, 'a');
    const key = await first.provider.rotate();
    await first.store.commit(secrets, [create('b')]);
    expect(textOf(await inner.get(secrets, 'b'))).toContain(key.id);
    expect(textOf(await second.store.get(secrets, 'b'))).toContain('canary');
    second.later(currentMs + 1);
    await second.store.commit(secrets, [create('c')]);
    expect(textOf(await inner.get(secrets, 'c'))).toContain(key.id);
    const { values } = await rewriteValues({
      inner,
      store: first.store,
      encryption: () => first.encryption,
      clusters: async () => ['default'],
      clock: first.clock,
      log: () => undefined,
    });
    expect(values).toBe(1);
    expect(textOf(await inner.get(secrets, 'a'))).toContain(key.id);
  });

  it('move to another KMS key: a data key of the new one seals, the old one still opens', async () => {
    const [inner, kms] = [createMemoryStore(), createTestKms()];
    await (await openProcess(inner, kms)).store.commit(secrets, [create('a')]);
    const moved = await openProcess(inner, kms, 'key-2');
    await moved.store.commit(secrets, [create('b')]);
    expect((await listDataKeys(inner)).map(({ kmsKey }) => kmsKey).sort()).toEqual(['key-1', 'key-2']);
    const { items } = await moved.store.scan(secrets, '', 10);
    expect(items.map(textOf).join()).toMatch(/canary a.*canary b/);
  });

  it('whose data key is gone are unreadable, and no others', async () => {
    const [inner, kms] = [createMemoryStore(), createTestKms()];
    const { store } = await openProcess(inner, kms);
    await store.commit(secrets, [create('a')]);
    const planted = Buffer.from(`k8s:enc:kms:v2:skiff:0123456789abcdef:${'x'.repeat(80)}`);
    await inner.commit(secrets, [{ op: 'create', key: 'b', index, bytes: () => planted }]);
    const { items } = await store.scan(secrets, '', 10);
    expect(textOf(items[0])).toContain('canary');
    expect(() => items[1]?.bytes).toThrow('no matching data key was found for the provided KMS transformer');
  });

  it('say whether KMS is well, asking it no more than upstream does', async () => {
    const [inner, kms] = [createMemoryStore(), createTestKms()];
    const { store, provider, later } = await openProcess(inner, kms);
    await store.commit(secrets, [create('a')]);
    expect(await provider.healthy()).toBe(true);
    kms.fail('ServiceUnavailable');
    expect(await provider.healthy()).toBe(true);
    later(20_001);
    expect(await provider.healthy()).toBe(false);
    kms.fail(undefined);
    expect(await provider.healthy()).toBe(false);
    later(3001);
    expect(await provider.healthy()).toBe(true);
    expect(kms.calls.unwrap).toBe(3);
  });
});
