// The proxy subresource from a client's request to a real HTTP server behind a pod: through the listener, the node's
// agent and the agent's dial, with the pod's address led to loopback.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { connect as connectHttp2, type OutgoingHttpHeaders } from 'node:http2';
import { request as requestHttps } from 'node:https';
import { type AddressInfo, connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createKubeletServer } from '../../agent/server/server.ts';
import { createScriptedRuntime } from '../../agent/test-node.ts';
import { createSystemClock } from '../../functions/clock/system.ts';
import { type ControlPlane, startControlPlane } from '../../functions/entry/local.ts';
import type { Pod } from '../../functions/machinery/kinds.d.ts';
import { describeWith, kubectlMissing } from './needs.ts';

const IP = '10.7.7.7';
const scratch = mkdtempSync(join(tmpdir(), 'skiff-proxy-test-'));
let plane: ControlPlane;
let backend: Server;
let seen: { method: string; url: string; headers: IncomingMessage['headers']; body: string }[] = [];

const answers: Record<string, { status?: number; headers?: Record<string, string>; body: string | Buffer }> = {
  '/page': { headers: { 'content-type': 'text/html; charset=utf-8' }, body: '<a href="/next">next</a>' },
  '/packed': {
    headers: { 'content-type': 'text/html', 'content-encoding': 'gzip' },
    body: gzipSync('<img src="/a.png"><a href="http://elsewhere/x">'),
  },
  '/moved': { status: 302, headers: { location: '/there?x=1' }, body: '' },
  '/gone': { status: 410, headers: { 'x-why': 'old', 'access-control-allow-origin': '*' }, body: 'gone' },
  '/nothing': { status: 204, body: '' },
};

