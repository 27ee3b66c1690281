import { beforeEach, describe, expect, it } from 'vitest';
import { createSystemClock } from '../../clock/system.ts';
import { createMemoryStore } from '../../store/memory.ts';
import { createReplicas } from '../../store/replica.ts';
import { createApiServer } from '../app.ts';
import { staticTokens, user } from '../authn/authenticator.ts';
import { mastersAuthorizer } from '../authz/authorizer.ts';
import { subjectOf } from './certificates/subject.ts';

type Body = Record<string, Record<string, unknown>> & { message?: string };
type Send = (method: string, path: string, body?: object, token?: string) => Promise<{ code: number; body: Body }>;

const started = (): Send => {
  const clock = createSystemClock();
  const store = createMemoryStore();
  const approver = user('approver', ['some']);
  const app = createApiServer({
    store,
    clock,
    replicas: createReplicas(store, { clock, bytesMax: 1 << 24, windowChanges: 1000, windowMs: 60_000 }),
    authenticator: staticTokens(
      new Map([
        ['t', user('admin', ['system:masters'])],
        ['u', approver],
      ]),
    ),
    authorizer: {
      ...mastersAuthorizer(),
      authorize: async (attributes) =>
        attributes.user.username === 'admin' || attributes.resource !== 'signers' || attributes.name === 'mine.io/*'
          ? { allowed: true }
          : { allowed: false, reason: '' },
    },
  });
  return async (method, path, body, token = 't') => {
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    const init = {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': type },
      ...(body && { body: JSON.stringify(body) }),
    };
    const response = await app.fetch(new Request(`http://server${path}`, init));
    return { code: response.status, body: (await response.json()) as Body };
  };
};

const n = '/api/v1/namespaces/n';
const pod = (name: string, spec: object = {}, metadata: object = {}) => ({
  metadata: { name, ...metadata },
  spec: { containers: [{ name: 'c', image: 'i' }], ...spec },
});
let send: Send;
beforeEach(async () => {
  send = started();
  await send('POST', '/api/v1/namespaces', { metadata: { name: 'n' } });
  await send('POST', `${n}/serviceaccounts`, { metadata: { name: 'default' } });
});

describe('ServiceAccount', () => {
  it('mounts a token, once, and takes over pull secrets', async () => {
    const account = { metadata: { name: 'a' }, imagePullSecrets: [{ name: 'pull' }] };
    await send('POST', `${n}/serviceaccounts`, account);
    const { spec } = (await send('POST', `${n}/pods`, pod('p', { serviceAccountName: 'a' }))).body;
    expect(spec).toMatchObject({ serviceAccount: 'a', imagePullSecrets: [{ name: 'pull' }] });
    const [volume] = (spec?.volumes ?? []) as { name: string }[];
    expect(volume?.name).toMatch(/^kube-api-access-[a-z0-9]{5}$/);
    const volumes = [{ name: 'kube-api-access-mine', emptyDir: {} }];
    const own = (await send('POST', `${n}/pods`, pod('q', { volumes }))).body.spec;
    expect(own?.volumes).toHaveLength(1);
    expect(own?.containers).toMatchObject([{ volumeMounts: [{ name: 'kube-api-access-mine' }] }]);
  });

  it('refuses accounts that are not there, and secrets that the account does not list', async () => {
    const missing = await send('POST', `${n}/pods`, pod('p', { serviceAccountName: 'x' }));
    expect([missing.code, missing.body.message]).toEqual([
      403,
      'pods "p" is forbidden: error looking up service account n/x: serviceaccount "x" not found',
    ]);
    const annotations = { 'kubernetes.io/enforce-mountable-secrets': 'true' };
    await send('POST', `${n}/serviceaccounts`, { metadata: { name: 'a', annotations }, secrets: [{ name: 's' }] });
    const volumes = [{ name: 'v', secret: { secretName: 'other' } }];
    const odd = await send('POST', `${n}/pods`, pod('p', { serviceAccountName: 'a', volumes }));
    expect(odd.body.message).toBe(
      'pods "p" is forbidden: volume with secret.secretName="other" is not allowed because service account a does not reference that secret',
    );
    const listed = [{ name: 'v', secret: { secretName: 's' } }];
    expect((await send('POST', `${n}/pods`, pod('p', { serviceAccountName: 'a', volumes: listed }))).code).toBe(201);
  });

  it('waits for the default account of a new namespace', async () => {
    await send('POST', '/api/v1/namespaces', { metadata: { name: 'new' } });
    const made = send('POST', '/api/v1/namespaces/new/pods', pod('p'));
    await send('POST', '/api/v1/namespaces/new/serviceaccounts', { metadata: { name: 'default' } });
    expect((await made).code).toBe(201);
  });
});

