import { beforeEach, describe, expect, it } from 'vitest';
import { createSystemClock } from '../../clock/system.ts';
import { forbidden } from '../../machinery/status.ts';
import { createMemoryStore } from '../../store/memory.ts';
import { createReplicas } from '../../store/replica.ts';
import type { AdmissionPlugin } from '../admission/admission.ts';
import { createApiServer } from '../app.ts';
import { staticTokens, user } from '../authn/authenticator.ts';
import { mastersAuthorizer } from '../authz/authorizer.ts';
import { bodyBytesMax } from '../request-body.ts';

type Answer = { code: number; body: Record<string, never> };
type Send = (method: string, path: string, body?: unknown, type?: string) => Promise<Answer>;

const keep: AdmissionPlugin = {
  name: 'Keep',
  validate: ({ call, operation, old, object }) => {
    if (operation === 'CREATE' && object?.metadata.name === 'barred')
      throw forbidden({ group: '', kind: call.resource.resource, name: 'barred' }, 'it is barred');
    if (operation !== 'DELETE' || old?.metadata.name !== 'kept') return;
    throw forbidden({ group: '', kind: call.resource.resource, name: call.info.name }, 'it is kept');
  },
};

const started = (): Send => {
  const clock = createSystemClock();
  const store = createMemoryStore();
  const app = createApiServer({
    store,
    clock,
    replicas: createReplicas(store, { clock, bytesMax: 1 << 24, windowChanges: 1000, windowMs: 60_000 }),
    authenticator: staticTokens(new Map([['t', user('admin', ['system:masters'])]])),
    authorizer: mastersAuthorizer(),
    disableAdmission: ['ServiceAccount'],
    admission: [keep],
  });
  return async (method, path, body, type = 'application/json') => {
    const init = {
      method,
      headers: { authorization: 'Bearer t', 'content-type': type },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    };
    const response = await app.fetch(new Request(`http://server${path}`, init));
    return { code: response.status, body: (await response.json()) as Answer['body'] };
  };
};

const resources = { requests: { cpu: '1', memory: '1Gi' }, limits: { cpu: '2', memory: '1Gi' } };
const pods = '/api/v1/namespaces/n/pods';
const strategic = 'application/strategic-merge-patch+json';

describe("a pod's own endpoints", () => {
  let send: Send;
  beforeEach(async () => {
    send = started();
    await send('POST', '/api/v1/namespaces', { metadata: { name: 'n' } });
    const spec = { containers: [{ name: 'c', image: 'i', resources }] };
    expect((await send('POST', pods, { metadata: { name: 'p' }, spec })).code).toBe(201);
  });
  const causes = ({ body }: Answer): unknown => (body as { details?: { causes?: unknown } }).details?.causes;

  it('resize changes resources and nothing else of the pod', async () => {
    const cpu = { requests: { cpu: '500m' } };
    const patch = { spec: { containers: [{ name: 'c', image: 'other', resources: cpu }] } };
    const { code, body } = await send('PATCH', `${pods}/p/resize`, patch, strategic);
    expect(code).toBe(200);
    expect(body).toMatchObject({
      metadata: { generation: 2 },
      spec: { containers: [{ image: 'i', resources: { ...resources, requests: { cpu: '500m', memory: '1Gi' } } }] },
    });
  });

  it('resize keeps the quality of service', async () => {
    const even = { requests: { cpu: '2', memory: '1Gi' } };
    const answer = await send(
      'PATCH',
      `${pods}/p/resize`,
      { spec: { containers: [{ name: 'c', resources: even }] } },
      strategic,
    );
    expect(answer.code).toBe(422);
    expect(causes(answer)).toMatchObject([{ reason: 'FieldValueInvalid', field: 'spec' }]);
  });

  it('ephemeral containers are added and never removed', async () => {
    const debug = { name: 'debug', image: 'd' };
    const path = `${pods}/p/ephemeralcontainers`;
    const added = await send('PATCH', path, { spec: { ephemeralContainers: [debug], hostname: 'x' } }, strategic);
    expect(added.code).toBe(200);
    expect(added.body).toMatchObject({ spec: { ephemeralContainers: [debug] } });
    expect(added.body).not.toHaveProperty('spec.hostname');
    const type = 'application/merge-patch+json';
    const removed = await send('PATCH', path, { spec: { ephemeralContainers: null } }, type);
    expect(removed.code).toBe(422);
    expect(causes(removed)).toMatchObject([{ reason: 'FieldValueForbidden', field: 'spec.ephemeralContainers' }]);
  });

  it('a Binding sent to the collection binds the pod of its name', async () => {
    const binding = { metadata: { name: 'p' }, target: { kind: 'Node', name: 'node' } };
    const { code, body } = await send('POST', '/api/v1/namespaces/n/bindings', binding);
    expect([code, body]).toMatchObject([201, { kind: 'Status', status: 'Success' }]);
    expect((await send('GET', `${pods}/p`)).body).toMatchObject({ spec: { nodeName: 'node' } });
  });

  it('a pod that goes at once is answered as marked for deletion', async () => {
    const { body } = await send('DELETE', `${pods}/p`);
    expect(body).toMatchObject({ metadata: { generation: 2, deletionGracePeriodSeconds: 0 } });
    expect((await send('GET', `${pods}/p`)).code).toBe(404);
  });

  it('admission is asked about every object of a collection that goes', async () => {
    const maps = '/api/v1/namespaces/n/configmaps';
    await send('POST', maps, { metadata: { name: 'kept' } });
    const { code, body } = await send('DELETE', maps);
    expect([code, body]).toMatchObject([403, { details: { name: 'kept', kind: 'configmaps' } }]);
    expect((await send('GET', `${maps}/kept`)).code).toBe(200);
  });

  it('a body over the limit is refused though it names no length', async () => {
    const name = 'x'.repeat(bodyBytesMax);
    expect((await send('POST', pods, { metadata: { name } })).code).toBe(413);
  });
});

