import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { StatusError } from '../../machinery/status.ts';
import { decode } from '../decoded.ts';
import { createMemoryStore } from '../memory.ts';
import type { Change, Domain, Store, Stored, Write } from '../store.ts';
import { sizeOf } from '../store.ts';
import type { EncryptionConfiguration, ProviderSettings } from './configuration.ts';
import { createEncryption, type Encryption } from './encryption.ts';
import { encryptedStore } from './store.ts';

const secrets: Domain = { cluster: 'one', group: '', resource: 'secrets' };
const pods: Domain = { cluster: 'one', group: '', resource: 'pods' };
const index = { labels: {}, fields: {}, owners: [] };
const key = (name: string) => ({ name, secret: randomBytes(32).toString('base64') });
const [key1, key2] = [key('key1'), key('key2')];
const gcm = (...keys: { name: string; secret: string }[]): ProviderSettings => ({ aesgcm: { keys } });
const identity: ProviderSettings = { identity: {} };
const configured = (...providers: ProviderSettings[]): Promise<Encryption> =>
  createEncryption({ configuration: { resources: [{ resources: ['secrets'], providers }] } });
const bytes = (text: string) => Buffer.from(JSON.stringify({ kind: 'Secret', metadata: { name: 'x' }, data: text }));
const create = (at: string, text = 'canary'): Write => ({ op: 'create', key: at, index, bytes: () => bytes(text) });
const textOf = (stored: Stored | undefined): string => Buffer.from(stored?.bytes ?? []).toString();
const statusOf = (read: () => unknown): string => {
  try {
    read();
  } catch (error) {
    if (error instanceof StatusError) return `${error.code} ${error.message}`;
    throw error;
  }
  return 'read';
};

const setUp = async (...providers: ProviderSettings[]) => {
  const inner = createMemoryStore();
  let encryption = await configured(...providers);
  const store = encryptedStore(inner, () => encryption);
  const use = async (...next: ProviderSettings[]): Promise<void> => {
    encryption = await configured(...next);
  };
  return { inner, store, use };
};
/** Puts bytes in the place of a value, as somebody with access to the files could. */
const replace = async (inner: Store, at: string, change: (old: Buffer) => Uint8Array): Promise<void> => {
  const old = await inner.get(secrets, at);
  if (!old) throw new Error('not there');
  const next = change(Buffer.from(old.bytes));
  await inner.commit(secrets, [{ op: 'update', key: at, expected: old.revision, index, bytes: () => next }]);
};

describe('an encrypted store', () => {
  it('holds no plain value of what it encrypts, and others as they are', async () => {
    const { inner, store } = await setUp(gcm(key1));
    await store.commit(secrets, [create('default/a')]);
    await store.commit(pods, [create('default/a')]);
    expect(textOf(await inner.get(secrets, 'default/a'))).toMatch(/^k8s:enc:aesgcm:v2:key1:/);
    expect(textOf(await inner.get(secrets, 'default/a'))).not.toContain('canary');
    expect(textOf(await store.get(secrets, 'default/a'))).toContain('canary');
    expect(await store.get(pods, 'default/a')).toBe(await inner.get(pods, 'default/a'));
  });

  it('shows one state to all readers, with what its writer gave along', async () => {
    const { store } = await setUp(gcm(key1));
    const told: Change[] = [];
    store.subscribe((_, changes) => told.push(...changes));
    const object = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'x' } };
    const [outcome] = await store.commit(secrets, [{ ...create('default/a'), object } as Write]);
    const got = await store.get(secrets, 'default/a');
    const changes = await store.changes(secrets, 0n, 10);
    const { items } = await store.scan(secrets, '', 10);
    expect(outcome?.ok && outcome.stored).toBe(got);
    expect(told[0]?.stored).toBe(got);
    expect(changes !== 'compacted' && changes[0]?.stored).toBe(got);
    expect(items[0]).toBe(got);
    expect(got && decode(got)).toBe(object);
  });

  it('deletes with the last state readable', async () => {
    const { inner, store } = await setUp(gcm(key1));
    const [made] = await store.commit(secrets, [create('a')]);
    const expected = made?.ok ? made.stored.revision : 0n;
    const last: Write = { op: 'delete', key: 'a', expected, bytes: () => bytes('last words') };
    const [gone] = await store.commit(secrets, [last]);
    expect(textOf(gone?.ok ? gone.stored : undefined)).toContain('last words');
    const inside = (await inner.changes(secrets, 0n, 10)) as Change[];
    expect(inside.map(({ stored }) => textOf(stored)).join()).not.toMatch(/canary|last words/);
  });

  it.each<[string, (old: Buffer) => Uint8Array, string]>([
    [
      'a flipped bit',
      (old) => old.fill(old.at(-1) === 1 ? 2 : 1, old.length - 1),
      'cipher: message authentication failed',
    ],
    ['a cut', (old) => old.subarray(0, -1), 'cipher: message authentication failed'],
    ['almost nothing', (old) => old.subarray(0, 30), 'the stored data was shorter than the required size'],
    [
      'another key',
      () => Buffer.from('k8s:enc:aesgcm:v2:gone:xxx'),
      'no matching key was found for the provided AES transformer',
    ],
    ['another provider', () => Buffer.from('k8s:enc:kms:v2:gone:xxx'), 'no matching prefix found'],
    ['plain text', () => bytes('planted'), 'no matching prefix found'],
  ])('tells of %s, and of nothing else', async (_, change, message) => {
    const { inner, store } = await setUp(gcm(key1));
    await store.commit(secrets, [create('default/a'), create('default/b')]);
    await replace(inner, 'default/a', change);
    const { items } = await store.scan(secrets, '', 10);
    const [broken, fine] = items;
    expect(broken && statusOf(() => broken.bytes)).toBe(`500 Internal error occurred: ${message}`);
    expect(broken && sizeOf(broken)).toBe(0);
    expect(textOf(fine)).toContain('canary');
    const got = await store.get(secrets, 'default/a');
    expect(got && statusOf(() => decode(got))).toContain(message);
    expect(textOf(await store.get(secrets, 'default/b'))).toContain('canary');
  });

  it.each<[string, Domain, string]>([
    ['key', secrets, 'default/b'],
    ['cluster', { ...secrets, cluster: 'two' }, 'default/a'],
  ])('does not open a value that was moved to another %s', async (_, domain, at) => {
    const { inner, store } = await setUp(gcm(key1));
    await store.commit(secrets, [create('default/a')]);
    const value = Buffer.from((await inner.get(secrets, 'default/a'))?.bytes ?? []);
    await inner.commit(domain, [{ op: 'create', key: at, index, bytes: () => value }]);
    const moved = await store.get(domain, at);
    expect(moved && statusOf(() => moved.bytes)).toContain('message authentication failed');
  });

  it('reads again when the key comes back, also in what readers hold', async () => {
    const { inner, store, use } = await setUp(gcm(key1));
    await store.commit(secrets, [create('a')]);
    await replace(inner, 'a', (old) => Buffer.from(old));
    await use(gcm(key2));
    const held = await store.get(secrets, 'a');
    expect(held && statusOf(() => held.bytes)).toContain('no matching key');
    await use(gcm(key2, key1));
    expect(textOf(held)).toContain('canary');
  });
});

