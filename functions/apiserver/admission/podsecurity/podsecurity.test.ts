import { beforeEach, describe, expect, it } from 'vitest';
import { createSystemClock } from '../../../clock/system.ts';
import { createMemoryStore } from '../../../store/memory.ts';
import { createReplicas } from '../../../store/replica.ts';
import { createApiServer } from '../../app.ts';
import { staticTokens, user } from '../../authn/authenticator.ts';
import { mastersAuthorizer } from '../../authz/authorizer.ts';
import type { PodSecurityOptions } from './podsecurity.ts';
import { policyOf, privilegedPolicy } from './policy.ts';

type Answer = { code: number; message: string | undefined; warnings: string[] };
type Send = (method: string, path: string, body?: object) => Promise<Answer>;

const started = (podSecurity: PodSecurityOptions = {}): Send => {
  const clock = createSystemClock();
  const store = createMemoryStore();
  const app = createApiServer({
    store,
    clock,
    replicas: createReplicas(store, { clock, bytesMax: 1 << 24, windowChanges: 1000, windowMs: 60_000 }),
    authenticator: staticTokens(new Map([['t', user('admin', ['system:masters'])]])),
    authorizer: mastersAuthorizer(),
    disableAdmission: ['ServiceAccount'],
    podSecurity,
  });
  return async (method, path, body) => {
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    const init = {
      method,
      headers: { authorization: 'Bearer t', 'content-type': type },
      ...(body && { body: JSON.stringify(body) }),
    };
    const response = await app.fetch(new Request(`http://server${path}`, init));
    const { message } = (await response.json()) as { message?: string };
    const warnings = [...(response.headers.get('warning') ?? '').matchAll(/299 - "((?:[^"\\]|\\.)*)"/g)].map(
      ([, text = '']) => text.replaceAll('\\"', '"'),
    );
    return { code: response.status, message, warnings };
  };
};

const labels = (values: Record<string, string>) => ({
  metadata: {
    labels: Object.fromEntries(Object.entries(values).map(([key, v]) => [`pod-security.kubernetes.io/${key}`, v])),
  },
});
const namespace = '/api/v1/namespaces/n';
const pod = (name: string, spec: object = {}) => ({
  metadata: { name },
  spec: { containers: [{ name: 'c', image: 'i' }], ...spec },
});

let send: Send;
beforeEach(async () => {
  send = started();
  await send('POST', '/api/v1/namespaces', { metadata: { name: 'n' } });
});

describe('pods', () => {
  it('are refused by what the namespace enforces, in upstream’s words', async () => {
    await send('PATCH', namespace, labels({ enforce: 'baseline' }));
    expect((await send('POST', `${namespace}/pods`, pod('fine'))).code).toBe(201);
    expect(await send('POST', `${namespace}/pods`, pod('p', { hostPID: true }))).toEqual({
      code: 403,
      message: 'pods "p" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostPID=true)',
      warnings: [],
    });
  });

  it('are warned about by what it warns of, and made', async () => {
    await send('PATCH', namespace, labels({ warn: 'baseline', 'warn-version': 'v1.30' }));
    expect(await send('POST', `${namespace}/pods`, pod('p', { hostIPC: true }))).toMatchObject({
      code: 201,
      warnings: ['would violate PodSecurity "baseline:v1.30": host namespaces (hostIPC=true)'],
    });
  });

  it('that are stored are checked when an image changes, and not for their labels', async () => {
    await send('POST', `${namespace}/pods`, pod('p', { hostPID: true }));
    await send('PATCH', namespace, labels({ enforce: 'baseline' }));
    expect((await send('PATCH', `${namespace}/pods/p`, { metadata: { labels: { a: 'b' } } })).code).toBe(200);
    const spec = { containers: [{ name: 'c', image: 'other', imagePullPolicy: 'Always' }] };
    const type = await send('PATCH', `${namespace}/pods/p`, { spec });
    expect([type.code, type.message]).toEqual([
      403,
      'pods "p" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostPID=true)',
    ]);
  });

  it('a wrong level counts as the strictest one', () => {
    const wrong = { 'pod-security.kubernetes.io/enforce': 'x', 'pod-security.kubernetes.io/warn': 'y' };
    const { policy, causes } = policyOf(wrong, privilegedPolicy);
    expect([policy.enforce.level, policy.warn.level, causes.length]).toEqual(['restricted', 'privileged', 2]);
  });
});

