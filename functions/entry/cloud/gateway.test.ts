import { createServer, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Duplex } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runTunnel } from '../../../agent/tunnel.ts';
import { SERVICE_ACCOUNT_ISSUER } from '../../apiserver/authn/issuer.ts';
import { createTokenAuthority } from '../../apiserver/authn/token-authority.ts';
import { seedCluster } from '../../apiserver/seed.ts';
import { createClient } from '../../client/fetch-client.ts';
import { createHttp2Fetch } from '../../client/http2-fetch.ts';
import { createSystemClock } from '../../clock/system.ts';
import { createMemoryStore } from '../../store/memory.ts';
import { passUpgrades, reachesNode, withGateway } from '../gateway-pass.ts';
import { issueServing } from '../issue.ts';
import { createListener, type Listener } from '../server.ts';
import { loadAuthority } from './authority.ts';
import { type Gateway, startGateway } from './gateway.ts';
import { loadKeys } from './keys.ts';

const clock = createSystemClock();
const ends: (() => unknown)[] = [];
let gateway: Gateway;
let front: Listener;
let adminToken = '';
let nodeToken = (_name: string): string => '';

/** What answers in place of a node's agent: a log, and an upgrade that says back what it hears. */
const kubelet = () => {
  const server = createServer((req, res) => res.end(`the log of ${req.url?.split('?')[0]}`));
  server.on('upgrade', (_req, socket: Duplex) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n');
    socket.pipe(socket);
  });
  return server;
};

const until = async <T>(ask: () => Promise<T | undefined>): Promise<T> => {
  for (const ends = Date.now() + 5_000; Date.now() < ends; ) {
    const found = await ask();
    if (found !== undefined) return found;
    await clock.sleep(20);
  }
  throw new Error('it did not come');
};

const pods = { group: '', version: 'v1', resource: 'pods' };
const accounts = { group: '', version: 'v1', resource: 'serviceaccounts' };

beforeEach(async () => {
  const store = createMemoryStore();
  const keys = await loadKeys(store);
  adminToken = keys.adminToken;
  const tokens = createTokenAuthority({ keyPem: keys.tokenKey, issuer: SERVICE_ACCOUNT_ISSUER, clock });
  nodeToken = (name) => tokens.mintNodeToken('default', name);
  await seedCluster({ store, cluster: 'default', clock });
  const authority = await loadAuthority(store);
  gateway = await startGateway({ store, clock, host: '127.0.0.1', port: 0, names: ['gateway.test'], log: () => {} });
  const target = { server: `https://127.0.0.1:${gateway.port}`, ca: gateway.caCert };
  const send = createHttp2Fetch({ ca: gateway.caCert });
  const elsewhere = { fetch: async () => new Response('not through the gateway') };
  front = await createListener({
    app: withGateway(elsewhere, target, send),
    tls: await issueServing(authority, ['localhost'], ['127.0.0.1']),
    host: '127.0.0.1',
    port: 0,
    onUpgrade: passUpgrades(target),
  });
  ends.push(
    () => front.close(),
    () => send.close(),
    () => gateway.close(),
  );
  const client = createClient({ fetch: send, baseUrl: target.server, token: adminToken });
  await client.create(accounts, {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { namespace: 'default', name: 'default' },
  });
  for (const node of ['near', 'far']) {
    const metadata = { namespace: 'default', name: `on-${node}` };
    const spec = { nodeName: node, containers: [{ name: 'c', image: 'c' }] };
    await client.create(pods, { apiVersion: 'v1', kind: 'Pod', metadata, spec } as never);
    const running = { name: 'c', image: 'c', imageID: '', ready: true, restartCount: 0, state: { running: {} } };
    const body = { status: { phase: 'Running', containerStatuses: [{ ...running, containerID: 'containerd://c' }] } };
    await client.patch(pods, 'default', metadata.name, { type: 'merge', body }, { subresource: 'status' });
  }
});
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

const join = (node: string, token: string): void => {
  const stopping = new AbortController();
  const server = kubelet();
  const target = { server: `https://127.0.0.1:${front.port}`, ca: gateway.caCert, token, node };
  void runTunnel(target, (socket) => server.emit('connection', socket), clock, stopping.signal);
  ends.push(() => stopping.abort());
};

