import { beforeEach, describe, expect, it } from 'vitest';
import { createSystemClock } from '../../../clock/system.ts';
import { createMemoryStore } from '../../../store/memory.ts';
import { createReplicas } from '../../../store/replica.ts';
import { createApiServer } from '../../app.ts';
import { staticTokens, user } from '../../authn/authenticator.ts';
import { mastersAuthorizer } from '../../authz/authorizer.ts';
import { forbiddenLabels } from './labels.ts';

type Answer = { code: number; why: string; body: { metadata?: { uid?: string } } };
type Send = (token: 'admin' | 'n1', method: string, path: string, body?: object) => Promise<Answer>;

const started = (): Send => {
  const clock = createSystemClock();
  const store = createMemoryStore();
  const app = createApiServer({
    store,
    clock,
    replicas: createReplicas(store, { clock, bytesMax: 1 << 24, windowChanges: 1000, windowMs: 60_000 }),
    authenticator: staticTokens(
      new Map([
        ['admin', user('admin', ['system:masters'])],
        ['n1', user('system:node:n1', ['system:nodes'])],
      ]),
    ),
    authorizer: {
      ...mastersAuthorizer(),
      // What the Node authorizer and RBAC let pass is not in question here, but for audiences.
      authorize: async ({ verb }) =>
        verb === 'request-serviceaccounts-token-audience' ? { allowed: false, reason: '' } : { allowed: true },
    },
    signer: { audiences: ['api'], sign: async () => 'token' } as never,
  });
  return async (token, method, path, body) => {
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    const init = {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': type },
      ...(body && { body: JSON.stringify(body) }),
    };
    const response = await app.fetch(new Request(`http://server${path}`, init));
    const answer = (await response.json()) as { message?: string };
    return {
      code: response.status,
      why: answer.message?.replace(/^.*? is forbidden: /, '') ?? '',
      body: answer as Answer['body'],
    };
  };
};

const n = '/api/v1/namespaces/n';
const nodes = '/api/v1/nodes';
const containers = [{ name: 'c', image: 'i' }];
let send: Send;
let uid = '';
beforeEach(async () => {
  send = started();
  for (const name of ['n', 'kube-node-lease'])
    await send('admin', 'POST', '/api/v1/namespaces', { metadata: { name } });
  await send('admin', 'POST', `${n}/serviceaccounts`, { metadata: { name: 'default' } });
  uid = (await send('admin', 'POST', nodes, { metadata: { name: 'n1' } })).body.metadata?.uid ?? '';
  for (const nodeName of ['n1', 'n2'])
    await send('admin', 'POST', `${n}/pods`, { metadata: { name: `on-${nodeName}` }, spec: { nodeName, containers } });
});

describe('nodes', () => {
  it.each<[string, object, number, string]>([
    ['a label of its own', { metadata: { labels: { mine: 'x', 'kubernetes.io/os': 'linux' } } }, 200, ''],
    [
      'a label of the cluster',
      { metadata: { labels: { 'x.kubernetes.io/y': 'z' } } },
      403,
      'is not allowed to modify labels: x.kubernetes.io/y',
    ],
    ['taints', { spec: { taints: [] } }, 403, 'node "n1" is not allowed to modify taints'],
    [
      'owners',
      { metadata: { ownerReferences: [{ apiVersion: 'v1', kind: 'A', name: 'a', uid: 'u' }] } },
      403,
      'node "n1" is not allowed to modify ownerReferences',
    ],
  ])('change %s', async (_, body, code, why) => {
    expect(await send('n1', 'PATCH', `${nodes}/n1`, body)).toMatchObject(code === 200 ? { code } : { code, why });
  });

  it('leave the others alone', async () => {
    await send('admin', 'POST', nodes, { metadata: { name: 'n2' } });
    const other = { code: 403, why: 'node "n1" is not allowed to modify node "n2"' };
    expect(await send('n1', 'PATCH', `${nodes}/n2`, { metadata: { labels: { a: 'b' } } })).toMatchObject(other);
    expect(await send('n1', 'DELETE', `${nodes}/n2`)).toMatchObject(other);
  });

  it('may not be steered by labels', () => {
    const labels = { 'a.node-restriction.kubernetes.io/b': '', 'node-role.kubernetes.io/x': '', 'k8s.io/z': '' };
    expect(forbiddenLabels(labels)).toEqual(Object.keys(labels).sort());
    expect(forbiddenLabels({ 'x.node.kubernetes.io/a': '', 'example.com/b': '', c: '' })).toEqual([]);
    expect(forbiddenLabels({}, { 'k8s.io/z': '' })).toEqual(['k8s.io/z']);
  });
});