describe('Priority', () => {
  const classes = '/apis/scheduling.k8s.io/v1/priorityclasses';
  it('takes the named class, or the default one, of which there is one', async () => {
    await send('POST', classes, { metadata: { name: 'high' }, value: 100, preemptionPolicy: 'Never' });
    await send('POST', classes, { metadata: { name: 'usual' }, value: 7, globalDefault: true });
    const second = await send('POST', classes, { metadata: { name: 'other' }, value: 8, globalDefault: true });
    expect([second.code, second.body.message]).toEqual([
      403,
      'priorityclasses.scheduling.k8s.io "other" is forbidden: PriorityClass usual is already marked as default. Only one default can exist',
    ]);
    const named = await send('POST', `${n}/pods`, pod('p', { priorityClassName: 'high' }));
    expect(named.body.spec).toMatchObject({ priority: 100, preemptionPolicy: 'Never' });
    expect((await send('POST', `${n}/pods`, pod('q'))).body.spec).toMatchObject({
      priority: 7,
      priorityClassName: 'usual',
    });
    const odd = await send('POST', `${n}/pods`, pod('r', { priorityClassName: 'high', priority: 1 }));
    expect(odd.code).toBe(403);
    const unknown = await send('POST', `${n}/pods`, pod('r', { priorityClassName: 'x' }));
    expect(unknown.body.message).toBe('pods "r" is forbidden: no PriorityClass with name x was found');
  });
});

describe('default classes', () => {
  const storage = '/apis/storage.k8s.io/v1/storageclasses';
  const isDefault = { 'storageclass.kubernetes.io/is-default-class': 'true' };
  const claim = (name: string, more: object = {}) => ({
    metadata: { name },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, ...more },
  });

  it('are given to claims that name none', async () => {
    expect((await send('POST', `${n}/persistentvolumeclaims`, claim('a'))).body.spec?.storageClassName).toBeUndefined();
    await send('POST', storage, { metadata: { name: 'plain' }, provisioner: 'p' });
    await send('POST', storage, { metadata: { name: 'fast', annotations: isDefault }, provisioner: 'p' });
    const named = async (name: string, more?: object) =>
      (await send('POST', `${n}/persistentvolumeclaims`, claim(name, more))).body.spec?.storageClassName;
    expect(await named('b')).toBe('fast');
    expect(await named('c', { storageClassName: '' })).toBe('');
    expect(await named('d', { storageClassName: 'plain' })).toBe('plain');
  });

  it('are given to ingresses that name none', async () => {
    const ingresses = '/apis/networking.k8s.io/v1/namespaces/n/ingresses';
    const annotations = { 'ingressclass.kubernetes.io/is-default-class': 'true' };
    const spec = { controller: 'example.com/x' };
    await send('POST', '/apis/networking.k8s.io/v1/ingressclasses', { metadata: { name: 'main', annotations }, spec });
    const backend = { service: { name: 's', port: { number: 1 } } };
    const made = await send('POST', ingresses, { metadata: { name: 'a' }, spec: { defaultBackend: backend } });
    expect(made.body.spec?.ingressClassName).toBe('main');
    const old = { name: 'b', annotations: { 'kubernetes.io/ingress.class': 'x' } };
    const kept = await send('POST', ingresses, { metadata: old, spec: { defaultBackend: backend } });
    expect(kept.body.spec?.ingressClassName).toBeUndefined();
  });

  it('say whether claims may grow', async () => {
    for (const [name, allowVolumeExpansion] of [
      ['grows', true],
      ['fixed', false],
    ] as const)
      await send('POST', storage, { metadata: { name }, provisioner: 'p', allowVolumeExpansion });
    const claims = `${n}/persistentvolumeclaims`;
    const grow = (name: string) =>
      send('PATCH', `${claims}/${name}`, { spec: { resources: { requests: { storage: '2Gi' } } } });
    for (const name of ['grows', 'fixed'])
      await send('POST', claims, claim(name, { storageClassName: name, volumeName: 'v' }));
    expect((await grow('grows')).code).toBe(422);
    for (const name of ['grows', 'fixed'])
      await send('PATCH', `${claims}/${name}/status`, { status: { phase: 'Bound', capacity: { storage: '1Gi' } } });
    expect((await grow('grows')).code).toBe(200);
    expect((await grow('fixed')).body.message).toContain(
      'the storageclass that provisions the pvc must support resize',
    );
  });
});

