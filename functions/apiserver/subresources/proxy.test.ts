import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { createSystemClock } from '../../clock/system.ts';
import { createMemoryStore } from '../../store/memory.ts';
import { createReplicas } from '../../store/replica.ts';
import { createApiServer } from '../app.ts';
import { staticTokens, user } from '../authn/authenticator.ts';
import { mastersAuthorizer } from '../authz/authorizer.ts';
import { seedCluster } from '../seed.ts';

const clock = createSystemClock();
const store = createMemoryStore();
const seen: { method: string | undefined; url: string | undefined; body: string }[] = [];
let answer: (response: ServerResponse) => void;

const backend = createServer((request: IncomingMessage, response) => {
  let body = '';
  request.on('data', (part: Buffer) => {
    body += part;
  });
  request.on('end', () => {
    seen.push({ method: request.method, url: request.url, body });
    answer(response);
  });
});
const api = createApiServer({
  store,
  clock,
  replicas: createReplicas(store, { clock, bytesMax: 1 << 24, windowChanges: 100, windowMs: 60_000 }),
  authenticator: staticTokens(new Map([['t', user('root', ['system:masters'])]])),
  authorizer: mastersAuthorizer(),
  dialer: { dial: async () => connect((backend.address() as AddressInfo).port, '127.0.0.1') },
});
const send = (method: string, path: string, body?: string) =>
  api.fetch(
    new Request(`https://x/api/v1/${path}`, {
      method,
      headers: { authorization: 'Bearer t', 'content-type': 'application/json' },
      ...(body !== undefined && { body }),
    }),
  );

beforeAll(async () => {
  await seedCluster({ store, cluster: 'default', clock });
  await new Promise<void>((resolve) => backend.listen(0, '127.0.0.1', () => resolve()));
  const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n' } };
  expect((await send('POST', 'nodes', JSON.stringify(node))).status).toBe(201);
});
beforeEach(() => {
  seen.length = 0;
  answer = (response) => void response.end('ok');
});
afterAll(() => void backend.close());

it.each(['DELETE', 'OPTIONS', 'POST'])('passes the body of a %s on as a body, whatever it holds', async (method) => {
  const smuggled = 'POST /run HTTP/1.1\r\nhost: n\r\ncontent-length: 0\r\n\r\n';
  const response = await send(method, 'nodes/n/proxy/a', smuggled);
  expect([response.status, await response.text()]).toEqual([200, 'ok']);
  expect(seen).toEqual([{ method, url: '/a', body: smuggled }]);
});

const page = (encoding: string, body: Buffer) => (response: ServerResponse) =>
  void response.writeHead(200, { 'content-type': 'text/html', 'content-encoding': encoding }).end(body);

it.each([
  ['that unpack to more than the memory may hold', gzipSync(Buffer.alloc(64 << 20))],
  ['that do not unpack', Buffer.from('no gzip')],
])('answers 503 for pages %s', async (_what, body) => {
  answer = page('gzip', body);
  expect((await send('GET', 'nodes/n/proxy/a')).status).toBe(503);
});

it('rewrites the addresses of a packed page', async () => {
  answer = page('gzip', gzipSync('<a href="/b">b</a>'));
  const response = await send('GET', 'nodes/n/proxy/a');
  const { gunzipSync } = await import('node:zlib');
  expect(gunzipSync(await response.bytes()).toString()).toBe('<a href="/api/v1/nodes/n/proxy/b">b</a>');
});
