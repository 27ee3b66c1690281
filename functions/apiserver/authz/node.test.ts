import { beforeEach, describe, expect, it } from 'vitest';
import { createSystemClock } from '../../clock/system.ts';
import { createReplicas } from '../../store/replica.ts';
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
    { name: 'e', flexVolume: { driver: 'd', secretRef: { name: 'flex' } } },
    { name: 'f', azureFile: { secretName: 'azure', shareName: 's' } },
  ],
  resourceClaims: [
    { name: 'a', resourceClaimName: 'device' },
    { name: 'b', resourceClaimTemplateName: 'template' },
  ],
};

const podStatus = {
  resourceClaimStatuses: [{ name: 'b', resourceClaimName: 'made' }],
  extendedResourceClaimStatus: { resourceClaimName: 'extended', requestMappings: [] },
};

describe('node authorizer', () => {
  const stored = createStored(createSystemClock());
  const authorizer = nodeAuthorizer(createNodeReferences(stored.replicas, createSystemClock()));
  const may = async (verb: string, resource: string, rest: Partial<Attributes> = {}) =>
    (await authorizer.authorize({ ...base, verb, resource, ...rest })).allowed;
  const mine = { namespace: 'team', name: 'mine' };
  const other = { namespace: 'team', name: 'other' };

  beforeEach(async () => {
    const put = (name: string, node: string, spec: object) => {
      const annotations = name === 'mirror' ? { 'kubernetes.io/config.mirror': 'x' } : {};
      const metadata = { name, namespace: 'team', annotations };
      const pod = { metadata, spec: { ...spec, nodeName: node }, status: podStatus };
      return stored.put('', 'pods', pod as never, { 'spec.nodeName': node });
    };
    await put('mine', 'one', podSpec);
    await put('other', 'two', {
      serviceAccountName: 'db',
      containers: [],
      volumes: [{ name: 'a', secret: { secretName: 'theirs' } }],
    });
    await stored.put('', 'persistentvolumes', {
      metadata: { name: 'pv' },
      spec: {
        claimRef: { namespace: 'team', name: 'claim' },
        csi: {
          driver: 'd',
          volumeHandle: 'h',
          controllerPublishSecretRef: { namespace: 'storage', name: 'controller' },
          nodeStageSecretRef: { namespace: 'storage', name: 'stage' },
          nodePublishSecretRef: { namespace: 'storage', name: 'publish' },
          nodeExpandSecretRef: { namespace: 'storage', name: 'expand' },
        },
      },
    } as never);
    const secret = (name: string) => ({ namespace: 'storage', name });
    await stored.put('', 'persistentvolumes', {
      metadata: { name: 'unbound' },
      spec: {
        claimRef: { namespace: 'team', name: 'else' },
        csi: { driver: 'd', volumeHandle: 'h', nodeStageSecretRef: secret('theirs') },
      },
    } as never);
    const attached = (name: string, nodeName: string) =>
      stored.put('storage.k8s.io', 'volumeattachments', { metadata: { name }, spec: { nodeName } } as never);
    await attached('here', 'one');
    await attached('there', 'two');
    const slice = (name: string, nodeName: string) =>
      stored.put('resource.k8s.io', 'resourceslices', { metadata: { name }, spec: { nodeName } } as never);
    await slice('ours', 'one');
    await slice('others', 'two');
    await put('mirror', 'one', {
      containers: [],
      volumes: [{ name: 'a', secret: { secretName: 'stolen' } }],
    });
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

  it('reads its own node only; admission bounds what it writes of nodes', async () => {
    expect(await may('create', 'nodes')).toBe(true);
    for (const verb of ['update', 'patch']) {
      expect(await may(verb, 'nodes', { name: 'one' })).toBe(true);
      expect(await may(verb, 'nodes', { name: 'one', subresource: 'status' })).toBe(true);
    }
    const query = new URLSearchParams({ fieldSelector: 'metadata.name=one' });
    for (const verb of ['get', 'list', 'watch']) {
      expect(await may(verb, 'nodes', verb === 'get' ? { name: 'one' } : { query })).toBe(true);
      expect(await may(verb, 'nodes', { name: 'two' })).toBe(false);
      expect(await may(verb, 'nodes')).toBe(false);
    }
    expect(await may('get', 'nodes', { name: 'one', subresource: 'status' })).toBe(false);
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

  it('reads the pods bound to it, and lists by its own name; admission bounds what it writes', async () => {
    expect(await may('get', 'pods', mine)).toBe(true);
    expect(await may('watch', 'pods', mine)).toBe(true);
    expect(await may('get', 'pods', other)).toBe(false);
    expect(await may('watch', 'pods', other)).toBe(false);
    for (const verb of ['create', 'delete']) expect(await may(verb, 'pods', mine)).toBe(true);
    for (const verb of ['update', 'patch'])
      expect(await may(verb, 'pods', { ...mine, subresource: 'status' })).toBe(true);
    expect(await may('create', 'pods', { ...mine, subresource: 'eviction' })).toBe(true);
    for (const verb of ['patch', 'update', 'deletecollection']) expect(await may(verb, 'pods', mine)).toBe(false);
    expect(await may('get', 'pods', { ...mine, subresource: 'status' })).toBe(false);
    expect(await may('get', 'pods', { ...mine, subresource: 'log' })).toBe(false);
    expect(await may('create', 'pods', { ...mine, subresource: 'exec' })).toBe(false);
    // The list reads this as one term of another value.
    for (const fieldSelector of ['metadata.name!=\\,spec.nodeName=one', 'spec.nodeName=one\\,x'])
      expect(await may('list', 'pods', { query: new URLSearchParams({ fieldSelector }) })).toBe(false);
    const byPath = { path: '/api/v1/watch/pods', query: new URLSearchParams({ fieldSelector: 'spec.nodeName=one' }) };
    expect(await may('watch', 'pods', byPath)).toBe(false);
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
    ['secrets', ['pull', 'init-env', 'env-secret', 'volume', 'projected', 'flex', 'azure'], 'theirs'],
    ['configmaps', ['env-from', 'env-map', 'volume', 'projected'], 'pull'],
    ['persistentvolumeclaims', ['claim', 'mine-scratch'], 'else'],
    ['resourceclaims', ['device', 'made', 'extended'], 'template'],
  ])('reads %s that its pods name', async (resource, named, unnamed) => {
    const group = resource === 'resourceclaims' ? 'resource.k8s.io' : '';
    const of = (verb: string, rest: Partial<Attributes>) => may(verb, resource, { group, ...rest });
    for (const name of named) expect(await of('get', { namespace: 'team', name }), name).toBe(true);
    expect(await of('get', { namespace: 'team', name: unnamed })).toBe(false);
    expect(await of('get', { namespace: 'else', name: named[0] ?? '' })).toBe(false);
    expect(await of('list', { namespace: 'team' })).toBe(false);
    expect(await of('list', {})).toBe(false);
    expect(await of('update', { namespace: 'team', name: named[0] ?? '' })).toBe(false);
    expect(await of('get', { namespace: 'team', name: named[0] ?? '', subresource: 'x' })).toBe(false);
    const query = new URLSearchParams({ fieldSelector: `metadata.name=${named[0]}` });
    const single = resource === 'secrets' || resource === 'configmaps';
    expect(await of('watch', { namespace: 'team', query })).toBe(single);
    expect(await of('list', { namespace: 'team', query })).toBe(single);
    expect(await of('list', { query })).toBe(false);
  });

  it('reads the volumes that are for its claims, and the secrets that mount them', async () => {
    expect(await may('get', 'persistentvolumes', { name: 'pv' })).toBe(true);
    expect(await may('get', 'persistentvolumes', { name: 'unbound' })).toBe(false);
    expect(await may('get', 'persistentvolumes', { name: 'none' })).toBe(false);
    const query = new URLSearchParams({ fieldSelector: 'metadata.name=pv' });
    expect(await may('list', 'persistentvolumes', { query })).toBe(false);
    for (const name of ['stage', 'publish', 'expand'])
      expect(await may('get', 'secrets', { namespace: 'storage', name })).toBe(true);
    expect(await may('get', 'secrets', { namespace: 'storage', name: 'controller' })).toBe(false);
    expect(await may('get', 'secrets', { namespace: 'storage', name: 'theirs' })).toBe(false);
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

  it('gets nothing from a pod that it shows by itself', async () => {
    expect(await may('get', 'pods', { namespace: 'team', name: 'mirror' })).toBe(true);
    expect(await may('get', 'secrets', { namespace: 'team', name: 'stolen' })).toBe(false);
  });

  it.each([
    ['storage.k8s.io', 'volumeattachments', 'here', 'there', ['get'], ['list', 'watch', 'create', 'update', 'delete']],
    ['resource.k8s.io', 'resourceslices', 'ours', 'others', ['get', 'update', 'patch', 'delete'], ['escalate']],
  ])('has what names it: %s %s', async (group, resource, own, foreign, verbs, refusedVerbs) => {
    for (const verb of verbs) {
      expect(await may(verb, resource, { group, name: own }), verb).toBe(true);
      expect(await may(verb, resource, { group, name: foreign }), verb).toBe(false);
      expect(await may(verb, resource, { group, name: 'none' }), verb).toBe(false);
      expect(await may(verb, resource, { group, name: own, subresource: 'status' }), verb).toBe(false);
    }
    for (const verb of refusedVerbs) expect(await may(verb, resource, { group, name: own }), verb).toBe(false);
  });

  it('makes slices, and lists and deletes them by its own name', async () => {
    const group = 'resource.k8s.io';
    expect(await may('create', 'resourceslices', { group })).toBe(true);
    const by = (node: string) => ({ group, query: new URLSearchParams({ fieldSelector: `spec.nodeName=${node}` }) });
    for (const verb of ['list', 'watch', 'deletecollection']) {
      expect(await may(verb, 'resourceslices', by('one'))).toBe(true);
      expect(await may(verb, 'resourceslices', by('two'))).toBe(false);
      expect(await may(verb, 'resourceslices', { group })).toBe(false);
    }
  });

  it('says why not', async () => {
    const why = async (verb: string, resource: string, rest: Partial<Attributes> = {}) => {
      const decision = await authorizer.authorize({ ...base, verb, resource, ...rest });
      return decision.reason;
    };
    expect(await why('get', 'nodes', { name: 'two' })).toBe(`node 'one' cannot read 'two', only its own Node object`);
    expect(await why('get', 'secrets', { namespace: 'team', name: 'theirs' })).toBe(
      `no relationship found between node 'one' and this object`,
    );
    expect(await why('list', 'pods')).toBe('can only list/watch pods with spec.nodeName field selector');
    const nobody = user('system:node:', ['system:nodes']);
    expect(await why('get', 'pods', { user: nobody })).toBe('unknown node for user "system:node:"');
    expect(await authorizer.rulesFor('default', me, 'team')).toEqual({
      rules: [],
      incomplete: 'node authorizer does not support user rule resolution',
    });
  });

  it('loses what a pod named when the pod goes', async () => {
    await stored.remove('', 'pods', 'team/mine');
    expect(await may('get', 'secrets', { namespace: 'team', name: 'pull' })).toBe(false);
    expect(await may('get', 'pods', mine)).toBe(false);
  });

  it('reads what every node may, and writes none of it', async () => {
    for (const [group, resource] of [
      ['', 'services'],
      ['discovery.k8s.io', 'endpointslices'],
      ['node.k8s.io', 'runtimeclasses'],
      ['storage.k8s.io', 'csidrivers'],
    ] as const) {
      expect(await may('list', resource, { group })).toBe(true);
      expect(await may('delete', resource, { group, name: 'x' })).toBe(false);
    }
    expect(await may('get', 'endpoints', { namespace: 'team', name: 'x' })).toBe(true);
    expect(await may('list', 'endpoints')).toBe(false);
    expect(await may('list', 'csinodes', { group: 'storage.k8s.io' })).toBe(false);
    expect(await may('get', 'podcertificaterequests', { group: 'certificates.k8s.io', name: 'x' })).toBe(false);
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

it('what a pod read closes to its node when another process has removed the pod', async () => {
  let now = 0;
  const clock = { ...createSystemClock(), now: () => now };
  const { store, put, remove } = createStored(clock);
  await put('', 'pods', { metadata: { name: 'p', namespace: 'team' }, spec: podSpec } as never, {
    'spec.nodeName': 'one',
  });
  // Functions are not told of changes.
  const { subscribe: _, ...quiet } = store;
  const replicas = createReplicas(quiet, { clock, bytesMax: 1 << 20, windowChanges: 100, windowMs: 60_000 });
  const references = createNodeReferences(replicas, clock);
  const may = () => references.isReferenced('default', 'one', 'secrets', 'team', 'pull');
  expect(await may()).toBe(true);
  await remove('', 'pods', 'team/p');
  now += 1_001;
  expect(await may()).toBe(false);
});
