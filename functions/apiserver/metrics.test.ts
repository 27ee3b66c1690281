import { expect, it } from 'vitest';
import { createSystemClock } from '../clock/system.ts';
import { createMemoryStore } from '../store/memory.ts';
import { createReplicas } from '../store/replica.ts';
import { createApiServer } from './app.ts';
import { staticTokens, user } from './authn/authenticator.ts';
import { mastersAuthorizer } from './authz/authorizer.ts';
import { seedCluster } from './seed.ts';

const start = async (closing = false) => {
  const clock = createSystemClock();
  const store = createMemoryStore();
  await seedCluster({ store, cluster: 'default', clock });
  const api = createApiServer({
    store,
    clock,
    replicas: createReplicas(store, { clock, bytesMax: 1 << 24, windowChanges: 100, windowMs: 60_000 }),
    authenticator: staticTokens(new Map([['t', user('root', ['system:masters'])]])),
    authorizer: mastersAuthorizer(),
    moreMetrics: () => 'of_others 1\n',
    closing: () => closing,
    address: 'host:1',
    openId: {
      document: (_cluster, path, url) =>
        path === '/openid/v1/jwks' ? { contentType: 'application/jwk-set+json', body: `{"at":"${url}"}` } : undefined,
    },
  });
  const send = (method: string, path: string, body?: object, type = 'application/json') =>
    api.fetch(
      new Request(`https://x${path}`, {
        method,
        headers: { authorization: 'Bearer t', 'content-type': type },
        ...(body && { body: JSON.stringify(body) }),
      }),
    );
  return { api, send, text: async (path: string) => (await send('GET', path)).text() };
};

const series = (text: string, name: string, ...labels: string[]): string[] =>
  text.split('\n').filter((line) => line.startsWith(`${name}{`) && labels.every((label) => line.includes(label)));

it('counts requests under the verbs and scopes of the reference', async () => {
  const { send, text } = await start();
  const maps = '/api/v1/namespaces/default/configmaps';
  await send('POST', maps, { metadata: { name: 'a' } });
  await send('DELETE', maps);
  const applied = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'b' } };
  await send('PATCH', `${maps}/b?fieldManager=m`, applied, 'application/apply-patch+yaml');
  const shown = await text('/metrics');
  const total = 'apiserver_request_total';
  expect(series(shown, total, 'code="201"', 'verb="POST"', 'scope="resource"', 'resource="configmaps"')).toHaveLength(
    1,
  );
  expect(series(shown, total, 'verb="DELETE"', 'scope="namespace"')).toHaveLength(1);
  expect(series(shown, total, 'verb="APPLY"', 'code="201"')).toHaveLength(1);
  expect(shown).toContain('of_others 1');
  for (const name of ['process_cpu_seconds_total', 'kubernetes_build_info', 'apiserver_current_inflight_requests'])
    expect(shown).toContain(`# TYPE ${name} `);
});

it('counts a watch while it lasts, and the events it was sent', async () => {
  const { api, send, text } = await start();
  const abort = new AbortController();
  const watch = await api.fetch(
    new Request('https://x/api/v1/configmaps?watch=1', {
      headers: { authorization: 'Bearer t' },
      signal: abort.signal,
    }),
  );
  const reader = watch.body?.getReader();
  await send('POST', '/api/v1/namespaces/default/configmaps', { metadata: { name: 'w' } });
  await reader?.read();
  const lasting = async () => series(await text('/metrics'), 'apiserver_longrunning_requests', 'verb="WATCH"');
  expect((await lasting())[0]).toMatch(/ 1$/);
  expect(series(await text('/metrics'), 'apiserver_watch_events_total', 'configmaps')[0]).toMatch(/ [1-9]\d*$/);
  await reader?.cancel();
  abort.abort();
  expect((await lasting())[0]).toMatch(/ 0$/);
});

it('answers single checks, exclusions, and says that it is stopping', async () => {
  const { send, text } = await start();
  expect(await text('/readyz')).toBe('ok');
  expect(await text('/livez/poststarthook/rbac/bootstrap-roles')).toBe('ok');
  expect((await send('GET', '/livez/shutdown')).status).toBe(404);
  const verbose = await text('/readyz?verbose&exclude=etcd&exclude=nosuch');
  expect(verbose).toContain('[+]etcd excluded: ok\n[+]etcd-readiness ok\n[+]informer-sync ok\n');
  expect(verbose).toContain('warn: some health checks cannot be excluded: no matches for "nosuch"');
  const stopping = await start(true);
  const answer = await stopping.send('GET', '/readyz');
  expect([answer.status, (await answer.text()).includes('[-]shutdown failed: reason withheld')]).toEqual([500, true]);
  expect(await stopping.text('/livez')).toBe('ok');
});

it('serves the OpenID documents that it was given, and neither /configz nor /logs', async () => {
  const { api, send, text } = await start();
  expect(await text('/openid/v1/jwks')).toBe('{"at":"https://host:1"}');
  expect((await send('GET', '/openid/v1/jwks')).headers.get('cache-control')).toBe('public, max-age=3600');
  const authorization = 'Bearer t';
  const asked = async (host: string) =>
    (await api.fetch(new Request('https://x/openid/v1/jwks', { headers: { authorization, host } }))).text();
  // A pod finds the keys where it found the issuer; a name of nobody's leads nowhere else.
  expect(await asked('kubernetes.default.svc.cluster.local')).toBe(
    '{"at":"https://kubernetes.default.svc.cluster.local"}',
  );
  expect(await asked('kubernetes.default.svc.evil.example')).toBe('{"at":"https://host:1"}');
  for (const path of ['/configz', '/logs', '/.well-known/openid-configuration'])
    expect((await send('GET', path)).status).toBe(404);
});

it('makes no series of paths that strangers think up', async () => {
  const { api, text } = await start();
  const lines = async () => series(await text('/metrics'), 'apiserver_request_total', 'code="401"');
  for (const path of ['/a', '/b', '/apis/x/v1/c', '/apis/y/v1/d', '/api/v1/pods'])
    expect((await api.fetch(new Request(`https://x${path}`))).status).toBe(401);
  const shown = await lines();
  expect(shown.filter((line) => line.includes('resource="pods"'))).toHaveLength(1);
  expect(shown.join()).not.toMatch(/subresource="[ab]"|group="[xy]"/);
});

it('stays ready when an object is deleted that every cluster is made with', async () => {
  const { send } = await start();
  expect((await send('GET', '/readyz')).status).toBe(200);
  const path = '/apis/scheduling.k8s.io/v1/priorityclasses/system-node-critical';
  expect((await send('DELETE', path)).status).toBe(200);
  expect((await send('GET', '/readyz')).status).toBe(200);
});