const startBackend = async (): Promise<void> => {
  backend = createServer((req, res) => {
    let body = '';
    req.on('data', (chunk) => {
      body += chunk;
    });
    req.on('end', () => {
      const { method = '', url = '', headers } = req;
      seen.push({ method, url, headers, body: body.length > 100 ? String(body.length) : body });
      const known = answers[url.split('?')[0] ?? ''];
      res.writeHead(known?.status ?? 200, known?.headers ?? { 'content-type': 'application/json' });
      res.end(known ? known.body : JSON.stringify({ method, url }));
    });
  });
  backend.on('upgrade', (req, socket: Duplex) => {
    if (req.url !== '/echo?a=b') {
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno');
      return;
    }
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Own: yes\r\n\r\n');
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => backend.listen(0, '127.0.0.1', resolve));
};

interface Answered {
  status: number;
  headers: OutgoingHttpHeaders;
  body: Buffer;
}

/** One HTTP/2 request, as client-go would send it. */
const ask = (method: string, path: string, headers: OutgoingHttpHeaders = {}, body?: Buffer): Promise<Answered> =>
  new Promise((resolve, reject) => {
    const session = connectHttp2(plane.access.server, { ca: plane.access.caCert });
    session.on('error', reject);
    const own = { authorization: `Bearer ${plane.access.token}`, ...headers };
    const stream = session.request({ ':method': method, ':path': path, ...own }, { endStream: body === undefined });
    const parts: Buffer[] = [];
    let head: OutgoingHttpHeaders = {};
    stream.on('response', (given) => {
      head = given;
    });
    stream.on('data', (part: Buffer) => parts.push(part));
    stream.on('error', reject);
    stream.on('close', () => {
      session.close();
      resolve({ status: Number(head[':status']), headers: head, body: Buffer.concat(parts) });
    });
    if (body !== undefined) stream.end(body);
  });

const json = async (method: string, path: string, value: unknown, type = 'application/json'): Promise<void> => {
  const { status, body } = await ask(method, path, { 'content-type': type }, Buffer.from(JSON.stringify(value)));
  if (status >= 300) throw new Error(`${method} ${path}: ${status} ${body}`);
};

const base = '/api/v1/namespaces/default';
const pods: Pod[] = [];

beforeAll(async () => {
  await startBackend();
  plane = await startControlPlane({
    directory: scratch,
    host: '127.0.0.1',
    port: 0,
    log: () => {},
    disableAdmission: ['ServiceAccount'],
  });
  const clock = createSystemClock();
  const kubelet = createKubeletServer({
    runtime: createScriptedRuntime(clock).runtime,
    clock,
    nodeName: 'n1',
    pods: { get: () => undefined, all: () => pods },
    sandboxes: () => [],
    logFile: () => undefined,
    dial: (host, port) => {
      if (host !== IP || port !== 8080) return Promise.reject(new Error('connection refused'));
      const socket = connectTcp({ host: '127.0.0.1', port: (backend.address() as AddressInfo).port });
      return Promise.resolve(socket);
    },
  });
  plane.serveNode('default', 'n1', (socket) => kubelet.emit('connection', socket));
  await json('POST', '/api/v1/nodes', { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' } });
  const container = { name: 'c', image: 'i', ports: [{ containerPort: 8080 }] };
  await json('POST', `${base}/pods`, {
    metadata: { name: 'p', labels: { app: 'p' } },
    spec: { nodeName: 'n1', containers: [container] },
  });
  const status = {
    phase: 'Running',
    podIP: IP,
    podIPs: [{ ip: IP }],
    conditions: [{ type: 'Ready', status: 'True' }],
  };
  pods.push({ metadata: { name: 'p', namespace: 'default', uid: 'u' }, status } as Pod);
  await json('PATCH', `${base}/pods/p/status`, { status }, 'application/merge-patch+json');
  const port = { name: 'web', port: 80, targetPort: 8080 };
  await json('POST', `${base}/services`, {
    metadata: { name: 's' },
    spec: { selector: { app: 'p' }, ports: [port, { name: 'other', port: 81, targetPort: 9999 }] },
  });
  await json('POST', `${base}/services`, { metadata: { name: 'empty' }, spec: { ports: [port] } });
  for (let i = 0; i < 100; i++) {
    const slices = await ask('GET', '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices');
    if (slices.body.includes(IP)) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  seen = [];
});
afterAll(async () => {
  await plane?.close();
  backend?.close();
  backend?.closeAllConnections();
  rmSync(scratch, { recursive: true, force: true });
});

const proxies = ['pods/p', 'pods/p:8080', 'pods/http:p:8080', 'services/s:web', 'services/s:80', 'services/http:s:web'];

it.each(proxies)('%s passes every method, path, query and body on', async (name) => {
  for (const method of ['DELETE', 'GET', 'OPTIONS', 'PATCH', 'POST', 'PUT']) {
    const answer = await ask(method, `${base}/${name}/proxy/some/path%20x/${method}?q=a%20b&q=c`, {});
    expect([answer.status, JSON.parse(answer.body.toString())]).toEqual([
      200,
      { method, url: `/some/path%20x/${method}?q=a%20b&q=c` },
    ]);
  }
  const head = await ask('HEAD', `${base}/${name}/proxy/x`);
  expect([head.status, head.body.length]).toEqual([200, 0]);
  const bodies = await ask('POST', `${base}/${name}/proxy/big`, {}, Buffer.alloc(5 << 20, 'x'));
  expect([bodies.status, seen.at(-1)?.body]).toEqual([200, String(5 << 20)]);
});

it('answers the bare path with a redirect for GET and HEAD, and passes other methods on', async () => {
  const get = await ask('GET', `${base}/pods/p/proxy?x=1`);
  expect([get.status, get.headers.location]).toEqual([301, `${base}/pods/p/proxy/?x=1`]);
  expect((await ask('HEAD', `${base}/services/s:web/proxy`)).status).toBe(301);
  const put = await ask('PUT', `${base}/services/s:web/proxy?method=PUT`);
  expect([put.status, JSON.parse(put.body.toString()).url]).toEqual([200, '/?method=PUT']);
});

it('gives the backend the client, not its credentials', async () => {
  await ask('GET', `${base}/pods/p/proxy/h`, { accept: 'text/html', 'x-own': '1', 'x-forwarded-for': '1.2.3.4' });
  const headers = seen.at(-1)?.headers ?? {};
  expect(headers).toMatchObject({ accept: 'text/html', 'x-own': '1', 'x-forwarded-for': '1.2.3.4, 127.0.0.1' });
  expect(headers['x-forwarded-uri']).toBe(`${base}/pods/p/proxy/h`);
  expect(headers.authorization).toBeUndefined();
});

it('rewrites addresses in pages and redirects, and leaves other answers alone', async () => {
  const prefix = `${base}/pods/p/proxy`;
  expect((await ask('GET', `${prefix}/page`)).body.toString()).toBe(`<a href="${prefix}/next">next</a>`);
  const packed = await ask('GET', `${prefix}/packed`);
  expect(gunzipSync(packed.body).toString()).toBe(`<img src="${prefix}/a.png"><a href="http://elsewhere/x">`);
  expect((await ask('GET', `${prefix}/moved`)).headers.location).toBe(`${prefix}/there?x=1`);
  const gone = await ask('GET', `${prefix}/gone`);
  expect([gone.status, gone.headers['x-why'], gone.body.toString()]).toEqual([410, 'old', 'gone']);
  expect(gone.headers['access-control-allow-origin']).toBeUndefined();
  expect((await ask('GET', `${prefix}/nothing`)).status).toBe(204);
});

it('takes objects of a namespace that is called proxy', async () => {
  await json('POST', '/api/v1/namespaces', { metadata: { name: 'proxy' } });
  await json('POST', '/api/v1/namespaces/proxy/configmaps', { metadata: { name: 'proxy' }, data: { a: 'b' } });
  const answer = await ask('GET', '/api/v1/namespaces/proxy/configmaps/proxy');
  expect(JSON.parse(answer.body.toString()).data).toEqual({ a: 'b' });
});

it.each([
  ['pods/p:9/proxy/', 503, 'ServiceUnavailable'],
  ['pods/none/proxy/', 404, 'NotFound'],
  ['pods/ftp:p:1/proxy/', 400, 'BadRequest'],
  ['services/s/proxy/', 503, 'ServiceUnavailable'],
  ['services/s:83/proxy/', 503, 'ServiceUnavailable'],
  ['services/s:other/proxy/', 503, 'ServiceUnavailable'],
  ['services/empty:web/proxy/', 503, 'ServiceUnavailable'],
  ['services/none/proxy/', 404, 'NotFound'],
  ['pods/p/proxy/?dryRun=All', 400, 'BadRequest'],
  ['pods/p/exec?command=x', 400, 'BadRequest'],
  ['pods/p/portforward', 400, 'BadRequest'],
])('%s is refused with %i', async (path, code, reason) => {
  const answer = await ask('GET', `${base}/${path}`);
  expect([answer.status, JSON.parse(answer.body.toString()).reason]).toEqual([code, reason]);
});

it('reaches the kubelet API of a node, by its name and by its port', async () => {
  for (const name of ['n1', 'n1:10250', 'https:n1:10250']) {
    const answer = await ask('GET', `/api/v1/nodes/${name}/proxy/healthz`);
    expect([answer.status, answer.body.toString()]).toEqual([200, 'ok']);
  }
});

const upgrade = (path: string, headers: Record<string, string> = {}) =>
  new Promise<{ status: number; own?: string | undefined; echoed: string }>((resolve, reject) => {
    const own = { authorization: `Bearer ${plane.access.token}`, connection: 'Upgrade', upgrade: 'websocket' };
    const url = `${plane.access.server}${path}`;
    const req = requestHttps(url, { ca: plane.access.caCert, headers: { ...own, ...headers }, agent: false });
    req.on('upgrade', (res, socket) => {
      socket.write('ping');
      socket.on('data', (data: Buffer) => {
        socket.destroy();
        resolve({ status: 101, own: String(res.headers['x-own']), echoed: data.toString() });
      });
    });
    req.on('response', (res) => {
      res.resume();
      resolve({ status: res.statusCode ?? 0, echoed: '' });
    });
    req.on('error', reject);
    req.end();
  });

it('tunnels upgrades to the backend, and hands its refusal on', async () => {
  for (const name of ['pods/p', 'services/s:web'])
    expect(await upgrade(`${base}/${name}/proxy/echo?a=b`)).toEqual({ status: 101, own: 'yes', echoed: 'ping' });
  expect((await upgrade(`${base}/pods/p/proxy/other`)).status).toBe(403);
  expect((await upgrade(`${base}/pods/none/proxy/other`)).status).toBe(404);
});

it('lets nobody in by another name without the right to it', async () => {
  const as = { 'impersonate-user': 'nobody-at-all' };
  expect((await upgrade(`${base}/pods/p/proxy/echo?a=b`, as)).status).toBe(403);
  expect((await ask('GET', `${base}/pods/p/proxy/x`, as)).status).toBe(403);
});

it('asks for the right to create before a stream that was begun by GET', async () => {
  const role = (name: string, verbs: string[]) => ({
    metadata: { name },
    rules: [{ apiGroups: [''], resources: ['pods/exec'], verbs }],
  });
  const rbac = '/apis/rbac.authorization.k8s.io/v1/namespaces/default';
  for (const [user, verbs] of [
    ['getter', ['get']],
    ['both', ['get', 'create']],
  ] as const) {
    await json('POST', `${rbac}/roles`, role(user, [...verbs]));
    await json('POST', `${rbac}/rolebindings`, {
      metadata: { name: user },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: user },
      subjects: [{ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: user }],
    });
  }
  const exec = `${base}/pods/p/exec?command=x&stdout=1`;
  expect((await upgrade(exec, { 'impersonate-user': 'getter' })).status).toBe(403);
  // Allowed, and then refused by the agent, which runs no such pod.
  expect((await upgrade(exec, { 'impersonate-user': 'both' })).status).toBe(404);
});

describeWith(kubectlMissing(), 'kubectl', () => {
  const started = (...args: string[]) => {
    writeFileSync(join(scratch, 'ca.pem'), plane.access.caCert);
    const own = ['--server', plane.access.server, '--token', plane.access.token];
    return spawn('kubectl', [...own, '--certificate-authority', join(scratch, 'ca.pem'), ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, KUBECONFIG: join(scratch, 'none'), HOME: scratch },
    });
  };
  const said = (stream: NodeJS.ReadableStream, wanted: RegExp): Promise<string> =>
    new Promise((resolve, reject) => {
      let text = '';
      stream.on('data', (chunk) => {
        text += chunk;
        const found = wanted.exec(text);
        if (found) resolve(found[1] ?? '');
      });
      stream.on('end', () => reject(new Error(`it said ${text}`)));
    });

  it('gets through a service with get --raw', async () => {
    const child = started('get', '--raw', `${base}/services/http:s:web/proxy/raw?x=1`);
    expect(await said(child.stdout, /"url":"([^"]*)"/)).toBe('/raw?x=1');
  });

  it('gets through kubectl proxy, pages rewritten for it', async () => {
    const child = started('proxy', '--port=0');
    try {
      const address = await said(child.stdout, /Starting to serve on (\S+)/);
      const page = await fetch(`http://${address}${base}/pods/p/proxy/page`);
      expect(await page.text()).toBe(`<a href="${base}/pods/p/proxy/next">next</a>`);
      const put = await fetch(`http://${address}${base}/services/s:80/proxy/up`, { method: 'PUT', body: 'hello' });
      expect([put.status, seen.at(-1)?.method, seen.at(-1)?.body]).toEqual([200, 'PUT', 'hello']);
    } finally {
      child.kill();
    }
  });
});
