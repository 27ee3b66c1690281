import type { UserInfo } from '../registry.ts';
import type { Authenticator } from './authenticator.ts';
import type { BoundObjects } from './bound-objects.ts';

/** What a service account token says, in the claims Kubernetes uses. */
export interface TokenClaims {
  namespace: string;
  serviceAccount: { name: string; uid: string };
  audiences: readonly string[];
  /** Seconds since the epoch. */
  issuedAt: number;
  expiresAt: number;
  /** The object that the token dies with. */
  bound?: { kind: string; name: string; uid: string };
  /** The node that a bound pod runs on. */
  node?: { name: string; uid: string };
  /** Seconds since the epoch: from then on its use is stale, though it still counts. */
  warnAfter?: number;
  /** The token's own id (jti); made when signing where absent. */
  id?: string;
}

/** Signs service account tokens of a cluster. */
export interface TokenSigner {
  readonly audiences: readonly string[];
  sign(cluster: string, claims: TokenClaims): Promise<string>;
  /** Claims of a token that this cluster's key signed and that holds now; whatever its audience. */
  verify(cluster: string, token: string): Promise<TokenClaims | undefined>;
}

const CREDENTIAL = 'authentication.kubernetes.io/credential-id';

/** The user that a service account's token stands for. KEP-4193 says what stands in `extra`. */
export const serviceAccountUser = (claims: TokenClaims): UserInfo => {
  const { namespace, serviceAccount, bound, node, id } = claims;
  const pod = bound?.kind === 'Pod' ? bound : undefined;
  const on = node ?? (bound?.kind === 'Node' ? bound : undefined);
  return {
    username: `system:serviceaccount:${namespace}:${serviceAccount.name}`,
    uid: serviceAccount.uid,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
    extra: {
      ...(id && { [CREDENTIAL]: [`JTI=${id}`] }),
      ...(pod && {
        'authentication.kubernetes.io/pod-name': [pod.name],
        'authentication.kubernetes.io/pod-uid': [pod.uid],
      }),
      ...(on && {
        'authentication.kubernetes.io/node-name': [on.name],
        ...(on.uid && { 'authentication.kubernetes.io/node-uid': [on.uid] }),
      }),
    },
  };
};

/**
 * Accepts tokens that the signer made for this cluster, with one of `audiences` (its own where absent). With `objects`
 * a token also dies with its service account and with the object that it is bound to.
 */
export const serviceAccountTokens = (
  signer: TokenSigner,
  objects?: BoundObjects,
  audiences: readonly string[] = signer.audiences,
): Authenticator => ({
  authenticate: async (cluster, token, connection) => {
    if (token?.split('.').length !== 3) return undefined;
    const claims = await signer.verify(cluster, token);
    const wanted = connection.audiences ?? audiences;
    if (!claims?.audiences.some((a) => wanted.includes(a))) return undefined;
    if (objects && !(await objects.allExist(cluster, claims))) return undefined;
    return serviceAccountUser(claims);
  },
});
