import { expect, it } from 'vitest';
import { createSystemClock } from '../../clock/system.ts';
import type { ClusterRoleBinding, PolicyRule } from '../../machinery/kinds.d.ts';
import type { UserInfo } from '../registry.ts';
import type { Attributes } from './authorizer.ts';
import { rbacAuthorizer } from './rbac.ts';
import { uncoveredRules } from './rbac-cover.ts';
import { createStored } from './stored-for-tests.ts';

/**
 * The index against a naive reading of the rules, written from the documentation of rbac/v1 alone, on random roles,
 * bindings and questions, while roles and bindings come and go.
 */
const GROUP = 'rbac.authorization.k8s.io';
const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
const random = (() => {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
})();
const chance = (p: number): boolean => random() < p;
const one = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
const some = <T>(list: readonly T[]): T[] => Array.from({ length: 1 + Math.floor(random() * 3) }, () => one(list));

const VERBS = ['get', 'list', 'watch', 'create', 'delete', 'deletecollection', 'update', 'patch', '*'];
const GROUPS = ['', 'apps', 'x.dev', 'y.dev', 'z.dev', '*'];
const RESOURCES = ['pods', 'pods/log', 'pods/scale', 'things', '*', '*/scale', 'pods/*', '*/*'];
const NAMES = ['a', 'b', '*'];
const URLS = ['/x', '/x/', '/x/*', '/x*', '*', '/', '/*', '/y/z'];
const PATHS = ['/x', '/x/', '/x/y', '/xy', '/', '/y/z', '/y/z/'];
const NAMESPACES = ['n', 'm'];
/** So many that some subjects hold few rules and some many: the index looks differently at those. */
const ROLES = Array.from({ length: 10 }, (_, i) => `r${i}`);
const USERS = ['u', 'v', 'system:serviceaccount:n:s', 'system:serviceaccount:m:s'];
const USER_GROUPS = ['g', 'h', 'system:serviceaccounts:n'];

const randomRule = (namespaced: boolean): PolicyRule => {
  const verbs = some(VERBS);
  if (!namespaced && chance(0.25)) return { verbs, nonResourceURLs: some(URLS) };
  const names = chance(0.3) ? { resourceNames: some(NAMES) } : {};
  return { verbs, apiGroups: some(GROUPS), resources: some(RESOURCES), ...names };
};

type Subject = NonNullable<ClusterRoleBinding['subjects']>[number];
const randomSubject = (): Subject => {
  if (chance(0.4)) return { kind: 'User', name: one(USERS) };
  if (chance(0.5)) return { kind: 'Group', name: one(USER_GROUPS) };
  return { kind: 'ServiceAccount', name: 's', ...(chance(0.7) && { namespace: one(NAMESPACES) }) };
};

interface Binding {
  namespace: string;
  roleRef: { apiGroup: string; kind: string; name: string };
  subjects: Subject[];
}
/** What is stored: roles by `namespace/name`, the cluster's with no namespace. */
interface World {
  roles: Map<string, PolicyRule[]>;
  bindings: Map<string, Binding>;
}

const isOf = (subject: Subject, { username, groups }: UserInfo, namespace: string): boolean => {
  if (subject.kind === 'User') return username === subject.name;
  if (subject.kind === 'Group') return groups.includes(subject.name);
  const own = subject.namespace || namespace;
  return own !== '' && username === `system:serviceaccount:${own}:${subject.name}`;
};

const urlFits = (url: string, path: string): boolean =>
  url === '*' || url === path || (url.endsWith('*') && path.startsWith(url.slice(0, -1)));

const resourceFits = (resource: string, a: Attributes): boolean => {
  if (resource === '*') return true;
  if (!a.subresource) return resource === a.resource;
  return resource === `${a.resource}/${a.subresource}` || resource === `*/${a.subresource}`;
};

const fits = (
  { verbs = [], apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] }: PolicyRule,
  a: Attributes,
) => {
  if (!verbs.some((verb) => verb === '*' || verb === a.verb)) return false;
  if (!a.isResource) return nonResourceURLs.some((url) => urlFits(url, a.path));
  return (
    apiGroups.some((group) => group === '*' || group === a.group) &&
    resources.some((resource) => resourceFits(resource, a)) &&
    (resourceNames.length === 0 || resourceNames.includes(a.name))
  );
};

const naive = ({ roles, bindings }: World, a: Attributes): boolean => {
  for (const { namespace, roleRef, subjects } of bindings.values()) {
    if (namespace !== '' && (namespace !== a.namespace || !a.isResource)) continue;
    if (!subjects.some((subject) => isOf(subject, a.user, namespace))) continue;
    const rules = roles.get(roleRef.kind === 'Role' ? `${namespace}/${roleRef.name}` : `/${roleRef.name}`) ?? [];
    if (rules.some((rule) => fits(rule, a))) return true;
  }
  return false;
};

