import type { Replicas } from '../../store/replica-port.ts';
import type { Store } from '../../store/store.ts';
import type { Configured } from '../configuration.ts';
import type { Cluster } from '../fleet/cluster-kind.ts';
import type { UserInfo } from '../registry.ts';
import { type Authenticator, anonymous, clientCertificates, firstOf, staticTokens, user } from './authenticator.ts';
import { awsTokens } from './aws/aws-tokens.ts';
import { bootstrapTokens } from './bootstrap-tokens.ts';
import { type BoundObjects, createBoundObjects } from './bound-objects.ts';
import { jwtTokens } from './jwt/authenticator.ts';
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
  /** What a tenant's Cluster asks for: principals of AWS and issuers among it. */
  specOf?(cluster: string): Cluster['spec'];
  /** Holds bootstrap tokens; none count where absent. */
  store?: Pick<Store, 'get'>;
  /** Names the issuers whose tokens count too, and principals of AWS. */
  configured?: Configured;
  /** Told why AWS could not be asked. */
  onFailure?(cluster: string, why: string): void;
  /** Requests without credentials are system:anonymous everywhere; otherwise only health and version paths take them. */
  anonymous?: boolean;
}

const anonymousUsers: Authenticator = {
  authenticate: (_cluster, token, { clientCertificate }) =>
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

/**
 * Who asks: a client certificate, else a token: a static one, one of a node or a service account, then, as asking them may
 * take a request, one of AWS or of the issuers that are configured; then, where enabled, anybody.
 */
export const authenticatorChain = (options: ChainOptions): Authenticator => {
  const fixed = new Map(options.tokens);
  if (options.adminToken) fixed.set(options.adminToken, user('admin', ['system:masters']));
  const bound = createBoundObjects(options);
  const { configured, specOf } = options;
  return firstOf(
    clientCertificates(options.uidOf),
    staticTokens(fixed),
    boundNodes(options.authority.nodeTokens, bound),
    options.authority.adminTokens,
    serviceAccountTokens(options.authority, bound),
    awsTokens({ ...options, audiences: options.authority.audiences }),
    ...(options.store ? [bootstrapTokens(options.store, options.clock)] : []),
    jwtTokens((cluster) => specOf?.(cluster)?.authentication ?? configured?.(cluster).authentication, options.clock),
    ...(options.anonymous ? [anonymousUsers] : []),
  );
};
