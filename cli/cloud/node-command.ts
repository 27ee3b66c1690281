import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createRingBox, createRings } from '../../agent/doorbell.ts';
import { placeOf } from '../../agent/network/addresses.ts';
import { forwardTo } from '../../agent/network/relay.ts';
import type { Client } from '../../functions/client/client.ts';
import { createClient } from '../../functions/client/fetch-client.ts';
import { createHttp2Fetch } from '../../functions/client/http2-fetch.ts';
import { createSystemClock } from '../../functions/clock/system.ts';
import { createFront } from '../../functions/entry/front.ts';
import { passUpgrades, withGateway } from '../../functions/entry/gateway-pass.ts';
import { makeJoinToken } from '../../functions/entry/join.ts';
import { createListener, type Listener } from '../../functions/entry/server.ts';
import type { Node } from '../../functions/machinery/kinds.d.ts';
import { administrator } from '../administrator.ts';
import { CommandError, dataDirectory, parse, UsageError, wholeNumber } from '../command.ts';
import { NODES } from '../demo/context.ts';
import { writeState } from '../directory.ts';
import { startNodes } from '../nodes.ts';
import { type RuntimeChoice, runtimeFor } from '../runtime-choice.ts';
import { ensureContainerTools, mayInstall } from '../setup.ts';
import { hasBell, listenToBell, ringingClient, withRings } from './node-bell.ts';
import { joinAs, type NodeCredential, readCredential, renewed, tokenPath } from './node-credential.ts';

const joinOptions = {
  data: { type: 'string' },
  server: { type: 'string' },
  token: { type: 'string' },
  name: { type: 'string' },
  gateway: { type: 'string' },
  ca: { type: 'string' },
  'lease-seconds': { type: 'string' },
  runtime: { type: 'string' },
  yes: { type: 'boolean' },
} as const;

type Send = (request: Request) => Promise<Response>;

const PLACE_MS = 60_000;
const RENEW_MS = 3_600_000;
/** Each renewal costs a request and what it writes: docs/cost.md says how much. */
const LEASE_SECONDS = 300;

/** The block of pod addresses that the cluster gave to the node, as its place in the address plan. */
const givenPlace = async (client: Client, name: string): Promise<number> => {
  const until = performance.now() + PLACE_MS;
  for (;;) {
    const node = await client.get<Node>(NODES, '', name);
    const place = placeOf(node?.spec?.podCIDR ?? '');
    if (place !== undefined) return place;
    if (performance.now() > until) throw new CommandError(`the cluster gives node ${name} no pod addresses`);
    await delay(250);
  }
};

/** The credential of this machine: the one it has, or the one that it gets for the token. */
const credentialFor = async (
  directory: string,
  given: { server?: string; token?: string; name?: string },
  send: Send,
): Promise<NodeCredential> => {
  const own = readCredential(directory);
  if (own) {
    if (given.name && given.name !== own.node) throw new CommandError(`${directory} is of node ${own.node}`);
    return renewed(directory, { ...own, ...(given.server && { server: given.server }) }, send);
  }
  const { server, token, name = hostname().toLowerCase() } = given;
  if (!server || !token) throw new UsageError('node join needs --server and --token');
  return joinAs(directory, { server, token, node: name, send });
};

interface Front {
  listener: Listener;
  socketPath: string;
  close(): Promise<void>;
}

/**
 * What the node and its pods take for the API: TLS on an address of the node's own, with a certificate that they trust,
 * which passes on to the server. What leaves HTTP, the agent's tunnel too, goes to the gateway.
 */
const openFront = async (
  directory: string,
  { server, certificate, key, caCert, gateway }: NodeCredential,
  send: Send,
  box?: { take(): Promise<string> },
): Promise<Front> => {
  const front = createFront({ server, fetch: send });
  const plain = box ? withRings(front, box) : front;
  const target = gateway ? { server: gateway, ca: caCert } : undefined;
  const toGateway = target && createHttp2Fetch({ ca: caCert });
  const listener = await createListener({
    app: target && toGateway ? withGateway(plain, target, toGateway) : plain,
    tls: { cert: certificate, key },
    host: '127.0.0.1',
    port: 0,
    ...(target && { onUpgrade: passUpgrades(target) }),
  });
  const socketPath = join(directory, 'apiserver.sock');
  const relay = await forwardTo({ path: socketPath }, async () =>
    createConnection({ host: '127.0.0.1', port: listener.port, allowHalfOpen: true }),
  );
  return {
    listener,
    socketPath,
    close: async () => {
      relay.close();
      await listener.close();
      toGateway?.close();
      rmSync(socketPath, { force: true });
    },
  };
};

