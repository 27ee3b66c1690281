import { generateKeyPairSync } from 'node:crypto';
import { createApiServer } from '../apiserver/app.ts';
import { authenticatorChain } from '../apiserver/authn/chain.ts';
import { createTokenAuthority } from '../apiserver/authn/token-authority.ts';
import { mastersAuthorizer, unionAuthorizer } from '../apiserver/authz/authorizer.ts';
import { nodeAuthorizer } from '../apiserver/authz/node.ts';
import { createNodeReferences } from '../apiserver/authz/node-references.ts';
import { rbacAuthorizer } from '../apiserver/authz/rbac.ts';
import type { ConnectionInfo } from '../apiserver/context.ts';
import { seedCluster } from '../apiserver/seed.ts';
import type { Client } from '../client/client.ts';
import { createClient } from '../client/fetch-client.ts';
import type { Clock } from '../clock/clock.ts';
import type { Message } from '../queue/queue.ts';
import { createReplicas } from '../store/replica.ts';
import type { CommitFeed, Store } from '../store/store.ts';
import { createFleet } from './fleet.ts';

// biome-ignore lint/suspicious/noExplicitAny: bodies of any kind, looked into by tests
type Body = any;
export interface Answer {
  status: number;
  body: Body;
  headers: Headers;
}

export const OPERATOR = 'the-operator';
export const CLUSTERS_PATH = '/clusters/system/apis/skiff.dev/v1/clusters';

const keyPem = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  .privateKey.export({ type: 'pkcs8', format: 'pem' })
  .toString();

/** One process of a deployment: API server and fleet over a store. `alone`: an embedded one. */
export const createTestProcess = async (store: Store & Partial<CommitFeed>, clock: Clock, alone: boolean) => {
  const { subscribe: _, ...shared } = store;
  const seen = alone ? store : (shared as Store);
  const replicas = createReplicas(seen, { clock, bytesMax: 1 << 26, windowChanges: 1000, windowMs: 60_000 });
  const client = (cluster: string): Client =>
    createClient({
      fetch: (request) => api.fetch(request, { internal: true }),
      baseUrl: 'https://x',
      ...(cluster !== 'default' && { cluster }),
      token: OPERATOR,
    });
  const faults: unknown[] = [];
  const fleet = createFleet({
    store: seen,
    replicas,
    clock,
    client,
    seed: async (cluster) => void (await seedCluster({ store, cluster, clock })),
    alone,
    onFailure: (_what, error) => void faults.push(error),
  });
  const { uidOf } = fleet;
  const authority = createTokenAuthority({ keyPem, issuer: 'https://k', clock, uidOf });
  const api = createApiServer({
    store: fleet.store,
    replicas,
    clock,
    clusterExists: fleet.clusterExists,
    admitRequest: fleet.admitRequest,
    authenticator: authenticatorChain({ adminToken: OPERATOR, authority, replicas, clock, uidOf, store: fleet.store }),
    authorizer: unionAuthorizer(
      mastersAuthorizer(),
      nodeAuthorizer(createNodeReferences(replicas, clock)),
      rbacAuthorizer({ replicas, clock }),
    ),
    signer: authority,
    openId: authority,
    onFault: (fault) => void faults.push(fault),
  });
  /** Messages that the changes of the store have sent, oldest first. */
  const messages: Message[] = [];
  const stop = store.subscribe?.((domain, changes) => void messages.push(...fleet.changed(domain, changes)));
  const send = async (
    method: string,
    path: string,
    body?: object,
    by: { token?: string; connection?: ConnectionInfo } = { token: OPERATOR },
  ): Promise<Answer> => {
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    const headers = { ...(by.token && { authorization: `Bearer ${by.token}` }), 'content-type': type };
    const init = { method, headers, ...(body && { body: JSON.stringify(body) }) };
    const response = await api.fetch(new Request(`https://x${path}`, init), by.connection);
    const text = await response.text();
    return { status: response.status, body: text.startsWith('{') ? JSON.parse(text) : text, headers: response.headers };
  };
  return {
    api,
    fleet,
    authority,
    replicas,
    client,
    faults,
    messages,
    send,
    makeCluster: (name: string, spec: object = {}) =>
      send('POST', CLUSTERS_PATH, { apiVersion: 'skiff.dev/v1', kind: 'Cluster', metadata: { name }, spec }),
    /** Works through messages, each followed by those that it asks for, at most `steps` of them. */
    work: async (steps = 100): Promise<number> => {
      let done = 0;
      for (let message = messages.shift(); message && done < steps; message = messages.shift()) {
        done++;
        const again = await fleet.handle(message);
        if (again !== undefined) {
          await clock.sleep(again);
          messages.push(message);
        }
      }
      return done;
    },
    close: async () => {
      stop?.();
      fleet.close();
      await replicas.close();
    },
  };
};
