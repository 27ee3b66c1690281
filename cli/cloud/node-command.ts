import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { podCidrOf } from '../../agent/network/addresses.ts';
import { forwardTo } from '../../agent/network/relay.ts';
import { createTokenAuthority } from '../../functions/apiserver/authn/token-authority.ts';
import type { Client } from '../../functions/client/client.ts';
import { createClient } from '../../functions/client/fetch-client.ts';
import { createHttp2Fetch } from '../../functions/client/http2-fetch.ts';
import { createSystemClock } from '../../functions/clock/system.ts';
import { ISSUER } from '../../functions/entry/cloud/plane.ts';
import { createFront } from '../../functions/entry/front.ts';
import { loadPki } from '../../functions/entry/pki.ts';
import { createListener } from '../../functions/entry/server.ts';
import type { Node } from '../../functions/machinery/kinds.d.ts';
import { CommandError, dataDirectory, parse } from '../command.ts';
import { NODES } from '../demo/context.ts';
import { writeState } from '../directory.ts';
import { startNodes } from '../nodes.ts';
import { type RuntimeChoice, runtimeFor } from '../runtime-choice.ts';
import { ensureContainerTools, mayInstall } from '../setup.ts';
import { readKeys } from './keys.ts';

const joinOptions = {
  data: { type: 'string' },
  server: { type: 'string' },
  token: { type: 'string' },
  ca: { type: 'string' },
  runtime: { type: 'string' },
  yes: { type: 'boolean' },
} as const;

/** The name that a node token speaks for. */
const nameIn = (token: string): string => {
  try {
    const { sub } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { sub?: string };
    const name = /^system:node:(.+)$/.exec(sub ?? '')?.[1];
    if (name) return name;
  } catch {
    // Told below.
  }
  throw new CommandError('--token takes the token of a node: make one with ./skiff node token NAME');
};

/** The first place in the address plan that no node of the cluster has; the node's own where it was there before. */
const freePlace = async (client: Client, name: string): Promise<number> => {
  const nodes = (await client.list<Node>(NODES)).items;
  const taken = new Map(nodes.map((node) => [node.spec?.podCIDR ?? '', node.metadata.name]));
  for (let place = 0; ; place++) {
    const holder = taken.get(podCidrOf(place));
    if (holder === undefined || holder === name) return place;
  }
};

/** `skiff node join --server URL --token T [--ca FILE] [--runtime R] [--data DIR] [--yes]`, until interrupted. */
const joinCluster = async (args: string[]): Promise<number> => {
  const { values } = parse(args, joinOptions);
  const { server, token } = values;
  if (!server || !token) throw new CommandError('node join needs --server and --token');
  const name = nameIn(token);
  const directory = dataDirectory(values.data);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const runtime = await runtimeFor((values.runtime ?? 'auto') as RuntimeChoice);
  if (runtime !== 'hollow') await ensureContainerTools({ yes: mayInstall(values.yes === true), say: console.log });
  const ca = values.ca ? readFileSync(values.ca, 'utf8') : undefined;
  const http2 = server.startsWith('https:') ? createHttp2Fetch({ ...(ca && { ca }) }) : undefined;
  const send = http2 ?? ((request: Request) => fetch(request));

  // The node speaks TLS to an address of its own; what answers there passes on to the server.
  const pki = await loadPki(directory);
  const listener = await createListener({
    app: createFront({ server, fetch: send }),
    tls: { cert: pki.serverCert, key: pki.serverKey, clientCa: pki.caCert },
    host: '127.0.0.1',
    port: 0,
  });
  const socketPath = join(directory, 'apiserver.sock');
  const relay = await forwardTo({ path: socketPath }, async () =>
    createConnection({ host: '127.0.0.1', port: listener.port, allowHalfOpen: true }),
  );
  const client = (): Client => createClient({ fetch: send, baseUrl: server, token, userAgent: 'skiff-agent' });
  const stopping = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopping.abort());
  writeState(directory, { port: listener.port, nodes: 1, runtime });
  const nodes = await startNodes({
    directory,
    count: 1,
    names: [name],
    place: await freePlace(client(), name),
    runtime,
    log: console.error,
    plane: { client, nodeToken: () => token, serveNode: () => {}, socketPath, access: { caCert: pki.caCert } },
  });
  await nodes.ready((ready) => console.log(`node ${ready} Ready (${runtime})`), stopping.signal);
  if (!stopping.signal.aborted) await new Promise((resolve) => stopping.signal.addEventListener('abort', resolve));
  await nodes.detach();
  relay.close();
  await listener.close();
  http2?.close();
  rmSync(socketPath, { force: true });
  return 0;
};

/** The key that signs node tokens: of the deployment or of the embedded cluster in a data directory. */
const tokenKey = async (directory: string): Promise<string> => {
  if (existsSync(join(directory, 'deployment.json'))) return (await readKeys(directory)).tokenKey;
  if (existsSync(join(directory, 'pki.json'))) return (await loadPki(directory)).tokenKey;
  throw new CommandError(`nothing in ${directory} that a node could join`);
};

/** `skiff node token [NAME] [--cluster C] [--data DIR]` prints the credential of one node. */
const token = async (args: string[]): Promise<number> => {
  const { values, positionals } = parse(args, { data: { type: 'string' }, cluster: { type: 'string' } }, 1);
  const keyPem = await tokenKey(dataDirectory(values.data));
  const authority = createTokenAuthority({ keyPem, issuer: ISSUER, clock: createSystemClock() });
  console.log(authority.mintNodeToken(values.cluster ?? 'default', positionals[0] ?? hostname()));
  return 0;
};

/** `skiff node join|token ...` */
export const run = async (args: string[]): Promise<number> => {
  const [name, ...rest] = args;
  if (name === 'join') return joinCluster(rest);
  if (name === 'token') return token(rest);
  throw new CommandError('skiff node takes join or token');
};
