import { describe, expect, it } from 'vitest';
import { APISERVER_IP, APISERVER_PORT, SERVICE_CIDR } from '../../agent/network/addresses.ts';
import { createSystemClock } from '../clock/system.ts';
import { FRONT_ADDRESSES } from '../entry/front-names.ts';
import { createMemoryStore } from '../store/memory.ts';
import { createReplicas } from '../store/replica.ts';
import { createApiServer } from './app.ts';
import { user } from './authn/authenticator.ts';
import { mastersAuthorizer, unionAuthorizer } from './authz/authorizer.ts';
import { rbacAuthorizer } from './authz/rbac.ts';
import { seedCluster, seedClusterOnce } from './seed.ts';

const clock = createSystemClock();
const setup = async () => {
  const store = createMemoryStore();
  const replicas = createReplicas(store, { clock, bytesMax: 64 << 20, windowChanges: 1000, windowMs: 60_000 });
  const first = await seedCluster({ store, cluster: 'default', clock, apiserver: { address: '10.0.0.1', port: 6443 } });
  return { store, replicas, first };
};
const ask = (who: ReturnType<typeof user>, verb: string, resource: string, rest = {}) => ({
  cluster: 'default',
  user: who,
  verb,
  isResource: true,
  group: '',
  version: 'v1',
  resource,
  subresource: '',
  namespace: '',
  name: '',
  path: '',
  ...rest,
});