/** Renews in time until aborted. */
const keepCredential = async (
  directory: string,
  credential: NodeCredential,
  send: Send,
  listener: Listener,
  signal: AbortSignal,
): Promise<void> => {
  let current = credential;
  while (!signal.aborted) {
    await delay(RENEW_MS, undefined, { signal, ref: false }).catch(() => {});
    if (signal.aborted) return;
    try {
      const next = await renewed(directory, current, send);
      if (next !== current) listener.useCertificate({ cert: next.certificate, key: next.key });
      current = next;
    } catch (error) {
      console.error(`the credential is not renewed: ${error instanceof Error ? error.message : error}`);
    }
  }
};

/**
 * `skiff node join --server URL --token T [--name N] [--gateway URL] [--ca FILE] [--lease-seconds N]
 * [--runtime R] [--data DIR] [--yes]`, until
 * interrupted. A machine that joined before needs no token: it goes on with its own credential, and adopts its containers.
 */
const joinCluster = async (args: string[]): Promise<number> => {
  const { values } = parse(args, joinOptions);
  const directory = dataDirectory(values.data);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const server = values.server ?? readCredential(directory)?.server;
  if (!server) throw new CommandError('node join needs --server and --token');
  const runtime = await runtimeFor((values.runtime ?? 'auto') as RuntimeChoice);
  if (runtime !== 'hollow') await ensureContainerTools({ yes: mayInstall(values.yes === true), say: console.log });
  const ca = values.ca ? readFileSync(values.ca, 'utf8') : undefined;
  const http2 = server.startsWith('https:') ? createHttp2Fetch({ ...(ca && { ca }) }) : undefined;
  const send: Send = http2 ?? ((request) => fetch(request));
  const { token, name, gateway } = values;
  const leaseEveryMs = 1000 * wholeNumber('lease-seconds', values['lease-seconds'], LEASE_SECONDS, 10, 3600);
  const own = await credentialFor(directory, { server, ...(token && { token }), ...(name && { name }) }, send);
  const credential = { ...own, ...(gateway && { gateway }) };
  const ownToken = (): string => readFileSync(tokenPath(directory), 'utf8');
  const client = (): Client => createClient({ fetch: send, baseUrl: server, token: ownToken });
  const source = { server, token: ownToken, send };
  const box = (await hasBell(source)) ? createRingBox(createSystemClock()) : undefined;
  const rings = createRings(createSystemClock());
  const ring = (resources: readonly string[]): void => {
    box?.ring(resources);
    rings.ring(resources);
  };

  const place = await givenPlace(client(), credential.node);
  const front = await openFront(directory, credential, send, box);
  const stopping = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopping.abort());
  if (box) void listenToBell({ ...source, onError: console.error }, ring, stopping.signal);
  writeState(directory, { port: front.listener.port, nodes: 1, runtime });
  const nodes = await startNodes({
    directory,
    count: 1,
    names: [credential.node],
    place,
    runtime,
    log: console.error,
    plane: {
      client: () => (box ? ringingClient(client(), rings) : client()),
      nodeToken: () => credential.token,
      tokenFile: tokenPath(directory),
      ...(box && { rings: true, leaseEveryMs }),
      serveNode: () => {},
      socketPath: front.socketPath,
      access: { caCert: credential.caCert },
    },
  });
  const kept = keepCredential(directory, credential, send, front.listener, stopping.signal);
  await nodes.ready((ready) => console.log(`node ${ready} Ready (${runtime})`), stopping.signal);
  if (!stopping.signal.aborted) await new Promise((resolve) => stopping.signal.addEventListener('abort', resolve));
  await kept;
  await nodes.detach();
  await front.close();
  http2?.close();
  return 0;
};

/** `skiff node token [--nodes PREFIX] [--minutes N] [--cluster C] [--data DIR]` prints a token to join with. */
const token = async (args: string[]): Promise<number> => {
  const { values } = parse(args, {
    data: { type: 'string' },
    cluster: { type: 'string' },
    nodes: { type: 'string' },
    minutes: { type: 'string' },
  });
  const minutes = wholeNumber('minutes', values.minutes, 60, 1, 24 * 60);
  const admin = await administrator(dataDirectory(values.data));
  const client = admin.client(values.cluster ?? 'default');
  const made = await makeJoinToken(client, createSystemClock(), { seconds: minutes * 60, prefix: values.nodes ?? '' });
  admin.close();
  console.log(made.token);
  return 0;
};

/** `skiff node join|token ...` */
export const run = async (args: string[]): Promise<number> => {
  const [name, ...rest] = args;
  if (name === 'join') return joinCluster(rest);
  if (name === 'token') return token(rest);
  throw new UsageError('node takes join or token');
};
