import type { UserInfo } from '../registry.ts';
import type { Authenticator } from './authenticator.ts';

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
}

/** Signs service account tokens of a cluster. */
export interface TokenSigner {
  readonly audiences: readonly string[];
  sign(cluster: string, claims: TokenClaims): Promise<string>;
  verify(cluster: string, token: string): Promise<TokenClaims | undefined>;
}

/** The user that a service account's token stands for. */
export const serviceAccountUser = (claims: TokenClaims): UserInfo => ({
  username: `system:serviceaccount:${claims.namespace}:${claims.serviceAccount.name}`,
  uid: claims.serviceAccount.uid,
  groups: ['system:serviceaccounts', `system:serviceaccounts:${claims.namespace}`, 'system:authenticated'],
  extra: {},
});

/** Accepts tokens that the signer made for this cluster, with its own audience. */
export const serviceAccountTokens = (signer: TokenSigner): Authenticator => ({
  authenticate: async (cluster, token) => {
    if (token?.split('.').length !== 3) return undefined;
    const claims = await signer.verify(cluster, token);
    if (!claims?.audiences.some((a) => signer.audiences.includes(a))) return undefined;
    return serviceAccountUser(claims);
  },
});
