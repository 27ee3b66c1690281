import { expect, it } from 'vitest';
import { createMemoryStore } from '../../store/memory.ts';
import { checkConfiguration, followStoredConfiguration, storeConfiguration } from './configuration.ts';

const anonymous = (enabled: boolean) => ({
  name: 'a.yaml',
  text: `apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\nanonymous: {enabled: ${enabled}}\n`,
});
const domain = { cluster: 'system', group: 'skiff.dev', resource: 'configuration' };

it('follows what is stored, for the clusters of the operator, and no request waits for it', async () => {
  const store = createMemoryStore();
  let now = 0;
  let reads = 0;
  const counted = {
    get: (...asked: Parameters<typeof store.get>) => {
      reads++;
      return store.get(...asked);
    },
  };
  const told: string[] = [];
  const options = { store: counted, clock: { now: () => now }, log: (line: string) => void told.push(line) };
  const { current, configured } = await followStoredConfiguration(options);
  const readsOnceAsked = () => {
    current();
    return reads;
  };
  expect(current()).toEqual({});
  await storeConfiguration(store, [anonymous(true)]);
  for (let i = 0; i < 10; i++) expect(configured('default')).toEqual({});
  expect(reads).toBe(1);
  now += 30_000;
  expect(current()).toEqual({});
  await expect.poll(() => current()).toMatchObject({ authentication: { anonymous: { enabled: true } } });
  expect(configured('system')).toBe(current());
  expect(configured('default')).toBe(current());
  expect(configured('tenant')).toEqual({});
  expect(reads).toBe(2);
  // The same text is the same configuration.
  const before = current();
  now += 30_000;
  current();
  await expect.poll(() => reads).toBe(3);
  expect(current()).toBe(before);
  // A text that does not stand any more is told once.
  const stored = await store.get(domain, 'control-plane');
  const bytes = () => Buffer.from(JSON.stringify([{ name: 'b.yaml', text: 'kind: Pod' }]));
  const index = { labels: {}, fields: {}, owners: [] };
  await store.commit(domain, [{ op: 'update', key: 'control-plane', expected: stored?.revision ?? 0n, index, bytes }]);
  for (let i = 0; i < 3; i++) {
    now += 30_000;
    await expect.poll(readsOnceAsked).toBe(4 + i);
  }
  await expect.poll(() => told).toEqual([expect.stringMatching(/^the configuration stays as it was: b.yaml: /)]);
  expect(current()).toBe(before);
  await expect(followStoredConfiguration(options)).rejects.toThrow('b.yaml');
  await storeConfiguration(store, []);
  expect((await followStoredConfiguration(options)).current()).toEqual({});
});

it('stores nothing that does not stand, and no keys', async () => {
  const store = createMemoryStore();
  await expect(storeConfiguration(store, [{ name: 'x.yaml', text: 'kind: Pod' }])).rejects.toThrow('x.yaml');
  const provider = (given: string) => ({
    name: 'e.yaml',
    text: `apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources: [{resources: [secrets], providers: [${given}]}]\n`,
  });
  const secret = Buffer.alloc(32, 1).toString('base64');
  await expect(
    storeConfiguration(store, [provider(`{aesgcm: {keys: [{name: k, secret: ${secret}}]}}`)]),
  ).rejects.toThrow('no keys of its own');
  const hook = (kubeConfigFile: string) => ({
    name: 'a.yaml',
    text: JSON.stringify({
      apiVersion: 'apiserver.config.k8s.io/v1',
      kind: 'AuthorizationConfiguration',
      authorizers: [
        {
          type: 'Webhook',
          name: 'hook',
          webhook: {
            timeout: '3s',
            subjectAccessReviewVersion: 'v1',
            failurePolicy: 'Deny',
            connectionInfo: { type: 'KubeConfigFile', kubeConfigFile },
          },
        },
      ],
    }),
  });
  await expect(storeConfiguration(store, [hook(import.meta.filename)])).rejects.toThrow('functions have no files');
  await checkConfiguration([hook('data:;base64,e30=')]);
  await checkConfiguration([provider('{kms: {apiVersion: v2, name: n, endpoint: "awskms:///alias/a"}}')]);
  expect(await store.get(domain, 'control-plane')).toBeUndefined();
});

it('an empty text takes away what was there, as skiff deploy says', async () => {
  const store = createMemoryStore();
  await storeConfiguration(store, [anonymous(true)]);
  await storeConfiguration(store, [{ name: 'empty', text: '' }]);
  const followed = await followStoredConfiguration({ store, clock: { now: () => 0 }, log: () => undefined });
  expect(followed.configured('default')).toEqual({});
});

it('of two that store at once, both do, one after the other', async () => {
  const store = createMemoryStore();
  await Promise.all([true, false, true, false].map((enabled) => storeConfiguration(store, [anonymous(enabled)])));
  expect((await store.get(domain, 'control-plane'))?.bytes.length).toBeGreaterThan(0);
});
