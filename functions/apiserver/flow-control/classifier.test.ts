import { describe, expect, it } from 'vitest';
import { flowSchemas } from '../../machinery/flow-control-defaults.ts';
import type { FlowSchema } from '../../machinery/kinds.d.ts';
import { requestInfo } from '../request-info.ts';
import { createClassifier } from './classifier.ts';

type Spec = FlowSchema['spec'];
type Rule = NonNullable<NonNullable<Spec>['rules']>[number];

const user = (name: string) => ({ kind: 'User', user: { name } });
const group = (name: string) => ({ kind: 'Group', group: { name } });
const account = (namespace: string, name: string) => ({ kind: 'ServiceAccount', serviceAccount: { namespace, name } });
const resources = (
  verbs: string[],
  groups: string[],
  names: string[],
  namespaces?: string[],
  clusterScope = false,
) => ({
  verbs,
  apiGroups: groups,
  resources: names,
  clusterScope,
  ...(namespaces && { namespaces }),
});
const everyResource = resources(['*'], ['*'], ['*'], ['*'], true);
const paths = (verbs: string[], ...nonResourceURLs: string[]) => ({ verbs, nonResourceURLs });
const everyPath = paths(['*'], '*');

const one = (rule: object): Spec => ({ priorityLevelConfiguration: { name: 'x' }, rules: [rule as Rule] });
const classified = (specs: Record<string, Spec>, request: string, username: string, groups: string[] = []) => {
  const classify = createClassifier(Object.entries(specs).map(([schema, spec]) => ({ spec, schema })));
  const [method = 'GET', path = '/'] = request.split(' ');
  return classify(requestInfo(method, path), { username, groups });
};

const PODS = '/api/v1/namespaces/a/pods';

describe('a rule', () => {
  const matches = (rule: object, request: string, username = 'u', groups: string[] = []) =>
    classified({ found: one(rule) }, request, username, groups) === 'found';

  it.each([
    ['a user by name', user('u'), 'u', [], true],
    ['another user', user('u'), 'v', [], false],
    ['every user', user('*'), 'anyone', [], true],
    ['a member of a group', group('g'), 'u', ['f', 'g'], true],
    ['nobody else', group('g'), 'g', ['f'], false],
    ['every group, also of those in none', group('*'), 'u', [], true],
    ['a service account', account('a', 'b'), 'system:serviceaccount:a:b', [], true],
    ['not its namesake', account('a', 'b'), 'system:serviceaccount:c:b', [], false],
    ['every account of a namespace', account('a', '*'), 'system:serviceaccount:a:x', [], true],
    ['not of a namespace that begins alike', account('a', '*'), 'system:serviceaccount:ab:x', [], false],
    ['no name without an account', account('a', '*'), 'system:serviceaccount:a', [], false],
    ['an account is a user too', user('system:serviceaccount:a:b'), 'system:serviceaccount:a:b', [], true],
  ])('is about %s', (_name, subject, username, groups, expected) => {
    expect(matches({ subjects: [subject], resourceRules: [everyResource] }, `GET ${PODS}`, username, groups)).toBe(
      expected,
    );
  });

  it.each([
    ['verb', resources(['list'], ['*'], ['*'], ['*']), `GET ${PODS}`, true],
    ['other verb', resources(['get', 'watch'], ['*'], ['*'], ['*']), `GET ${PODS}`, false],
    ['core group', resources(['*'], [''], ['*'], ['*']), `GET ${PODS}`, true],
    ['other group', resources(['*'], ['apps'], ['*'], ['*']), `GET ${PODS}`, false],
    ['resource', resources(['*'], ['*'], ['pods'], ['*']), `GET ${PODS}/p`, true],
    ['its subresource is another', resources(['*'], ['*'], ['pods'], ['*']), `GET ${PODS}/p/status`, false],
    ['subresource', resources(['*'], ['*'], ['pods/status'], ['*']), `GET ${PODS}/p/status`, true],
    ['namespace', resources(['*'], ['*'], ['*'], ['a', 'b']), `GET ${PODS}`, true],
    ['other namespace', resources(['*'], ['*'], ['*'], ['b']), `GET ${PODS}`, false],
    ['a list of all namespaces is not in any', resources(['*'], ['*'], ['*'], ['*']), 'GET /api/v1/pods', false],
    ['but in the cluster', resources(['*'], ['*'], ['*'], undefined, true), 'GET /api/v1/pods', true],
    ['cluster scope is no namespace', resources(['*'], ['*'], ['*'], undefined, true), `GET ${PODS}`, false],
    ['a namespace is in itself', resources(['*'], ['*'], ['*'], ['a']), 'GET /api/v1/namespaces/a', true],
    ['no path', everyResource, 'GET /version', false],
  ])('matches resources: %s', (_name, rule, request, expected) => {
    expect(matches({ subjects: [user('u')], resourceRules: [rule] }, request)).toBe(expected);
  });

  it.each([
    ['path', paths(['get'], '/version'), 'GET /version', true],
    ['what is below it', paths(['get'], '/healthz'), 'GET /healthz/ping', true],
    ['not what begins alike', paths(['get'], '/healthz'), 'GET /healthzz', false],
    ['wildcard', paths(['get'], '/healthz/*'), 'GET /healthz/ping', true],
    ['a wildcard is not its root', paths(['get'], '/healthz/*'), 'GET /healthz', false],
    ['root', paths(['get'], '/'), 'GET /anything', true],
    ['everything', everyPath, 'POST /x', true],
    ['other verb', paths(['get'], '/version'), 'POST /version', false],
    ['no resource', everyPath, `GET ${PODS}`, false],
  ])('matches paths: %s', (_name, rule, request, expected) => {
    expect(matches({ subjects: [user('u')], nonResourceRules: [rule] }, request)).toBe(expected);
  });

  it('takes subjects and resources of one rule together, and lists that are null', () => {
    const spec: Spec = {
      priorityLevelConfiguration: { name: 'x' },
      rules: [
        { subjects: [user('u')], resourceRules: null as never, nonResourceRules: [everyPath] },
        { subjects: [user('v')], resourceRules: [{ ...everyResource, namespaces: null as never }] },
      ],
    };
    expect(classified({ found: spec }, `GET ${PODS}`, 'u')).toBeUndefined();
    expect(classified({ found: spec }, 'GET /x', 'u')).toBe('found');
    expect(classified({ found: spec }, 'GET /api/v1/nodes', 'v')).toBe('found');
  });
});