describe('RuntimeClass', () => {
  const classes = '/apis/node.k8s.io/v1/runtimeclasses';
  it('gives overhead, node selector and tolerations', async () => {
    const scheduling = { nodeSelector: { kind: 'vm' }, tolerations: [{ key: 'vm', operator: 'Exists' }] };
    const overhead = { podFixed: { cpu: '10m' } };
    await send('POST', classes, { metadata: { name: 'vm' }, handler: 'vm', overhead, scheduling });
    const { spec } = (await send('POST', `${n}/pods`, pod('p', { runtimeClassName: 'vm' }))).body;
    expect(spec).toMatchObject({ overhead: { cpu: '10m' }, nodeSelector: { kind: 'vm' } });
    expect(spec?.tolerations).toContainEqual({ key: 'vm', operator: 'Exists' });
    const conflicting = pod('q', { runtimeClassName: 'vm', nodeSelector: { kind: 'metal' } });
    expect((await send('POST', `${n}/pods`, conflicting)).body.message).toBe(
      'pods "q" is forbidden: conflict: runtimeClass.scheduling.nodeSelector[kind] = vm; pod.spec.nodeSelector[kind] = metal',
    );
    expect((await send('POST', `${n}/pods`, pod('q', { runtimeClassName: 'x' }))).body.message).toBe(
      'pods "q" is forbidden: pod rejected: RuntimeClass "x" not found',
    );
  });
});

it('PodTopologyLabels: a bound pod carries its node’s zone', async () => {
  const labels = { 'topology.kubernetes.io/zone': 'z', 'topology.kubernetes.io/region': 'r', other: 'o' };
  await send('POST', '/api/v1/nodes', { metadata: { name: 'node', labels } });
  await send('POST', `${n}/pods`, pod('p'));
  const target = { apiVersion: 'v1', kind: 'Node', name: 'node' };
  expect((await send('POST', `${n}/pods/p/binding`, { metadata: { name: 'p' }, target })).code).toBe(201);
  expect((await send('GET', `${n}/pods/p`)).body.metadata?.labels).toEqual({
    'topology.kubernetes.io/zone': 'z',
    'topology.kubernetes.io/region': 'r',
  });
});

// Requests for O=system:masters, CN=me and for O=dev, CN=system:node:n1, as spec.request holds them.
const masters =
  'LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIaE1JR0lBZ0VBTUNZeEZ6QVZCZ05WQkFvTURuTjVjM1JsYlRwdFlYTjBaWEp6TVFzd0NRWURWUVFEREFKdApaVEJaTUJNR0J5cUdTTTQ5QWdFR0NDcUdTTTQ5QXdFSEEwSUFCTEpHcC9CVXZpVkpFZktPYU05SFFiQUltbE5aCkUxMExjY0cxdDd3Y2VMcCt4WjZEcWFtc28xVTNLcW13TDIwZVdWTDhaMGtvdFc5alpEaW80TE03ZWQyZ0FEQUsKQmdncWhrak9QUVFEQWdOSUFEQkZBaUVBNUpNaGxxZDhielg3ckJOQmxSL1lESC9leU1UNmROYVBwcHNKcktHNAplbklDSUNscE5MS2JIeGhITEs1U0JpbXFvSDBxaXphbDNWUTc2NU9CVW1Jd1ZiK0oKLS0tLS1FTkQgQ0VSVElGSUNBVEUgUkVRVUVTVC0tLS0tCg==';
