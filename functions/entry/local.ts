import { randomUUID } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { forwardTo } from '../../agent/network/relay.ts';
import { authenticationConfigMap } from '../apiserver/aggregation/identity.ts';
import { type ApiServer, createApiServer } from '../apiserver/app.ts';
import { type FollowedAudit, followAudit } from '../apiserver/audit/follow.ts';
import { awsPolicies } from '../apiserver/authn/aws/aws-policies.ts';
import { authenticatorChain } from '../apiserver/authn/chain.ts';
import { SERVICE_ACCOUNT_ISSUER } from '../apiserver/authn/issuer.ts';
import { createTokenAuthority, type TokenAuthority } from '../apiserver/authn/token-authority.ts';
import { unionAuthorizer } from '../apiserver/authz/authorizer.ts';
import { configuredAuthorizer } from '../apiserver/authz/configured.ts';
import { createAuthorizationMetrics } from '../apiserver/authz/metrics.ts';
import { nodeAuthorizer } from '../apiserver/authz/node.ts';
import { createNodeReferences } from '../apiserver/authz/node-references.ts';
import { rbacAuthorizer } from '../apiserver/authz/rbac.ts';
import type { Configured } from '../apiserver/configuration.ts';
import { FLEET } from '../apiserver/fleet/cluster-kind.ts';
import { createFlowControl } from '../apiserver/flow-control/flow-control.ts';
import { seedCluster } from '../apiserver/seed.ts';
import { createTunnel, type Tunnel } from '../apiserver/tunnel.ts';
import { createUpgrades } from '../apiserver/upgrade.ts';
import { withWebSocketReads } from '../apiserver/websocket-reads.ts';
import { snapshotEndpoint } from '../backup/endpoint.ts';
import type { Client } from '../client/client.ts';
import { createClient } from '../client/fetch-client.ts';
import { createSystemClock } from '../clock/system.ts';
import { createFleet, type Fleet } from '../fleet/fleet.ts';
import { createReplicas } from '../store/replica.ts';
import { createSqliteStore } from '../store/sqlite.ts';
import { type Background, startBackground } from './background.ts';
import { secretToken } from './components.ts';
import { type ConfigurationFiles, followConfiguration } from './configuration-files.ts';
import { frontProxyOf } from './front-identities.ts';
import { withJoin } from './join.ts';
import { keysEndpoint } from './keys-endpoint.ts';
import { lazyAuthority } from './lazy-authority.ts';
import { createLocalEncryption, type LocalEncryption } from './local-encryption.ts';
import { localKeyOperations } from './local-keys-operations.ts';
import { auditedOperations } from './operator-requests.ts';
import { loadPki, type Pki, tokenKeysOf } from './pki.ts';
import { createListener } from './server.ts';

export interface ControlPlaneOptions {
  /** Everything that must survive is in this folder. */
  directory: string;
  host: string;
  /** 0: chosen by the system. */
  port: number;
  log(line: string): void;
  /** Admission plugins left out, by upstream's names. */
  disableAdmission?: readonly string[];
  /** Files of configuration documents (apiserver/configuration.ts), followed while it runs. */
  configuration?: readonly string[];
}

export interface ControlPlane {
  port: number;
  access: { server: string; caCert: string; token: string };
  /** A Unix socket that leads to the same TLS server: how nodes in other network namespaces come in. */
  socketPath: string;
  /** A client in process, as the administrator or with a token of its own. */
  client(cluster: string, token?: string): Client;
  /** The credential of a node's agent. */
  nodeToken(cluster: string, node: string): string;
  /** Lets an agent of this process answer for a node, without a tunnel. */
  serveNode(cluster: string, node: string, onConnection: (socket: Duplex) => void): void;
  /** No change waits for a controller. */
  idle(): boolean;
  close(): Promise<void>;
}

const REPLICA_BYTES_MAX = 512 << 20;
const WINDOW_CHANGES = 10_000;
const WINDOW_MS = 5 * 60_000;
const CLUSTER = 'default';
const OPERATORS: ReadonlySet<string> = new Set([CLUSTER, FLEET]);

/** A connection of this process to itself: one end goes to `accept`, the other is returned. */
const pair = (directory: string, accept: (socket: Duplex) => void): Promise<Duplex> => {
  const path = join(directory, `pair-${randomUUID().slice(0, 8)}.sock`);
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      server.close();
      accept(socket);
    });
    server.once('error', reject);
    server.listen(path, () => resolve(createConnection(path)));
  });
};

/** From this, other API servers learn whom to trust. */
const trustOf = ({ caCert, frontProxy }: Pki, cluster: string) => [
  authenticationConfigMap(cluster, caCert, frontProxy),
];

