import type { UserInfo } from '../../registry.ts';
import { user } from '../authenticator.ts';
import type { AwsAuth, AwsAuthMapping } from './aws-auth.ts';
import type { CallerIdentity } from './caller-identity.ts';
import { type ClusterAccess, entryUser } from './cluster-access.ts';
import { fillIn } from './user-templates.ts';

/** What stands in `extra`, in EKS' names. */
const extraOf = ({ arn, canonicalArn, sessionName, accessKeyId, principalId }: CallerIdentity) => ({
  arn: [arn],
  canonicalArn: [canonicalArn],
  sessionName: [sessionName],
  accessKeyId: [accessKeyId],
  principalId: [principalId],
  'sigs.k8s.io/aws-iam-authenticator/principalId': [principalId],
});

interface Mapped {
  username: string;
  groups: readonly string[];
}

const filledIn = ({ username, groups }: AwsAuthMapping, identity: CallerIdentity): Mapped | undefined => {
  const name = fillIn(username || identity.canonicalArn, identity);
  const filled = groups.map((group) => fillIn(group, identity));
  return name && !filled.includes(undefined) ? { username: name, groups: filled as string[] } : undefined;
};

/** Roles before users before accounts, as aws-iam-authenticator asks them. */
const byAwsAuth = (auth: AwsAuth, identity: CallerIdentity): Mapped | undefined => {
  const arn = identity.canonicalArn.toLowerCase();
  const mapping = auth.roles.get(arn) ?? auth.users.get(arn);
  if (mapping) return filledIn(mapping, identity);
  return auth.accounts.has(identity.account) ? { username: identity.canonicalArn, groups: [] } : undefined;
};

/**
 * Who a caller is in a cluster; undefined for one that nothing maps. An access entry decides alone where there is one:
 * `aws-auth` is then not looked at.
 */
export const awsUser = (
  access: ClusterAccess,
  auth: AwsAuth | undefined,
  identity: CallerIdentity,
): UserInfo | undefined => {
  if (access.accounts && !access.accounts.has(identity.account)) return undefined;
  const entry = access.mode === 'CONFIG_MAP' ? undefined : access.entries.find(identity.canonicalArn);
  const mapped = entry ? entryUser(entry, identity) : auth && access.mode !== 'API' && byAwsAuth(auth, identity);
  if (!mapped) return undefined;
  const uid = `aws-iam-authenticator:${identity.account}:${identity.principalId}`;
  return user(mapped.username, mapped.groups, uid, extraOf(identity));
};
