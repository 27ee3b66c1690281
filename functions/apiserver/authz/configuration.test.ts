import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { user } from '../authn/authenticator.ts';
import type { Attributes, Authorizer } from './authorizer.ts';
import { type AuthorizationConfiguration, parseAuthorizationConfiguration } from './configuration.ts';
import { configuredAuthorizer } from './configured.ts';
import { createAuthorizationMetrics } from './metrics.ts';

const directory = mkdtempSync(join(tmpdir(), 'skiff-authz-config-'));
const kubeConfigFile = join(directory, 'config');
writeFileSync(kubeConfigFile, '{}');
afterAll(() => rmSync(directory, { recursive: true }));

const hook = {
  timeout: '3s',
  subjectAccessReviewVersion: 'v1',
  matchConditionSubjectAccessReviewVersion: 'v1',
  failurePolicy: 'Deny',
  connectionInfo: { type: 'KubeConfigFile', kubeConfigFile },
};
const of = (...authorizers: object[]) => ({
  apiVersion: 'apiserver.config.k8s.io/v1',
  kind: 'AuthorizationConfiguration',
  authorizers,
});
const webhook = (more: object = {}) => of({ type: 'Webhook', name: 'hook.example', webhook: { ...hook, ...more } });
const fault = (document: object): Promise<string> =>
  parseAuthorizationConfiguration(document).then(
    () => 'accepted',
    (error: Error) => error.message,
  );

