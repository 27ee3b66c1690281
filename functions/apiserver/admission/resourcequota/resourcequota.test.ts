import { expect, it } from 'vitest';
import { createSystemClock } from '../../../clock/system.ts';
import { createMemoryStore } from '../../../store/memory.ts';
import { createReplicas } from '../../../store/replica.ts';
import type { Store } from '../../../store/store.ts';
import { createApiServer } from '../../app.ts';
import { staticTokens, user } from '../../authn/authenticator.ts';
import { mastersAuthorizer } from '../../authz/authorizer.ts';

const clock = createSystemClock();
type Send = (method: string, path: string, body?: unknown) => Promise<{ code: number; body: Record<string, never> }>;

const server = (store: Store): Send => {
  const app = createApiServer({
    store,
    clock,
    replicas: createReplicas(store, { clock, bytesMax: 1 << 24, windowChanges: 1000, windowMs: 60_000 }),
    authenticator: staticTokens(new Map([['t', user('admin', ['system:masters'])]])),
    authorizer: mastersAuthorizer(),
    disableAdmission: ['ServiceAccount'],
  });
  return async (method, path, body) => {
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    const init = {
      method,
      headers: { authorization: 'Bearer t', 'content-type': type },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    };
    const response = await app.fetch(new Request(`http://server${path}`, init));
    return { code: response.status, body: (await response.json()) as Record<string, never> };
  };
};

/** The store of two processes: neither is told of the other's commits. */
const shared = (store: Store): Store => {
  const { subscribe: _unheard, ...rest } = store as Store & { subscribe: unknown };
  return rest;
};

const quotas = '/api/v1/namespaces/n/resourcequotas';
const counted = async (send: Send, hard: Record<string, string>, spec: object = {}, name = 'q'): Promise<void> => {
  await send('POST', '/api/v1/namespaces', { metadata: { name: 'n' } });
  const used = Object.fromEntries(Object.keys(hard).map((key) => [key, '0']));
  expect((await send('POST', quotas, { metadata: { name }, spec: { hard, ...spec } })).code).toBe(201);
  const { code } = await send('PATCH', `${quotas}/${name}/status`, { status: { hard, used } });
  expect(code).toBe(200);
};
const usedOf = async (send: Send, name = 'q'): Promise<unknown> =>
  ((await send('GET', `${quotas}/${name}`)).body as { status?: { used?: unknown } }).status?.used;

const pod = (name: string, requests?: object, spec: object = {}) => ({
  metadata: { name },
  spec: { ...spec, containers: [{ name: 'c', image: 'i', ...(requests && { resources: { requests } }) }] },
});
const pods = '/api/v1/namespaces/n/pods';

it('refuses what goes beyond the quota in upstream’s words, and charges what does not', async () => {
  const send = server(createMemoryStore());
  await counted(send, { pods: '2', 'requests.cpu': '1', 'requests.memory': '1Gi' });
  expect((await send('POST', pods, pod('a', { cpu: '600m', memory: '100Mi' }))).code).toBe(201);
  const { code, body } = await send('POST', pods, pod('b', { cpu: '500m', memory: '2Gi' }));
  expect(code).toBe(403);
  expect((body as { message?: string }).message).toBe(
    'pods "b" is forbidden: exceeded quota: q, requested: requests.cpu=500m,requests.memory=2Gi, ' +
      'used: requests.cpu=600m,requests.memory=100Mi, limited: requests.cpu=1,requests.memory=1Gi',
  );
  expect(await usedOf(send)).toEqual({ pods: '1', 'requests.cpu': '600m', 'requests.memory': '100Mi' });
});

it('asks every container to say what cpu and memory it wants where they are limited', async () => {
  const send = server(createMemoryStore());
  await counted(send, { cpu: '2', 'limits.memory': '1Gi', 'requests.ephemeral-storage': '1Gi' });
  const { body } = await send('POST', pods, pod('a'));
  expect((body as { message?: string }).message).toBe(
    'pods "a" is forbidden: failed quota: q: must specify cpu for: c; limits.memory for: c',
  );
});

