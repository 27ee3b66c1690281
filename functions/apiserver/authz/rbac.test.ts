import { describe, expect, it } from 'vitest';
import { createSystemClock } from '../../clock/system.ts';
import type { PolicyRule } from '../../machinery/kinds.d.ts';
import { user } from '../authn/authenticator.ts';
import type { Attributes } from './authorizer.ts';
import { rbacAuthorizer } from './rbac.ts';
import { rulesText, uncoveredRules } from './rbac-cover.ts';
import { compileRule } from './rbac-rules.ts';
import { createStored } from './stored-for-tests.ts';

const GROUP = 'rbac.authorization.k8s.io';
const base = {
  cluster: 'default',
  group: '',
  version: 'v1',
  resource: '',
  subresource: '',
  namespace: '',
  name: '',
  path: '',
};
const ask = (who: Attributes['user'], verb: string, rest: Partial<Attributes>): Attributes => ({
  ...base,
  isResource: true,
  user: who,
  verb,
  ...rest,
});
const alice = user('alice', ['ops']);

const setup = () => {
  const { put, remove, replicas } = createStored(createSystemClock());
  const role = (name: string, rules: PolicyRule[], namespace?: string) =>
    put(GROUP, namespace ? 'roles' : 'clusterroles', {
      metadata: { name, ...(namespace && { namespace }) },
      rules,
    } as never);
  const bind = (name: string, ref: string, subject: object, namespace?: string, kind = 'ClusterRole') =>
    put(GROUP, namespace ? 'rolebindings' : 'clusterrolebindings', {
      metadata: { name, ...(namespace && { namespace }) },
      roleRef: { apiGroup: GROUP, kind, name: ref },
      subjects: [subject],
    } as never);
  const rbac = rbacAuthorizer({ replicas, clock: { now: () => Date.now() } });
  const allowed = async (a: Attributes) => (await rbac.authorize(a)).allowed;
  return { role, bind, remove, rbac, allowed };
};
const aliceSubject = { kind: 'User', name: 'alice' };

