import { type ApiServer, createApiServer } from '../../apiserver/app.ts';
import { followAudit } from '../../apiserver/audit/follow.ts';
import { awsPolicies } from '../../apiserver/authn/aws/aws-policies.ts';
import { authenticatorChain } from '../../apiserver/authn/chain.ts';
import { SERVICE_ACCOUNT_ISSUER } from '../../apiserver/authn/issuer.ts';
import { signingKeysOf } from '../../apiserver/authn/signing-keys.ts';
import { createTokenAuthority, type TokenAuthority } from '../../apiserver/authn/token-authority.ts';
import { unionAuthorizer } from '../../apiserver/authz/authorizer.ts';
import { configuredAuthorizer } from '../../apiserver/authz/configured.ts';
import { createAuthorizationMetrics } from '../../apiserver/authz/metrics.ts';
import { nodeAuthorizer } from '../../apiserver/authz/node.ts';
import { createNodeReferences } from '../../apiserver/authz/node-references.ts';
import { rbacAuthorizer } from '../../apiserver/authz/rbac.ts';
import type { Configured } from '../../apiserver/configuration.ts';
import { createFlowControl } from '../../apiserver/flow-control/flow-control.ts';
import { seedClusterOnce } from '../../apiserver/seed.ts';
import type { NodeDialer } from '../../apiserver/streams.ts';
import type { Client } from '../../client/client.ts';
import { createClient } from '../../client/fetch-client.ts';
import type { Clock } from '../../clock/clock.ts';
import { createFleet, type Fleet } from '../../fleet/fleet.ts';
import { createReplicas } from '../../store/replica.ts';
import type { Replicas } from '../../store/replica-port.ts';
import type { Store } from '../../store/store.ts';
import { loadKeys, readTokenKeys } from './keys.ts';

export interface CloudPlaneOptions {
  store: Store;
  clock: Clock;
  /** Bytes that replicas may take; what a function of 512 MB can hold beside its code where absent. */
  replicaBytesMax?: number;
  /** The longest watch: the platform ends requests some time after. */
  watchMsMax?: number;
  /** How log, exec and their kin reach a node, where this process can. */
  dialer?: NodeDialer;
  closing?(): boolean;
  /** The key management service that secrets lie under. */
  kms?: { used(): boolean; healthy(): Promise<boolean> };
  /** What the operator has set the deployment up with. */
  configured?: Configured;
  /** Awaited before each request where it is not undefined: see `Table`. Never rejects. */
  fresh?(): Promise<void> | undefined;
  log(line: string): void;
}

/** What every function of the cloud mode is made of: the API over a store that many processes share. */
export interface CloudPlane {
  api: ApiServer;
  store: Store;
  replicas: Replicas;
  clock: Clock;
  authority: TokenAuthority;
  adminToken: string;
  /** The clusters of the deployment. */
  fleet: Fleet;
  /** A client in process, as system:masters. */
  client(cluster: string): Client;
  /** Makes what every cluster starts with, where it is missing. */
  seed(cluster: string): Promise<void>;
  log(line: string): void;
}

const REPLICA_BYTES_MAX = 128 << 20;
/** A function serves few requests at once: how they are limited may be this much behind the store (record 022). */
const FLOW_STALE_MS = 10_000;
const WINDOW_CHANGES = 2_000;
const WINDOW_MS = 5 * 60_000;
/** The cluster that is served without a prefix. */
export const DEFAULT_CLUSTER = 'default';

/** Every cluster's requests are audited, to standard output, where the platform keeps what a function says. */
const auditOf = (configured: Configured, clock: Clock, log: (line: string) => void) =>
  followAudit({
    configuration: () => configured(DEFAULT_CLUSTER),
    clock,
    directory: '/',
    defaultPath: '-',
    immediate: true,
    log,
  });

/** Composes the API server over a shared store. Rejects when the store cannot be reached. */
export const createCloudPlane = async (options: CloudPlaneOptions): Promise<CloudPlane> => {
  const { store, clock, log } = options;
  const keys = await loadKeys(store);
  const replicas = createReplicas(store, {
    clock,
    bytesMax: options.replicaBytesMax ?? REPLICA_BYTES_MAX,
    windowChanges: WINDOW_CHANGES,
    windowMs: WINDOW_MS,
  });
  const seed = (cluster: string): Promise<void> => seedClusterOnce({ store, cluster, clock });
  const client = (cluster: string): Client =>
    createClient({
      fetch: (request) => api.fetch(request, { internal: true }),
      baseUrl: 'https://127.0.0.1',
      ...(cluster !== DEFAULT_CLUSTER && { cluster }),
      token: keys.adminToken,
      userAgent: 'skiff-control-plane',
    });
  const fleet = createFleet({
    store,
    replicas,
    clock,
    client,
    seed,
    alone: false,
    forget: (cluster) => api.server.registry.forget(cluster),
    onFailure: (what, error) => log(`${what}: ${error instanceof Error ? error.message : error}`),
  });
  const { uidOf } = fleet;
  const audit = options.configured && (await auditOf(options.configured, clock, log));
  const authority = createTokenAuthority({
    keyPem: signingKeysOf(keys),
    readKeys: () => readTokenKeys(store),
    issuer: SERVICE_ACCOUNT_ISSUER,
    clock,
    uidOf,
  });
  const authorizationMetrics = createAuthorizationMetrics();
  const server = createApiServer({
    store: fleet.store,
    clusterExists: fleet.clusterExists,
    admitRequest: fleet.admitRequest,
    replicas,
    clock,
    flow: createFlowControl({
      replicas,
      clock,
      beside: true,
      staleMsMax: FLOW_STALE_MS,
      seats: () => options.configured?.(DEFAULT_CLUSTER).flowControl?.seats,
    }),
    authenticator: authenticatorChain({
      adminToken: keys.adminToken,
      authority,
      replicas,
      store,
      clock,
      uidOf,
      specOf: fleet.specOf,
      onFailure: (cluster, why) => log(`users of ${cluster}: ${why}`),
      ...(options.configured && { configured: options.configured }),
    }),
    authorizer: configuredAuthorizer({
      node: nodeAuthorizer(createNodeReferences(replicas, clock)),
      rbac: unionAuthorizer(
        rbacAuthorizer({ replicas, clock }),
        awsPolicies({ replicas, clock, configured: options.configured, specOf: fleet.specOf, uidOf }),
      ),
      configured: (cluster) => options.configured?.(cluster).authorization,
      clock,
      metrics: authorizationMetrics,
    }),
    ...(audit && { audit }),
    moreMetrics: () => `${authorizationMetrics.render()}${audit?.metrics() ?? ''}`,
    ...(options.configured && { configured: options.configured }),
    ...(options.kms && { kms: options.kms }),
    signer: authority,
    openId: authority,
    ...(options.dialer && { dialer: options.dialer }),
    ...(options.closing && { closing: options.closing }),
    ...(options.watchMsMax !== undefined && { watchMsMax: options.watchMsMax }),
    onFault: (fault, id, info) =>
      log(`request ${id} ${info?.method} ${info?.path}: ${fault instanceof Error ? fault.stack : fault}`),
  });
  const { fresh } = options;
  const api: ApiServer = {
    ...server,
    fetch: (request, connection) => {
      const waits = fresh?.();
      return waits
        ? waits.then(audit?.settled).then(() => server.fetch(request, connection))
        : server.fetch(request, connection);
    },
  };
  return {
    api,
    store,
    replicas,
    clock,
    authority,
    adminToken: keys.adminToken,
    fleet,
    client,
    seed,
    log,
  };
};
