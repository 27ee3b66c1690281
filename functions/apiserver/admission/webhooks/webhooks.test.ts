import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createTestServer, widget, widgets } from '../../custom/server-for-tests.ts';
import { startHttps, type TestServer } from '../../outgoing/https-for-tests.ts';

// biome-ignore lint/suspicious/noExplicitAny: reviews of any kind, looked into by tests
type Review = any;
type Respond = (review: Review, response: ServerResponse) => unknown;

const allow = (review: Review, more: object = {}) => ({
  apiVersion: 'admission.k8s.io/v1',
  kind: 'AdmissionReview',
  response: { uid: review.request.uid, allowed: true, ...more },
});
const patching = (review: Review, operations: object[]) =>
  allow(review, { patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(operations)).toString('base64') });

let hook: TestServer;
/** By path; a path that is not here allows. */
let answers: Record<string, Respond> = {};
let reviews: { path: string; review: Review }[] = [];

beforeAll(async () => {
  hook = await startHttps((request, response, body) => {
    const path = (request.url ?? '').split('?')[0] ?? '';
    const review = body ? JSON.parse(body) : undefined;
    reviews.push({ path, review });
    const answer = (answers[path] ?? ((given) => allow(given)))(review, response);
    if (answer === undefined) return;
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answer));
  });
});
afterAll(() => hook.close());
beforeEach(() => {
  answers = {};
  reviews = [];
});

