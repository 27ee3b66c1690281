import { timingSafeEqual } from 'node:crypto';
import type { ConnectionInfo } from '../context.ts';
import type { UserInfo } from '../registry.ts';
import { certificateScope } from './certificate-scope.ts';

type Found = UserInfo | undefined;

/** Who a bearer token or a connection belongs to; undefined when this authenticator does not know it. */
export interface Authenticator {
  /** `cluster` bounds whose tokens count; at once where nothing has to be asked. Throws only for a failure of its own. */
  authenticate(cluster: string, token: string | undefined, connection: ConnectionInfo): Found | Promise<Found>;
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

/**
 * One fixed token per user, for an administrator's kubeconfig; a few at most, for each is compared with. How long that
 * takes tells of what is given, and of the lengths of those that are known.
 */
export const staticTokens = (tokens: ReadonlyMap<string, UserInfo>): Authenticator => {
  const known = [...tokens].map(([token, info]) => {
    const bytes = Buffer.from(token);
    return { letters: token.length, bytes, given: Buffer.alloc(bytes.length), info };
  });
  return {
    authenticate: (_cluster, token) => {
      if (token === undefined) return undefined;
      let found: UserInfo | undefined;
      for (const { letters, bytes, given, info } of known) {
        // A letter that does not fit whole is not written: what stood there before would count.
        if (token.length !== letters || given.write(token) !== bytes.length) continue;
        if (timingSafeEqual(bytes, given)) found = info;
      }
      return found;
    },
  };
};

/**
 * User from the certificate's common name, groups from its organizations, as upstream's x509 authenticator. One authority
 * signs for all clusters of a deployment: a certificate counts in the cluster that it names, else in `default` only.
 */
export const clientCertificates = (uidOf?: (cluster: string) => string | undefined): Authenticator => ({
  authenticate: (cluster, _token, { clientCertificate: c }) =>
    c?.commonName && c.scope === certificateScope(cluster, uidOf?.(cluster))
      ? user(c.commonName, c.organizations, c.uid, {
          'authentication.kubernetes.io/credential-id': [`X509SHA256=${c.fingerprint}`],
        })
      : undefined,
});

/** The first authenticator that knows the caller decides. */
export const firstOf = (...authenticators: Authenticator[]): Authenticator => {
  /** Goes on where one of them had to ask. */
  const later = async (asked: Promise<Found>, next: number, ...given: Parameters<Authenticator['authenticate']>) => {
    let found = await asked;
    for (let i = next; !found && i < authenticators.length; i++)
      found = await authenticators[i]?.authenticate(...given);
    return found;
  };
  return {
    authenticate: (cluster, token, connection) => {
      for (let i = 0; i < authenticators.length; i++) {
        const found = authenticators[i]?.authenticate(cluster, token, connection);
        if (found instanceof Promise) return later(found, i + 1, cluster, token, connection);
        if (found) return found;
      }
      return undefined;
    },
  };
};