describe('RBAC', () => {
  it('grants by ClusterRoleBinding to a user, everywhere, and says why', async () => {
    const { role, bind, rbac, allowed } = setup();
    await role('reader', [{ verbs: ['get', 'list'], apiGroups: [''], resources: ['pods'] }]);
    await bind('b', 'reader', aliceSubject);
    expect(await rbac.authorize(ask(alice, 'get', { resource: 'pods', namespace: 'x', name: 'p' }))).toEqual({
      allowed: true,
      reason: 'RBAC: allowed by ClusterRoleBinding "b" of ClusterRole "reader" to User "alice"',
    });
    expect(await allowed(ask(alice, 'list', { resource: 'pods' }))).toBe(true);
    expect(await allowed(ask(alice, 'delete', { resource: 'pods', namespace: 'x', name: 'p' }))).toBe(false);
    expect(await allowed(ask(alice, 'get', { resource: 'secrets', namespace: 'x', name: 'p' }))).toBe(false);
    expect(await allowed(ask(alice, 'get', { group: 'apps', resource: 'pods', namespace: 'x', name: 'p' }))).toBe(
      false,
    );
    expect(await allowed(ask(user('bob', []), 'get', { resource: 'pods', namespace: 'x', name: 'p' }))).toBe(false);
    expect(await allowed(ask(alice, 'get', { cluster: 'other', resource: 'pods', namespace: 'x', name: 'p' }))).toBe(
      false,
    );
  });

  it('keeps a RoleBinding to its namespace, whichever kind of role it names', async () => {
    const { role, bind, allowed } = setup();
    await role('all', [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }]);
    await bind('b', 'all', { kind: 'Group', name: 'ops' }, 'team');
    expect(await allowed(ask(alice, 'create', { group: 'apps', resource: 'deployments', namespace: 'team' }))).toBe(
      true,
    );
    expect(
      await allowed(ask(alice, 'get', { resource: 'pods', subresource: 'log', namespace: 'team', name: 'p' })),
    ).toBe(true);
    expect(await allowed(ask(alice, 'create', { group: 'apps', resource: 'deployments', namespace: 'other' }))).toBe(
      false,
    );
    expect(await allowed(ask(alice, 'list', { resource: 'pods' }))).toBe(false);
    expect(await allowed(ask(alice, 'get', { isResource: false, path: '/metrics', namespace: 'team' }))).toBe(false);
  });

  it('knows service accounts, and only in their namespace', async () => {
    const { role, bind, allowed } = setup();
    await role('r', [{ verbs: ['list'], apiGroups: [''], resources: ['pods'] }], 'team');
    await bind('b', 'r', { kind: 'ServiceAccount', name: 's', namespace: 'team' }, 'team', 'Role');
    const list = { resource: 'pods', namespace: 'team' };
    expect(await allowed(ask(user('system:serviceaccount:team:s', []), 'list', list))).toBe(true);
    expect(await allowed(ask(user('system:serviceaccount:else:s', []), 'list', list))).toBe(false);
    expect(await allowed(ask(user('s', []), 'list', list))).toBe(false);
  });

  it('tells subresources from resources, and names from lists', async () => {
    const { role, bind, allowed } = setup();
    await role('r', [
      { verbs: ['get'], apiGroups: [''], resources: ['pods'] },
      { verbs: ['get'], apiGroups: ['*'], resources: ['*/scale'] },
      { verbs: ['get', 'list', 'create'], apiGroups: [''], resources: ['configmaps'], resourceNames: ['x'] },
    ]);
    await bind('b', 'r', aliceSubject);
    expect(await allowed(ask(alice, 'get', { resource: 'pods', subresource: 'log', namespace: 'n', name: 'p' }))).toBe(
      false,
    );
    expect(
      await allowed(
        ask(alice, 'get', { group: 'apps', resource: 'deployments', subresource: 'scale', namespace: 'n', name: 'p' }),
      ),
    ).toBe(true);
    expect(
      await allowed(ask(alice, 'get', { group: 'apps', resource: 'deployments', namespace: 'n', name: 'p' })),
    ).toBe(false);
    expect(await allowed(ask(alice, 'get', { resource: 'configmaps', namespace: 'n', name: 'x' }))).toBe(true);
    expect(await allowed(ask(alice, 'get', { resource: 'configmaps', namespace: 'n', name: 'y' }))).toBe(false);
    expect(await allowed(ask(alice, 'list', { resource: 'configmaps', namespace: 'n' }))).toBe(false);
    expect(await allowed(ask(alice, 'create', { resource: 'configmaps', namespace: 'n' }))).toBe(false);
    const query = new URLSearchParams('fieldSelector=metadata.name%3Dx');
    expect(await allowed(ask(alice, 'list', { resource: 'configmaps', namespace: 'n', query }))).toBe(true);
    expect(await allowed(ask(alice, 'create', { resource: 'configmaps', namespace: 'n', query }))).toBe(false);
    const unequal = new URLSearchParams('fieldSelector=metadata.name!%3Dx');
    expect(await allowed(ask(alice, 'list', { resource: 'configmaps', namespace: 'n', query: unequal }))).toBe(false);
  });

  it('matches paths exactly or by prefix', async () => {
    const { role, bind, allowed } = setup();
    await role('r', [{ verbs: ['get'], nonResourceURLs: ['/metrics', '/logs/*'] }]);
    await bind('b', 'r', aliceSubject);
    const path = (p: string) => ask(alice, 'get', { isResource: false, path: p });
    expect(await allowed(path('/metrics'))).toBe(true);
    expect(await allowed(path('/metrics/slis'))).toBe(false);
    expect(await allowed(path('/logs/kubelet'))).toBe(true);
    expect(await allowed(path('/log'))).toBe(false);
    expect(await allowed({ ...path('/metrics'), verb: 'post' })).toBe(false);
  });

  it('follows changes at once, and names a role that is missing', async () => {
    const { role, bind, remove, rbac, allowed } = setup();
    const get = ask(alice, 'get', { resource: 'pods', namespace: 'n', name: 'p' });
    expect(await allowed(get)).toBe(false);
    await bind('b', 'late', aliceSubject);
    expect(await rbac.authorize(get)).toEqual({
      allowed: false,
      reason: 'RBAC: clusterrole.rbac.authorization.k8s.io "late" not found',
    });
    await role('late', [{ verbs: ['get'], apiGroups: [''], resources: ['pods'] }]);
    expect(await allowed(get)).toBe(true);
    await role('late', [{ verbs: ['list'], apiGroups: [''], resources: ['pods'] }]);
    expect(await allowed(get)).toBe(false);
    await role('late', [{ verbs: ['get'], apiGroups: [''], resources: ['pods'] }]);
    await remove(GROUP, 'clusterrolebindings', 'b');
    expect(await allowed(get)).toBe(false);
  });

  it('lists the rules of a user in a namespace', async () => {
    const { role, bind, rbac } = setup();
    const pods = { verbs: ['get'], apiGroups: [''], resources: ['pods'] };
    const paths = { verbs: ['get'], nonResourceURLs: ['/x'] };
    await role('c', [paths]);
    await bind('b', 'c', { kind: 'Group', name: 'ops' });
    await role('r', [pods], 'n');
    await bind('b', 'r', aliceSubject, 'n', 'Role');
    expect(await rbac.rulesFor('default', alice, 'n')).toEqual({ rules: [paths, pods] });
    expect(await rbac.rulesFor('default', alice, 'm')).toEqual({ rules: [paths] });
  });
});