describe('pods', () => {
  const mirror = (more: object = {}, spec: object = {}) => ({
    metadata: {
      name: 'm',
      annotations: { 'kubernetes.io/config.mirror': 'x' },
      ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: 'n1', uid, controller: true }],
      ...more,
    },
    spec: { nodeName: 'n1', containers, ...spec },
  });

  it('are shown by the node that runs them', async () => {
    expect((await send('n1', 'POST', `${n}/pods`, mirror())).code).toBe(201);
  });

  it.each<[string, () => object, string]>([
    [
      'no mirror',
      () => mirror({ annotations: {} }),
      'pod does not have "kubernetes.io/config.mirror" annotation, node "n1" can only create mirror pods',
    ],
    [
      'another node',
      () => mirror({}, { nodeName: 'n2' }),
      'node "n1" can only create pods with spec.nodeName set to itself',
    ],
    [
      'no owner',
      () => mirror({ ownerReferences: [] }),
      'node "n1" can only create pods with an owner reference set to itself',
    ],
    [
      'no controller',
      () => mirror({ ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: 'n1', uid }] }),
      'node "n1" can only create pods with a controller owner reference set to itself',
    ],
    [
      'another uid',
      () => mirror({ ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: 'n1', uid: 'u', controller: true }] }),
      'UID mismatch',
    ],
    [
      'a config map',
      () => mirror({}, { volumes: [{ name: 'v', configMap: { name: 'c' } }] }),
      'node "n1" can not create pods that reference configmaps',
    ],
  ])('with %s are refused', async (_, body, why) => {
    const answer = await send('n1', 'POST', `${n}/pods`, body());
    expect([answer.code, answer.why]).toEqual([403, expect.stringContaining(why)]);
  });

  it('are reported on and let go by their own node', async () => {
    const status = { status: { phase: 'Running' } };
    expect((await send('n1', 'PATCH', `${n}/pods/on-n1/status`, status)).code).toBe(200);
    expect(await send('n1', 'PATCH', `${n}/pods/on-n2/status`, status)).toMatchObject({
      code: 403,
      why: 'node "n1" can only update pod status for pods with spec.nodeName set to itself',
    });
    expect(
      await send('n1', 'PATCH', `${n}/pods/on-n1/status`, { ...status, metadata: { labels: { a: 'b' } } }),
    ).toMatchObject({ code: 403, why: 'node "n1" cannot update labels through pod status' });
    expect((await send('n1', 'PATCH', `${n}/pods/on-n1`, { metadata: { labels: { a: 'b' } } })).why).toBe(
      'unexpected operation "UPDATE", node "n1" can only create and delete mirror pods',
    );
    expect((await send('n1', 'DELETE', `${n}/pods/on-n2`)).why).toBe(
      'node "n1" can only delete pods with spec.nodeName set to itself',
    );
    expect((await send('n1', 'DELETE', `${n}/pods/on-n1`, { gracePeriodSeconds: 0 })).code).toBe(200);
  });
});

describe('tokens', () => {
  const ask = async (name: string, audiences?: string[], more: object = {}) => {
    const pod = (await send('admin', 'GET', `${n}/pods/${name}`)).body.metadata?.uid;
    const boundObjectRef = { apiVersion: 'v1', kind: 'Pod', name, uid: pod, ...more };
    const body = { spec: { boundObjectRef, ...(audiences && { audiences }) } };
    return send('n1', 'POST', `${n}/serviceaccounts/default/token`, body);
  };

  it('are for pods of the node, and audiences that they name', async () => {
    expect((await ask('on-n1')).code).toBe(201);
    expect((await ask('on-n2')).why).toBe('node requested token bound to a pod scheduled on a different node');
    expect((await ask('on-n1', undefined, { uid: '' })).why).toBe(
      'node requested token with a pod binding without a uid',
    );
    expect((await ask('on-n1', ['a', 'b'])).why).toBe('node may only request 0 or 1 audiences');
    expect((await ask('on-n1', ['vault'])).why).toBe(
      'audience "vault" not found in pod spec volume, system:node:n1 is not authorized to request tokens for this audience',
    );
    const unbound = await send('n1', 'POST', `${n}/serviceaccounts/default/token`, { spec: {} });
    expect(unbound.why).toBe('node requested token not bound to a pod');
  });
});

it('leases, CSI nodes and claims are the node’s own, or out of its reach', async () => {
  const lease = (name: string) => ({ metadata: { name }, spec: { holderIdentity: name } });
  const leases = (namespace: string) => `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;
  expect((await send('n1', 'POST', leases('kube-node-lease'), lease('n1'))).code).toBe(201);
  expect((await send('n1', 'POST', leases('kube-node-lease'), lease('n2'))).why).toBe(
    'can only access node lease with the same name as the requesting node',
  );
  expect((await send('n1', 'POST', leases('n'), lease('n1'))).why).toBe(
    'can only access leases in the "kube-node-lease" system namespace',
  );
  const csi = (name: string) => ({ metadata: { name }, spec: { drivers: [] } });
  expect((await send('n1', 'POST', '/apis/storage.k8s.io/v1/csinodes', csi('n2'))).why).toBe(
    'can only access CSINode with the same name as the requesting node',
  );
  const claims = `${n}/persistentvolumeclaims`;
  const spec = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } };
  await send('admin', 'POST', claims, { metadata: { name: 'c' }, spec });
  const capacity = { status: { capacity: { storage: '1Gi' } } };
  expect((await send('n1', 'PATCH', `${claims}/c/status`, capacity)).code).toBe(200);
  expect((await send('n1', 'PATCH', `${claims}/c/status`, { status: { phase: 'Lost' } })).code).toBe(403);
  expect((await send('n1', 'PATCH', `${claims}/c`, { metadata: { labels: { a: 'b' } } })).why).toBe(
    'may only update PVC status',
  );
});
