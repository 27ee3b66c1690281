// Roles, bindings and their cluster-wide forms.
import type { ClusterRole, PolicyRule, RoleBinding } from '../../machinery/kinds.d.ts';
import type { KubeObject } from '../../machinery/object.ts';
import { cause } from '../../machinery/status.ts';
import type { Strategy } from '../registry.ts';
import {
  at,
  type Causes,
  checkSelector,
  checkSubdomain,
  invalidEach,
  oneOf,
  required,
  same,
  selectorMatches,
} from './checks.ts';
import { pathSegment } from './names.ts';

const GROUP = 'rbac.authorization.k8s.io';

const checkRule = (out: Causes, path: string, rule: PolicyRule, namespaced: boolean): void => {
  if (!rule.verbs?.length) out.push(cause.required(`${path}.verbs`, 'verbs must contain at least one value'));
  const urls = rule.nonResourceURLs;
  if (urls?.length) {
    const where = `${path}.nonResourceURLs`;
    if (namespaced) out.push(cause.invalid(where, urls, 'namespaced rules cannot apply to non-resource URLs'));
    if (rule.apiGroups?.length || rule.resources?.length || rule.resourceNames?.length) {
      out.push(cause.invalid(where, urls, 'rules cannot apply to both regular resources and non-resource URLs'));
    }
    return;
  }
  const detail = (what: string) => `resource rules must supply at least one ${what}`;
  if (!rule.apiGroups?.length) out.push(cause.required(`${path}.apiGroups`, detail('api group')));
  if (!rule.resources?.length) out.push(cause.required(`${path}.resources`, detail('resource')));
};

const checkRole = (object: KubeObject, namespaced: boolean): Causes => {
  const out: Causes = [];
  const role = object as ClusterRole;
  role.rules?.forEach((rule, i) => {
    checkRule(out, at('rules', i), rule, namespaced);
  });
  if (namespaced || !role.aggregationRule) return out;
  const path = 'aggregationRule.clusterRoleSelectors';
  const selectors = role.aggregationRule.clusterRoleSelectors ?? [];
  if (selectors.length === 0) {
    out.push(cause.required(path, 'at least one clusterRoleSelector required if aggregationRule is non-nil'));
  }
  selectors.forEach((selector, i) => {
    checkSelector(out, at(path, i), selector);
    if (selectorMatches(selector, {}) === undefined)
      out.push(cause.invalid(at(path, i), selector, 'invalid label selector.'));
  });
  return out;
};

const checkBinding = (object: KubeObject, namespaced: boolean): Causes => {
  const out: Causes = [];
  const binding = object as RoleBinding;
  const { roleRef } = binding;
  oneOf(out, 'roleRef.apiGroup', roleRef?.apiGroup ?? '', [GROUP]);
  oneOf(out, 'roleRef.kind', roleRef?.kind ?? '', namespaced ? ['Role', 'ClusterRole'] : ['ClusterRole']);
  if (required(out, 'roleRef.name', roleRef?.name))
    invalidEach(out, 'roleRef.name', roleRef.name, pathSegment(roleRef.name));
  binding.subjects?.forEach((subject, i) => {
    const path = at('subjects', i);
    required(out, `${path}.name`, subject.name);
    if (subject.kind === 'ServiceAccount') {
      if (subject.name) checkSubdomain(out, `${path}.name`, subject.name);
      if (subject.apiGroup) out.push(cause.notSupported(`${path}.apiGroup`, subject.apiGroup, ['']));
      if (!namespaced) required(out, `${path}.namespace`, subject.namespace);
    } else if (subject.kind === 'User' || subject.kind === 'Group') {
      oneOf(out, `${path}.apiGroup`, subject.apiGroup ?? '', [GROUP]);
    } else out.push(cause.notSupported(`${path}.kind`, subject.kind ?? '', ['ServiceAccount', 'User', 'Group']));
  });
  return out;
};

const roleRefStays: NonNullable<Strategy['validateUpdate']> = (nextObject, oldObject) => {
  const next = nextObject as RoleBinding;
  if (same(next.roleRef, (oldObject as RoleBinding).roleRef)) return [];
  return [cause.invalid('roleRef', next.roleRef, 'cannot change roleRef')];
};

const shared = { validateName: pathSegment, createOnUpdate: true } satisfies Strategy;

/** Strategies by `group/Kind`. */
export const rbacStrategies: Readonly<Record<string, Strategy>> = {
  [`${GROUP}/Role`]: { ...shared, validate: (object) => checkRole(object, true) },
  [`${GROUP}/ClusterRole`]: { ...shared, validate: (object) => checkRole(object, false) },
  [`${GROUP}/RoleBinding`]: {
    ...shared,
    validate: (object) => checkBinding(object, true),
    validateUpdate: roleRefStays,
  },
  [`${GROUP}/ClusterRoleBinding`]: {
    ...shared,
    validate: (object) => checkBinding(object, false),
    validateUpdate: roleRefStays,
  },
};