const ask = async (path: string, token = adminToken): Promise<{ status: number; text: string }> => {
  const send = createHttp2Fetch({ ca: gateway.caCert });
  try {
    const headers = { authorization: `Bearer ${token}` };
    const answer = await send(new Request(`https://127.0.0.1:${front.port}${path}`, { headers }));
    return { status: answer.status, text: await answer.text() };
  } finally {
    send.close();
  }
};

const logOf = (pod: string) => `/api/v1/namespaces/default/pods/${pod}/log`;

describe('the gateway', () => {
  it('reaches a node through the tunnel that its agent opened by way of a front', async () => {
    join('near', nodeToken('near'));
    const answer = await until(async () => {
      const got = await ask(logOf('on-near'));
      return got.status === 200 ? got : undefined;
    });
    expect(answer.text).toBe('the log of /containerLogs/default/on-near/c');
    expect((await ask('/api/v1/namespaces')).text).toBe('not through the gateway');
  });

  it('joins an upgraded request to the node, byte for byte', async () => {
    join('near', nodeToken('near'));
    await until(async () => ((await ask(logOf('on-near'))).status === 200 ? true : undefined));
    const heard = await new Promise<string>((resolve, reject) => {
      const sent = httpsRequest({
        host: '127.0.0.1',
        port: front.port,
        ca: gateway.caCert,
        method: 'POST',
        path: '/api/v1/namespaces/default/pods/on-near/exec?command=cat&stdin=true&container=c',
        headers: { authorization: `Bearer ${adminToken}`, connection: 'Upgrade', upgrade: 'SPDY/3.1' },
      });
      sent.on('upgrade', (_answer: IncomingMessage, socket: Duplex) => {
        socket.on('data', (chunk: Buffer) => {
          socket.destroy();
          resolve(chunk.toString());
        });
        socket.write('said');
      });
      sent.on('response', (answer) => reject(new Error(`answered ${answer.statusCode}`)));
      sent.on('error', reject);
      sent.end();
    });
    expect(heard).toBe('said');
  });

  it('answers 503 for a node without an agent, and 401 for strangers', async () => {
    const answer = await ask(logOf('on-far'));
    expect(answer.status, answer.text).toBe(503);
    expect(answer.text).toContain('no agent of node far is connected');
    expect((await ask(logOf('on-far'), 'nobody')).status).toBe(401);
  });

  it('lets no node take the tunnel of another', async () => {
    join('far', nodeToken('near'));
    await clock.sleep(300);
    expect((await ask(logOf('on-far'))).status).toBe(503);
  });
});

describe('a front before the gateway', () => {
  it('knows the paths that a node answers', () => {
    const pod = '/api/v1/namespaces/a/pods/p';
    for (const path of [
      `${pod}/log`,
      `${pod}/exec`,
      `/clusters/c${pod}/attach`,
      `${pod}/portforward`,
      `${pod}/proxy/x`,
    ])
      expect(reachesNode(path), path).toBe(true);
    for (const path of ['/api/v1/nodes/n/proxy', '/api/v1/namespaces/a/services/s:80/proxy/metrics'])
      expect(reachesNode(path), path).toBe(true);
    for (const path of [pod, `${pod}/status`, '/api/v1/namespaces/log/pods/proxy', '/apis/apps/v1/deployments'])
      expect(reachesNode(path), path).toBe(false);
  });

  it('answers 502 where no gateway listens', async () => {
    const dead = await createListener({
      app: { fetch: async () => new Response('') },
      tls: await issueServing(await loadAuthority(createMemoryStore()), ['localhost'], ['127.0.0.1']),
      host: '127.0.0.1',
      port: 0,
      onUpgrade: passUpgrades({ server: 'https://127.0.0.1:1' }),
    });
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const headers = { connection: 'Upgrade', upgrade: 'websocket' };
      const sent = httpsRequest({ host: '127.0.0.1', port: dead.port, rejectUnauthorized: false, headers });
      sent.on('response', (answer) => resolve(answer.statusCode));
      sent.on('error', reject);
      sent.end();
    });
    await dead.close();
    expect(status).toBe(502);
  });
});
