import type { ClusterRole, ClusterRoleBinding, PolicyRule } from '../../machinery/kinds.d.ts';
import type { Replica, Replicas } from '../../store/replica-port.ts';
import type { Domain, Stored } from '../../store/store.ts';
import type { UserInfo } from '../registry.ts';
import { type AllowedRule, type Attributes, type Authorizer, type Decision, faultsText } from './authorizer.ts';
import { addGrant, createGrants, findGrant, type Grant, type Grants } from './rbac-grants.ts';
import { askedOf, compileRule, type Rule } from './rbac-rules.ts';

const GROUP = 'rbac.authorization.k8s.io';
const KINDS = ['clusterroles', 'clusterrolebindings', 'roles', 'rolebindings'] as const;
type Four<T> = readonly [T, T, T, T];

interface Held {
  cluster: Grants;
  namespaced: Map<string, Grants>;
}

/** Bindings of a cluster by subject: `U:alice`, `G:ops`; service accounts stand as their user names. */
interface Index {
  replicas: Four<Replica>;
  revisions: Four<bigint>;
  bySubject: ReadonlyMap<string, Held>;
  /** When the replicas were last brought to the store's head, in milliseconds. */
  freshAt: number;
}

export interface RbacOptions {
  replicas: Replicas;
  clock: { now(): number };
  /** Rights may be this much older than the store where it does not push its changes; 1000 ms when absent. */
  staleMsMax?: number;
  /** Indexes kept in memory, one per cluster; 500 when absent. */
  clustersMax?: number;
}

/** Decoded once per stored revision, however often an index is built anew. */
const rolesRead = new WeakMap<Stored, readonly Rule[]>();
const bindingsRead = new WeakMap<Stored, ClusterRoleBinding>();

const decode = <T>(stored: Stored): T =>
  JSON.parse(Buffer.from(stored.bytes.buffer, stored.bytes.byteOffset, stored.bytes.byteLength).toString()) as T;

const rulesOf = (stored: Stored): readonly Rule[] => {
  let rules = rolesRead.get(stored);
  if (!rules) {
    rules = ((decode<ClusterRole>(stored).rules ?? []) as PolicyRule[]).map(compileRule);
    rolesRead.set(stored, rules);
  }
  return rules;
};

const bindingOf = (stored: Stored): ClusterRoleBinding => {
  let binding = bindingsRead.get(stored);
  if (!binding) {
    binding = decode<ClusterRoleBinding>(stored);
    bindingsRead.set(stored, binding);
  }
  return binding;
};

interface Subject {
  kind: string;
  name: string;
  namespace?: string;
}

/** Undefined for what no user can be: another kind, or an account of no namespace. */
const subjectKey = ({ kind, name, namespace = '' }: Subject): string | undefined => {
  if (kind === 'ServiceAccount') return namespace && `U:system:serviceaccount:${namespace}:${name}`;
  if (kind === 'User') return `U:${name}`;
  return kind === 'Group' ? `G:${name}` : undefined;
};

const describeSubject = ({ kind, name, namespace = '' }: Subject): string =>
  `${kind} ${JSON.stringify(kind === 'ServiceAccount' ? `${name}/${namespace}` : name)}`;

const buildSubjects = ([clusterRoles, clusterBindings, roles, bindings]: Four<Replica>): Map<string, Held> => {
  const bySubject = new Map<string, Held>();
  const add = (stored: Stored, namespace: string): void => {
    const { metadata, roleRef, subjects = [] } = bindingOf(stored);
    const isRole = roleRef.kind === 'Role';
    const role = isRole ? roles.get(`${namespace}/${roleRef.name}`) : clusterRoles.get(roleRef.name);
    const rules = role ? rulesOf(role) : [];
    const name = metadata?.name ?? '';
    const binding = namespace
      ? `RoleBinding ${JSON.stringify(`${name}/${namespace}`)}`
      : `ClusterRoleBinding ${JSON.stringify(name)}`;
    for (const named of subjects) {
      const subject = named.kind === 'ServiceAccount' && !named.namespace ? { ...named, namespace } : named;
      const key = subjectKey(subject);
      if (!key) continue;
      let held = bySubject.get(key);
      if (!held) {
        held = { cluster: createGrants(), namespaced: new Map() };
        bySubject.set(key, held);
      }
      const grant: Grant = {
        binding: stored,
        rules,
        why: `${binding} of ${roleRef.kind} ${JSON.stringify(roleRef.name)} to ${describeSubject(subject)}`,
      };
      if (!role) grant.missing = `${roleRef.kind.toLowerCase()}.${GROUP} ${JSON.stringify(roleRef.name)} not found`;
      let into = namespace ? held.namespaced.get(namespace) : held.cluster;
      if (!into) {
        into = createGrants();
        held.namespaced.set(namespace, into);
      }
      addGrant(into, grant);
    }
  };
  for (const stored of clusterBindings.list({})) add(stored, '');
  for (const stored of bindings.list({})) add(stored, stored.key.slice(0, stored.key.indexOf('/')));
  return bySubject;
};