const dev =
  'LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIaU1JR0pBZ0VBTUNjeEREQUtCZ05WQkFvTUEyUmxkakVYTUJVR0ExVUVBd3dPYzNsemRHVnRPbTV2WkdVNgpiakV3V1RBVEJnY3Foa2pPUFFJQkJnZ3Foa2pPUFFNQkJ3TkNBQVN5UnFmd1ZMNGxTUkh5am1qUFIwR3dDSnBUCldSTmRDM0hCdGJlOEhIaTZmc1dlZzZtcHJLTlZOeXFwc0M5dEhsbFMvR2RKS0xWdlkyUTRxT0N6TzNuZG9BQXcKQ2dZSUtvWkl6ajBFQXdJRFNBQXdSUUlnSEh4Qk9zVVhPbmFkQkJwR0pYNWlmMHVnNkFhYktiSFQ2RVYvd2Y5bwo3UFFDSVFESzFVRXk4TU9tMEJ1d2drUXpIendTRm1vTXhwVFFwbUJsVmxZSXNlTmxWUT09Ci0tLS0tRU5EIENFUlRJRklDQVRFIFJFUVVFU1QtLS0tLQo=';

describe('certificate requests', () => {
  const csrs = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
  const csr = (name: string, request: string, signerName: string) => ({
    metadata: { name },
    spec: { request, signerName, usages: ['client auth'] },
  });

  it('tell their subject, or that they are none', () => {
    expect(subjectOf(masters)).toEqual({ commonName: 'me', organizations: ['system:masters'] });
    expect(subjectOf(dev)).toEqual({ commonName: 'system:node:n1', organizations: ['dev'] });
    const lines = Buffer.from(dev, 'base64').toString().split('\n');
    const cut = Buffer.from([...lines.slice(0, 2), ...lines.slice(-2)].join('\n')).toString('base64');
    expect(() => subjectOf(cut)).toThrow(RangeError);
    expect(() => subjectOf('')).toThrow(RangeError);
  });

  it('do not make a member of system:masters', async () => {
    const client = 'kubernetes.io/kube-apiserver-client';
    expect((await send('POST', csrs, csr('a', masters, client))).body.message).toBe(
      `certificatesigningrequests.certificates.k8s.io "a" is forbidden: use of ${client} signer with system:masters group is not allowed`,
    );
    expect((await send('POST', csrs, csr('a', dev, client))).code).toBe(201);
  });

  it('are approved and signed by those who may for the signer', async () => {
    const approved = { type: 'Approved', status: 'True', reason: 'r', message: 'm' };
    for (const [name, signer] of [
      ['a', 'mine.io/x'],
      ['b', 'other.io/x'],
    ] as const)
      await send('POST', csrs, csr(name, dev, signer));
    const approve = (name: string, token: string) =>
      send('PATCH', `${csrs}/${name}/approval`, { status: { conditions: [approved] } }, token);
    expect((await approve('a', 'u')).code).toBe(200);
    expect((await approve('b', 'u')).body.message).toBe(
      'certificatesigningrequests.certificates.k8s.io "b" is forbidden: user not permitted to approve requests with signerName "other.io/x"',
    );
    expect((await approve('b', 't')).code).toBe(200);
    const failed = { type: 'Failed', status: 'True', reason: 'r', message: 'm' };
    const conditions = { status: { conditions: [approved, failed] } };
    expect((await send('PATCH', `${csrs}/b/status`, conditions, 'u')).body.message).toContain(
      'user not permitted to sign requests with signerName "other.io/x"',
    );
  });
});
