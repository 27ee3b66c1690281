// An API server over a memory store on a loopback port: what the recorded cases and the behaviour tables run against.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { Readable } from 'node:stream';
import { createApiServer } from '../../functions/apiserver/app.ts';
import { user } from '../../functions/apiserver/authn/authenticator.ts';
import { authenticatorChain } from '../../functions/apiserver/authn/chain.ts';
import { createTokenAuthority } from '../../functions/apiserver/authn/token-authority.ts';
import { mastersAuthorizer, unionAuthorizer } from '../../functions/apiserver/authz/authorizer.ts';
import { nodeAuthorizer } from '../../functions/apiserver/authz/node.ts';
import { createNodeReferences } from '../../functions/apiserver/authz/node-references.ts';
import { rbacAuthorizer } from '../../functions/apiserver/authz/rbac.ts';
import { seedCluster } from '../../functions/apiserver/seed.ts';
import { createClient } from '../../functions/client/fetch-client.ts';
import { createSystemClock } from '../../functions/clock/system.ts';
import { createMemoryStore } from '../../functions/store/memory.ts';
import { createReplicas } from '../../functions/store/replica.ts';
import { startControllers } from './api-controllers.ts';

export interface EmbeddedApiServer {
  /** `http://127.0.0.1:PORT`, a port chosen by the system. */
  url: string;
  /** Bearer token of `admin`, a member of system:masters. */
  token: string;
  /** Ends the listener and every connection. */
  close(): void;
}

/** A server on the request handler; a method that a Request cannot carry (TRACE) goes on as another that no resource has. */
const listen = async (fetch: (request: Request) => Promise<Response>) => {
  const server = createServer((req, res) => {
    const headers = new Headers();
    for (const [name, value] of Object.entries(req.headers)) headers.set(name, String(value));
    const abort = new AbortController();
    res.on('close', () => abort.abort());
    const hasBody = req.method !== 'GET' && req.method !== 'HEAD';
    const init = {
      method: req.method === 'TRACE' ? 'PROPFIND' : (req.method ?? 'GET'),
      headers,
      signal: abort.signal,
      ...(hasBody && { body: Readable.toWeb(req), duplex: 'half' }),
    };
    void fetch(new Request(`http://server${req.url}`, init as RequestInit)).then(async (response) => {
      res.writeHead(response.status, Object.fromEntries(response.headers));
      for await (const chunk of response.body ?? []) res.write(chunk);
      res.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  return server;
};

/**
 * Starts the server as the recording's was set up: without the ServiceAccount plugin, its issuer `https://k`. Controllers
 * write beside the requests: cases that wait for them need them, cases that expect an object to stay as written do not.
 */
export const startApiServer = async (run: { controllers: boolean }): Promise<EmbeddedApiServer> => {
  const clock = createSystemClock();
  const store = createMemoryStore();
  const token = randomBytes(16).toString('hex');
  const replicas = createReplicas(store, { clock, bytesMax: 256 << 20, windowChanges: 100_000, windowMs: 600_000 });
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  // The recording's issuer and its administrator, by whose names the cases know them.
  const authority = createTokenAuthority({ keyPem, issuer: 'https://k', clock });
  const administrator = { ...user('admin', ['system:masters']), uid: 'admin' };
  const app = createApiServer({
    store,
    clock,
    replicas,
    authenticator: authenticatorChain({
      tokens: new Map([[token, administrator]]),
      authority,
      replicas,
      clock,
      anonymous: true,
    }),
    authorizer: unionAuthorizer(
      mastersAuthorizer(),
      nodeAuthorizer(createNodeReferences(replicas, clock)),
      rbacAuthorizer({ replicas, clock }),
    ),
    signer: authority,
    openId: authority,
    disableAdmission: ['ServiceAccount'],
    onFault: (fault, id, info) => console.error(`fault ${id} ${info?.method} ${info?.path}`, fault),
  });
  await seedCluster({ store, cluster: 'default', clock });
  const stop = new AbortController();
  const client = createClient({ fetch: (request) => app.fetch(request), baseUrl: 'http://server', token });
  if (run.controllers) startControllers({ clock, feed: store, replicas, client, signal: stop.signal });

  const server = await listen(async (request) => app.fetch(request));
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    token,
    close: () => {
      stop.abort();
      server.close();
      server.closeAllConnections();
    },
  };
};