describe('seedCluster', () => {
  it('creates everything once, and nothing twice', async () => {
    const { store, first } = await setup();
    expect(first.existed).toBe(0);
    const again = await seedCluster({
      store,
      cluster: 'default',
      clock,
      apiserver: { address: '10.0.0.1', port: 6443 },
    });
    expect(again).toEqual({ created: 0, existed: first.created, restored: 0 });
    const roles = await store.scan(
      { cluster: 'default', group: 'rbac.authorization.k8s.io', resource: 'clusterroles' },
      '',
      1000,
    );
    const bindings = await store.scan(
      { cluster: 'default', group: 'rbac.authorization.k8s.io', resource: 'clusterrolebindings' },
      '',
      1000,
    );
    const names = new Set(roles.items.map((r) => r.key));
    expect(names.size).toBeGreaterThan(60);
    for (const { bytes } of bindings.items)
      expect(names).toContain(JSON.parse(Buffer.from(bytes).toString()).roleRef.name);
  });

  it('has the endpoint behind the Service kubernetes where pods reach it, and the range of cluster IPs', async () => {
    const store = createMemoryStore();
    await seedCluster({ store, cluster: 'default', clock });
    const read = async (group: string, resource: string, key: string) => {
      const found = await store.get({ cluster: 'default', group, resource }, key);
      return found && JSON.parse(Buffer.from(found.bytes).toString());
    };
    const endpoints = await read('', 'endpoints', 'default/kubernetes');
    const slice = await read('discovery.k8s.io', 'endpointslices', 'default/kubernetes');
    expect(endpoints.subsets).toEqual([
      { addresses: [{ ip: APISERVER_IP }], ports: [{ name: 'https', port: APISERVER_PORT, protocol: 'TCP' }] },
    ]);
    expect(slice.endpoints[0].addresses).toEqual([APISERVER_IP]);
    expect(slice.ports).toEqual([{ name: 'https', port: APISERVER_PORT, protocol: 'TCP' }]);
    expect(FRONT_ADDRESSES).toContain(APISERVER_IP);
    const cidr = await read('networking.k8s.io', 'servicecidrs', 'kubernetes');
    expect(cidr.spec.cidrs).toEqual([SERVICE_CIDR]);
    expect(cidr.status.conditions).toMatchObject([{ type: 'Ready', status: 'True' }]);
  });

  it('gives default roles and bindings back what they lost, and makes those anew that bind others', async () => {
    const { store } = await setup();
    const at = (resource: string) => ({ cluster: 'default', group: 'rbac.authorization.k8s.io', resource });
    const read = async (resource: string, key: string) => {
      const stored = await store.get(at(resource), key);
      return stored && { stored, object: JSON.parse(Buffer.from(stored.bytes).toString()) };
    };
    const change = async (resource: string, key: string, to: (object: Record<string, unknown>) => object) => {
      const found = await read(resource, key);
      if (!found) throw new Error(`no ${key}`);
      const bytes = () => Buffer.from(JSON.stringify(to(found.object)));
      const { revision: expected, index } = found.stored;
      await store.commit(at(resource), [{ op: 'update', key, expected, index, bytes }]);
    };
    const gone = await store.get(at('clusterroles'), 'view');
    await store.commit(at('clusterroles'), [{ op: 'delete', key: 'view', expected: gone?.revision ?? 0n }]);
    await change('clusterroles', 'cluster-admin', (role) => ({ ...role, rules: [] }));
    await change('clusterrolebindings', 'system:basic-user', (binding) => ({ ...binding, subjects: [] }));
    const uid = (await read('clusterrolebindings', 'system:discovery'))?.object.metadata.uid;
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' };
    await change('clusterrolebindings', 'system:discovery', (binding) => ({ ...binding, roleRef }));
    const again = await seedCluster({ store, cluster: 'default', clock });
    expect(again).toMatchObject({ created: 1, restored: 3 });
    expect((await read('clusterroles', 'cluster-admin'))?.object.rules).toHaveLength(2);
    expect((await read('clusterrolebindings', 'system:basic-user'))?.object.subjects).toHaveLength(1);
    const { object } = (await read('clusterrolebindings', 'system:discovery')) ?? {};
    expect(object).toMatchObject({ roleRef: { name: 'system:discovery' } });
    expect(object.metadata.uid).not.toBe(uid);
    expect(await seedCluster({ store, cluster: 'default', clock })).toMatchObject({ created: 0, restored: 0 });
  });

  it('looks once a day where no process lasts, and pays one read until then', async () => {
    const { store } = await setup();
    const time = { now: Date.now() };
    const reads: string[] = [];
    const counted = {
      ...store,
      get: (...given: Parameters<typeof store.get>) => {
        reads.push(given[0].resource);
        return store.get(...given);
      },
      commit: (...given: Parameters<typeof store.commit>) => {
        reads.push(given[0].resource);
        return store.commit(...given);
      },
    };
    const options = { store: counted, cluster: 'default', clock: { now: () => time.now, uuid: () => clock.uuid() } };
    const roles = { cluster: 'default', group: 'rbac.authorization.k8s.io', resource: 'clusterroles' };
    const remove = async () => {
      const found = await store.get(roles, 'view');
      await store.commit(roles, [{ op: 'delete', key: 'view', expected: found?.revision ?? 0n }]);
    };
    await seedClusterOnce(options);
    reads.splice(0);
    await remove();
    await seedClusterOnce(options);
    expect(reads).toEqual(['seeds']);
    expect(await store.get(roles, 'view')).toBeUndefined();
    time.now += 24 * 3_600_000;
    await seedClusterOnce(options);
    expect(await store.get(roles, 'view')).toBeDefined();
    reads.splice(0);
    await seedClusterOnce(options);
    expect(reads).toEqual(['seeds']);
  });

  it('is taken by the apiserver as valid: every object can be written back', async () => {
    const { store, replicas } = await setup();
    const admin = user('admin', ['system:masters']);
    const app = createApiServer({
      store,
      replicas,
      clock,
      authenticator: { authenticate: async () => admin },
      authorizer: mastersAuthorizer(),
    });
    const paths: string[] = [];
    for (const domain of await store.domains('default')) {
      const { items } = await store.scan(domain, '', 1000);
      for (const { bytes } of items) {
        const { apiVersion, metadata } = JSON.parse(Buffer.from(bytes).toString());
        const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
        paths.push(
          `${root}${metadata.namespace ? `/namespaces/${metadata.namespace}` : ''}/${domain.resource}/${encodeURIComponent(metadata.name)}`,
        );
      }
    }
    for (const path of paths) {
      const got = await app.fetch(new Request(`http://s${path}`));
      const before = (await got.json()) as {
        metadata: { resourceVersion: string; uid: string; managedFields?: unknown };
      };
      expect(got.status, path).toBe(200);
      expect(before.metadata.uid).toMatch(/^[0-9a-f-]{36}$/);
      const put = await app.fetch(
        new Request(`http://s${path}`, {
          method: 'PUT',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(before),
        }),
      );
      const after = (await put.json()) as {
        metadata: { resourceVersion: string; managedFields?: unknown };
        message?: string;
      };
      expect(put.status, `${path}: ${after.message}`).toBe(200);
      delete after.metadata.managedFields;
      delete before.metadata.managedFields;
      expect({ ...after, metadata: { ...after.metadata, resourceVersion: '' } }).toEqual({
        ...before,
        metadata: { ...before.metadata, resourceVersion: '' },
      });
    }
  });

  it('gives the default rights', async () => {
    const { store, replicas } = await setup();
    const rbac = unionAuthorizer(mastersAuthorizer(), rbacAuthorizer({ replicas, clock }));
    const allowed = async (a: ReturnType<typeof ask>) => (await rbac.authorize(a)).allowed;
    const alice = user('alice', []);
    expect(await allowed(ask(alice, 'get', '', { isResource: false, path: '/apis/apps' }))).toBe(true);
    expect(await allowed(ask(alice, 'get', '', { isResource: false, path: '/metrics' }))).toBe(false);
    expect(await allowed(ask(alice, 'create', 'selfsubjectaccessreviews', { group: 'authorization.k8s.io' }))).toBe(
      true,
    );
    expect(await allowed(ask(alice, 'list', 'pods', { namespace: 'default' }))).toBe(false);
    expect(await allowed(ask(user('root', ['system:masters']), 'delete', 'nodes', { name: 'x' }))).toBe(true);
    const anonymous = { username: 'system:anonymous', uid: '', groups: ['system:unauthenticated'], extra: {} };
    expect(await allowed(ask(anonymous, 'get', '', { isResource: false, path: '/version' }))).toBe(true);
    expect(await allowed(ask(anonymous, 'get', '', { isResource: false, path: '/api' }))).toBe(false);
    const binding = {
      metadata: { name: 'b', namespace: 'team' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'admin' },
      subjects: [{ kind: 'User', name: 'alice' }],
    };
    await store.commit({ cluster: 'default', group: 'rbac.authorization.k8s.io', resource: 'rolebindings' }, [
      {
        op: 'create',
        key: 'team/b',
        index: { labels: {}, fields: {}, owners: [] },
        bytes: () => Buffer.from(JSON.stringify(binding)),
      },
    ]);
    const team = { namespace: 'team' };
    expect(await allowed(ask(alice, 'list', 'pods', team))).toBe(true);
    expect(await allowed(ask(alice, 'create', 'deployments', { ...team, group: 'apps' }))).toBe(true);
    expect(await allowed(ask(alice, 'create', 'roles', { ...team, group: 'rbac.authorization.k8s.io' }))).toBe(true);
    expect(await allowed(ask(alice, 'create', 'resourcequotas', team))).toBe(false);
    expect(await allowed(ask(alice, 'list', 'pods', { namespace: 'other' }))).toBe(false);
  });

  it('costs a new cluster less than a tenth of a second', async () => {
    const store = createMemoryStore();
    await seedCluster({ store, cluster: 'warm', clock });
    const start = performance.now();
    await seedCluster({ store, cluster: 'new', clock });
    expect(performance.now() - start).toBeLessThan(100);
  });
});

