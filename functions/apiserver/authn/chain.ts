import type { Replicas } from '../../store/replica-port.ts';
import type { UserInfo } from '../registry.ts';
import { type Authenticator, anonymous, clientCertificates, firstOf, staticTokens, user } from './authenticator.ts';
import { type BoundObjects, createBoundObjects } from './bound-objects.ts';
import { serviceAccountTokens } from './service-account-tokens.ts';
import type { TokenAuthority } from './token-authority.ts';

export interface ChainOptions {
  /** Static bearer token of the administrator: user `admin` in system:masters. */
  adminToken?: string;
  /** Further static tokens. */
  tokens?: ReadonlyMap<string, UserInfo>;
  authority: TokenAuthority;
  replicas: Replicas;
  clock: { now(): number };
  /** The uid of a cluster's object: certificates of an earlier cluster of its name do not count. */
  uidOf?(cluster: string): string | undefined;
  /** Requests without credentials are system:anonymous everywhere; otherwise only health and version paths take them. */
  anonymous?: boolean;
}

const anonymousUsers: Authenticator = {
  authenticate: async (_cluster, token, { clientCertificate }) =>
    token === undefined && !clientCertificate ? anonymous : undefined,
};

/** Tokens of nodes that joined name their Node object, and end with it. */
const boundNodes = (nodes: Authenticator, bound: BoundObjects): Authenticator => ({
  authenticate: async (cluster, token, connection) => {
    const found = await nodes.authenticate(cluster, token, connection);
    if (!found?.uid) return found;
    const name = found.username.slice('system:node:'.length);
    return (await bound.nodeExists(cluster, name, found.uid)) ? found : undefined;
  },
});

/** Who asks: static tokens, client certificates, node and service account tokens, then, where enabled, anybody. */
export const authenticatorChain = (options: ChainOptions): Authenticator => {
  const fixed = new Map(options.tokens);
  if (options.adminToken) fixed.set(options.adminToken, user('admin', ['system:masters']));
  const bound = createBoundObjects(options);
  return firstOf(
    staticTokens(fixed),
    clientCertificates(options.uidOf),
    boundNodes(options.authority.nodeTokens, bound),
    options.authority.adminTokens,
    serviceAccountTokens(options.authority, bound),
    ...(options.anonymous ? [anonymousUsers] : []),
  );
};
