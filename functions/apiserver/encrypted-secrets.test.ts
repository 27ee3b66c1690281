import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createSystemClock } from '../clock/system.ts';
import { createEncryption } from '../store/encryption/encryption.ts';
import { encryptedStore } from '../store/encryption/store.ts';
import { createMemoryStore } from '../store/memory.ts';
import { createReplicas } from '../store/replica.ts';
import type { Domain } from '../store/store.ts';
import { createApiServer } from './app.ts';
import { staticTokens, user } from './authn/authenticator.ts';
import { mastersAuthorizer } from './authz/authorizer.ts';

const clock = createSystemClock();
const secrets: Domain = { cluster: 'default', group: '', resource: 'secrets' };
const key = (name: string) => ({ name, secret: randomBytes(32).toString('base64') });

const start = async () => {
  const inner = createMemoryStore();
  const keys = [key('key1')];
  const make = () =>
    createEncryption({
      configuration: { resources: [{ resources: ['secrets'], providers: [{ aesgcm: { keys: [...keys] } }] }] },
    });
  let encryption = await make();
  const kms = { isUsed: false, isWell: true };
  const open = () => {
    const store = encryptedStore(inner, () => encryption);
    return createApiServer({
      store,
      clock,
      replicas: createReplicas(store, { clock, bytesMax: 1 << 24, windowChanges: 100, windowMs: 60_000 }),
      authenticator: staticTokens(new Map([['t', user('root', ['system:masters'])]])),
      authorizer: mastersAuthorizer(),
      kms: { used: () => kms.isUsed, healthy: async () => kms.isWell },
    });
  };
  let app = open();
  const send = async (path: string, method = 'GET', body?: object) => {
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    const headers = { authorization: 'Bearer t', 'content-type': type };
    const init = { method, headers, ...(body && { body: JSON.stringify(body) }) };
    const response = await app.fetch(new Request(`https://x${path}`, init));
    const text = await response.text();
    return { status: response.status, text, message: /"message":"((?:[^"\\]|\\.)*)"/.exec(text)?.[1] };
  };
  return {
    inner,
    kms,
    send,
    /** Another process, whose first key is another one. */
    restart: async (...next: ReturnType<typeof key>[]) => {
      keys.splice(0, keys.length, ...next);
      encryption = await make();
      app = open();
    },
    first: keys[0] as ReturnType<typeof key>,
  };
};
const secret = (name: string) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name },
  stringData: { a: 'canary' },
});
const pathOf = (namespace: string) => `/api/v1/namespaces/${namespace}/secrets`;
/** As a 1.36 server answers for an object whose key is not configured. */
const LOST = 'Internal error occurred: no matching key was found for the provided AES transformer';

describe('the API over encrypted secrets', () => {
  it('reads, lists, patches and deletes as over plain ones', async () => {
    const { send, inner } = await start();
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default' } };
    await send('/api/v1/namespaces', 'POST', namespace);
    expect((await send(pathOf('default'), 'POST', secret('a'))).status).toBe(201);
    expect((await send(`${pathOf('default')}/a`)).text).toContain(Buffer.from('canary').toString('base64'));
    expect((await send(`${pathOf('default')}/a`, 'PATCH', { metadata: { labels: { x: 'y' } } })).status).toBe(200);
    expect((await send(`${pathOf('default')}?labelSelector=x%3Dy`)).text).toContain('"name":"a"');
    expect((await send(`${pathOf('default')}?watch=1&timeoutSeconds=1`)).text).toContain('"type":"ADDED"');
    const { items } = await inner.scan(secrets, '', 10);
    expect(items.map(({ bytes }) => Buffer.from(bytes).toString('latin1')).join()).not.toMatch(/canary|Y2FuYXJ5/);
    expect(items.map(({ index }) => JSON.stringify(index)).join()).not.toMatch(/canary|Y2FuYXJ5/);
    expect((await send(`${pathOf('default')}/a`, 'DELETE')).status).toBe(200);
  });

  it('answers 500 for an object that cannot be decrypted, and goes on with all others', async () => {
    const { send, restart, first } = await start();
    for (const name of ['default', 'other'])
      await send('/api/v1/namespaces', 'POST', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
    await send(pathOf('default'), 'POST', secret('lost'));
    const second = key('key2');
    await restart(second);
    expect((await send(pathOf('default'), 'POST', secret('new'))).status).toBe(201);
    expect((await send(pathOf('other'), 'POST', secret('new'))).status).toBe(201);
    for (const [method, body] of [
      ['GET', undefined],
      ['PATCH', { metadata: { labels: { a: 'b' } } }],
      ['DELETE', undefined],
    ] as const)
      expect(await send(`${pathOf('default')}/lost`, method, body)).toMatchObject({ status: 500, message: LOST });
    expect((await send(pathOf('default'), 'POST', secret('lost'))).status).toBe(409);
    expect((await send(`${pathOf('default')}/new`)).status).toBe(200);
    expect(await send(pathOf('default'))).toMatchObject({ status: 500, message: LOST });
    expect((await send(pathOf('other'))).text).toContain('"name":"new"');
    expect((await send(`${pathOf('default')}?watch=1&timeoutSeconds=1`)).text).toContain('"type":"ERROR"');
    expect((await send(`${pathOf('other')}?watch=1&timeoutSeconds=1`)).text).toContain('"type":"ADDED"');
    await restart(second, first);
    expect((await send(pathOf('default'))).text).toContain('"name":"lost"');
    expect((await send(`${pathOf('default')}/lost`, 'DELETE')).status).toBe(200);
  });

  it('says in its health how KMS does, where it is used', async () => {
    const { send, kms } = await start();
    expect((await send('/livez/kms-providers')).status).toBe(404);
    expect((await send('/livez?verbose')).text).not.toContain('kms-providers');
    kms.isUsed = true;
    expect(await send('/livez/kms-providers')).toMatchObject({ status: 200, text: 'ok' });
    expect((await send('/healthz?verbose')).text).toContain('[+]kms-providers ok');
    kms.isWell = false;
    expect(await send('/healthz?verbose')).toMatchObject({ status: 500 });
    expect((await send('/healthz?verbose')).text).toContain('[-]kms-providers failed: reason withheld');
  });
});