type Kind = 'Mutating' | 'Validating';
const everything = [{ operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*/*'] }];
const webhook = (path: string, more: object = {}) => ({
  name: `${path.slice(1)}.example.com`,
  clientConfig: { url: hook.url + path, caBundle: hook.caBundle },
  rules: everything,
  sideEffects: 'None',
  admissionReviewVersions: ['v1'],
  ...more,
});
const at = '/api/v1/namespaces/default/configmaps';
const map = (name: string, more: object = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  data: { k: 'v' },
  ...more,
});
const registration = '/apis/admissionregistration.k8s.io/v1';
const started = async () => {
  const server = await createTestServer();
  const configure = async (kind: Kind, webhooks: object[], name = 'hooks') => {
    const path = `${registration}/${kind.toLowerCase()}webhookconfigurations`;
    const body = { apiVersion: 'admissionregistration.k8s.io/v1', kind: `${kind}WebhookConfiguration` };
    const made = await server.send('POST', path, { ...body, metadata: { name }, webhooks });
    if (made.status !== 201) throw new Error(JSON.stringify(made.body));
  };
  return { ...server, configure };
};

describe('what a webhook is asked', () => {
  it('sees the object as it was sent when it may change it, and as it is stored when it checks it', async () => {
    const { send, configure } = await started();
    await configure('Mutating', [webhook('/m')]);
    await configure('Validating', [webhook('/v')]);
    expect((await send('POST', `${at}?fieldManager=me&dryRun=All`, map('a'))).status).toBe(201);
    const [m, v] = reviews.map(({ review }) => review.request);
    expect(m).toMatchObject({
      kind: { group: '', version: 'v1', kind: 'ConfigMap' },
      resource: { group: '', version: 'v1', resource: 'configmaps' },
      requestKind: { group: '', version: 'v1', kind: 'ConfigMap' },
      name: 'a',
      namespace: 'default',
      operation: 'CREATE',
      userInfo: { username: 'root' },
      dryRun: true,
      oldObject: null,
      options: { kind: 'CreateOptions', apiVersion: 'meta.k8s.io/v1', dryRun: ['All'], fieldManager: 'me' },
    });
    expect(m.object.metadata).not.toHaveProperty('uid');
    expect(v.object.metadata.uid).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('sees updates, deletes, collections, scales and connections', async () => {
    const { send, patch, configure } = await started();
    const deployment = {
      metadata: { name: 'd' },
      spec: {
        selector: { matchLabels: { a: 'b' } },
        template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
      },
    };
    await send('POST', at, map('a'));
    await send('POST', at, map('b'));
    const pods = '/api/v1/namespaces/default/pods';
    const deployments = '/apis/apps/v1/namespaces/default/deployments';
    await send('POST', deployments, deployment);
    await configure('Validating', [webhook('/v')]);
    await patch('merge', `${at}/a`, { data: { k: 'w' } });
    await send('DELETE', `${at}/a`, { kind: 'DeleteOptions', apiVersion: 'v1', gracePeriodSeconds: 3 });
    await send('DELETE', at);
    await patch('merge', `${deployments}/d/scale`, { spec: { replicas: 3 } });
    await send('POST', `${pods}/p/exec?command=ls`);
    const asked = reviews.map(({ review: { request: r } }) => r);
    expect(asked.map((r) => [r.operation, r.kind.kind, r.subResource ?? '', r.name ?? ''])).toEqual([
      ['UPDATE', 'ConfigMap', '', 'a'],
      ['DELETE', 'ConfigMap', '', 'a'],
      ['DELETE', 'ConfigMap', '', ''],
      ['UPDATE', 'Scale', 'scale', 'd'],
      ['CONNECT', 'PodExecOptions', 'exec', 'p'],
    ]);
    expect(asked[0]).toMatchObject({ object: { data: { k: 'w' } }, oldObject: { data: { k: 'v' } } });
    expect(asked[1]).toMatchObject({ object: null, options: { kind: 'DeleteOptions', gracePeriodSeconds: 3 } });
    expect(asked[3]).toMatchObject({ object: { spec: { replicas: 3 } }, oldObject: { spec: { replicas: 1 } } });
    expect(asked[4]).toMatchObject({ options: null, object: { command: ['ls'] } });
  });

  it('is chosen by rules, scope, selectors and conditions', async () => {
    const { send, configure } = await started();
    const rule = everything[0];
    const condition = (expression: string) => ({ matchConditions: [{ name: 'c', expression }] });
    await configure('Validating', [
      webhook('/group', { rules: [{ ...rule, apiGroups: ['apps'] }] }),
      webhook('/operation', { rules: [{ ...rule, operations: ['UPDATE', 'DELETE'] }] }),
      webhook('/resource', { rules: [{ ...rule, resources: ['pods', 'configmaps/status'] }] }),
      webhook('/scope', { rules: [{ ...rule, scope: 'Cluster' }] }),
      webhook('/namespace', { namespaceSelector: { matchLabels: { no: 'no' } } }),
      webhook('/object', { objectSelector: { matchLabels: { no: 'no' } } }),
      webhook('/condition', condition("object.data.k == 'other' || request.operation == 'DELETE'")),
      webhook('/yes', {
        rules: [{ ...rule, scope: 'Namespaced', resources: ['configmaps'] }],
        namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'default' } },
        objectSelector: { matchExpressions: [{ key: 'x', operator: 'Exists' }] },
        ...condition(
          "object.metadata.name == request.name && oldObject == null && request.userInfo.username == 'root'",
        ),
      }),
    ]);
    expect((await send('POST', at, map('a', { metadata: { name: 'a', labels: { x: '' } } }))).status).toBe(201);
    expect(reviews.map(({ path }) => path)).toEqual(['/yes']);
  });

  it('a condition that fails refuses, or passes the webhook over where failures are ignored', async () => {
    const { send, configure } = await started();
    const matchConditions = [{ name: 'c', expression: "object.nothing == 'x'" }];
    await configure('Validating', [webhook('/i', { matchConditions, failurePolicy: 'Ignore' })]);
    expect((await send('POST', at, map('a'))).status).toBe(201);
    await configure('Validating', [webhook('/f', { matchConditions })], 'more');
    const { status, body } = await send('POST', at, map('b'));
    expect([status, body.reason]).toEqual([403, 'Forbidden']);
    expect(body.message).toContain(
      `configmaps "b" is forbidden: expression 'object.nothing == 'x'' resulted in error:`,
    );
    expect(reviews).toEqual([]);
  });

  it('sees another version of the resource where its rules name that one, unless they are exact', async () => {
    const { send, configure } = await started();
    const rules = [{ ...everything[0], apiGroups: ['events.k8s.io'], resources: ['events'] }];
    answers['/e'] = (review) => patching(review, [{ op: 'add', path: '/note', value: 'changed' }]);
    await configure('Mutating', [webhook('/e', { rules }), webhook('/exact', { rules, matchPolicy: 'Exact' })]);
    const event = { metadata: { name: 'e', namespace: 'default' }, involvedObject: { namespace: 'default' } };
    const made = await send('POST', '/api/v1/namespaces/default/events', { ...event, message: 'm', reason: 'r' });
    expect(made.body).toMatchObject({ apiVersion: 'v1', message: 'changed', reason: 'r' });
    expect(reviews).toHaveLength(1);
    expect(reviews[0]?.review.request).toMatchObject({
      kind: { group: 'events.k8s.io', version: 'v1', kind: 'Event' },
      requestKind: { group: '', version: 'v1', kind: 'Event' },
      object: { apiVersion: 'events.k8s.io/v1', note: 'm' },
    });
  });
});

describe('what a mutating webhook may do', () => {
  it('changes the object, whose unknown fields go and whose defaults come', async () => {
    const { send, define, configure } = await started();
    const schema = { type: 'object', properties: { a: { type: 'string' }, b: { type: 'string', default: 'x' } } };
    await define(widgets([{ schema }]));
    answers['/m'] = (review) =>
      patching(review, [
        { op: 'add', path: '/a', value: 'set' },
        { op: 'add', path: '/unknown', value: 1 },
        { op: 'remove', path: '/b' },
      ]);
    await configure('Mutating', [webhook('/m')]);
    const { body } = await send('POST', '/apis/example.com/v1/namespaces/default/widgets', widget('w', { b: 'y' }));
    expect(body).toMatchObject({ a: 'set', b: 'x' });
    expect(body).not.toHaveProperty('unknown');
  });

  it('is asked again after a later one changed the object, if it wants that, and no other is', async () => {
    const { send, configure } = await started();
    answers['/first'] = (review) =>
      review.request.object.data.late
        ? patching(review, [{ op: 'add', path: '/data/seen', value: '1' }])
        : allow(review);
    answers['/late'] = (review) => patching(review, [{ op: 'add', path: '/data/late', value: '1' }]);
    await configure('Mutating', [
      webhook('/first', { reinvocationPolicy: 'IfNeeded' }),
      webhook('/never'),
      webhook('/late'),
    ]);
    const { body } = await send('POST', at, map('a'));
    expect(body.data).toEqual({ k: 'v', late: '1', seen: '1' });
    expect(reviews.map(({ path }) => path)).toEqual(['/first', '/never', '/late', '/first']);
  });

  it('what it makes of an object is checked as if it had been sent so', async () => {
    const { send, configure } = await started();
    await configure('Mutating', [webhook('/m')]);
    const tries: [object, number, string][] = [
      [{ op: 'add', path: '/data/bad key!', value: '' }, 422, 'data[bad key!]'],
      [{ op: 'replace', path: '/data', value: 'text' }, 500, 'Internal error occurred: '],
      [{ op: 'remove', path: '/nothing' }, 500, 'Internal error occurred: '],
      [{ op: 'replace', path: '/kind', value: 'Secret' }, 500, 'Internal error occurred: '],
      [{ op: 'replace', path: '/metadata/namespace', value: 'x' }, 400, 'does not match the namespace'],
      [{ op: 'add', path: '/metadata/resourceVersion', value: '5' }, 500, 'resourceVersion should not be set'],
    ];
    for (const [operation, code, words] of tries) {
      answers['/m'] = (review) => patching(review, [operation]);
      const { status, body } = await send('POST', at, map('a'));
      expect([status, body.message]).toEqual([code, expect.stringContaining(words)]);
    }
    answers['/m'] = (review) =>
      patching(review, [{ op: 'add', path: '/metadata/managedFields', value: [{ operation: 'No' }] }]);
    const { status, headers, body } = await send('POST', at, map('a'));
    expect([status, body.metadata.managedFields[0].manager]).toEqual([201, 'test']);
    expect(headers.get('warning')).toContain('managedFields was in an invalid state after admission');
  });
});

describe('what a webhook answers', () => {
  it('a refusal is told as the webhook gave it, with its warnings', async () => {
    const { send, configure } = await started();
    const status = { message: 'no way', reason: 'Forbidden', code: 403, details: { causes: [{ message: 'm' }] } };
    answers['/v'] = (review) => allow(review, { allowed: false, status, warnings: ['beware'] });
    await configure('Validating', [webhook('/v')]);
    const refused = await send('POST', at, map('a'));
    expect(refused.status).toBe(403);
    expect(refused.body).toMatchObject({
      reason: 'Forbidden',
      message: 'admission webhook "v.example.com" denied the request: no way',
      details: { causes: [{ message: 'm' }] },
    });
    expect(refused.headers.get('warning')).toBe('299 - "beware"');
    answers['/v'] = (review) => allow(review, { allowed: false, status: { code: 200 } });
    const { status: code, body } = await send('POST', at, map('a'));
    expect([code, body.message]).toEqual([
      400,
      'admission webhook "v.example.com" denied the request without explanation',
    ]);
  });

  const broken: [string, Respond, string][] = [
    ['nothing in it', () => ({}), 'received invalid webhook response: webhook response was absent'],
    ['another uid', (review) => allow(review, { uid: 'x' }), 'expected response.uid='],
    [
      'a patch of a validating one',
      (review) => patching(review, []),
      'validating webhook may not return response.patch',
    ],
    ['no bool', (review) => allow(review, { allowed: 'yes' }), 'cannot unmarshal string'],
    ['an early end', (_review, response) => void response.destroy(), ': EOF'],
    ['status 500', (_review, response) => void response.writeHead(500).end(), 'an error on the server ("unknown")'],
    ['nothing', (_review, response) => void response.end(), '0-length response with status code: 200'],
    ['17 MiB', (_review, response) => void response.end('x'.repeat(17 << 20)), 'the answer is longer than'],
    [
      'redirects without end',
      (_review, response) => void response.writeHead(307, { location: '/v' }).end(),
      'stopped after 10 redirects',
    ],
    ['no answer at all', () => undefined, 'context deadline exceeded'],
  ];
  it.each(broken)('%s: 500, or nothing where failures are ignored', async (_what, answer, words) => {
    const { send, configure } = await started();
    answers['/v'] = answer;
    const timeoutSeconds = words.includes('deadline') ? 1 : 20;
    await configure('Validating', [webhook('/v', { failurePolicy: 'Ignore', timeoutSeconds })]);
    expect((await send('POST', at, map('a'))).status).toBe(201);
    await configure('Validating', [webhook('/v', { timeoutSeconds })], 'more');
    const { status, body } = await send('POST', at, map('b'));
    expect([status, body.reason]).toEqual([500, 'InternalError']);
    expect(body.message).toContain('Internal error occurred: failed calling webhook "v.example.com": ');
    expect(body.message).toContain(words);
  });

  it('validating webhooks are asked side by side, and the first in order that refuses is told', async () => {
    const { send, configure } = await started();
    let open = 0;
    let most = 0;
    const slow =
      (message: string, ms: number): Respond =>
      (review, response) => {
        most = Math.max(most, ++open);
        setTimeout(() => {
          open--;
          response.end(JSON.stringify(allow(review, { allowed: false, status: { message } })));
        }, ms);
        return undefined;
      };
    answers['/a'] = slow('first', 60);
    answers['/b'] = slow('second', 20);
    await configure('Validating', [webhook('/a'), webhook('/b')]);
    expect((await send('POST', at, map('a'))).body.message).toContain('first');
    expect(most).toBe(2);
  });

  it('one with side effects is not asked in a dry run', async () => {
    const { send, configure, app } = await started();
    await configure('Validating', [webhook('/v')]);
    const domain = {
      cluster: 'default',
      group: 'admissionregistration.k8s.io',
      resource: 'validatingwebhookconfigurations',
    };
    const stored = await app.server.store.get(domain, 'hooks');
    const text = Buffer.from(stored?.bytes ?? [])
      .toString()
      .replace('"sideEffects":"None"', '"sideEffects":"Some"');
    const index = { labels: {}, fields: {}, owners: [] };
    const expected = stored?.revision ?? 0n;
    await app.server.store.commit(domain, [
      { op: 'update', key: 'hooks', expected, index, bytes: () => Buffer.from(text) },
    ]);
    const { status, body } = await send('POST', `${at}?dryRun=All`, map('a'));
    expect([status, body.message]).toEqual([400, 'admission webhook "v.example.com" does not support dry run']);
  });
});

it('conditions may ask what the user is allowed to do', async () => {
  const { send, configure } = await started();
  const asks = (verb: string) =>
    `authorizer.group('').resource('pods').namespace('default').check('${verb}').allowed()`;
  await configure('Validating', [
    webhook('/no', { matchConditions: [{ name: 'c', expression: `!${asks('get')}` }] }),
    webhook('/yes', { matchConditions: [{ name: 'c', expression: `${asks('list')} && ${asks('get')}` }] }),
  ]);
  expect((await send('POST', at, map('a'))).status).toBe(201);
  expect(reviews.map(({ path }) => path)).toEqual(['/yes']);
});

it('configurations are never sent to webhooks: one that refuses everything can be taken away', async () => {
  const { send, patch, configure } = await started();
  answers['/v'] = (review) => allow(review, { allowed: false });
  await configure('Validating', [webhook('/v')]);
  await configure('Mutating', [webhook('/gone', { clientConfig: { url: 'https://127.0.0.1:1/' } })]);
  expect((await send('POST', at, map('a'))).status).toBe(500);
  const path = `${registration}/mutatingwebhookconfigurations/hooks`;
  expect((await patch('merge', path, { metadata: { labels: { x: 'y' } } })).status).toBe(200);
  expect((await send('DELETE', path)).status).toBe(200);
  expect((await send('POST', at, map('a'))).status).toBe(400);
  expect((await send('DELETE', `${registration}/validatingwebhookconfigurations/hooks`)).status).toBe(200);
  expect((await send('POST', at, map('a'))).status).toBe(201);
});

it('a service that stands for another name is reached, and its certificate must be for the service', async () => {
  const { send, configure } = await started();
  await send('POST', '/api/v1/namespaces/default/services', {
    metadata: { name: 'hook' },
    spec: { type: 'ExternalName', externalName: 'localhost' },
  });
  const service = { name: 'hook', namespace: 'default', path: '/v', port: hook.port };
  await configure('Validating', [webhook('/v', { clientConfig: { service, caBundle: hook.caBundle } })]);
  const { body } = await send('POST', at, map('a'));
  expect(body.message).toContain('x509: certificate is not valid for any names, but wanted to match hook.default.svc');
  expect(reviews).toEqual([]);
});

it('a service that is not there is a failure of the call', async () => {
  const { send, configure } = await started();
  const clientConfig = { service: { name: 'nope', namespace: 'default', path: '/x' } };
  await configure('Validating', [webhook('/v', { clientConfig, timeoutSeconds: 3 })]);
  expect((await send('POST', at, map('a'))).body.message).toBe(
    'Internal error occurred: failed calling webhook "v.example.com": failed to call webhook: Post "https://nope.default.svc:443/x?timeout=3s": service "nope" not found',
  );
});
