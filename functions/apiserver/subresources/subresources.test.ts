// Every resource and subresource of facts/resources.json by every verb, and the rules of those that are no plain objects.
import { beforeAll, describe, expect, it } from 'vitest';
import { createSystemClock } from '../../clock/system.ts';
import { createMemoryStore } from '../../store/memory.ts';
import { createReplicas } from '../../store/replica.ts';
import { createApiServer } from '../app.ts';
import { staticTokens, user } from '../authn/authenticator.ts';
import { mastersAuthorizer } from '../authz/authorizer.ts';
import { builtinResources } from '../registry-builtin.ts';
import { seedCluster } from '../seed.ts';

const clock = createSystemClock();
const store = createMemoryStore();
const api = createApiServer({
  store,
  clock,
  replicas: createReplicas(store, { clock, bytesMax: 1 << 24, windowChanges: 100, windowMs: 60_000 }),
  authenticator: staticTokens(new Map([['t', user('root', ['system:masters'])]])),
  authorizer: mastersAuthorizer(),
  signer: { audiences: ['k'], sign: async () => 'token', verify: async () => undefined },
  disableAdmission: ['ServiceAccount'],
});

const MERGE = 'application/merge-patch+json';
const STRATEGIC = 'application/strategic-merge-patch+json';
const send = async (method: string, path: string, body?: unknown, type = 'application/json') => {
  const headers = { authorization: 'Bearer t', 'content-type': type, 'user-agent': 'test' };
  const init = { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) };
  const response = await api.fetch(new Request(`https://x${path}`, init));
  const text = await response.text();
  return { status: response.status, body: text.startsWith('{') ? JSON.parse(text) : text };
};
const causes = (body: { details?: { causes?: { reason: string; field: string }[] } }): string[] =>
  (body.details?.causes ?? []).map((c) => `${c.reason} ${c.field}`);

beforeAll(() => seedCluster({ store, cluster: 'default', clock }));

const methods: Record<string, string> = { get: 'GET', create: 'POST', update: 'PUT', patch: 'PATCH', delete: 'DELETE' };
const pathOf = (r: ReturnType<typeof builtinResources>[number]): string =>
  `${r.group ? `/apis/${r.group}/${r.version}` : `/api/${r.version}`}${r.namespaced ? '/namespaces/default' : ''}/${r.resource}`;

/** [path, verb, offered] of every resource and subresource. */
const sweep = builtinResources().flatMap((r) => {
  const named = `${pathOf(r)}/none`;
  const own = Object.keys(methods).map((verb): [string, string, boolean] =>
    verb === 'create' ? [pathOf(r), verb, r.verbs.has(verb)] : [named, verb, r.verbs.has(verb)],
  );
  const below = [...r.subresources.values()].flatMap((s) =>
    Object.keys(methods).map((verb): [string, string, boolean] => [`${named}/${s.name}`, verb, s.verbs.has(verb)]),
  );
  return [...own, ...below];
});

describe('the sweep', () => {
  it('covers every resource', () => expect(sweep.length).toBeGreaterThan(550));

  it('answers every verb that discovery names, and refuses the others', async () => {
    const wrong: string[] = [];
    for (const [path, verb, offered] of sweep) {
      const body = verb === 'get' ? undefined : {};
      const answer = await send(methods[verb] ?? '', path, body, verb === 'patch' ? MERGE : undefined);
      // An object that is not there is told with its name; a path that is not there without details of one.
      const unserved =
        answer.status === 405 || answer.status === 501 || (answer.status === 404 && !answer.body.details?.name);
      const refused = answer.status === 405 || (answer.status === 404 && !answer.body.details?.name);
      if (offered ? unserved || answer.status >= 500 : !refused)
        wrong.push(`${verb} ${path}: ${answer.status} ${answer.body.message}`);
    }
    expect(wrong).toEqual([]);
  });

  it('knows no path with a name for what can only be created', async () => {
    const path = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
    expect((await send('GET', `${path}/x`)).status).toBe(404);
    expect((await send('GET', path)).status).toBe(405);
  });
});

