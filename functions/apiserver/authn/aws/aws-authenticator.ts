import { isDeepStrictEqual } from 'node:util';
import type { UserInfo } from '../../registry.ts';
import type { Authenticator } from '../authenticator.ts';
import type { AwsAuth } from './aws-auth.ts';
import { createAwsAuthMap } from './aws-auth-map.ts';
import type { AwsTokensOptions } from './aws-tokens.ts';
import { awsUser } from './aws-users.ts';
import type { CallerIdentity } from './caller-identity.ts';
import { type ClusterAccess, createAccess } from './cluster-access.ts';
import type { StsSettings } from './identity-configuration.ts';
import { createSts, type Sts } from './sts-request.ts';
import { createVerifiedTokens, type VerifiedTokens } from './verified-tokens.ts';

interface Made {
  access: ClusterAccess;
  /** Whether aws-auth has no say. */
  byEntry: boolean;
  auth: AwsAuth | undefined;
  user: UserInfo | undefined;
}

const isByEntry = ({ mode, entries }: ClusterAccess, { canonicalArn }: CallerIdentity): boolean =>
  mode === 'API' || (mode === 'API_AND_CONFIG_MAP' && entries.find(canonicalArn) !== undefined);

/**
 * Presigned tokens: judged by themselves, then by STS, then mapped by access entries and `aws-auth` as these are at the
 * moment, so that whoever is taken out of them is out with the next request. `stsOf` is for tests.
 */
export const createAwsAuthenticator = (
  options: AwsTokensOptions,
  stsOf: (settings: StsSettings) => Sts = createSts,
): Authenticator => {
  const { clock, audiences, onFailure } = options;
  const accessOf = createAccess(options);
  const authOf = createAwsAuthMap(options);
  const users = new WeakMap<CallerIdentity, Made>();
  let current: { settings: StsSettings; sts: Sts; verified: VerifiedTokens } | undefined;

  /** Other settings ask another STS, whose word is its own. */
  const verifiedBy = (settings: StsSettings): VerifiedTokens => {
    if (current?.settings === settings) return current.verified;
    // The same words read anew are no other settings.
    if (current && isDeepStrictEqual(current.settings, settings)) {
      current.settings = settings;
      return current.verified;
    }
    current?.sts.close();
    const sts = stsOf(settings);
    const verified = createVerifiedTokens({ sts, places: settings, clock, ...(onFailure && { onFailure }) });
    current = { settings, sts, verified };
    return verified;
  };
  /** Who is let in by an entry costs no look at the cluster's ConfigMaps. */
  const userOf = async (cluster: string, access: ClusterAccess, identity: CallerIdentity) => {
    const found = users.get(identity);
    const known = found?.access === access ? found : undefined;
    const byEntry = known?.byEntry ?? isByEntry(access, identity);
    if (known && byEntry) return known.user;
    const auth = byEntry ? undefined : await authOf(cluster);
    if (known && known.auth === auth) return known.user;
    const user = awsUser(access, auth, identity);
    users.set(identity, { access, byEntry, auth, user });
    return user;
  };

  const whyNot = async (cluster: string, access: ClusterAccess, { canonicalArn }: CallerIdentity): Promise<string> => {
    const unread = access.mode === 'API' ? [] : ((await authOf(cluster))?.unread ?? []);
    const faults = unread.map((key) => `; ${key} of aws-auth is no list that can be read`).join('');
    return `no access entry and no mapping of aws-auth lets ${canonicalArn} in${faults}`;
  };

  return {
    authenticate: async (cluster, token, connection) => {
      const { audiences: wanted } = connection;
      const access = accessOf(cluster);
      if (token === undefined || !access) return undefined;
      if (wanted && audiences && !wanted.some((one) => audiences.includes(one))) return undefined;
      const identity = await verifiedBy(access.sts).identityOf(cluster, access.clusterId, token, connection.explain);
      if (!identity) return undefined;
      const user = await userOf(cluster, access, identity);
      if (!user && connection.explain) connection.explain(await whyNot(cluster, access, identity));
      return user;
    },
  };
};
