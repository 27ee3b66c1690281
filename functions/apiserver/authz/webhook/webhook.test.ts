import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { user } from '../../authn/authenticator.ts';
import { startHttps, type TestServer } from '../../outgoing/https-for-tests.ts';
import type { Attributes, Authorizer } from '../authorizer.ts';
import type { WebhookConfiguration } from '../configuration.ts';
import { createAuthorizationMetrics } from '../metrics.ts';
import { compileConditions } from './match-conditions.ts';
import { createWebhookAuthorizer } from './webhook.ts';

interface Review {
  apiVersion: string;
  kind: string;
  spec: Record<string, unknown>;
}
type Answer = (review: Review, response: ServerResponse) => void;

const directory = mkdtempSync(join(tmpdir(), 'skiff-authz-'));
const kubeConfigFile = join(directory, 'kubeconfig');
let hook: TestServer;
let answer: Answer = () => {};
const reviews: Review[] = [];
const headers: Record<string, unknown>[] = [];
const says =
  (status: object, more: object = {}): Answer =>
  ({ apiVersion, kind }, response) =>
    void response.end(JSON.stringify({ apiVersion, kind, status, ...more }));

beforeAll(async () => {
  hook = await startHttps((request, response, body) => {
    const review = JSON.parse(body) as Review;
    reviews.push(review);
    headers.push(request.headers);
    answer(review, response);
  });
  writeFileSync(join(directory, 'ca.pem'), hook.cert);
  writeFileSync(join(directory, 'token'), 'of-a-file\n');
  const config = {
    'current-context': 'c',
    contexts: [{ name: 'c', context: { cluster: 'hook', user: 'me' } }],
    clusters: [{ name: 'hook', cluster: { server: `${hook.url}/authorize`, 'certificate-authority': 'ca.pem' } }],
    users: [{ name: 'me', user: { tokenFile: 'token' } }],
  };
  writeFileSync(kubeConfigFile, JSON.stringify(config));
});
afterAll(async () => {
  await hook.close();
  rmSync(directory, { recursive: true });
});
beforeEach(() => {
  reviews.splice(0);
  headers.splice(0);
  answer = says({ allowed: true, reason: 'because' });
});

const alice = user('alice', ['ops'], 'uid-1', { 'x.dev/k': ['v'] });
const list: Attributes = {
  cluster: 'default',
  user: alice,
  verb: 'list',
  isResource: true,
  group: 'apps',
  version: 'v1',
  resource: 'deployments',
  subresource: '',
  namespace: 'team',
  name: '',
  path: '/apis/apps/v1/namespaces/team/deployments',
};
const webhook: WebhookConfiguration = {
  authorizedMs: 10_000,
  unauthorizedMs: 5_000,
  timeoutMs: 3_000,
  version: 'v1',
  failurePolicy: 'Deny',
  kubeConfigFile,
  conditions: [],
};
const closing: (() => void)[] = [];
afterAll(() => {
  for (const close of closing) close();
});

