import { beforeEach, describe, expect, it } from 'vitest';
import { createSystemClock } from '../../clock/system.ts';
import { user } from '../authn/authenticator.ts';
import type { Attributes } from './authorizer.ts';
import { nodeAuthorizer, nodeNameOf } from './node.ts';
import { createNodeReferences } from './node-references.ts';
import { createStored } from './stored-for-tests.ts';

const me = user('system:node:one', ['system:nodes']);
const base = {
  cluster: 'default',
  group: '',
  version: 'v1',
  resource: '',
  subresource: '',
  namespace: '',
  name: '',
  path: '',
  isResource: true,
  user: me,
};

const podSpec = {
  serviceAccountName: 'web',
  imagePullSecrets: [{ name: 'pull' }],
  initContainers: [{ name: 'i', env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 'init-env', key: 'k' } } }] }],
  containers: [
    {
      name: 'c',
      envFrom: [{ configMapRef: { name: 'env-from' } }, { secretRef: { name: 'env-secret' } }],
      env: [{ name: 'B', valueFrom: { configMapKeyRef: { name: 'env-map', key: 'k' } } }],
    },
  ],
  volumes: [
    { name: 'a', secret: { secretName: 'volume' } },
    { name: 'b', configMap: { name: 'volume' } },
    { name: 'c', projected: { sources: [{ secret: { name: 'projected' } }, { configMap: { name: 'projected' } }] } },
    { name: 'd', persistentVolumeClaim: { claimName: 'claim' } },
    { name: 'scratch', ephemeral: {} },
  ],
};

