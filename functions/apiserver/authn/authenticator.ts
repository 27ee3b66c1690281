import { hash } from 'node:crypto';
import type { ConnectionInfo } from '../context.ts';
import type { UserInfo } from '../registry.ts';
import { certificateScope } from './certificate-scope.ts';

/** Who a bearer token or a connection belongs to; undefined when this authenticator does not know it. */
export interface Authenticator {
  /** `cluster` bounds whose tokens count. Throws only for a failure of its own. */
  authenticate(cluster: string, token: string | undefined, connection: ConnectionInfo): Promise<UserInfo | undefined>;
}

/** A user that is known: in system:authenticated, unless it is said to be a stranger. */
export const user = (
  username: string,
  groups: readonly string[],
  uid = '',
  extra: Readonly<Record<string, readonly string[]>> = {},
): UserInfo => {
  const said = groups.includes('system:authenticated') || groups.includes('system:unauthenticated');
  const all = said || username === 'system:anonymous' ? groups : [...groups, 'system:authenticated'];
  return { username, uid, groups: all, extra };
};

export const anonymous: UserInfo = {
  username: 'system:anonymous',
  uid: '',
  groups: ['system:unauthenticated'],
  extra: {},
};

/** One fixed token per user, for an administrator's kubeconfig. Compared by hash, so that timing tells nothing. */
export const staticTokens = (tokens: ReadonlyMap<string, UserInfo>): Authenticator => {
  const digest = (token: string): string => hash('sha256', token, 'base64');
  const users = new Map([...tokens].map(([token, info]) => [digest(token), info]));
  return { authenticate: async (_cluster, token) => (token === undefined ? undefined : users.get(digest(token))) };
};

/**
 * User from the certificate's common name, groups from its organizations, as upstream's x509 authenticator. One authority
 * signs for all clusters of a deployment: a certificate counts in the cluster that it names, else in `default` only.
 */
export const clientCertificates = (uidOf?: (cluster: string) => string | undefined): Authenticator => ({
  authenticate: async (cluster, _token, { clientCertificate: c }) =>
    c?.commonName && c.scope === certificateScope(cluster, uidOf?.(cluster))
      ? user(c.commonName, c.organizations, c.uid, {
          'authentication.kubernetes.io/credential-id': [`X509SHA256=${c.fingerprint}`],
        })
      : undefined,
});

/** The first authenticator that knows the caller decides. */
export const firstOf = (...authenticators: Authenticator[]): Authenticator => ({
  authenticate: async (cluster, token, connection) => {
    for (const one of authenticators) {
      const found = await one.authenticate(cluster, token, connection);
      if (found) return found;
    }
    return undefined;
  },
});