const setup = (more: Partial<WebhookConfiguration> = {}) => {
  const time = { now: 1000 };
  const waited: number[] = [];
  const metrics = createAuthorizationMetrics();
  const authorizer = createWebhookAuthorizer({
    name: 'hook.example',
    webhook: { ...webhook, ...more },
    clock: { now: () => time.now },
    metrics,
    wait: async (ms) => void waited.push(ms),
  });
  closing.push(authorizer.close);
  return { authorizer, time, waited, metrics };
};
describe('an authorization webhook', () => {
  it('is asked who wants what, with what bounds a list', async () => {
    const { authorizer } = setup();
    const query = new URLSearchParams({
      fieldSelector: 'metadata.name=x,status.phase!=a\\,b',
      labelSelector: 'app in (b,a),tier!=web,new,!old,n>3',
    });
    expect(await authorizer.authorize({ ...list, query })).toEqual({ allowed: true, reason: 'because' });
    expect(reviews).toEqual([
      {
        kind: 'SubjectAccessReview',
        apiVersion: 'authorization.k8s.io/v1',
        metadata: {},
        spec: {
          resourceAttributes: {
            namespace: 'team',
            verb: 'list',
            group: 'apps',
            version: 'v1',
            resource: 'deployments',
            name: 'x',
            fieldSelector: {
              requirements: [
                { key: 'metadata.name', operator: 'In', values: ['x'] },
                { key: 'status.phase', operator: 'NotIn', values: ['a,b'] },
              ],
            },
            labelSelector: {
              requirements: [
                { key: 'app', operator: 'In', values: ['a', 'b'] },
                { key: 'tier', operator: 'NotIn', values: ['web'] },
                { key: 'new', operator: 'Exists' },
                { key: 'old', operator: 'DoesNotExist' },
              ],
            },
          },
          user: 'alice',
          groups: ['ops', 'system:authenticated'],
          extra: { 'x.dev/k': ['v'] },
          uid: 'uid-1',
        },
        status: { allowed: false },
      },
    ]);
    expect(headers[0]).toMatchObject({ authorization: 'Bearer of-a-file', 'x-skiff-cluster': 'default' });
  });

  it('is asked about paths, and in the older version', async () => {
    const { authorizer } = setup({ version: 'v1beta1' });
    await authorizer.authorize({ ...list, isResource: false, verb: 'get', path: '/metrics', resource: '' });
    expect(reviews[0]).toMatchObject({
      apiVersion: 'authorization.k8s.io/v1beta1',
      spec: { nonResourceAttributes: { path: '/metrics', verb: 'get' }, group: ['ops', 'system:authenticated'] },
    });
    expect(reviews[0]?.spec).not.toHaveProperty('groups');
  });

  it.each([
    [{ allowed: true }, { allowed: true }],
    [
      { allowed: false, reason: 'no' },
      { allowed: false, reason: 'no' },
    ],
    [{}, { allowed: false, reason: '' }],
    [undefined, { allowed: false, reason: '' }],
    [
      { denied: true, reason: 'never' },
      { allowed: false, denied: true, reason: 'never' },
    ],
  ])('that answers %j decides %j', async (status, decision) => {
    answer = says(status as object);
    expect(await setup().authorizer.authorize(list)).toEqual(decision);
  });

  it('that both allows and denies refuses, and the request fails', async () => {
    answer = says({ allowed: true, denied: true });
    expect(await setup({ failurePolicy: 'NoOpinion' }).authorizer.authorize(list)).toMatchObject({
      allowed: false,
      denied: true,
      fault: 'webhook subject access review returned both allow and deny response',
    });
  });

  it('is not asked again for a while, by cluster, and for how long depends on the answer', async () => {
    const { authorizer, time } = setup();
    const times = async (a: Attributes = list) => {
      const before = reviews.length;
      await authorizer.authorize(a);
      return reviews.length - before;
    };
    expect(await times()).toBe(1);
    expect(await times()).toBe(0);
    expect(await times({ ...list, cluster: 'other' })).toBe(1);
    expect(await times({ ...list, user: user('bob', []) })).toBe(1);
    expect(await times({ ...list, namespace: 'else' })).toBe(1);
    time.now += 9_999;
    expect(await times()).toBe(0);
    time.now += 2;
    answer = says({ allowed: false });
    expect(await times()).toBe(1);
    expect(await times()).toBe(0);
    time.now += 5_001;
    expect(await times()).toBe(1);
    const uncached = setup({ authorizedMs: 0, unauthorizedMs: 0 }).authorizer;
    await uncached.authorize(list);
    await uncached.authorize(list);
    expect(reviews).toHaveLength(8);
  });

  it('is asked once by many who ask the same at once, and does not keep long names', async () => {
    const { authorizer } = setup();
    await Promise.all(Array.from({ length: 20 }, () => authorizer.authorize(list)));
    expect(reviews).toHaveLength(1);
    const long = { ...list, name: 'x'.repeat(10_001) };
    await authorizer.authorize(long);
    await authorizer.authorize(long);
    expect(reviews).toHaveLength(3);
  });

  it('cannot tell rules', async () => {
    expect(await setup().authorizer.rulesFor('default', alice, 'team')).toEqual({
      rules: [],
      incomplete: 'webhook authorizer does not support user rule resolution',
    });
  });
});