describe('an AuthorizationConfiguration', () => {
  it('is read from the documentation example, with defaults', async () => {
    const text = `
apiVersion: apiserver.config.k8s.io/v1
kind: AuthorizationConfiguration
authorizers:
  - type: Webhook
    name: webhook
    webhook:
      unauthorizedTTL: 1m30s
      timeout: 3s
      subjectAccessReviewVersion: v1
      matchConditionSubjectAccessReviewVersion: v1
      failurePolicy: NoOpinion
      connectionInfo: { type: KubeConfigFile, kubeConfigFile: ${kubeConfigFile} }
      matchConditions:
        - expression: has(request.resourceAttributes)
        - expression: "!('system:serviceaccounts:kube-system' in request.groups)"
  - { type: Node, name: node }
  - { type: RBAC, name: rbac }
`;
    const read = await parseAuthorizationConfiguration(parse(text));
    expect(read.authorizers.map(({ type, name }) => [type, name])).toEqual([
      ['Webhook', 'webhook'],
      ['Node', 'node'],
      ['RBAC', 'rbac'],
    ]);
    expect(read.authorizers[0]).toMatchObject({
      webhook: {
        authorizedMs: 300_000,
        unauthorizedMs: 90_000,
        timeoutMs: 3_000,
        version: 'v1',
        failurePolicy: 'NoOpinion',
        conditions: [{}, {}],
      },
    });
    const uncached = await parseAuthorizationConfiguration(
      webhook({ cacheAuthorizedRequests: false, cacheUnauthorizedRequests: false, authorizedTTL: '1h' }),
    );
    expect(uncached.authorizers[0]).toMatchObject({ webhook: { authorizedMs: 0, unauthorizedMs: 0 } });
  });

  it.each([
    [of(), 'authorizers: Required value: at least one authorization mode must be defined'],
    [of({ name: 'x' }), 'authorizers[0].type: Required value'],
    [
      of({ type: 'Foo', name: 'x' }),
      'authorizers[0].type: Unsupported value: "Foo": supported values: "AlwaysAllow", "AlwaysDeny", "Node", "RBAC", "Webhook"',
    ],
    [
      of({ type: 'ABAC', name: 'abac' }),
      'authorizers[0].type: Forbidden: policy files (ABAC) are not read here: use RBAC',
    ],
    [of({ type: 'RBAC' }), 'authorizers[0].name: Required value'],
    [
      of({ type: 'RBAC', name: 'x' }),
      'authorizers[0].name: Invalid value: "x": expected name rbac for authorizer RBAC',
    ],
    [
      of({ type: 'RBAC', name: 'rbac' }, { type: 'RBAC', name: 'rbac2' }),
      'authorizers[1].type: Duplicate value: "RBAC"',
    ],
    [
      of({ type: 'Webhook', name: 'a', webhook: hook }, { type: 'Webhook', name: 'a', webhook: hook }),
      'authorizers[1].name: Duplicate value: "a"',
    ],
    [of({ type: 'Webhook', name: 'a' }), 'authorizers[0].webhook: Required value: required when type=Webhook'],
    [
      of({ type: 'RBAC', name: 'rbac', webhook: hook }),
      'authorizers[0].webhook: Invalid value: "non-null": may only be specified when type=Webhook',
    ],
    [of({ type: 'RBAC', name: 'rbac', more: 1 }), 'authorizers[0]: Unrecognized key: "more"'],
    [of({ type: 'RBAC', name: 5 }), 'authorizers[0].name: Invalid input: expected string, received number'],
    [webhook({ timeout: undefined }), 'authorizers[0].timeout: Required value'],
    [webhook({ timeout: '31s' }), 'authorizers[0].timeout: Invalid value: "31s": must be > 0s and <= 30s'],
    [webhook({ timeout: '-1s' }), 'authorizers[0].timeout: Invalid value: "-1s": must be > 0s and <= 30s'],
    [
      webhook({ timeout: 'soon' }),
      '[authorizers[0].timeout: Invalid value: "soon": must be a duration such as "5s" or "1m30s", authorizers[0].timeout: Required value]',
    ],
    [webhook({ authorizedTTL: '-1s' }), 'authorizers[0].authorizedTTL: Invalid value: "-1s": must be > 0s'],
    [webhook({ unauthorizedTTL: '-1s' }), 'authorizers[0].unauthorizedTTL: Invalid value: "-1s": must be > 0s'],
    [webhook({ subjectAccessReviewVersion: '' }), 'authorizers[0].subjectAccessReviewVersion: Required value'],
    [
      webhook({ subjectAccessReviewVersion: 'v2' }),
      'authorizers[0].subjectAccessReviewVersion: Unsupported value: "v2": supported values: "v1", "v1beta1"',
    ],
    [
      webhook({ matchConditionSubjectAccessReviewVersion: 'v1beta1' }),
      'authorizers[0].matchConditionSubjectAccessReviewVersion: Unsupported value: "v1beta1": supported values: "v1"',
    ],
    [
      webhook({ matchConditionSubjectAccessReviewVersion: '', matchConditions: [{ expression: 'true' }] }),
      'authorizers[0].matchConditionSubjectAccessReviewVersion: Required value: required if match conditions are specified',
    ],
    [webhook({ failurePolicy: undefined }), 'authorizers[0].failurePolicy: Required value'],
    [
      webhook({ failurePolicy: 'Ignore' }),
      'authorizers[0].failurePolicy: Unsupported value: "Ignore": supported values: "NoOpinion", "Deny"',
    ],
    [webhook({ connectionInfo: undefined }), 'authorizers[0].connectionInfo.type: Required value'],
    [
      webhook({ connectionInfo: { type: 'InClusterConfig' } }),
      'authorizers[0].connectionInfo.type: Forbidden: not allowed for kube-apiserver',
    ],
    [
      webhook({ connectionInfo: { type: 'KubeConfigFile' } }),
      'authorizers[0].connectionInfo.kubeConfigFile: Required value',
    ],
    [
      webhook({ connectionInfo: { type: 'KubeConfigFile', kubeConfigFile: 'config' } }),
      'authorizers[0].connectionInfo.kubeConfigFile: Invalid value: "config": must be an absolute path',
    ],
    [
      webhook({ matchConditions: [{ expression: ' ' }] }),
      'authorizers[0].matchConditions[0].expression: Required value',
    ],
    [
      webhook({ matchConditions: [{ expression: 'true' }, { expression: 'true' }] }),
      'authorizers[0].matchConditions[1].expression: Duplicate value: "true"',
    ],
    [
      webhook({ matchConditions: [{ expression: 'request.user' }] }),
      'authorizers[0].matchConditions[0].expression: Invalid value: "request.user": must evaluate to bool but got string',
    ],
    [
      webhook({ matchConditions: Array.from({ length: 65 }, (_, i) => ({ expression: `${i} > 0` })) }),
      'authorizers[0].matchConditions: Too many: 65: must have at most 64 items',
    ],
  ])('%# is refused', async (document, why) => {
    expect(await fault(document)).toBe(why);
  });

  it('names every field that is wrong at once', async () => {
    expect(await fault(webhook({ timeout: '1m', failurePolicy: 'x' }))).toMatch(/^\[.*timeout.*, .*failurePolicy.*\]$/);
    const missing = { type: 'KubeConfigFile', kubeConfigFile: join(directory, 'none') };
    expect(await fault(webhook({ connectionInfo: missing }))).toContain('error loading file');
    const folder = { type: 'KubeConfigFile', kubeConfigFile: directory };
    expect(await fault(webhook({ connectionInfo: folder }))).toContain('must be a regular file');
  });
});