const randomQuestion = (): Attributes => {
  const isResource = chance(0.8);
  return {
    cluster: 'default',
    user: { username: one(USERS), uid: '', groups: USER_GROUPS.filter(() => chance(0.3)), extra: {} },
    verb: one(VERBS.slice(0, -1)),
    isResource,
    group: one(GROUPS.slice(0, -1)),
    version: 'v1',
    resource: isResource ? one(['pods', 'things', 'others']) : '',
    subresource: isResource && chance(0.3) ? one(['log', 'scale', 'x']) : '',
    namespace: isResource && chance(0.8) ? one(NAMESPACES) : '',
    name: chance(0.6) ? one(['a', 'b', 'c']) : '',
    path: isResource ? '' : one(PATHS),
  };
};

it(`decides as the rules read (SEED=${seed})`, async () => {
  const { put, remove, replicas } = createStored(createSystemClock());
  const rbac = rbacAuthorizer({ replicas, clock: { now: () => Date.now() } });
  const world: World = { roles: new Map(), bindings: new Map() };
  const change = async () => {
    const namespace = chance(0.5) ? one(NAMESPACES) : '';
    const name = one(ROLES);
    const key = `${namespace}/${name}`;
    const metadata = { name, ...(namespace && { namespace }) };
    const stored = namespace ? key : name;
    const isRole = chance(0.5);
    const kind = `${namespace ? '' : 'cluster'}${isRole ? 'roles' : 'rolebindings'}`;
    const held: Map<string, unknown> = isRole ? world.roles : world.bindings;
    if (chance(0.15) && held.has(key)) {
      held.delete(key);
      return remove(GROUP, kind, stored);
    }
    if (isRole) {
      const rules = Array.from({ length: Math.floor(random() * 8) }, () => randomRule(namespace !== ''));
      world.roles.set(key, rules);
      return put(GROUP, kind, { metadata, rules } as never);
    }
    const roleKind = namespace && chance(0.5) ? 'Role' : 'ClusterRole';
    const roleRef = { apiGroup: GROUP, kind: roleKind, name: one([...ROLES, 'gone']) };
    const subjects = some([0]).map(randomSubject);
    world.bindings.set(key, { namespace, roleRef, subjects });
    return put(GROUP, kind, { metadata, roleRef, subjects } as never);
  };
  let allowed = 0;
  const questions = 6000;
  for (let i = 0; i < questions; i++) {
    if (i % 10 === 0) await change();
    const asked = randomQuestion();
    const decision = await rbac.authorize(asked);
    const expected = naive(world, asked);
    if (expected) allowed++;
    if (decision.allowed !== expected)
      throw new Error(
        `${JSON.stringify(asked)}: expected ${expected}, ${JSON.stringify([...world.roles, ...world.bindings])}`,
      );
  }
  // Both answers come often enough to mean something.
  expect(allowed).toBeGreaterThan(questions / 20);
  expect(allowed).toBeLessThan(questions * 0.95);
});

it(`tells rules that allow what it allows (SEED=${seed})`, async () => {
  const { put, replicas } = createStored(createSystemClock());
  const rbac = rbacAuthorizer({ replicas, clock: { now: () => Date.now() } });
  for (let i = 0; i < 20; i++) {
    const name = `r${i}`;
    await put(GROUP, 'clusterroles', { metadata: { name }, rules: [randomRule(false), randomRule(false)] } as never);
    const namespace = chance(0.5) ? one(NAMESPACES) : undefined;
    const metadata = { name, ...(namespace && { namespace }) };
    const roleRef = { apiGroup: GROUP, kind: 'ClusterRole', name };
    const subjects = some([0]).map(randomSubject);
    await put(GROUP, namespace ? 'rolebindings' : 'clusterrolebindings', { metadata, roleRef, subjects } as never);
  }
  for (let i = 0; i < 1000; i++) {
    const asked = randomQuestion();
    if (asked.isResource && !asked.namespace) continue;
    const { rules } = await rbac.rulesFor('default', asked.user, asked.namespace);
    const told = rules.some((rule) => fits(rule as PolicyRule, asked));
    expect((await rbac.authorize(asked)).allowed, JSON.stringify(asked)).toBe(told);
  }
});

it(`hands on nothing that is not held (SEED=${seed})`, () => {
  let handed = 0;
  for (let i = 0; i < 4000; i++) {
    const held = Array.from({ length: 1 + Math.floor(random() * 4) }, () => randomRule(false));
    const wanted = randomRule(false);
    if (uncoveredRules(held, [wanted]).length > 0) continue;
    handed++;
    for (let n = 0; n < 50; n++) {
      const asked = randomQuestion();
      if (fits(wanted, asked))
        expect(
          held.some((rule) => fits(rule, asked)),
          JSON.stringify([held, wanted]),
        ).toBe(true);
    }
    expect(uncoveredRules([], [wanted]).length).toBeGreaterThan(0);
  }
  expect(handed).toBeGreaterThan(50);
});