/** The whole control plane in this process, durable in one folder. Rejects with EADDRINUSE, DirectoryInUse... */
export const startControlPlane = async (options: ControlPlaneOptions): Promise<ControlPlane> => {
  const { directory, log } = options;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const files = await followConfiguration({ paths: options.configuration ?? [], log });
  const pki = await loadPki(directory);
  const clock = createSystemClock();
  // Every cluster's requests are audited, into what the operator alone reads.
  const configuration = () => files.current();
  const audit = await followAudit({ configuration, clock, directory, defaultPath: 'audit.log', log });
  const inner = await createSqliteStore({ path: join(directory, 'store') });
  const encryption = await createLocalEncryption({
    directory,
    inner,
    clock,
    configured: () => files.current().encryption,
    log,
  }).catch(async (error) => {
    await inner.close();
    throw error;
  });
  const { store } = encryption;
  const replicas = createReplicas(store, {
    clock,
    bytesMax: REPLICA_BYTES_MAX,
    windowChanges: WINDOW_CHANGES,
    windowMs: WINDOW_MS,
  });
  // What concerns who may come in is for the clusters of the operator; tenants have their own in their Cluster objects.
  const configured: Configured = (cluster) => (OPERATORS.has(cluster) ? files.current() : {});
  const closing = { begun: false };
  const tunnel = createTunnel();
  const local = new Map<string, (socket: Duplex) => void>();
  const begun: { background?: Background } = {};
  const client = (cluster: string, token = pki.adminToken): Client =>
    createClient({
      fetch: (request) => api.fetch(request, token === pki.adminToken ? { internal: true } : {}),
      baseUrl: 'https://127.0.0.1',
      ...(cluster !== CLUSTER && { cluster }),
      token,
      userAgent: 'skiff-control-plane',
    });
  const failed = (what: string, error: unknown): void => {
    if (!closing.begun) log(`${what}: ${error instanceof Error ? error.message : error}`);
  };
  const fleet = createFleet({
    store,
    replicas,
    clock,
    client: (cluster) => client(cluster),
    seed: async (cluster) => void (await seedCluster({ store, cluster, clock, more: trustOf(pki, cluster) })),
    alone: true,
    forget: (cluster) => {
      begun.background?.forget(cluster);
      api.server.registry.forget(cluster);
    },
    onFailure: failed,
  });
  const authority = createTokenAuthority({
    keyPem: tokenKeysOf(pki),
    issuer: SERVICE_ACCOUNT_ISSUER,
    clock,
    uidOf: fleet.uidOf,
  });
  const authorizationMetrics = createAuthorizationMetrics();
  const api = createApiServer({
    store: fleet.store,
    clusterExists: fleet.clusterExists,
    admitRequest: fleet.admitRequest,
    replicas,
    clock,
    flow: createFlowControl({ replicas, clock, seats: () => files.current().flowControl?.seats }),
    authenticator: authenticatorChain({
      adminToken: pki.adminToken,
      authority,
      replicas,
      store,
      clock,
      uidOf: fleet.uidOf,
      specOf: fleet.specOf,
      configured,
      onFailure: (cluster, why) => failed(`users of ${cluster}`, why),
    }),
    authorizer: configuredAuthorizer({
      node: nodeAuthorizer(createNodeReferences(replicas, clock)),
      rbac: unionAuthorizer(
        rbacAuthorizer({ replicas, clock }),
        awsPolicies({ replicas, clock, configured, specOf: fleet.specOf, uidOf: fleet.uidOf }),
      ),
      configured: (cluster) => configured(cluster).authorization,
      clock,
      metrics: authorizationMetrics,
    }),
    configured,
    audit,
    moreMetrics: () => `${authorizationMetrics.render()}${audit.metrics()}`,
    frontProxy: frontProxyOf(pki),
    kms: encryption.kms,
    signer: authority,
    openId: authority,
    closing: () => closing.begun,
    disableAdmission: options.disableAdmission ?? [],
    dialer: {
      dial: (cluster, node) => {
        const accept = local.get(`${cluster}/${node}`);
        return accept ? pair(directory, accept) : tunnel.dial(cluster, node);
      },
    },
    onFault: (fault, id, info) => {
      if (closing.begun) return;
      log(`request ${id} ${info?.method} ${info?.path}: ${fault instanceof Error ? fault.stack : fault}`);
    },
  });
  return listen(options, {
    api,
    pki,
    encryption,
    store,
    replicas,
    tunnel,
    local,
    clock,
    authority,
    closing,
    fleet,
    client,
    begun,
    failed,
    files,
    audit,
  });
};