it('says when a quota has not been counted yet', async () => {
  const send = server(createMemoryStore());
  await counted(send, { pods: '2' });
  await send('PATCH', `${quotas}/q/status`, { status: { used: null } });
  const { body } = await send('POST', pods, pod('a'));
  expect((body as { message?: string }).message).toBe(
    'pods "a" is forbidden: status unknown for quota: q, resources: pods',
  );
});

it('checks a dry run and does not charge it', async () => {
  const send = server(createMemoryStore());
  await counted(send, { 'count/secrets': '1' });
  const secrets = '/api/v1/namespaces/n/secrets';
  expect((await send('POST', `${secrets}?dryRun=All`, { metadata: { name: 'a' } })).code).toBe(201);
  expect((await send('POST', secrets, { metadata: { name: 'b' } })).code).toBe(201);
  expect((await send('POST', `${secrets}?dryRun=All`, { metadata: { name: 'c' } })).code).toBe(403);
  expect(await usedOf(send)).toEqual({ 'count/secrets': '1' });
});

it('gives back what a create was charged that then failed', async () => {
  const send = server(createMemoryStore());
  await counted(send, { pods: '9', configmaps: '5' });
  expect((await send('POST', pods, pod('a'))).code).toBe(201);
  expect((await send('POST', pods, pod('a'))).code).toBe(409);
  expect(await usedOf(send)).toEqual({ pods: '1', configmaps: '0' });
});

it('charges an update by what it adds', async () => {
  const send = server(createMemoryStore());
  await counted(send, { 'services.nodeports': '2', services: '2', 'services.loadbalancers': '1' });
  const services = '/api/v1/namespaces/n/services';
  const ports = [1, 2].map((port) => ({ name: `p${port}`, port }));
  expect((await send('POST', services, { metadata: { name: 's' }, spec: { ports } })).code).toBe(201);
  expect((await send('PATCH', `${services}/s`, { spec: { type: 'NodePort' } })).code).toBe(200);
  expect(await usedOf(send)).toEqual({ 'services.nodeports': '2', services: '1', 'services.loadbalancers': '0' });
  const more = await send('PATCH', `${services}/s`, { spec: { ports: [...ports, { name: 'p3', port: 3 }] } });
  expect([more.code, (more.body as { message?: string }).message]).toEqual([
    403,
    'services "s" is forbidden: exceeded quota: q, requested: services.nodeports=1, used: services.nodeports=2, limited: services.nodeports=2',
  ]);
});

it.each([
  [['BestEffort'], undefined, {}, '1'],
  [['BestEffort'], { cpu: '1' }, {}, '0'],
  [['NotBestEffort'], { cpu: '1' }, {}, '1'],
  [['Terminating'], undefined, { activeDeadlineSeconds: 5 }, '1'],
  [['NotTerminating'], undefined, { activeDeadlineSeconds: 5 }, '0'],
])('counts a pod in the scopes %j', async (scopes, requests, spec, wanted) => {
  const send = server(createMemoryStore());
  await counted(send, { pods: '9' }, { scopes });
  expect((await send('POST', pods, pod('a', requests, spec))).code).toBe(201);
  expect(await usedOf(send)).toEqual({ pods: wanted });
});

it('never lets 200 creates at once through two servers use more than there is', async () => {
  const store = createMemoryStore();
  const servers = [server(shared(store)), server(shared(store))] as const;
  const [first] = servers;
  await counted(first, { pods: '90', 'requests.cpu': '100' });
  await counted(first, { pods: '92' }, {}, 'wider');
  const creates = Array.from({ length: 200 }, async (_, i) => {
    const send = servers[i % 2] as Send;
    return (await send('POST', pods, pod(`p${i}`, { cpu: '1' }))).code;
  });
  const codes = await Promise.all(creates);
  expect(codes.filter((code) => code === 201)).toHaveLength(90);
  expect(codes.filter((code) => code === 403)).toHaveLength(110);
  expect(await usedOf(first)).toEqual({ pods: '90', 'requests.cpu': '90' });
  expect(await usedOf(first, 'wider')).toEqual({ pods: '90' });
  const notes = await store.scan({ cluster: 'default', group: 'skiff.dev', resource: 'quotacharges' }, '', 100);
  expect(notes.items).toEqual([]);
});