const pods = '/api/v1/namespaces/default/pods';
const amounts = (cpu: string, memory: string) => ({ cpu, memory });
const container = {
  name: 'a',
  image: 'i',
  resources: { requests: amounts('100m', '64Mi'), limits: amounts('200m', '128Mi') },
};
const pod = (name: string, more: object = {}) => ({ metadata: { name }, spec: { containers: [container], ...more } });
const sized = (resources: object, more: object = {}) => ({ spec: { containers: [{ name: 'a', resources, ...more }] } });

describe('pods/resize (KEP-1287)', () => {
  beforeAll(async () => {
    await send('POST', pods, pod('r'));
    await send('POST', pods, pod('windows', { os: { name: 'windows' } }));
  });
  it.each([
    ['another QoS class', sized({ requests: amounts('200m', '128Mi') }), ['FieldValueInvalid spec']],
    ['a limit taken away', sized({ limits: null }), ['FieldValueForbidden spec.containers[0].resources.limits']],
    ['another resource', sized({ requests: { 'ephemeral-storage': '1Gi' } }), ['FieldValueForbidden spec']],
    [
      'another policy',
      sized({}, { resizePolicy: [{ resourceName: 'cpu', restartPolicy: 'RestartContainer' }] }),
      ['FieldValueForbidden spec'],
    ],
    [
      'another container',
      { spec: { containers: [{ name: 'b', image: 'i' }] } },
      ['FieldValueForbidden spec.containers'],
    ],
    [
      'a request over its limit',
      sized({ requests: { cpu: '300m' } }),
      ['FieldValueInvalid spec.containers[0].resources.requests'],
    ],
  ])('refuses %s', async (_what, body, wanted) => {
    const answer = await send('PATCH', `${pods}/r/resize`, body, STRATEGIC);
    expect([answer.status, causes(answer.body)]).toEqual([422, wanted]);
  });
  it('refuses pods of Windows', async () => {
    const answer = await send('PATCH', `${pods}/windows/resize`, sized({ requests: { cpu: '150m' } }), STRATEGIC);
    expect([answer.status, causes(answer.body)]).toEqual([422, ['FieldValueForbidden []']]);
  });
  it('changes cpu and memory, counts the generation, and leaves metadata and images alone', async () => {
    const change = { ...sized({ requests: { cpu: '150m' } }, { image: 'other' }), metadata: { labels: { x: 'y' } } };
    const { status, body } = await send('PATCH', `${pods}/r/resize`, change, STRATEGIC);
    expect([status, body.metadata.generation, body.metadata.labels]).toEqual([200, 2, undefined]);
    expect(body.spec.containers[0]).toMatchObject({ image: 'i', resources: { requests: amounts('150m', '64Mi') } });
    const fields = body.metadata.managedFields.find((f: { subresource?: string }) => f.subresource === 'resize');
    const element = 'k:{"name":"a"}';
    expect(fields.fieldsV1).toEqual({
      'f:spec': { 'f:containers': { [element]: { 'f:resources': { 'f:requests': { 'f:cpu': {} } } } } },
    });
  });
});