describe('what upstream’s conformance asks of refusals', () => {
  it.each(['Ignore', 'Warn', 'Strict'])('an apply names fields that are not declared (%s)', async (level) => {
    const send = started();
    await send('POST', '/api/v1/namespaces', { metadata: { name: 'n' } });
    const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x', unknown: 1 }, other: 1 };
    const path = `/api/v1/namespaces/n/configmaps/x?fieldManager=a&fieldValidation=${level}`;
    const answer = await send('PATCH', path, body, 'application/apply-patch+yaml');
    expect(answer.code).toBe(400);
    const { message } = answer.body as { message?: string };
    expect(message).toBe(
      'failed to create typed patch object (/x; /v1, Kind=ConfigMap): errors:\n' +
        '  .metadata.unknown: field not declared in schema\n  .other: field not declared in schema',
    );
  });
});

describe('a new object that names a revision', () => {
  const maps = '/api/v1/namespaces/n/configmaps';
  const told = 'resourceVersion should not be set on objects to be created';
  const named = (name: string, resourceVersion: string) => ({ metadata: { name, resourceVersion } });
  let send: Send;
  beforeEach(async () => {
    send = started();
    await send('POST', '/api/v1/namespaces', { metadata: { name: 'n' } });
    await send('POST', maps, { metadata: { name: 'there' } });
  });

  it.each([
    ['is refused where it would be stored', 'a', 500, told],
    ['and so is one whose name is taken', 'there', 500, told],
    ['admission speaks first', 'barred', 403, 'it is barred'],
    ['and so does validation', 'A_', 422, 'metadata.name: Invalid value: "A_"'],
  ])('%s', async (_, name, code, words) => {
    const answer = await send('POST', maps, named(name, '5'));
    expect(answer).toMatchObject({ code, body: { message: expect.stringContaining(words) } });
    expect((await send('GET', `${maps}/a`)).code).toBe(404);
  });

  it('is stored when it says no revision, shown back by a dry run, and made by apply and by an update', async () => {
    const { code, body } = await send('POST', maps, named('a', 'abc'));
    expect([code, body]).toMatchObject([201, { metadata: { resourceVersion: expect.stringMatching(/^\d+$/) } }]);
    const dry = await send('POST', `${maps}?dryRun=All`, named('b', '5'));
    expect(dry).toMatchObject({ code: 201, body: { metadata: { resourceVersion: '5' } } });
    const applied = { apiVersion: 'v1', kind: 'ConfigMap', ...named('c', '5') };
    const apply = 'application/apply-patch+yaml';
    expect((await send('PATCH', `${maps}/c?fieldManager=m`, applied, apply)).code).toBe(201);
    const leases = '/apis/coordination.k8s.io/v1/namespaces/n/leases';
    expect((await send('PUT', `${leases}/d`, { ...named('d', '5'), spec: {} })).code).toBe(201);
  });
});