describe('the authorizers of a control plane', () => {
  const allowing = (resource: string): Authorizer => ({
    authorize: async (a) =>
      a.resource === resource ? { allowed: true } : { allowed: false, reason: `not ${resource}` },
    rulesFor: async () => ({ rules: [] }),
  });
  const asking = (resource: string, cluster = 'default', groups: string[] = []): Attributes => ({
    cluster,
    user: user('u', groups),
    verb: 'get',
    isResource: true,
    group: '',
    version: 'v1',
    resource,
    subresource: '',
    namespace: '',
    name: '',
    path: '',
  });
  const setup = () => {
    const held: { configuration?: AuthorizationConfiguration } = {};
    const metrics = createAuthorizationMetrics();
    const authorizer = configuredAuthorizer({
      node: allowing('nodes'),
      rbac: allowing('roles'),
      configured: (cluster) => (cluster === 'tenant' ? undefined : held.configuration),
      clock: { now: () => 0 },
      metrics,
    });
    const may = async (...given: Parameters<typeof asking>) => (await authorizer.authorize(asking(...given))).allowed;
    const configure = async (...list: object[]) => {
      held.configuration = await parseAuthorizationConfiguration(of(...list));
    };
    return { authorizer, may, configure, held, metrics };
  };

  it('are Node and RBAC where nothing is configured, after system:masters', async () => {
    const { authorizer, may, metrics } = setup();
    expect([await may('nodes'), await may('roles'), await may('pods')]).toEqual([true, true, false]);
    expect(await may('pods', 'default', ['system:masters'])).toBe(true);
    expect(await authorizer.authorize(asking('pods'))).toEqual({ allowed: false, reason: 'not nodes\nnot roles' });
    expect(metrics.render()).toContain(
      'apiserver_authorization_decisions_total{decision="allowed",name="rbac",type="RBAC"} 1',
    );
  });

  it('follow the configuration, of the clusters that have one', async () => {
    const { may, configure, held } = setup();
    await configure({ type: 'Node', name: 'node' });
    expect([await may('nodes'), await may('roles')]).toEqual([true, false]);
    expect(await may('roles', 'tenant')).toBe(true);
    await configure({ type: 'AlwaysDeny', name: 'alwaysdeny' }, { type: 'RBAC', name: 'rbac' });
    expect([await may('nodes'), await may('roles')]).toEqual([false, true]);
    expect(await may('pods', 'default', ['system:masters'])).toBe(true);
    await configure({ type: 'AlwaysAllow', name: 'alwaysallow' });
    expect([await may('pods'), await may('pods', 'tenant')]).toEqual([true, false]);
    delete held.configuration;
    expect([await may('pods'), await may('roles')]).toEqual([false, true]);
  });

  it('are made once for a configuration', async () => {
    const { authorizer, configure } = setup();
    await configure({ type: 'Webhook', name: 'h', webhook: hook }, { type: 'RBAC', name: 'rbac' });
    // The kubeconfig leads nowhere, so that each question fails for the same reason.
    expect(await authorizer.authorize(asking('roles'))).toMatchObject({ allowed: false, denied: true });
    const rules = await authorizer.rulesFor('default', user('u', []), 'team');
    expect(rules.incomplete).toBe('webhook authorizer does not support user rule resolution');
  });
});
