// A deployment's table as its functions use it: what is configured and what is encrypted, over pauses and failures of KMS.
import { expect, it } from 'vitest';
import { createSystemClock } from '../../clock/system.ts';
import type { Message } from '../../queue/queue.ts';
import { createTestKms } from '../../store/encryption/kms-for-tests.ts';
import { createMemoryStore } from '../../store/memory.ts';
import type { Change, Domain } from '../../store/store.ts';
import { storeConfiguration } from './configuration.ts';
import { createCloudPlane } from './plane.ts';
import { openTable } from './table.ts';
import { createWork } from './work.ts';

const SECRETS = '/api/v1/namespaces/default/secrets';
const CANARY = Buffer.from('canary').toString('base64');
const secrets: Domain = { cluster: 'default', group: '', resource: 'secrets' };

const setUp = () => {
  const { subscribe, ...inner } = createMemoryStore();
  const kms = createTestKms();
  let ahead = 0;
  const system = createSystemClock();
  const clock = { ...system, now: () => system.now() + ahead };
  const log = () => undefined;
  /** A function that has just started. */
  const start = async () => {
    const table = await openTable({ inner, clock, kmsKey: 'key-1', log, kms });
    const plane = await createCloudPlane({ ...table, clock, log });
    await plane.seed('default');
    const send = async (method: string, path: string, body?: object, token = plane.adminToken) => {
      const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) };
      const init = { method, headers, ...(body && { body: JSON.stringify(body) }) };
      const response = await plane.api.fetch(new Request(`https://x${path}`, init));
      return { status: response.status, text: await response.text() };
    };
    return { table, plane, send };
  };
  const lies = async (key: string): Promise<string> =>
    Buffer.from((await inner.get(secrets, `default/${key}`))?.bytes ?? []).toString('latin1');
  const pause = (ms: number): void => {
    ahead += ms;
  };
  return { inner, subscribe, kms, start, lies, pause };
};
const secret = (name: string) => ({ metadata: { name }, data: { k: CANARY } });
const authentication = (enabled: boolean) => ({
  name: 'a.yaml',
  text: `apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\nanonymous: {enabled: ${enabled}}\n`,
});
const encryption = (provider: string) => ({
  name: 'e.yaml',
  text: `apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources: [{resources: [secrets], providers: [${provider}, {identity: {}}]}]\n`,
});

it('the first request after a pause is judged, and its secret sealed, by what is configured now', async () => {
  const { inner, start, lies, pause } = setUp();
  await storeConfiguration(inner, [authentication(true), encryption('{identity: {}}')]);
  const { send } = await start();
  const stranger = () => send('GET', '/api/v1/namespaces', undefined, '');
  expect((await stranger()).status).toBe(403);
  await send('POST', SECRETS, secret('before'));
  expect(await lies('before')).toContain(CANARY);
  await storeConfiguration(inner, [
    authentication(false),
    encryption('{kms: {apiVersion: v2, name: n, endpoint: "awskms:///a"}}'),
  ]);
  pause(3_600_000);
  const [refused] = await Promise.all([stranger(), send('POST', SECRETS, secret('after'))]);
  expect(refused.status).toBe(401);
  expect(await lies('after')).toMatch(/^k8s:enc:kms:v2:n:/);
  // A table that does not answer stops nobody: what was read last holds.
  const { get } = inner;
  inner.get = (domain, key) =>
    domain.resource === 'configuration' ? Promise.reject(new Error('no answer')) : get(domain, key);
  const other = await start().catch((error: Error) => error.message);
  expect(other).toBe('no answer');
  pause(3_600_000);
  expect((await stranger()).status).toBe(401);
  expect((await send('GET', '/api/v1/namespaces')).status).toBe(200);
});

it('functions that start find secrets under KMS, and controllers are woken by changes of them', async () => {
  const { subscribe, start, lies, kms } = setUp();
  const first = await start();
  const stream: { domain: Domain; changes: Change[] }[] = [];
  subscribe((domain, changes) => void stream.push({ domain, changes: [...changes] }));
  expect((await first.send('POST', SECRETS, secret('a'))).status).toBe(201);
  expect(await lies('a')).toMatch(/^k8s:enc:kms/);
  expect(await lies('a')).not.toContain(CANARY);
  const second = await start();
  for (const path of [`${SECRETS}/a`, SECRETS]) expect((await second.send('GET', path)).text).toContain(CANARY);
  const sent: Message[] = [];
  const told: string[] = [];
  const plane = { ...second.plane, log: (line: string) => void told.push(line) };
  const work = createWork(plane, { send: async (messages) => void sent.push(...messages) });
  const patch = { metadata: { name: 'a', ownerReferences: [] }, data: { k: CANARY } };
  expect((await second.send('PUT', `${SECRETS}/a`, patch)).status).toBe(200);
  expect((await second.send('DELETE', `${SECRETS}/a`)).status).toBe(200);
  for (const { domain, changes } of stream) {
    if (domain.resource !== 'secrets') continue;
    const opened = await second.table.store.opened(domain, changes);
    expect(opened.every(({ stored }) => Buffer.from(stored.bytes).includes(CANARY))).toBe(true);
    await work.dispatcher.changed(domain, opened);
  }
  expect(told).toEqual([]);
  expect(sent.length).toBeGreaterThan(0);
  // One key for the deployment, unwrapped once by each process.
  expect(kms.calls).toEqual({ generate: 1, unwrap: 1 });
});

it('while KMS is away a warm function goes on, a new one does not start, and then all is as before', async () => {
  const { start, kms, pause } = setUp();
  const warm = await start();
  await warm.send('POST', SECRETS, secret('a'));
  kms.fail('KMSInternalException');
  expect((await warm.send('GET', `${SECRETS}/a`)).status).toBe(200);
  expect((await warm.send('POST', SECRETS, secret('b'))).status).toBe(201);
  const refused = await start().then(
    () => '',
    ({ message }: Error) => message,
  );
  expect(refused).toContain('KMSInternalException');
  expect(refused).not.toContain('secret-name');
  kms.fail(undefined);
  // After a failure KMS is left in peace for a second.
  pause(1_000);
  const again = await start();
  expect((await again.send('GET', SECRETS)).text.match(new RegExp(CANARY, 'g'))?.length).toBe(2);
});