describe('providers', () => {
  it.each<[string, ProviderSettings[], ProviderSettings[], string]>([
    ['a new first key, the old one still there', [gcm(key1)], [gcm(key2, key1)], 'canary'],
    ['an old key of another provider', [gcm(key1)], [{ secretbox: { keys: [key2] } }, gcm(key1)], 'canary'],
    ['aescbc after aesgcm', [{ aescbc: { keys: [key1] } }], [gcm(key1), { aescbc: { keys: [key1] } }], 'canary'],
    ['identity first, to decrypt everything', [gcm(key1)], [identity, gcm(key1)], 'canary'],
    ['identity last, for what was plain', [identity], [gcm(key1), identity], 'canary'],
    ['no identity for what was plain', [identity], [gcm(key1)], 'no matching prefix found'],
    ['identity alone for what was sealed', [gcm(key1)], [identity], 'no matching prefix found'],
    ['a key gone', [gcm(key1)], [gcm(key2), identity], 'no matching key was found for the provided AES transformer'],
    [
      'another key of the same name',
      [gcm(key1)],
      [gcm({ ...key2, name: 'key1' })],
      'cipher: message authentication failed',
    ],
  ])('%s', async (_, before, after, expected) => {
    const inner = createMemoryStore();
    const [first, second] = [await configured(...before), await configured(...after)];
    await encryptedStore(inner, () => first).commit(secrets, [create('a')]);
    const got = await encryptedStore(inner, () => second).get(secrets, 'a');
    const read = got && statusOf(() => got.bytes);
    expect(read === 'read' ? textOf(got) : read).toContain(expected);
  });
});

describe('rules', () => {
  const ruled = async (configuration: EncryptionConfiguration | undefined, domain: Partial<Domain>, own = false) => {
    const encryption = await createEncryption({ configuration, ...(own && { own: { local: [key('local-1')] } }) });
    return encryption.ruleOf({ ...secrets, ...domain })?.writer.split(':')[0];
  };
  const rule = (name: string, ...resources: string[]) => ({ resources, providers: [gcm({ ...key1, name })] });
  const writerOf = async (configuration: EncryptionConfiguration, group: string, resource: string) =>
    (await createEncryption({ configuration })).ruleOf({ cluster: 'one', group, resource })?.writer;

  it.each([
    ['', 'secrets', 'aesgcm:exact'],
    ['', 'configmaps', 'aesgcm:core'],
    ['apps', 'deployments', 'aesgcm:apps'],
    ['batch', 'jobs', 'aesgcm:all'],
    ['awesome.bears.example', 'pandas', 'aesgcm:bears'],
    ['skiff.dev', 'clusters', 'aesgcm:all'],
    ['skiff.dev', 'keys', 'aesgcm:exact'],
    ['skiff.dev', 'datakeys', undefined],
    ['skiff.dev', 'encryption', undefined],
  ])('%s/%s lies under %s', async (group, resource, writer) => {
    const resources = [
      rule('exact', 'secrets'),
      rule('core', '*.'),
      rule('apps', '*.apps'),
      rule('bears', 'pandas.awesome.bears.example'),
      rule('all', '*.*'),
    ];
    expect(await writerOf({ resources }, group, resource)).toBe(writer);
  });

  it('encrypt secrets alone under keys of the deployment, where nothing is configured', async () => {
    expect(await ruled(undefined, {}, true)).toBe('aesgcm');
    expect(await ruled(undefined, { resource: 'configmaps' }, true)).toBeUndefined();
    expect(await ruled(undefined, {})).toBeUndefined();
  });

  it('keep readable what was encrypted before it was configured otherwise', async () => {
    const own = { local: [key('local-1')] };
    const inner = createMemoryStore();
    const before = await createEncryption({ own });
    await encryptedStore(inner, () => before).commit(secrets, [create('a')]);
    const configuration = { resources: [{ resources: ['configmaps'], providers: [gcm(key1)] }] };
    const after = await createEncryption({ own, configuration });
    expect(textOf(await encryptedStore(inner, () => after).get(secrets, 'a'))).toContain('canary');
    expect(after.ruleOf(secrets)?.writer).toBe('identity');
  });
});