it('gives the first schema that matches, whichever subject makes it', () => {
  const all = (subject: object) => one({ subjects: [subject], resourceRules: [everyResource] });
  const specs = {
    a: all(user('nobody')),
    b: all(group('g2')),
    c: all(user('u')),
    d: all(group('*')),
    e: all(user('*')),
  };
  expect(classified(specs, `GET ${PODS}`, 'u', ['g1', 'g2'])).toBe('b');
  expect(classified(specs, `GET ${PODS}`, 'u', ['g1'])).toBe('c');
  expect(classified(specs, `GET ${PODS}`, 'v', ['g1'])).toBe('d');
});

/** As an unmodified Kubernetes 1.36 classifies with its default schemas; checked against one by its responses' headers. */
describe('the default schemas', () => {
  const specs: Record<string, Spec> = {};
  const rank = (object: object) => (object as FlowSchema).spec?.matchingPrecedence ?? 0;
  const inOrder = flowSchemas().sort(
    (a, b) => rank(a) - rank(b) || ((a.metadata.name ?? '') < (b.metadata.name ?? '') ? -1 : 1),
  );
  for (const object of inOrder) specs[object.metadata.name ?? ''] = (object as unknown as FlowSchema).spec;
  const known = 'system:authenticated';
  const sa = (name: string) => `system:serviceaccount:${name}`;
  const LEASE = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/l';
  it.each([
    [`GET ${PODS}`, 'admin', ['system:masters', known], 'exempt'],
    ['GET /healthz', 'admin', ['system:masters', known], 'exempt'],
    ['GET /healthz/ping', 'alice', [known], 'probes'],
    ['GET /livez', 'system:anonymous', ['system:unauthenticated'], 'probes'],
    ['POST /healthz', 'alice', [known], 'global-default'],
    [`GET ${LEASE}`, 'system:kube-scheduler', [known], 'system-leader-election'],
    [`PUT ${LEASE}`, 'system:kube-controller-manager', [known], 'system-leader-election'],
    [`DELETE ${LEASE}`, 'system:kube-controller-manager', [known], 'kube-controller-manager'],
    [`PUT ${LEASE}`, sa('kube-system:x'), ['system:serviceaccounts', known], 'system-leader-election'],
    [`PUT ${LEASE}`, sa('a:x'), ['system:serviceaccounts', known], 'service-accounts'],
    ['PATCH /api/v1/nodes/n/status', 'system:node:n', ['system:nodes', known], 'system-node-high'],
    [
      'PUT /apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n',
      'system:node:n',
      ['system:nodes', known],
      'system-node-high',
    ],
    ['GET /api/v1/pods', 'system:node:n', ['system:nodes', known], 'system-nodes'],
    ['GET /api/v1/nodes', 'system:kube-scheduler', [known], 'kube-scheduler'],
    ['GET /api/v1/namespaces/a/endpoints/e', 'system:kube-controller-manager', [known], 'kube-controller-manager'],
    [`GET ${PODS}`, sa('kube-system:x'), ['system:serviceaccounts', known], 'kube-system-service-accounts'],
    [`GET ${PODS}`, sa('kube-systemx:x'), ['system:serviceaccounts', known], 'service-accounts'],
    [`GET ${PODS}`, 'alice', [known], 'global-default'],
    ['GET /apis', 'system:anonymous', ['system:unauthenticated'], 'global-default'],
    [`GET ${PODS}`, 'alice', [], undefined],
  ])('%s of %s in %j is %s', (request, username, groups, expected) => {
    expect(classified(specs, request, username, groups)).toBe(expected);
  });
});
