import { afterAll, beforeAll, expect, it } from 'vitest';
import { createSystemClock } from '../clock/system.ts';
import { createMemoryStore } from '../store/memory.ts';
import { createReplicas } from '../store/replica.ts';
import { type ApiServer, createApiServer } from './app.ts';
import { staticTokens, user } from './authn/authenticator.ts';
import { mastersAuthorizer } from './authz/authorizer.ts';
import { seedCluster } from './seed.ts';

// Requests that the fuzz (test/fuzz) found to be answered by a 500, and what they are answered by now.

const token = 'token-of-an-administrator';
const clock = createSystemClock();
const store = createMemoryStore();
const replicas = createReplicas(store, { clock, bytesMax: 1e8, windowChanges: 1000, windowMs: 1e6 });
const faults: unknown[] = [];
let api: ApiServer;

beforeAll(async () => {
  api = createApiServer({
    store,
    clock,
    replicas,
    authenticator: staticTokens(new Map([[token, user('admin', ['system:masters'])]])),
    authorizer: mastersAuthorizer(),
    disableAdmission: ['ServiceAccount'],
    onFault: (error) => void faults.push(error),
  });
  await seedCluster({ store, cluster: 'default', clock });
});
afterAll(async () => {
  await replicas.close();
  await store.close();
});

interface Sent {
  body?: string | Uint8Array;
  type?: string;
  accept?: string;
}

const request = async (method: string, path: string, { body, type = 'application/json', accept }: Sent = {}) => {
  const headers: Record<string, string> = { authorization: `Bearer ${token}` };
  if (body !== undefined) headers['content-type'] = type;
  if (accept !== undefined) headers.accept = accept;
  const init = { method, headers, ...(body !== undefined && { body: body as BodyInit }) };
  const response = await api.fetch(new Request(`https://server${path}`, init));
  const text = await response.text();
  expect(faults.splice(0)).toEqual([]);
  return { status: response.status, text };
};

const configMaps = '/api/v1/namespaces/default/configmaps';
const table = 'application/json;as=Table;v=v1;g=meta.k8s.io';
const deep = (depth: number): string => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;

it('a watch of a Table refuses a wrong includeObject before it begins', async () => {
  const { status } = await request('GET', '/api/v1/namespaces?watch=1&timeoutSeconds=1&includeObject=x', {
    accept: table,
  });
  expect(status).toBe(400);
});

it('deep bodies are refused', async () => {
  for (const depth of [1001, 9000, 100_000]) {
    const body = `{"metadata":{"name":"deep","labels":${deep(depth)}}}`;
    expect((await request('POST', configMaps, { body })).status).toBe(400);
  }
});

it('patches that pile up beyond the stack are refused', async () => {
  await request('POST', configMaps, { body: '{"metadata":{"name":"pile"}}' });
  const copies = Array.from({ length: 40 }, () => ({ op: 'copy', from: '/data', path: '/data/a' }));
  const body = JSON.stringify([{ op: 'add', path: '/data', value: JSON.parse(deep(900)) }, ...copies]);
  const { status } = await request('PATCH', `${configMaps}/pile`, { body, type: 'application/json-patch+json' });
  expect(status).toBeGreaterThanOrEqual(400);
  expect(status).toBeLessThan(500);
});

it('YAML has no aliases, whatever an object shares with itself', async () => {
  const rule = '{"apiGroups":["x.example"],"apiVersions":["v1"],"operations":["CREATE"],"resources":["a"]}';
  const hook = (name: string) =>
    `{"name":"${name}.x.example","sideEffects":"None","admissionReviewVersions":["v1"],"clientConfig":{"url":"https://h.example/"},"rules":[${rule}]}`;
  const body = `{"metadata":{"name":"twice"},"webhooks":[${hook('a')},${hook('b')}]}`;
  const path = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations';
  const { status, text } = await request('POST', path, { body, accept: 'application/yaml' });
  expect(status).toBe(201);
  expect(text).not.toMatch(/: [&*]a\d/);
});

it('an apply says what it is in text only', async () => {
  const body = 'apiVersion: {toString: x}\nkind: [Node]\nmetadata: {name: a}\n';
  const { status } = await request('PATCH', '/api/v1/nodes/a?fieldManager=m', {
    body,
    type: 'application/apply-patch+yaml',
  });
  expect(status).toBe(400);
});

it('managedFields that are no sets of fields do not count', async () => {
  const fields = (fieldsV1: string) =>
    `[{"manager":"x","operation":"Update","apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":${fieldsV1}}]`;
  const given = ['{"f:data":null}', '{"f:data":1}', '{"f:data":{"k:x":{}}}', '{"i:x":{}}', '{"x":{"y":1}}', '[]'];
  for (const [i, one] of given.entries()) {
    const path = `${configMaps}/managed-${i}`;
    const body = `{"metadata":{"name":"managed-${i}","managedFields":${fields(one)}},"data":{"a":"b"}}`;
    expect((await request('POST', configMaps, { body })).status).toBe(201);
    const applied = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"managed-${i}"},"data":{"c":"d"}}`;
    const type = 'application/apply-patch+yaml';
    expect((await request('PATCH', `${path}?fieldManager=m`, { body: applied, type })).status).toBe(200);
  }
});

it('every method on the old watch paths asks to watch, and only GET is answered', async () => {
  const path = '/api/v1/watch/namespaces/default/configmaps';
  const body = JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'by-watch' } });
  for (const method of ['POST', 'PUT', 'PATCH'])
    expect((await request(method, path, { body })).text, method).toContain('MethodNotAllowed');
  for (const method of ['DELETE', 'HEAD']) expect((await request(method, path)).status, method).toBe(405);
  expect((await request('GET', `${configMaps}/by-watch`)).status).toBe(404);
});

it('a method may be any word: those that nobody knows are answered, and counted as one', async () => {
  const words = [
    'constructor',
    '__proto__',
    'toString',
    'valueOf',
    'hasOwnProperty',
    ...Array.from({ length: 50 }, (_, i) => `WORD${i}`),
  ];
  for (const method of words) {
    expect((await request(method, configMaps)).status, method).toBe(405);
    expect((await request(method, '/version')).status, method).toBe(404);
  }
  const { text } = await request('GET', '/metrics');
  expect(text).toContain('verb="other"');
  expect(text).not.toMatch(/WORD\d|verb="[^"]*(function|object)/i);
});