describe('uncoveredRules', () => {
  const shown = (rule: PolicyRule) => compileRule(rule).shown;
  it('finds what a user may not hand on', () => {
    const held = [shown({ verbs: ['get', 'list'], apiGroups: ['apps'], resources: ['*'] })];
    const less = { verbs: ['get'], apiGroups: ['apps'], resources: ['deployments', 'deployments/scale'] };
    const more = { verbs: ['get', 'update'], apiGroups: ['apps'], resources: ['deployments'] };
    expect(uncoveredRules(held, [less, more])).toEqual([{ ...more, verbs: ['update'] }]);
    expect(uncoveredRules([shown({ verbs: ['*'], apiGroups: ['*'], resources: ['*'] })], [less, more])).toEqual([]);
  });
  it('treats held names as a bound', () => {
    const held = [shown({ verbs: ['get'], apiGroups: [''], resources: ['secrets'], resourceNames: ['a'] })];
    const named = { verbs: ['get'], apiGroups: [''], resources: ['secrets'], resourceNames: ['a'] };
    const all = { verbs: ['get'], apiGroups: [''], resources: ['secrets'] };
    expect(uncoveredRules(held, [named, all])).toEqual([all]);
    const paths = [shown({ verbs: ['get'], nonResourceURLs: ['/a/*'] })];
    expect(uncoveredRules(paths, [{ verbs: ['get'], nonResourceURLs: ['/a/b'] }])).toEqual([]);
    expect(uncoveredRules(paths, [{ verbs: ['get'], nonResourceURLs: ['/b'] }])).toHaveLength(1);
  });
  it('judges rules that name thousands of everything without going through them', () => {
    const many = (n: number, prefix: string) => Array.from({ length: n }, (_, i) => `${prefix}${i}`);
    const huge = { verbs: many(1000, 'v'), apiGroups: many(1000, 'g'), resources: many(1000, 'r') };
    const held = Array.from({ length: 100 }, (_, i) => ({ verbs: ['get'], apiGroups: ['*'], resources: [`r${i}`] }));
    const began = performance.now();
    expect(uncoveredRules(held, [huge])).toEqual([huge]);
    expect(uncoveredRules([...held, { verbs: ['*'], apiGroups: ['*'], resources: ['*'] }], [huge])).toEqual([]);
    expect(performance.now() - began).toBeLessThan(500);
  });
  it('lists rights that are lacking in lines, each resource with its verbs', () => {
    const wanted = [
      { verbs: ['list', 'get'], apiGroups: [''], resources: ['pods', 'nodes'] },
      { verbs: ['get'], nonResourceURLs: ['/x'] },
      { verbs: ['get'], apiGroups: ['a'], resources: ['b'], resourceNames: ['c'] },
    ];
    expect(rulesText(uncoveredRules([], wanted))).toBe(
      [
        '{APIGroups:[""], Resources:["nodes"], Verbs:["list" "get"]}',
        '{APIGroups:[""], Resources:["pods"], Verbs:["list" "get"]}',
        '{APIGroups:["a"], Resources:["b"], ResourceNames:["c"], Verbs:["get"]}',
        '{NonResourceURLs:["/x"], Verbs:["get"]}',
      ].join('\n'),
    );
  });
});