describe('APIServices', () => {
  const at = '/apis/apiregistration.k8s.io/v1/apiservices';
  const serve = async () => {
    const { store, replicas } = await setup();
    const admin = user('root', ['system:masters']);
    const authenticator = { authenticate: async () => admin };
    const app = createApiServer({ store, clock, replicas, authenticator, authorizer: mastersAuthorizer() });
    const send = async (method: string, path: string, body?: object) => {
      const type = 'application/json';
      const init = { method, headers: { 'content-type': type }, ...(body && { body: JSON.stringify(body) }) };
      const response = await app.fetch(new Request(`https://x${path}`, init));
      return { code: response.status, body: (await response.json()) as Record<string, never> };
    };
    return send;
  };
  const definition = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'widgets.x.dev' },
    spec: {
      group: 'x.dev',
      scope: 'Namespaced',
      names: { plural: 'widgets', kind: 'Widget' },
      versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } }],
    },
  };

  it('stand for every built-in group version, available at once', async () => {
    const send = await serve();
    const { body } = await send('GET', `${at}/v1.apps`);
    expect(body).toMatchObject({
      spec: { group: 'apps', version: 'v1', groupPriorityMinimum: 17800, versionPriority: 15 },
      status: { conditions: [{ type: 'Available', status: 'True', reason: 'Local' }] },
    });
    expect((await send('GET', `${at}/v1.`)).code).toBe(200);
  });

  it('come and go with the definitions that serve their version', async () => {
    const send = await serve();
    await send('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', definition);
    await send('GET', '/apis/x.dev/v1/widgets');
    await expect.poll(async () => (await send('GET', `${at}/v1.x.dev`)).code).toBe(200);
    await send('DELETE', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.x.dev');
    await expect.poll(async () => (await send('GET', `${at}/v1.x.dev`)).code, { timeout: 5000 }).toBe(404);
  });
});