it('pod templates of workloads are warned about, as the enforced level will refuse their pods', async () => {
  await send('PATCH', namespace, labels({ enforce: 'baseline' }));
  const template = { metadata: { labels: { a: 'b' } }, spec: pod('p', { hostPID: true }).spec };
  const spec = { selector: { matchLabels: { a: 'b' } }, template };
  const text = 'would violate PodSecurity "baseline:latest": host namespaces (hostPID=true)';
  const made = await send('POST', '/apis/apps/v1/namespaces/n/deployments', { metadata: { name: 'd' }, spec });
  expect([made.code, made.warnings]).toEqual([201, [text]]);
  const job = { ...template, spec: { ...template.spec, restartPolicy: 'Never' } };
  const cron = { schedule: '* * * * *', jobTemplate: { spec: { template: job } } };
  const planned = await send('POST', '/apis/batch/v1/namespaces/n/cronjobs', { metadata: { name: 'd' }, spec: cron });
  expect([planned.code, planned.warnings]).toEqual([201, [text]]);
});

describe('namespaces', () => {
  it.each([
    [{ enforce: 'nope' }, 'enforce', '"nope": must be one of privileged, baseline, restricted'],
    [{ 'warn-version': 'v1' }, 'warn-version', '"v1": must be "latest" or "v1.x"'],
    [{ 'audit-version': 'v1.02' }, 'audit-version', '"v1.02": must be "latest" or "v1.x"'],
  ])('with the labels %j are refused', async (values, label, why) => {
    const answer = await send('PATCH', namespace, labels(values));
    expect([answer.code, answer.message]).toEqual([
      422,
      `Namespace "n" is invalid: metadata.labels[pod-security.kubernetes.io/${label}]: Invalid value: ${why}`,
    ]);
  });

  it('are warned about pods that the new level would refuse', async () => {
    for (const name of ['b', 'a', 'c']) await send('POST', `${namespace}/pods`, pod(name, { hostPID: true }));
    await send('POST', `${namespace}/pods`, pod('d', { hostNetwork: true, ...pod('d').spec }));
    await send('POST', `${namespace}/pods`, pod('e'));
    const stricter = await send('PATCH', namespace, labels({ enforce: 'baseline' }));
    expect([stricter.code, stricter.warnings]).toEqual([
      200,
      [
        'existing pods in namespace "n" violate the new PodSecurity enforce level "baseline:latest"',
        'a (and 3 other pods): host namespaces',
      ],
    ]);
    expect((await send('PATCH', namespace, labels({ enforce: 'privileged' }))).warnings).toEqual([]);
  });
});

it('exempt namespaces, users and runtime classes are let pass, and exempt namespaces told so', async () => {
  const exempt = started({ exemptions: { namespaces: ['n'] } });
  const made = await exempt('POST', '/api/v1/namespaces', {
    metadata: { name: 'n', ...labels({ enforce: 'restricted' }).metadata },
  });
  const modes = 'enforce=restricted:latest';
  expect(made.warnings).toEqual([
    `namespace "n" is exempt from Pod Security, and the policy (${modes}) will be ignored`,
  ]);
  expect((await exempt('POST', `${namespace}/pods`, pod('p', { hostPID: true }))).code).toBe(201);

  const restricted = { level: 'restricted', version: 'latest' } as const;
  const defaults = { enforce: restricted, audit: restricted, warn: restricted };
  const byUser = started({ defaults, exemptions: { usernames: ['admin'] } });
  await byUser('POST', '/api/v1/namespaces', { metadata: { name: 'n' } });
  expect((await byUser('POST', `${namespace}/pods`, pod('p'))).code).toBe(201);

  const byDefault = started({ defaults });
  await byDefault('POST', '/api/v1/namespaces', { metadata: { name: 'n' } });
  expect((await byDefault('POST', `${namespace}/pods`, pod('p'))).code).toBe(403);
});
