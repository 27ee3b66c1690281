import { createServer, type IncomingMessage, request as requestHttp, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { createTestServer } from '../custom/server-for-tests.ts';
import { selfSigned, startHttps, type TestServer } from '../outgoing/https-for-tests.ts';
import { createUpgrades } from '../upgrade.ts';

const GROUP = 'metrics.example.com';
const base = `/apis/${GROUP}/v1beta1`;
const resources = [
  { name: 'nodes', singularName: '', namespaced: false, kind: 'NodeMetrics', verbs: ['get', 'list'] },
  { name: 'pods', singularName: 'pod', namespaced: true, kind: 'PodMetrics', verbs: ['get', 'list', 'watch'] },
  { name: 'pods/exec', singularName: '', namespaced: true, kind: 'PodExec', verbs: ['create'] },
];

const definition = { type: 'object', description: 'What a node uses.' };
const openApi: Record<string, object> = {
  '/openapi/v2': {
    swagger: '2.0',
    info: { title: 'metrics', version: '1' },
    paths: { [`${base}/nodes`]: { get: { responses: {} } }, '/apis/other.example.com/v1/x': {} },
    definitions: { 'com.example.metrics.NodeMetrics': definition, 'io.k8s.api.core.v1.Pod': definition },
  },
  '/openapi/v3': {
    paths: {
      [base.slice(1)]: { serverRelativeURL: `/openapi/v3${base}?hash=ABC` },
      'apis/other.example.com/v1': { serverRelativeURL: '/openapi/v3/apis/other.example.com/v1?hash=D' },
    },
  },
  [`/openapi/v3${base}`]: { openapi: '3.0.0', components: { schemas: { NodeMetrics: definition } } },
};

let remote: TestServer;
let client: { cert: string; key: string };
let seen: { request: IncomingMessage; body: string; certificate: string }[] = [];
let broken = false;

const answer = (request: IncomingMessage, response: ServerResponse, body: string): void => {
  const certificate = String((request.socket as TLSSocket).getPeerCertificate()?.subject?.CN ?? '');
  seen.push({ request, body, certificate });
  const path = (request.url ?? '').split('?')[0];
  if (broken) return void response.writeHead(500).end();
  response.setHeader('content-type', 'application/json');
  if (path === base) {
    response.end(JSON.stringify({ kind: 'APIResourceList', groupVersion: `${GROUP}/v1beta1`, resources }));
  } else if (path?.endsWith('/redirect')) response.writeHead(302, { location: 'https://evil.example.com/' }).end();
  else if (openApi[path ?? '']) response.end(JSON.stringify(openApi[path ?? '']));
  else if (request.url?.includes('watch=true')) {
    response.write('{"type":"ADDED"}\n');
    setTimeout(() => response.end('{"type":"DELETED"}\n'), 150);
  } else response.writeHead(path?.endsWith('/nodes') ? 200 : 404).end(JSON.stringify({ kind: 'Answer', path }));
};

beforeAll(async () => {
  client = await selfSigned();
  const tls = { requestCert: true, rejectUnauthorized: false, ca: client.cert };
  remote = await startHttps(answer, ['metrics.default.svc'], tls);
});
afterAll(() => remote.close());
beforeEach(() => {
  seen = [];
  broken = false;
});
const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

const services = '/apis/apiregistration.k8s.io/v1/apiservices';
const name = `v1beta1.${GROUP}`;
const apiService = (more: object = {}) => ({
  metadata: { name },
  spec: {
    group: GROUP,
    version: 'v1beta1',
    groupPriorityMinimum: 17_250,
    versionPriority: 100,
    caBundle: remote.caBundle,
    service: { namespace: 'default', name: 'metrics', port: remote.port },
    ...more,
  },
});
const started = async (more: object = {}) => {
  const server = await createTestServer();
  let closed = false;
  closing.push(() => {
    closed = true;
  });
  server.app.server.frontProxy = { caCert: client.cert, ...client };
  server.app.server.closing = () => closed;
  const service = { metadata: { name: 'metrics' }, spec: { type: 'ExternalName', externalName: 'localhost' } };
  await server.send('POST', '/api/v1/namespaces/default/services', service);
  const made = await server.send('POST', services, apiService(more));
  if (made.status !== 201) throw new Error(JSON.stringify(made.body));
  const settled = (wanted: string) =>
    server.until(`${services}/${name}`, ({ body }) => server.condition(body, 'Available')?.reason === wanted);
  return { ...server, settled };
};

it('requests go on with who asks, who is shown by certificate, and answers come back', async () => {
  const { fetch, settled } = await started();
  await settled('Passed');
  seen = [];
  const headers = {
    'x-remote-user': 'evil',
    'x-remote-group': 'system:masters',
    'x-remote-extra-a': 'evil',
    'impersonate-user': 'jane',
    'impersonate-group': 'devs',
    'impersonate-extra-example.com%2fscope': 'view',
  };
  const refused = await fetch('GET', `${base}/nodes?limit=5`, undefined, headers);
  expect(refused.status).toBe(403);
  expect(seen).toEqual([]);
  const plain = await fetch('PUT', `${base}/nodes?limit=5`, { some: 'body' }, { 'x-remote-user': 'evil' });
  expect([plain.status, await plain.json()]).toEqual([200, { kind: 'Answer', path: `${base}/nodes` }]);
  const [{ request, body, certificate } = { request: undefined }] = seen as {
    request?: IncomingMessage;
    body?: string;
    certificate?: string;
  }[];
  expect([request?.method, request?.url, body, certificate]).toEqual([
    'PUT',
    `${base}/nodes?limit=5`,
    '{"some":"body"}',
    'test',
  ]);
  expect(request?.headersDistinct).toMatchObject({
    'x-remote-user': ['root'],
    'x-remote-group': ['system:masters', 'system:authenticated'],
  });
  expect(request?.headers).not.toHaveProperty('authorization');
  expect((await fetch('GET', `${base}/nothing`)).status).toBe(404);
  const redirected = await fetch('GET', `${base}/redirect`);
  expect([redirected.status, redirected.headers.get('location')]).toEqual([502, null]);
});

it('a watch comes as it is written', async () => {
  const { fetch, settled } = await started();
  await settled('Passed');
  const reader = (await fetch('GET', `${base}/pods?watch=true`)).body?.getReader();
  const first = await reader?.read();
  expect(Buffer.from(first?.value ?? []).toString()).toBe('{"type":"ADDED"}\n');
  const second = await reader?.read();
  expect(Buffer.from(second?.value ?? []).toString()).toBe('{"type":"DELETED"}\n');
});

it('what cannot be reached is not available, says why, and answers 503', async () => {
  const { send, settled, condition } = await started({ service: { namespace: 'default', name: 'nope', port: 443 } });
  const { body } = await settled('ServiceNotFound');
  expect(condition(body, 'Available')).toMatchObject({
    status: 'False',
    message: 'service/nope in "default" is not present',
  });
  const refused = await send('GET', `${base}/nodes`);
  expect([refused.status, refused.body]).toEqual([503, 'service unavailable\n']);
});

it('a certificate that is not trusted, or an answer that is none, makes it unavailable until that changes', async () => {
  broken = true;
  const { send, settled, condition, patch, until } = await started();
  const { body } = await settled('FailedDiscoveryCheck');
  const url = `https://metrics.default.svc:${remote.port}${base}`;
  expect(condition(body, 'Available').message).toBe(
    `failing or missing response from ${url}: bad status from ${url}: 500`,
  );
  broken = false;
  const other = await selfSigned();
  const caBundle = Buffer.from(other.cert).toString('base64');
  await patch('merge', `${services}/${name}`, { spec: { caBundle } });
  await until(`${services}/${name}`, (one) => condition(one.body, 'Available')?.message.includes('unknown authority'));
  await patch('merge', `${services}/${name}`, { spec: { caBundle: null, insecureSkipTLSVerify: true } });
  await settled('Passed');
  expect((await send('GET', `${base}/nodes`)).status).toBe(200);
});

it('a service needs its port and ready endpoints; a change of them is seen', async () => {
  const { send, settled } = await started({ service: { namespace: 'default', name: 'web', port: 443 } });
  await settled('ServiceNotFound');
  const path = '/api/v1/namespaces/default/services';
  await send('POST', path, { metadata: { name: 'web' }, spec: { ports: [{ port: 80 }] } });
  await settled('ServicePortError');
  await send(
    'PATCH',
    `${path}/web`,
    { spec: { ports: [{ port: 443 }] } },
    { 'content-type': 'application/merge-patch+json' },
  );
  await settled('EndpointsNotFound');
  await send('POST', '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices', {
    metadata: { name: 'web', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    endpoints: [{ addresses: ['10.1.1.1'], conditions: { ready: false } }],
    ports: [{ name: '', port: 443 }],
  });
  await settled('MissingEndpoints');
});

it('discovery shows it in its place, as it lists itself', async () => {
  const { send, fetch, settled } = await started();
  await settled('Passed');
  const { groups } = (await send('GET', '/apis')).body as { groups: { name: string }[] };
  const names = groups.map((one) => one.name);
  expect(names.indexOf(GROUP)).toBeGreaterThan(names.indexOf('batch'));
  expect(names.indexOf(GROUP)).toBeLessThan(names.indexOf('networking.k8s.io'));
  const version = { groupVersion: `${GROUP}/v1beta1`, version: 'v1beta1' };
  expect((await send('GET', `/apis/${GROUP}`)).body).toEqual({
    kind: 'APIGroup',
    apiVersion: 'v1',
    name: GROUP,
    versions: [version],
    preferredVersion: version,
  });
  expect((await send('GET', base)).body.resources).toEqual(resources);
  const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
  const whole = (await (await fetch('GET', '/apis', undefined, { accept })).json()) as {
    items: { metadata: { name: string } }[];
  };
  expect(whole.items.find((one) => one.metadata.name === GROUP)).toEqual({
    metadata: { name: GROUP },
    versions: [
      {
        version: 'v1beta1',
        freshness: 'Current',
        resources: [
          {
            resource: 'nodes',
            responseKind: { group: '', version: '', kind: 'NodeMetrics' },
            scope: 'Cluster',
            singularResource: '',
            verbs: ['get', 'list'],
          },
          {
            resource: 'pods',
            responseKind: { group: '', version: '', kind: 'PodMetrics' },
            scope: 'Namespaced',
            singularResource: 'pod',
            verbs: ['get', 'list', 'watch'],
            subresources: [
              {
                subresource: 'exec',
                responseKind: { group: '', version: '', kind: 'PodExec' },
                verbs: ['create'],
              },
            ],
          },
        ],
      },
    ],
  });
  await send('DELETE', `${services}/${name}`);
  expect((await send('GET', `${base}/nodes`)).status).toBe(404);
  expect((await send('GET', '/apis')).body.groups.map((one: { name: string }) => one.name)).not.toContain(GROUP);
});

it('OpenAPI holds what it describes of its own version, and nothing else of it', async () => {
  const { send, settled } = await started();
  await settled('Passed');
  const v2 = (await send('GET', '/openapi/v2')).body;
  expect(v2.paths).toHaveProperty([`${base}/nodes`]);
  expect(v2.paths).toHaveProperty(['/api/v1/namespaces/{namespace}/pods']);
  expect(v2.paths).not.toHaveProperty(['/apis/other.example.com/v1/x']);
  expect(v2.definitions['com.example.metrics.NodeMetrics']).toEqual(definition);
  expect(v2.definitions['io.k8s.api.core.v1.Pod']).not.toEqual(definition);
  const { paths } = (await send('GET', '/openapi/v3')).body;
  expect(paths).toMatchObject({ [base.slice(1)]: { serverRelativeURL: `/openapi/v3${base}?hash=ABC` } });
  expect(paths).not.toHaveProperty(['apis/other.example.com/v1']);
  expect((await send('GET', `/openapi/v3${base}?hash=ABC`)).body).toEqual(openApi[`/openapi/v3${base}`]);
});

it('what leaves HTTP is joined with the other server, by who asks', async () => {
  const { app, settled } = await started();
  await settled('Passed');
  const asked: IncomingMessage[] = [];
  remote.server.once('upgrade', (request: IncomingMessage, socket: Duplex) => {
    asked.push(request);
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
    socket.pipe(socket);
  });
  const front = createServer();
  const upgrades = createUpgrades(app.server, undefined);
  front.on('upgrade', (request, socket, head) => void upgrades.handle(request, socket, head, {}));
  await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
  closing.push(() => void front.close());
  const headers = { connection: 'Upgrade', upgrade: 'echo', authorization: 'Bearer t', 'x-remote-user': 'evil' };
  const path = `${base}/namespaces/default/pods/p/exec?a=b`;
  const { port } = front.address() as AddressInfo;
  const text = await new Promise<string>((resolve, reject) => {
    const sent = requestHttp({ host: '127.0.0.1', port, path, headers });
    sent.on('error', reject);
    sent.on('response', (response) => reject(new Error(`status ${response.statusCode}`)));
    sent.on('upgrade', (_response, socket) => {
      socket.once('data', (data) => {
        resolve(data.toString());
        socket.destroy();
      });
      socket.write('hello');
    });
    sent.end();
  });
  expect(text).toBe('hello');
  expect(asked.map(({ url, headers: h }) => [url, h['x-remote-user'], h.authorization])).toEqual([
    [path, 'root', undefined],
  ]);
});
