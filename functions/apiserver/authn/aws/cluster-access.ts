import type { Configured } from '../../configuration.ts';
import { BUILT_IN, type Cluster, FLEET } from '../../fleet/cluster-kind.ts';
import { type AccessEntry, type AuthenticationMode, policyName, principalKey } from './access-entry.ts';
import { accessEntrySchema } from './access-entry-schema.ts';
import { readPrincipal } from './arn.ts';
import type { CallerIdentity } from './caller-identity.ts';
import type { AwsIdentity, StsSettings } from './identity-configuration.ts';
import { CLUSTER_ID } from './identity-configuration.ts';
import { fillIn } from './user-templates.ts';

/** The access entries of a cluster, looked up by principal. */
export interface AccessEntries {
  find(arn: string): AccessEntry | undefined;
}

/** How principals of AWS come into one cluster. */
export interface ClusterAccess {
  /** What callers sign for. */
  clusterId: string;
  mode: AuthenticationMode;
  entries: AccessEntries;
  accounts: ReadonlySet<string> | undefined;
  sts: StsSettings;
}

export interface AccessOptions {
  /** The operator's document, which holds for `default` and `system`; where STS is, it says for all. */
  configured?: Configured | undefined;
  /** Of a tenant's Cluster, as last seen. */
  specOf?(cluster: string): Cluster['spec'];
  uidOf?(cluster: string): string | undefined;
}

const NO_SETTINGS: StsSettings = {};
const NO_ENTRIES: readonly AccessEntry[] = [];
const indexed = new WeakMap<readonly AccessEntry[], AccessEntries>();

/** Entries that do not stand let nobody in; of two of a principal neither does. */
const indexOf = (entries: readonly AccessEntry[]): AccessEntries => {
  const known = indexed.get(entries);
  if (known) return known;
  const byPrincipal = new Map<string, AccessEntry | undefined>();
  for (const entry of entries) {
    if (!accessEntrySchema.safeParse(entry).success) continue;
    const key = principalKey(entry.principalArn) ?? '';
    byPrincipal.set(key, byPrincipal.has(key) ? undefined : entry);
  }
  const index: AccessEntries = { find: (arn) => byPrincipal.get(principalKey(arn) ?? '') };
  indexed.set(entries, index);
  return index;
};

const ofOperator = (cluster: string, given: AwsIdentity): ClusterAccess => ({
  clusterId: cluster === FLEET ? `${given.clusterId}.${FLEET}` : given.clusterId,
  mode: given.authenticationMode,
  entries: indexOf(given.accessEntries),
  accounts: given.accounts && new Set(given.accounts),
  sts: given.sts,
});

const ofTenant = (spec: NonNullable<Cluster['spec']>, uid: string, sts: StsSettings): ClusterAccess | undefined => {
  const { accessConfig, accessEntries } = spec;
  if (!accessConfig && !accessEntries) return undefined;
  const clusterId = accessConfig?.clusterId ?? uid;
  if (!CLUSTER_ID.test(clusterId)) return undefined;
  return {
    clusterId,
    mode: accessConfig?.authenticationMode ?? 'API_AND_CONFIG_MAP',
    entries: indexOf(accessEntries ?? NO_ENTRIES),
    accounts: undefined,
    sts,
  };
};

/** Finds how principals of AWS come into a cluster, at this moment; undefined where they do not. */
export const createAccess = ({ configured, specOf, uidOf }: AccessOptions) => {
  interface Made {
    uid: string;
    sts: StsSettings;
    access: ClusterAccess | undefined;
  }
  // The operator's two clusters share a document.
  const made = new WeakMap<object, Map<string, Made>>();
  return (cluster: string): ClusterAccess | undefined => {
    // A tenant is never let in by what is said of the operator's clusters.
    const own = BUILT_IN.has(cluster) ? configured?.(cluster).awsIdentity : undefined;
    const spec = own ? undefined : specOf?.(cluster);
    const source = own ?? spec;
    if (!source) return undefined;
    const sts = own?.sts ?? configured?.('default').awsIdentity?.sts ?? NO_SETTINGS;
    const uid = own ? '' : (uidOf?.(cluster) ?? '');
    const ofSource = made.get(source) ?? new Map<string, Made>();
    made.set(source, ofSource);
    const known = ofSource.get(cluster);
    if (known?.uid === uid && known.sts === sts) return known.access;
    const access = own ? ofOperator(cluster, own) : spec && ofTenant(spec, uid, sts);
    ofSource.set(cluster, { uid, sts, access });
    return access;
  };
};

/** The user that an access entry makes of a caller; undefined where it cannot be told or is not the one that was let in. */
export const entryUser = (
  entry: AccessEntry,
  identity: CallerIdentity,
): { username: string; groups: readonly string[] } | undefined => {
  if (entry.principalId !== undefined && entry.principalId !== identity.principalId) return undefined;
  const { type = 'STANDARD' } = entry;
  if (type !== 'STANDARD') return nodeUser(type, identity);
  const username = fillIn(usernameOf(entry), identity);
  const groups = (entry.kubernetesGroups ?? []).map((group) => fillIn(group, identity));
  if (!username || groups.includes(undefined)) return undefined;
  return { username, groups: groups as string[] };
};

const usernameOf = ({ principalArn, username }: AccessEntry): string => {
  if (username !== undefined) return username;
  const principal = readPrincipal(principalArn);
  if (principal?.type !== 'role') return principalArn;
  const { partition, account, name } = principal;
  return `arn:${partition}:sts::${account}:assumed-role/${name.slice(name.lastIndexOf('/') + 1)}/{{SessionName}}`;
};

/** Nodes are called by their session: an instance of EC2 has its id there. Names of EC2's private DNS are not looked up. */
const nodeUser = (type: string, { sessionName }: CallerIdentity) => {
  const form = type === 'EC2' ? /^i-[0-9a-f]{8,17}$/ : /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/;
  if ((type !== 'EC2' && type !== 'HYBRID_LINUX') || !form.test(sessionName)) return undefined;
  return { username: `system:node:${sessionName}`, groups: ['system:bootstrappers', 'system:nodes'] };
};

/** The policies of an entry, by name. */
export const policiesOf = ({ accessPolicies = [] }: AccessEntry) =>
  accessPolicies.map(({ policyArn, accessScope }) => ({ name: policyName(policyArn), scope: accessScope }));