describe('pods/ephemeralcontainers (KEP-277)', () => {
  const added = (...ephemeralContainers: object[]) => ({ spec: { ephemeralContainers } });
  beforeAll(() => send('POST', pods, pod('e')));
  it('adds, and neither changes nor removes', async () => {
    const path = `${pods}/e/ephemeralcontainers`;
    expect((await send('PATCH', path, added({ name: 'd', image: 'i' }), STRATEGIC)).status).toBe(200);
    for (const [body, type] of [
      [added({ name: 'd', image: 'j' }), STRATEGIC],
      [added(), MERGE],
    ] as const) {
      const answer = await send('PATCH', path, body, type);
      expect([answer.status, causes(answer.body)]).toEqual([422, ['FieldValueForbidden spec.ephemeralContainers']]);
    }
    const whole = (await send('GET', path)).body;
    whole.spec.containers[0].image = 'other';
    whole.metadata.labels = { x: 'y' };
    whole.spec.ephemeralContainers.push({ name: 'two', image: 'i' });
    const { body } = await send('PUT', path, whole);
    expect(body.metadata.labels).toBeUndefined();
    expect(body.spec.containers[0].image).toBe('i');
    expect(body.spec.ephemeralContainers.map((c: { name: string }) => c.name)).toEqual(['d', 'two']);
  });
});

describe('bindings', () => {
  const target = { kind: 'Node', name: 'n' };
  beforeAll(() => send('POST', pods, pod('b')));
  it('are for the pod of the path, to a node, once, and carry labels over', async () => {
    const path = `${pods}/b/binding`;
    expect((await send('POST', path, { target })).status).toBe(400);
    expect((await send('POST', path, { metadata: { name: 'b' }, target: { kind: 'Pod', name: 'n' } })).status).toBe(
      422,
    );
    expect((await send('POST', path, { metadata: { name: 'b', uid: 'other' }, target })).status).toBe(409);
    expect((await send('POST', path, { metadata: { name: 'b', labels: { zone: 'z' } }, target })).status).toBe(201);
    expect((await send('POST', path, { metadata: { name: 'b' }, target })).status).toBe(409);
    expect((await send('GET', `${pods}/b`)).body).toMatchObject({
      metadata: { labels: { zone: 'z' } },
      spec: { nodeName: 'n' },
    });
  });
  it('need their namespace', async () => {
    for (const sub of ['pods/x/binding', 'pods/x/eviction', 'serviceaccounts/x/token']) {
      const answer = await send('POST', `/api/v1/namespaces/none/${sub}`, {
        metadata: { name: 'x' },
        target,
        spec: {},
      });
      expect([answer.status, answer.body.details.kind]).toEqual([404, 'namespaces']);
    }
  });
});

describe('evictions', () => {
  it('say why the pod goes', async () => {
    await send('POST', pods, {
      ...pod('v', { nodeName: 'n' }),
      metadata: { name: 'v', finalizers: ['example.com/x'] },
    });
    expect((await send('POST', `${pods}/v/eviction`, { metadata: { name: 'other' } })).status).toBe(400);
    const dry = { metadata: { name: 'v' }, deleteOptions: { dryRun: ['Some'] } };
    expect((await send('POST', `${pods}/v/eviction`, dry)).status).toBe(422);
    expect((await send('POST', `${pods}/v/eviction`, { metadata: { name: 'v' } })).status).toBe(201);
    const { body } = await send('GET', `${pods}/v`);
    expect(body.metadata.deletionTimestamp).toBeDefined();
    expect(body.status.conditions).toContainEqual(
      expect.objectContaining({ type: 'DisruptionTarget', status: 'True', reason: 'EvictionByEvictionAPI' }),
    );
  });
});

describe('namespaces/finalize', () => {
  it('takes finalizers with a domain, and labels', async () => {
    await send('POST', '/api/v1/namespaces', { metadata: { name: 'f' } });
    const put = (finalizers: string[]) =>
      send('PUT', '/api/v1/namespaces/f/finalize', {
        metadata: { name: 'f', labels: { a: 'b' } },
        spec: { finalizers },
      });
    expect(causes((await put(['bad'])).body)).toEqual(['FieldValueInvalid spec.finalizers[0]']);
    const { body } = await put(['kubernetes', 'example.com/x']);
    expect(body.spec.finalizers).toEqual(['kubernetes', 'example.com/x']);
    expect(body.metadata.labels).toEqual({ a: 'b', 'kubernetes.io/metadata.name': 'f' });
  });
});