/** Calls back with the grants that a user has in a namespace, cluster-wide ones first; ends at the first true. */
const visit = (index: Index, user: UserInfo, namespace: string, each: (grants: Grants) => boolean): boolean => {
  const own = index.bySubject.get(`U:${user.username}`);
  if (own && each(own.cluster)) return true;
  for (const group of user.groups) {
    const held = index.bySubject.get(`G:${group}`);
    if (held && each(held.cluster)) return true;
  }
  if (!namespace) return false;
  const here = own?.namespaced.get(namespace);
  if (here && each(here)) return true;
  for (const group of user.groups) {
    const held = index.bySubject.get(`G:${group}`)?.namespaced.get(namespace);
    if (held && each(held)) return true;
  }
  return false;
};

const decide = (index: Index, attributes: Attributes): Decision => {
  const asked = askedOf(attributes);
  let found: Grant | undefined;
  let missing: string[] | undefined;
  const allowed = visit(index, attributes.user, attributes.isResource ? attributes.namespace : '', (grants) => {
    found = findGrant(grants, asked);
    if (!found && grants.missing.length > 0) missing = missing ? [...missing, ...grants.missing] : grants.missing;
    return found !== undefined;
  });
  if (allowed) return { allowed: true, reason: `RBAC: allowed by ${(found as Grant | undefined)?.why}` };
  const lost = missing as string[] | undefined;
  return { allowed: false, reason: lost ? `RBAC: ${faultsText(lost)}` : '' };
};

/** Brings a cluster's index up to date: at once while its replicas stand where they did when it was built. */
const createIndexes = ({ replicas, clock, staleMsMax = 1000, clustersMax = 500 }: RbacOptions) => {
  const indexes = new Map<string, Index & { domains: Four<Domain> }>();

  const build = async (cluster: string): Promise<Index> => {
    const domains = KINDS.map((resource) => ({ cluster, group: GROUP, resource })) as unknown as Four<Domain>;
    const of = (await Promise.all(domains.map((d) => replicas.of(d)))) as unknown as Four<Replica>;
    await Promise.all(of.map((replica) => replica.fresh()));
    const revisions = of.map((replica) => replica.revision) as unknown as Four<bigint>;
    const index = { domains, replicas: of, revisions, bySubject: buildSubjects(of), freshAt: clock.now() };
    indexes.delete(cluster);
    indexes.set(cluster, index);
    for (const oldest of indexes.keys()) {
      if (indexes.size <= clustersMax) break;
      indexes.delete(oldest);
    }
    return index;
  };

  const same = (index: Index & { domains: Four<Domain> }): boolean => {
    for (let i = 0; i < 4; i++) {
      const domain = index.domains[i];
      const replica = domain && replicas.peek(domain);
      if (!replica || replica !== index.replicas[i] || replica.revision !== index.revisions[i]) return false;
    }
    return true;
  };

  /** An index, or the promise of one where something has to be read. */
  return (cluster: string): Index | Promise<Index> => {
    const index = indexes.get(cluster);
    if (!index || !same(index)) return build(cluster);
    if (clock.now() - index.freshAt <= staleMsMax) return index;
    return Promise.all(index.replicas.map((replica) => replica.fresh())).then(() => {
      if (!same(index)) return build(cluster);
      index.freshAt = clock.now();
      return index;
    });
  };
};

/**
 * Role-based access control over the roles and bindings of each cluster, read from replicas, as
 * https://kubernetes.io/docs/reference/access-authn-authz/rbac/ describes. Aggregated ClusterRoles are filled in by a
 * controller, and system:masters is allowed by `mastersAuthorizer`, which stands in front.
 */
export const rbacAuthorizer = (options: RbacOptions): Authorizer => {
  const indexOf = createIndexes(options);
  return {
    authorize: (attributes) => {
      const index = indexOf(attributes.cluster);
      return index instanceof Promise ? index.then((read) => decide(read, attributes)) : decide(index, attributes);
    },
    rulesFor: async (cluster, user, namespace) => {
      const rules: AllowedRule[] = [];
      const missing: string[] = [];
      const seen = new Set<Stored>();
      visit(await indexOf(cluster), user, namespace, (grants) => {
        for (const grant of grants.list) {
          if (seen.has(grant.binding)) continue;
          seen.add(grant.binding);
          if (grant.missing) missing.push(grant.missing);
          for (const rule of grant.rules) rules.push(rule.shown);
        }
        return false;
      });
      return { rules, ...(missing.length > 0 && { fault: faultsText(missing) }) };
    },
  };
};
