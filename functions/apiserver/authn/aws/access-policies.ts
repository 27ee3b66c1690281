import type { ClusterRole, PolicyRule } from '../../../machinery/kinds.d.ts';
import { createRecency, oncePerState } from '../../../store/recent.ts';
import type { Replicas } from '../../../store/replica-port.ts';
import type { Stored } from '../../../store/store.ts';
import type { AllowedRule, Authorizer, Decision } from '../../authz/authorizer.ts';
import { askedOf, compileRule, type Rule, ruleAllows } from '../../authz/rbac-rules.ts';
import type { UserInfo } from '../../registry.ts';
import { type AccessEntry, type PolicyName, policyName } from './access-entry.ts';
import { readPrincipal } from './arn.ts';
import { type AccessOptions, type ClusterAccess, createAccess, entryUser } from './cluster-access.ts';
import { fitsWildcard } from './wildcard.ts';

/** The rules of policies that are the same in every cluster. */
const FIXED: Partial<Record<PolicyName, readonly Rule[]>> = {
  AmazonEKSClusterAdminPolicy: [
    { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
    { verbs: ['*'], nonResourceURLs: ['*'] },
  ].map((rule) => compileRule(rule as PolicyRule)),
  AmazonEKSAdminViewPolicy: [
    compileRule({ verbs: ['get', 'list', 'watch'], apiGroups: ['*'], resources: ['*'] } as PolicyRule),
  ],
};

/** The others are the user-facing roles of the cluster, with all that is aggregated to them. */
const ROLES: Partial<Record<PolicyName, string>> = {
  AmazonEKSAdminPolicy: 'admin',
  AmazonEKSEditPolicy: 'edit',
  AmazonEKSViewPolicy: 'view',
};

/** One policy of an entry: undefined namespaces stand for the whole cluster. */
interface Grant {
  name: PolicyName;
  namespaces: readonly string[] | undefined;
}

const grantsOf = ({ accessPolicies = [] }: AccessEntry): Grant[] =>
  accessPolicies.flatMap(({ policyArn, accessScope }) => {
    const name = policyName(policyArn);
    if (!name) return [];
    const { type, namespaces = [] } = accessScope;
    return [{ name, namespaces: type === 'cluster' ? undefined : namespaces }];
  });

const reaches = ({ namespaces }: Grant, namespace: string): boolean =>
  !namespaces || (namespace !== '' && namespaces.some((one) => fitsWildcard(one, namespace)));

export interface AccessPoliciesOptions extends AccessOptions {
  replicas: Replicas;
  clock: { now(): number };
  /** Roles may be this much older than the store where it does not push its changes; 1000 ms where absent. */
  staleMsMax?: number;
}

const noOpinion: Decision = { allowed: false, reason: '' };
const NONE: readonly Grant[] = [];

const parseRules = (stored: Stored): readonly Rule[] => {
  const { rules = [] } = JSON.parse(Buffer.from(stored.bytes).toString()) as ClusterRole;
  return (rules as PolicyRule[]).map(compileRule);
};

/** The rules of the roles `admin`, `edit` and `view` of a cluster. */
const createRoles = ({ replicas, clock, staleMsMax = 1000 }: AccessPoliciesOptions) => {
  const read = oncePerState(parseRules);
  const { isRecent, freshen } = createRecency(clock, staleMsMax);
  return async (cluster: string, role: string): Promise<readonly Rule[]> => {
    const replica = await replicas.of({ cluster, group: 'rbac.authorization.k8s.io', resource: 'clusterroles' });
    if (!isRecent(replica)) await freshen(replica);
    const stored = replica.get(role);
    return stored ? read(stored) : [];
  };
};

/**
 * The grants of whoever an access entry has let in. What identity it was is told by `extra`; the name must be the one that
 * the entry gives to it, so that whoever may take on parts of another user does not come into the policies of an entry.
 */
const createGrants = (options: AccessPoliciesOptions) => {
  const accessOf = createAccess(options);
  const known = new WeakMap<UserInfo, { access: ClusterAccess; grants: readonly Grant[] }>();
  const find = (access: ClusterAccess, { username, extra }: UserInfo): readonly Grant[] => {
    const [arn = ''] = extra.arn ?? [];
    const [principalId = ''] = extra.principalId ?? [];
    const principal = readPrincipal(arn);
    if (!principal || principal.canonical !== extra.canonicalArn?.[0]) return NONE;
    if (access.mode === 'CONFIG_MAP' || (access.accounts && !access.accounts.has(principal.account))) return NONE;
    const entry = access.entries.find(principal.canonical);
    if (!entry?.accessPolicies?.length) return NONE;
    const [sessionName = ''] = extra.sessionName ?? [];
    const [accessKeyId = ''] = extra.accessKeyId ?? [];
    const identity = { arn, canonicalArn: principal.canonical, account: principal.account };
    const made = entryUser(entry, { ...identity, principal, principalId, sessionName, accessKeyId });
    return made?.username === username ? grantsOf(entry) : NONE;
  };
  return (cluster: string, user: UserInfo): readonly Grant[] => {
    const access = accessOf(cluster);
    if (!access) return NONE;
    const before = known.get(user);
    if (before?.access === access) return before.grants;
    const grants = find(access, user);
    known.set(user, { access, grants });
    return grants;
  };
};

/** Allows what the policies of access entries allow; has no opinion on anything else. */
export const createAccessPolicies = (options: AccessPoliciesOptions): Authorizer => {
  const grantsFor = createGrants(options);
  const roleRules = createRoles(options);
  const rulesOf = async (cluster: string, { name }: Grant): Promise<readonly Rule[]> =>
    FIXED[name] ?? (await roleRules(cluster, ROLES[name] ?? ''));

  return {
    authorize: async (attributes) => {
      const { cluster, user, namespace, isResource } = attributes;
      const grants = grantsFor(cluster, user);
      if (grants.length === 0) return noOpinion;
      const asked = askedOf(attributes);
      for (const grant of grants) {
        if (!reaches(grant, isResource ? namespace : '')) continue;
        for (const rule of await rulesOf(cluster, grant))
          if (ruleAllows(rule, asked)) return { allowed: true, reason: `access policy: allowed by ${grant.name}` };
      }
      return noOpinion;
    },
    rulesFor: async (cluster, user, namespace) => {
      const rules: AllowedRule[] = [];
      for (const grant of grantsFor(cluster, user))
        if (reaches(grant, namespace))
          for (const { shown } of await rulesOf(cluster, grant))
            if (!grant.namespaces || !shown.nonResourceURLs) rules.push(shown);
      return { rules };
    },
  };
};
