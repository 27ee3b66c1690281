import { describe, expect, it } from 'vitest';
import { createSystemClock } from '../../clock/system.ts';
import type { EncryptionConfiguration } from '../../store/encryption/configuration.ts';
import { createTestKms } from '../../store/encryption/kms-for-tests.ts';
import { createMemoryStore } from '../../store/memory.ts';
import type { Change, Domain, Store, Stored, Write } from '../../store/store.ts';
import { openCloudEncryption } from './encryption.ts';
import { cloudKeyOperations } from './key-operations.ts';
import { loadKeys } from './keys.ts';

const secrets: Domain = { cluster: 'default', group: '', resource: 'secrets' };
const create = (key: string): Write => ({
  op: 'create',
  key,
  index: { labels: {}, fields: {}, owners: [] },
  bytes: () => Buffer.from('{"data":"canary"}'),
});
const textOf = (stored: Stored | undefined): string => Buffer.from(stored?.bytes ?? []).toString('latin1');
const setUp = () => {
  const [inner, kms] = [createMemoryStore(), createTestKms()];
  let now = Date.parse('2026-01-01T00:00:00Z');
  const clock = {
    ...createSystemClock(),
    now: () => now,
    sleep: async (ms: number) => {
      now += ms;
    },
  };
  const open = (kmsKey = 'key-1', configured?: () => EncryptionConfiguration | undefined) =>
    openCloudEncryption({ inner, clock, kmsKey, kms, ...(configured && { configured }) });
  return { inner: inner as Store, kms, clock, open };
};

describe('encryption of a deployment', () => {
  it('opens what a stream of the table brings', async () => {
    const { inner, open } = setUp();
    const { store } = await open();
    await store.commit(secrets, [create('a/b')]);
    const raw = (await inner.changes(secrets, 0n, 10)) as Change[];
    expect(textOf(raw[0]?.stored)).not.toContain('canary');
    const other = await open();
    expect((await other.store.opened(secrets, raw)).map(({ stored }) => textOf(stored))).toEqual(['{"data":"canary"}']);
  });

  it('leaves everything plain without a key, and encrypts it once there is one', async () => {
    const { inner, kms, clock, open } = setUp();
    const plain = await open('');
    const keys = await loadKeys(plain.store);
    await plain.store.commit(secrets, [create('a/b')]);
    expect(textOf(await inner.get(secrets, 'a/b'))).toContain('canary');
    expect(plain.kms.used()).toBe(false);
    const opened = await open();
    expect(await loadKeys(opened.store)).toEqual(keys);
    expect(kms.calls).toEqual({ generate: 0, unwrap: 0 });
    const operations = cloudKeyOperations({
      ...opened,
      encryption: opened.encryption,
      inner,
      clock,
      log: () => undefined,
    });
    const made = await operations.rotate('encryption');
    const { encryption } = await operations.status();
    expect(encryption.rewritten).toBe(true);
    expect(encryption.values).toEqual({ [`kms:skiff:${'name' in made ? made.name : ''}`]: 2 });
    expect(textOf(await inner.get(secrets, 'a/b'))).not.toContain('canary');
    expect(
      textOf(await inner.get({ cluster: 'system', group: 'skiff.dev', resource: 'keys' }, 'control-plane')),
    ).toMatch(/^k8s:enc:kms/);
  });

  it('turns data keys over: the old one goes when nothing lies under it', async () => {
    const { inner, clock, open } = setUp();
    const opened = await open();
    await loadKeys(opened.store);
    await opened.store.commit(secrets, [create('a/b')]);
    const log: string[] = [];
    const operations = cloudKeyOperations({
      ...opened,
      encryption: opened.encryption,
      providers: opened.providers,
      inner,
      clock,
      log: (line) => void log.push(line),
    });
    const [first] = (await operations.status()).encryption.keys;
    expect(await operations.remove('encryption', first?.name ?? '')).toHaveProperty('refused');
    const made = await operations.rotate('encryption');
    expect('name' in made && made.name).not.toBe(first?.name);
    expect(await operations.remove('encryption', first?.name ?? '')).toEqual({ name: first?.name });
    expect((await operations.status()).encryption.keys.length).toBe(1);
    expect(textOf(await (await open()).store.get(secrets, 'a/b'))).toContain('canary');
    expect(await operations.remove('encryption', 'nobody')).toHaveProperty('refused');
  });

  it('follows what is configured, and keeps readable what was encrypted under the own key', async () => {
    const { inner, open } = setUp();
    let configuration: EncryptionConfiguration | undefined;
    const { store } = await open('key-1', () => configuration);
    await store.commit(secrets, [create('a')]);
    configuration = { resources: [{ resources: ['secrets'], providers: [{ identity: {} }] }] };
    await store.get(secrets, 'a');
    await new Promise((resolve) => setImmediate(resolve));
    await store.commit(secrets, [create('b')]);
    expect(textOf(await inner.get(secrets, 'b'))).toContain('canary');
    expect((await store.scan(secrets, '', 10)).items.map(textOf)).toEqual(['{"data":"canary"}', '{"data":"canary"}']);
  });
});