describe('an authorization webhook that fails', () => {
  const policies = async (more: Partial<WebhookConfiguration> = {}) => {
    const deny = setup({ ...more, failurePolicy: 'Deny' });
    const open = setup({ ...more, failurePolicy: 'NoOpinion' });
    const denied = await deny.authorizer.authorize(list);
    const undecided = await open.authorizer.authorize(list);
    expect(denied).toMatchObject({ allowed: false, denied: true });
    expect(undecided).toMatchObject({ allowed: false, fault: (denied as { fault?: string }).fault });
    expect(undecided).not.toHaveProperty('denied');
    return { fault: (denied as { fault?: string }).fault, waited: deny.waited, metrics: open.metrics.render() };
  };

  it('hangs no longer than the timeout, and is not asked again', async () => {
    answer = () => {};
    const began = performance.now();
    const { fault, waited, metrics } = await policies({ timeoutMs: 150 });
    expect(performance.now() - began).toBeLessThan(2_000);
    expect(fault).toBe(`Post "${hook.url}/authorize": context deadline exceeded`);
    expect(waited).toEqual([]);
    expect(metrics).toContain('webhook_evaluations_fail_open_total{name="hook.example",result="timeout"} 1');
  });

  it('hangs in the middle of an answer', async () => {
    answer = (_review, response) => void response.writeHead(200).write('{"status":');
    expect((await policies({ timeoutMs: 150 })).fault).toContain('context deadline exceeded');
  });

  it.each([
    ['text', 'not json', 'Unexpected token'],
    ['a list', '[]', 'the answer is no SubjectAccessReview'],
    ['another kind', '{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview"}', 'expected webhook response of'],
    [
      'another version',
      '{"apiVersion":"authorization.k8s.io/v1beta1","kind":"SubjectAccessReview"}',
      'expected webhook',
    ],
    ['a text for a boolean', '{"status":{"allowed":"true"}}', 'status.allowed of the answer is no boolean'],
    ['a number for a reason', '{"status":{"allowed":true,"reason":3}}', 'status.reason of the answer is no text'],
    ['nothing', '', 'Unexpected end of JSON input'],
  ])('answers with %s', async (_what, body, why) => {
    answer = (_review, response) => void response.end(body);
    expect((await policies()).fault).toContain(why);
  });

  it('answers with 10 MB, of which no more than the bound is read', async () => {
    answer = (_review, response) => {
      response.on('error', () => {});
      response.end(`{"status":{"allowed":true,"reason":"${'x'.repeat(10 << 20)}"}}`);
    };
    expect((await policies()).fault).toBe(`the answer is longer than ${1 << 20} bytes`);
  });

  it('closes before it has answered: asked five times, with growing pauses', async () => {
    answer = (_review, response) => void response.socket?.destroy();
    const { waited } = await policies();
    expect(waited).toEqual([500, 750, 1125, 1687.5]);
    expect(reviews.length).toBeGreaterThanOrEqual(10);
  });

  it.each([
    [500, 4],
    [429, 4],
    [504, 4],
    [503, 0],
    [403, 0],
    [404, 0],
    [302, 0],
  ])('answers %i: asked %i times more', async (code, again) => {
    answer = (_review, response) => void response.writeHead(code, { location: '/elsewhere' }).end('{}');
    const { waited } = await policies();
    expect(waited).toHaveLength(again);
  });

  it('recovers in between, and failures are not kept', async () => {
    const { authorizer, waited } = setup();
    let count = 0;
    answer = (review, response) => {
      count++;
      if (count < 3) response.writeHead(500).end();
      else says({ allowed: true })(review, response);
    };
    expect(await authorizer.authorize(list)).toEqual({ allowed: true });
    expect(waited).toHaveLength(2);
    answer = (_review, response) => void response.writeHead(403).end('no');
    const other = { ...list, namespace: 'b' };
    expect(await authorizer.authorize(other)).toMatchObject({ denied: true });
    answer = says({ allowed: true });
    expect(await authorizer.authorize(other)).toEqual({ allowed: true });
  });

  it('is not there, is not trusted, or has no kubeconfig', async () => {
    const at = (server: string, more: object = {}) => {
      const file = join(directory, `config-${Math.random()}`);
      const cluster = { server, 'certificate-authority': 'ca.pem', ...more };
      writeFileSync(file, JSON.stringify({ clusters: [{ name: 'hook', cluster }] }));
      return file;
    };
    const fault = async (kubeConfigFile: string) => (await policies({ kubeConfigFile })).fault;
    expect(await fault(at('https://127.0.0.1:1'))).toContain('connect: connection refused');
    expect(await fault(at(hook.url, { 'certificate-authority': undefined }))).toContain('signed by unknown authority');
    expect(await fault(at('http://127.0.0.1:1'))).toContain('is not reached by https');
    expect(await fault(join(directory, 'none'))).toContain('ENOENT');
    const insecure = at(hook.url, { 'certificate-authority': undefined, 'insecure-skip-tls-verify': true });
    expect(await setup({ kubeConfigFile: insecure }).authorizer.authorize(list)).toMatchObject({ allowed: true });
    const inline = (config: object) => `data:;base64,${Buffer.from(JSON.stringify(config)).toString('base64')}`;
    const cluster = { server: hook.url, 'certificate-authority-data': hook.caBundle };
    const whole = inline({ clusters: [{ name: 'hook', cluster }] });
    expect(await setup({ kubeConfigFile: whole }).authorizer.authorize(list)).toMatchObject({ allowed: true });
    const named = { server: hook.url, 'certificate-authority': '/etc/passwd' };
    expect(await fault(inline({ clusters: [{ name: 'hook', cluster: named }] }))).toContain(
      'which an inline kubeconfig',
    );
  });
});

