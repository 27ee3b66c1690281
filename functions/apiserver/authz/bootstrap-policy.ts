import type { ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding } from '../../machinery/kinds.d.ts';
import { controllerRoles } from './bootstrap-controllers.ts';
import { type BootstrapRole, clusterRoles } from './bootstrap-roles.ts';
import { events, read, rule } from './bootstrap-rule.ts';

const GROUP = 'rbac.authorization.k8s.io';
const apiVersion = `${GROUP}/v1`;
const AGGREGATE = `${GROUP}/aggregate-to-`;

type Subject = { kind: string; name: string; apiGroup?: string; namespace?: string };
const users = (...names: string[]): Subject[] => names.map((name) => ({ kind: 'User', apiGroup: GROUP, name }));
const groups = (...names: string[]): Subject[] => names.map((name) => ({ kind: 'Group', apiGroup: GROUP, name }));
const accounts = (...names: string[]): Subject[] =>
  names.map((name) => ({ kind: 'ServiceAccount', name, namespace: 'kube-system' }));

const metadata = (name: string, namespace?: string, labels: Record<string, string> = {}) => ({
  name,
  ...(namespace && { namespace }),
  labels: { 'kubernetes.io/bootstrapping': 'rbac-defaults', ...labels },
  annotations: { 'rbac.authorization.kubernetes.io/autoupdate': 'true' },
});

/** Rules of a role; of an aggregated one, those of the roles that it gathers, in name order and without repetition. */
const gathered = (role: BootstrapRole): PolicyRule[] => {
  if (!role.aggregates) return role.rules ?? [];
  const seen = new Map<string, PolicyRule>();
  for (const name of Object.keys(clusterRoles).sort()) {
    const part = clusterRoles[name];
    if (part?.aggregatedTo !== role.aggregates) continue;
    for (const one of gathered(part)) seen.set(JSON.stringify(one), one);
  }
  return [...seen.values()];
};

const clusterRole = (name: string, role: BootstrapRole): ClusterRole => {
  const labels: Record<string, string> = role.aggregatedTo ? { [`${AGGREGATE}${role.aggregatedTo}`]: 'true' } : {};
  return {
    kind: 'ClusterRole',
    apiVersion,
    metadata: metadata(name, undefined, labels),
    ...(role.aggregates && {
      aggregationRule: { clusterRoleSelectors: [{ matchLabels: { [`${AGGREGATE}${role.aggregates}`]: 'true' } }] },
    }),
    rules: gathered(role),
  };
};

const clusterBinding = (name: string, role: string, subjects: Subject[]): ClusterRoleBinding => ({
  kind: 'ClusterRoleBinding',
  apiVersion,
  metadata: metadata(name),
  ...(subjects.length && { subjects }),
  roleRef: { apiGroup: GROUP, kind: 'ClusterRole', name: role },
});

const authenticated = 'system:authenticated';
const bound: Record<string, Subject[]> = {
  'cluster-admin': groups('system:masters'),
  'system:monitoring': groups('system:monitoring'),
  'system:discovery': groups(authenticated),
  'system:basic-user': groups(authenticated),
  'system:public-info-viewer': groups(authenticated, 'system:unauthenticated'),
  'system:node-proxier': users('system:kube-proxy'),
  'system:kube-controller-manager': users('system:kube-controller-manager'),
  'system:kube-dns': accounts('kube-dns'),
  'system:kube-scheduler': users('system:kube-scheduler'),
  'system:volume-scheduler': users('system:kube-scheduler'),
  'system:service-account-issuer-discovery': groups('system:serviceaccounts'),
  // Nodes are allowed by the node authorizer; the binding stands without subjects, as upstream keeps it.
  'system:node': [],
};

interface NamespacedRole {
  namespace: string;
  name: string;
  rules: PolicyRule[];
  /** Of the binding, where it is not the role's. */
  binding?: string;
  subjects: Subject[];
}

const locking = (component: string, more: string[]): NamespacedRole => ({
  namespace: 'kube-system',
  name: `system::leader-locking-${component}`,
  rules: [
    rule(`${read} create update`, 'coordination.k8s.io', 'leases'),
    rule(`${read} create update`, 'coordination.k8s.io', 'leasecandidates'),
  ],
  subjects: [...users(`system:${component}`), ...accounts(component, ...more)],
});

const namespacedRoles: NamespacedRole[] = [
  {
    namespace: 'kube-public',
    name: 'system:controller:bootstrap-signer',
    rules: [rule(read, 'core', 'configmaps'), rule('update', 'core', 'configmaps', 'cluster-info'), events],
    subjects: accounts('bootstrap-signer'),
  },
  {
    namespace: 'kube-system',
    name: 'extension-apiserver-authentication-reader',
    binding: 'system::extension-apiserver-authentication-reader',
    rules: [rule(read, 'core', 'configmaps', 'extension-apiserver-authentication')],
    subjects: users('system:kube-controller-manager', 'system:kube-scheduler'),
  },
  locking('kube-controller-manager', ['leader-election-controller']),
  locking('kube-scheduler', []),
  {
    namespace: 'kube-system',
    name: 'system:controller:bootstrap-signer',
    rules: [rule(read, 'core', 'secrets')],
    subjects: accounts('bootstrap-signer'),
  },
  {
    namespace: 'kube-system',
    name: 'system:controller:cloud-provider',
    rules: [rule(`${read} create`, 'core', 'configmaps')],
    subjects: accounts('cloud-provider'),
  },
  {
    namespace: 'kube-system',
    name: 'system:controller:token-cleaner',
    rules: [rule(`${read} delete`, 'core', 'secrets'), events],
    subjects: accounts('token-cleaner'),
  },
];

/** What a cluster has before anyone writes a role. */
export interface BootstrapPolicy {
  clusterRoles: ClusterRole[];
  clusterRoleBindings: ClusterRoleBinding[];
  roles: Role[];
  roleBindings: RoleBinding[];
}

/** Upstream's default roles and bindings as whole objects, without uid and timestamps; new objects at each call. */
export const bootstrapPolicy = (): BootstrapPolicy => {
  const controllers = Object.entries(controllerRoles);
  return {
    clusterRoles: [
      ...Object.entries(clusterRoles).map(([name, role]) => clusterRole(name, role)),
      ...controllers.map(([name, rules]) => clusterRole(`system:controller:${name}`, { rules })),
    ],
    clusterRoleBindings: [
      ...Object.entries(bound).map(([name, subjects]) => clusterBinding(name, name, subjects)),
      ...controllers.map(([name]) => {
        const full = `system:controller:${name}`;
        return clusterBinding(full, full, accounts(name));
      }),
    ],
    roles: namespacedRoles.map(({ name, namespace, rules }) => ({
      kind: 'Role',
      apiVersion,
      metadata: metadata(name, namespace),
      rules,
    })),
    roleBindings: namespacedRoles.map(({ name, namespace, binding, subjects }) => ({
      kind: 'RoleBinding',
      apiVersion,
      metadata: metadata(binding ?? name, namespace),
      subjects,
      roleRef: { apiGroup: GROUP, kind: 'Role', name },
    })),
  };
};
