import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ApiServer, createApiServer } from '../../functions/apiserver/app.ts';
import { authenticatorChain } from '../../functions/apiserver/authn/chain.ts';
import { createTokenAuthority } from '../../functions/apiserver/authn/token-authority.ts';
import { mastersAuthorizer, unionAuthorizer } from '../../functions/apiserver/authz/authorizer.ts';
import { rbacAuthorizer } from '../../functions/apiserver/authz/rbac.ts';
import { seedCluster } from '../../functions/apiserver/seed.ts';
import { createTunnel } from '../../functions/apiserver/tunnel.ts';
import { createUpgrades } from '../../functions/apiserver/upgrade.ts';
import { createSystemClock } from '../../functions/clock/system.ts';
import { loadPki } from '../../functions/entry/pki.ts';
import { createListener, type ListenerOptions } from '../../functions/entry/server.ts';
import { createReplicas } from '../../functions/store/replica.ts';
import { createSqliteStore } from '../../functions/store/sqlite.ts';

/** A fault that the server reported, with the id of its request. */
export interface Fault {
  error: unknown;
  requestId: string;
}

/** The API server of the embedded mode with its listener, durable in a folder of its own; no controllers. */
export interface Place {
  api: ApiServer;
  port: number;
  ca: string;
  token: string;
  /** Faults since the last look. */
  faults(): Fault[];
  close(): Promise<void>;
}

const WINDOW_CHANGES = 500;
const WINDOW_MS = 60_000;

export const startPlace = async (limits: Pick<ListenerOptions, 'headMs' | 'bodyMs'> = {}): Promise<Place> => {
  const directory = mkdtempSync(join(tmpdir(), 'skiff-fuzz-'));
  const pki = await loadPki(directory);
  const clock = createSystemClock();
  // Short histories: what is kept of the past must not look like memory that is never given back.
  const store = await createSqliteStore({ path: join(directory, 'store'), logKeep: WINDOW_CHANGES });
  const replicas = createReplicas(store, {
    clock,
    bytesMax: 256 << 20,
    windowChanges: WINDOW_CHANGES,
    windowMs: WINDOW_MS,
  });
  const authority = createTokenAuthority({ keyPem: pki.tokenKey, issuer: 'https://fuzz.example', clock });
  const tunnel = createTunnel({ dialTimeoutMs: 1000 });
  let faults: Fault[] = [];
  const api = createApiServer({
    store,
    replicas,
    clock,
    authenticator: authenticatorChain({ adminToken: pki.adminToken, authority, replicas, clock }),
    authorizer: unionAuthorizer(mastersAuthorizer(), rbacAuthorizer({ replicas, clock })),
    signer: authority,
    dialer: tunnel,
    onFault: (error, requestId) => void faults.push({ error, requestId }),
  });
  await seedCluster({ store, cluster: 'default', clock });
  const listener = await createListener({
    app: api,
    tls: { cert: pki.serverCert, key: pki.serverKey, clientCa: pki.caCert },
    host: '127.0.0.1',
    port: 0,
    ...limits,
    onUpgrade: createUpgrades(api.server, tunnel).handle,
  });
  return {
    api,
    port: listener.port,
    ca: pki.caCert,
    token: pki.adminToken,
    faults: () => {
      const all = faults;
      faults = [];
      return all;
    },
    close: async () => {
      tunnel.close();
      await listener.close();
      await replicas.close();
      await store.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
};