describe('match conditions', () => {
  const decide = async (expressions: string[], a: Attributes = list, failurePolicy: 'Deny' | 'NoOpinion' = 'Deny') => {
    const compiled = (await compileConditions(expressions)).filter((one) => 'program' in one);
    const { authorizer } = setup({ conditions: compiled, failurePolicy });
    return { decision: await authorizer.authorize(a), calls: reviews.splice(0).length };
  };

  it('are all asked; one that is false outweighs those that fail', async () => {
    const fails = `request.extra['none'] == []`;
    expect((await decide([fails, `request.user == 'bob'`])).decision).toEqual({ allowed: false, reason: '' });
    const failed = await decide([fails, 'true']);
    expect(failed).toMatchObject({ calls: 0, decision: { allowed: false, denied: true } });
    expect((failed.decision as { fault?: string }).fault).toContain('cel evaluation error: expression');
    const open = await decide([fails], list, 'NoOpinion');
    expect(open.decision).not.toHaveProperty('denied');
    expect(open.calls).toBe(0);
  });
});

it('a webhook stands in an order with others', async () => {
  const { unionAuthorizer, alwaysAllow } = await import('../authorizer.ts');
  const order = async (status: object, then: Authorizer, more: Partial<WebhookConfiguration> = {}) => {
    answer = says(status);
    return unionAuthorizer(setup(more).authorizer, then).authorize(list);
  };
  expect(await order({ denied: true, reason: 'no' }, alwaysAllow)).toMatchObject({ allowed: false });
  expect(await order({}, alwaysAllow)).toEqual({ allowed: true });
  answer = (_review, response) => void response.writeHead(403).end();
  const broken = setup({ failurePolicy: 'NoOpinion' }).authorizer;
  expect(await unionAuthorizer(broken, alwaysAllow).authorize(list)).toEqual({ allowed: true });
});
