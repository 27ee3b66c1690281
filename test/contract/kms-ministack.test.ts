import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateKeyCommand, DisableKeyCommand, EnableKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createSystemClock } from '../../functions/clock/system.ts';
import { openCloudEncryption } from '../../functions/entry/cloud/encryption.ts';
import { cloudKeyOperations } from '../../functions/entry/cloud/key-operations.ts';
import { loadKeys } from '../../functions/entry/cloud/keys.ts';
import { createAwsKms } from '../../functions/store/encryption/aws-kms.ts';
import { createMemoryStore } from '../../functions/store/memory.ts';
import type { Domain, Store, Write } from '../../functions/store/store.ts';
import { type MiniStack, startMiniStack } from '../cloud/ministack.ts';

const clock = createSystemClock();
const secrets: Domain = { cluster: 'default', group: '', resource: 'secrets' };
const create = (key: string): Write => ({
  op: 'create',
  key,
  index: { labels: {}, fields: {}, owners: [] },
  bytes: () => Buffer.from('{"data":"canary"}'),
});

describe('a deployment under a key of KMS (MiniStack)', () => {
  const directory = mkdtempSync(join(tmpdir(), 'skiff-kms-'));
  const before = { ...process.env };
  let stack: MiniStack;
  let client: KMSClient;
  let arn = '';
  beforeAll(async () => {
    stack = await startMiniStack(directory);
    Object.assign(process.env, {
      AWS_ENDPOINT_URL: stack.endpoint,
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
    });
    client = new KMSClient({});
    arn = (await client.send(new CreateKeyCommand({}))).KeyMetadata?.Arn ?? '';
  }, 180_000);
  afterAll(async () => {
    client.destroy();
    await stack.stop();
    process.env = before;
    rmSync(directory, { recursive: true, force: true });
  });
  const open = (inner: Store) => openCloudEncryption({ inner, clock, kmsKey: arn });

  it('wraps data keys for one context, and for no other', async () => {
    const kms = createAwsKms();
    const { plain, wrapped } = await kms.generate(arn, { a: 'b' });
    expect(plain.byteLength).toBe(32);
    expect(Buffer.from(await kms.unwrap(arn, wrapped, { a: 'b' })).equals(Buffer.from(plain))).toBe(true);
    await expect(kms.unwrap(arn, wrapped, { a: 'c' })).rejects.toThrow();
  });

  it("keeps secrets and the deployment's own keys under it; other processes read them", async () => {
    const inner = createMemoryStore();
    const { store, kms } = await open(inner);
    const keys = await loadKeys(store);
    await store.commit(secrets, [create('a/b')]);
    expect(kms.used()).toBe(true);
    expect(await kms.healthy()).toBe(true);
    const own = await inner.get({ cluster: 'system', group: 'skiff.dev', resource: 'keys' }, 'control-plane');
    for (const stored of [own, await inner.get(secrets, 'a/b')]) {
      const text = Buffer.from(stored?.bytes ?? []).toString('latin1');
      expect(text).toMatch(/^k8s:enc:kms:v2:skiff:/);
      expect(text).not.toMatch(/canary|PRIVATE KEY/);
    }
    const other = await open(inner);
    expect(await loadKeys(other.store)).toEqual(keys);
    expect(Buffer.from((await other.store.get(secrets, 'a/b'))?.bytes ?? []).toString()).toContain('canary');
  });

  it('turns signing keys over in the table, and tells what lies under which key', async () => {
    const inner = createMemoryStore();
    const opened = await open(inner);
    const operations = cloudKeyOperations({ ...opened, inner, clock, log: () => undefined });
    const first = await loadKeys(opened.store);
    await opened.store.commit(secrets, [create('a/b')]);
    const made = await operations.rotate('signing');
    const { signing, encryption } = await operations.status();
    expect(signing.map(({ state }) => state)).toEqual(['published', 'signs']);
    expect('name' in made && signing[0]?.kid).toBe('name' in made && made.name);
    expect(Object.values(encryption.values)).toEqual([2]);
    expect(encryption.keys.length).toBe(1);
    expect((await loadKeys(opened.store)).tokenKey).toBe(first.tokenKey);
    expect(await operations.remove('signing', signing[1]?.kid ?? '')).toHaveProperty('refused');
    expect(await operations.remove('signing', signing[0]?.kid ?? '')).toEqual({ name: signing[0]?.kid });
    const [data] = encryption.keys;
    expect(await operations.remove('encryption', data?.name ?? '')).toHaveProperty('refused');
  });

  it('says that KMS does not let it, and not who it is', async () => {
    const inner = createMemoryStore();
    await (await open(inner)).store.commit(secrets, [create('a/b')]);
    await client.send(new DisableKeyCommand({ KeyId: arn }));
    const { store, kms } = await open(inner);
    await expect(store.get(secrets, 'a/b')).rejects.toThrow(/the data key cannot be had: \w+Exception$/);
    expect(await kms.healthy()).toBe(false);
    await client.send(new EnableKeyCommand({ KeyId: arn }));
  });
});