describe('node authorizer', () => {
  const stored = createStored(createSystemClock());
  const authorizer = nodeAuthorizer(createNodeReferences(stored.replicas));
  const may = async (verb: string, resource: string, rest: Partial<Attributes> = {}) =>
    (await authorizer.authorize({ ...base, verb, resource, ...rest })).allowed;
  const mine = { namespace: 'team', name: 'mine' };
  const other = { namespace: 'team', name: 'other' };

  beforeEach(async () => {
    const put = (name: string, node: string, spec: object) =>
      stored.put('', 'pods', { metadata: { name, namespace: 'team' }, spec: { ...spec, nodeName: node } } as never, {
        'spec.nodeName': node,
      });
    await put('mine', 'one', podSpec);
    await put('other', 'two', {
      serviceAccountName: 'db',
      containers: [],
      volumes: [{ name: 'a', secret: { secretName: 'theirs' } }],
    });
    await stored.put('', 'persistentvolumes', {
      metadata: { name: 'pv' },
      spec: { claimRef: { namespace: 'team', name: 'claim' } },
    } as never);
    await stored.put('', 'persistentvolumes', {
      metadata: { name: 'loose' },
      spec: { claimRef: { namespace: 'team', name: 'claim' } },
    } as never);
    await stored.put('', 'persistentvolumeclaims', {
      metadata: { name: 'claim', namespace: 'team' },
      spec: { volumeName: 'pv' },
    } as never);
  });

  it('knows nodes by name and group', async () => {
    expect(nodeNameOf(me)).toBe('one');
    expect(nodeNameOf(user('system:node:one', []))).toBe('');
    expect(nodeNameOf(user('one', ['system:nodes']))).toBe('');
    expect(await may('get', 'services', { user: user('alice', ['system:nodes']) })).toBe(false);
  });

  it('writes its own node and status only', async () => {
    expect(await may('create', 'nodes')).toBe(true);
    for (const verb of ['update', 'patch']) {
      expect(await may(verb, 'nodes', { name: 'one' })).toBe(true);
      expect(await may(verb, 'nodes', { name: 'one', subresource: 'status' })).toBe(true);
      expect(await may(verb, 'nodes', { name: 'two' })).toBe(false);
      expect(await may(verb, 'nodes', { name: 'two', subresource: 'status' })).toBe(false);
    }
    expect(await may('delete', 'nodes', { name: 'one' })).toBe(false);
    expect(await may('get', 'nodes', { name: 'one', subresource: 'proxy' })).toBe(false);
  });

  it('keeps its own lease in kube-node-lease only', async () => {
    const lease = { group: 'coordination.k8s.io', namespace: 'kube-node-lease' };
    expect(await may('create', 'leases', lease)).toBe(true);
    for (const verb of ['get', 'update', 'patch', 'delete']) {
      expect(await may(verb, 'leases', { ...lease, name: 'one' })).toBe(true);
      expect(await may(verb, 'leases', { ...lease, name: 'two' })).toBe(false);
      expect(await may(verb, 'leases', { ...lease, name: 'one', namespace: 'kube-system' })).toBe(false);
    }
    expect(await may('list', 'leases', lease)).toBe(false);
    expect(await may('create', 'leases', { ...lease, namespace: 'default' })).toBe(false);
  });

  it('sees and ends the pods bound to it, and lists by its own name', async () => {
    expect(await may('get', 'pods', mine)).toBe(true);
    expect(await may('delete', 'pods', mine)).toBe(true);
    expect(await may('patch', 'pods', { ...mine, subresource: 'status' })).toBe(true);
    expect(await may('create', 'pods', { ...mine, subresource: 'eviction' })).toBe(true);
    expect(await may('get', 'pods', other)).toBe(false);
    expect(await may('delete', 'pods', other)).toBe(false);
    expect(await may('patch', 'pods', { ...other, subresource: 'status' })).toBe(false);
    expect(await may('create', 'pods', { ...other, subresource: 'eviction' })).toBe(false);
    expect(await may('patch', 'pods', mine)).toBe(false);
    expect(await may('create', 'pods', { namespace: 'team' })).toBe(false);
    expect(await may('create', 'pods', { ...mine, subresource: 'exec' })).toBe(false);
    expect(await may('deletecollection', 'pods', { namespace: 'team' })).toBe(false);
    for (const verb of ['list', 'watch']) {
      expect(await may(verb, 'pods', { query: new URLSearchParams({ fieldSelector: 'spec.nodeName=one' }) })).toBe(
        true,
      );
      expect(
        await may(verb, 'pods', {
          query: new URLSearchParams({ fieldSelector: 'status.phase=Running,spec.nodeName==one' }),
        }),
      ).toBe(true);
      expect(await may(verb, 'pods', { query: new URLSearchParams({ fieldSelector: 'spec.nodeName=two' }) })).toBe(
        false,
      );
      expect(await may(verb, 'pods', { query: new URLSearchParams({ fieldSelector: 'spec.nodeName!=one' }) })).toBe(
        false,
      );
      expect(await may(verb, 'pods')).toBe(false);
    }
  });

  it.each([
    ['secrets', ['pull', 'init-env', 'env-secret', 'volume', 'projected'], 'theirs'],
    ['configmaps', ['env-from', 'env-map', 'volume', 'projected'], 'pull'],
    ['persistentvolumeclaims', ['claim', 'mine-scratch'], 'else'],
  ])('reads %s that its pods name', async (resource, named, unnamed) => {
    for (const name of named) expect(await may('get', resource, { namespace: 'team', name }), name).toBe(true);
    expect(await may('get', resource, { namespace: 'team', name: unnamed })).toBe(false);
    expect(await may('get', resource, { namespace: 'else', name: named[0] ?? '' })).toBe(false);
    expect(await may('list', resource, { namespace: 'team' })).toBe(false);
    expect(await may('list', resource)).toBe(false);
    expect(await may('update', resource, { namespace: 'team', name: named[0] ?? '' })).toBe(false);
    const query = new URLSearchParams({ fieldSelector: `metadata.name=${named[0]}` });
    expect(await may('watch', resource, { namespace: 'team', query })).toBe(true);
  });

  it('reads the volume of a claim, when both name each other', async () => {
    expect(await may('get', 'persistentvolumes', { name: 'pv' })).toBe(true);
    expect(await may('get', 'persistentvolumes', { name: 'loose' })).toBe(false);
    expect(await may('get', 'persistentvolumes', { name: 'none' })).toBe(false);
    expect(
      await may('patch', 'persistentvolumeclaims', { namespace: 'team', name: 'claim', subresource: 'status' }),
    ).toBe(true);
    expect(
      await may('patch', 'persistentvolumeclaims', { namespace: 'team', name: 'else', subresource: 'status' }),
    ).toBe(false);
  });

  it('asks tokens for the accounts of its pods only', async () => {
    const token = { namespace: 'team', subresource: 'token' };
    expect(await may('create', 'serviceaccounts', { ...token, name: 'web' })).toBe(true);
    expect(await may('get', 'serviceaccounts', { namespace: 'team', name: 'web' })).toBe(true);
    expect(await may('create', 'serviceaccounts', { ...token, name: 'db' })).toBe(false);
    expect(await may('create', 'serviceaccounts', { ...token, name: 'web', namespace: 'else' })).toBe(false);
    expect(await may('create', 'serviceaccounts', { namespace: 'team' })).toBe(false);
  });

  it('loses what a pod named when the pod goes', async () => {
    await stored.remove('', 'pods', 'team/mine');
    expect(await may('get', 'secrets', { namespace: 'team', name: 'pull' })).toBe(false);
    expect(await may('get', 'pods', mine)).toBe(false);
  });

  it('reads what every node may, and writes none of it', async () => {
    for (const [group, resource] of [
      ['', 'services'],
      ['', 'nodes'],
      ['discovery.k8s.io', 'endpointslices'],
      ['node.k8s.io', 'runtimeclasses'],
      ['storage.k8s.io', 'csidrivers'],
    ] as const) {
      expect(await may('list', resource, { group })).toBe(true);
      expect(await may('delete', resource, { group, name: 'x' })).toBe(false);
    }
    for (const resource of ['secrets', 'configmaps', 'serviceaccounts'])
      expect(await may('list', resource)).toBe(false);
    expect(await may('list', 'deployments', { group: 'apps' })).toBe(false);
    expect(await may('get', 'clusterroles', { group: 'rbac.authorization.k8s.io', name: 'x' })).toBe(false);
  });

  it('keeps its own csinode, reports events, asks reviews and certificates', async () => {
    const csi = { group: 'storage.k8s.io' };
    expect(await may('create', 'csinodes', csi)).toBe(true);
    expect(await may('update', 'csinodes', { ...csi, name: 'one' })).toBe(true);
    expect(await may('update', 'csinodes', { ...csi, name: 'two' })).toBe(false);
    expect(await may('create', 'events', { namespace: 'team' })).toBe(true);
    expect(await may('patch', 'events', { group: 'events.k8s.io', namespace: 'team', name: 'e' })).toBe(true);
    expect(await may('list', 'events', { namespace: 'team' })).toBe(false);
    expect(await may('create', 'tokenreviews', { group: 'authentication.k8s.io' })).toBe(true);
    expect(await may('create', 'subjectaccessreviews', { group: 'authorization.k8s.io' })).toBe(true);
    expect(await may('create', 'certificatesigningrequests', { group: 'certificates.k8s.io' })).toBe(true);
    expect(
      await may('update', 'certificatesigningrequests', {
        group: 'certificates.k8s.io',
        name: 'x',
        subresource: 'approval',
      }),
    ).toBe(false);
  });

  it('opens its own tunnel only', async () => {
    const path = (p: string, verb = 'get') => may(verb, '', { isResource: false, path: p });
    expect(await path('/skiff/v1/nodes/one/tunnel')).toBe(true);
    expect(await path('/skiff/v1/tunnels/abc')).toBe(true);
    expect(await path('/skiff/v1/nodes/two/tunnel')).toBe(false);
    expect(await path('/skiff/v1/nodes/one/tunnel', 'post')).toBe(false);
    expect(await path('/metrics')).toBe(false);
  });
});