interface Parts {
  /** What the operator has set this control plane up with. */
  files: ConfigurationFiles;
  audit: FollowedAudit;
  api: ApiServer;
  pki: Pki;
  encryption: LocalEncryption;
  store: LocalEncryption['store'];
  replicas: ReturnType<typeof createReplicas>;
  tunnel: Tunnel;
  local: Map<string, (socket: Duplex) => void>;
  clock: ReturnType<typeof createSystemClock>;
  authority: TokenAuthority;
  /** Writes that are cut off by the end are no faults. */
  closing: { begun: boolean };
  fleet: Fleet;
  client(cluster: string, token?: string): Client;
  /** What is made after the API server, and told of by it. */
  begun: { background?: Background };
  failed(what: string, error: unknown): void;
}

/** The API, and what is answered beside it: snapshots, keys, and machines that join. */
const answering = (options: ControlPlaneOptions, parts: Parts): ApiServer => {
  const { api, pki, encryption, store, clock, authority, fleet, client, begun } = parts;
  const snapshots = snapshotEndpoint({
    store,
    clock,
    adminToken: pki.adminToken,
    restoring: (cluster) => {
      const release = begun.background?.hold(cluster);
      return async (whole) => {
        if (whole) await fleet.adopt(cluster);
        await release?.();
      };
    },
    log: options.log,
  });
  const { directory } = options;
  const keys = keysEndpoint(localKeyOperations({ directory, pki, authority, encryption, clock }), pki.adminToken);
  const app = withJoin(api, {
    client: (cluster) => client(cluster),
    authority,
    authenticator: api.server.authenticator,
    clock,
    certificates: async () => ({ authority: lazyAuthority(pki), caCert: pki.caCert }),
  });
  const operated = auditedOperations(api.server, async (request) => (await snapshots(request)) ?? keys(request));
  return {
    ...api,
    fetch: (request, connection) => {
      if (!request.url.includes('/skiff.dev/')) return app.fetch(request, connection);
      return operated(request, connection).then((response) => response ?? app.fetch(request, connection));
    },
  };
};

const listen = async (options: ControlPlaneOptions, parts: Parts): Promise<ControlPlane> => {
  const { api, pki, store, replicas, tunnel, local, clock, authority, closing, fleet, client, begun } = parts;
  const { directory } = options;
  const upgrades = createUpgrades(api.server, tunnel);
  const app = answering(options, parts);
  const listener = await createListener({
    app,
    tls: { cert: pki.serverCert, key: pki.serverKey, clientCa: pki.caCert },
    host: options.host,
    port: options.port,
    onUpgrade: withWebSocketReads(api.fetch, upgrades.handle),
  }).catch(async (error) => {
    await replicas.close();
    await store.close();
    throw error;
  });
  const socketPath = join(directory, 'apiserver.sock');
  const dial = async () => createConnection({ host: options.host, port: listener.port, allowHalfOpen: true });
  const relay = await forwardTo({ path: socketPath }, dial);
  await seedCluster({ store, cluster: CLUSTER, clock, more: trustOf(pki, CLUSTER) });
  const background = startBackground({
    feed: store,
    replicas,
    clock,
    client: (cluster) => client(cluster),
    caCert: pki.caCert,
    certificates: lazyAuthority(pki, fleet.uidOf),
    signSecretToken: (cluster, subject) => secretToken(authority, cluster, subject, clock.now()),
    fleet,
    onFailure: parts.failed,
  });
  begun.background = background;
  api.server.address = `${options.host}:${listener.port}`;
  const ofAuthorization = api.server.moreMetrics;
  api.server.moreMetrics = () => `${background.metrics()}${ofAuthorization?.() ?? ''}`;
  await background.resync(CLUSTER);
  await background.resume();
  parts.encryption.begin();
  return {
    port: listener.port,
    access: { server: `https://127.0.0.1:${listener.port}`, caCert: pki.caCert, token: pki.adminToken },
    socketPath,
    client,
    nodeToken: (cluster, node) => authority.mintNodeToken(cluster, node),
    serveNode: (cluster, node, accept) => void local.set(`${cluster}/${node}`, accept),
    idle: () => background.idle(),
    close: async () => {
      closing.begun = true;
      parts.files.close();
      fleet.close();
      await background.stop();
      relay.close();
      tunnel.close();
      await listener.close();
      await parts.audit.close();
      await replicas.close();
      await parts.encryption.close();
      await store.close();
      rmSync(socketPath, { force: true });
    },
  };
};
