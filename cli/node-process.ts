// One local node, as a process inside its network namespace (started with nsenter by nodes.ts). Its options come by
// standard input, as JSON. It ends with its parent; containers go on running.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import * as z from 'zod';
import { createRings, takeRings } from '../agent/doorbell.ts';
import { createAgent } from '../agent/main.ts';
import { APISERVER_IP, APISERVER_PORT, CLUSTER_DOMAIN, DNS_IP, KUBERNETES_IP } from '../agent/network/addresses.ts';
import { dialUnix, forwardTo, serveDialer } from '../agent/network/relay.ts';
import { createNodeNetwork } from '../agent/node-network.ts';
import { createClient } from '../functions/client/fetch-client.ts';
import { createHttp2Fetch } from '../functions/client/http2-fetch.ts';
import { createSystemClock } from '../functions/clock/system.ts';
import { openRuntime } from './node-runtime.ts';

export const nodeProcessSchema = z.object({
  name: z.string(),
  ip: z.string(),
  podCidr: z.string(),
  /** Folder of this node. */
  directory: z.string(),
  runtime: z.enum(['cri', 'nerdctl']),
  /** Unix socket that leads to the apiserver. */
  serverSocket: z.string(),
  ca: z.string(),
  token: z.string(),
  /** Where the token is that counts now, for nodes whose credential is renewed. */
  tokenFile: z.string().optional(),
  cgroupPrefix: z.string(),
  /** The server at the socket tells what rang: pods and services are not watched. */
  rings: z.boolean().optional(),
  leaseEveryMs: z.number().optional(),
});
export type NodeProcessOptions = z.infer<typeof nodeProcessSchema>;

const SERVER_PORT = 443;
const TOKEN_MS = 60_000;

/** The token of a node: as it was given, or as its file says, which is read again now and then. */
const tokenOf = ({ token, tokenFile }: NodeProcessOptions): (() => string) => {
  let current = token;
  let readAt = Number.NEGATIVE_INFINITY;
  return () => {
    if (!tokenFile || performance.now() - readAt < TOKEN_MS) return current;
    readAt = performance.now();
    try {
      current = readFileSync(tokenFile, 'utf8').trim() || current;
    } catch {
      // The last one counts on.
    }
    return current;
  };
};

const resolvers = (): string[] => {
  const text = readFileSync('/etc/resolv.conf', 'utf8');
  return [...text.matchAll(/^nameserver\s+(\S+)/gm)].map((m) => m[1] ?? '').filter((ip) => !ip.startsWith('127.'));
};

const main = async (): Promise<void> => {
  const options = nodeProcessSchema.parse(await json(process.stdin));
  const stopping = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stopping.abort());
  process.on('disconnect', () => stopping.abort());
  const clock = createSystemClock();
  const relays = [
    await forwardTo({ host: KUBERNETES_IP, port: SERVER_PORT }, () => dialUnix(options.serverSocket)),
    await forwardTo({ host: APISERVER_IP, port: APISERVER_PORT }, () => dialUnix(options.serverSocket)),
    await serveDialer(join(options.directory, 'dial.sock')),
  ];
  const server = `https://${KUBERNETES_IP}:${SERVER_PORT}`;
  const http = createHttp2Fetch({ ca: options.ca });
  const token = tokenOf(options);
  const client = createClient({ fetch: http, baseUrl: server, token, userAgent: 'skiff-agent' });
  const runtime = await openRuntime(options.runtime, options.directory);
  const rings = options.rings ? createRings(clock) : undefined;
  if (rings) void takeRings(client, clock, rings, stopping.signal);
  const agent = createAgent({
    node: {
      name: options.name,
      addresses: [
        { type: 'InternalIP', address: options.ip },
        { type: 'Hostname', address: options.name },
      ],
      podCIDR: options.podCidr,
    },
    client,
    clock,
    runtime,
    names: {
      clusterDns: [DNS_IP],
      clusterDomain: CLUSTER_DOMAIN,
      host: { servers: resolvers(), searches: [], options: [] },
    },
    files: { dataDir: join(options.directory, 'agent'), cgroupPrefix: options.cgroupPrefix },
    network: createNodeNetwork({
      node: options.name,
      podCidr: options.podCidr,
      own: new Set([KUBERNETES_IP, APISERVER_IP, DNS_IP]),
      dns: { ip: DNS_IP, port: 53, domain: CLUSTER_DOMAIN, upstreams: resolvers() },
    }),
    ...(rings && { rings }),
    ...(options.leaseEveryMs && { leaseEveryMs: options.leaseEveryMs }),
    tunnel: { server, ca: options.ca, token },
    onError: (message, error) => console.error(`${message}:`, error instanceof Error ? error.message : error),
  });
  await agent.run(stopping.signal);
  for (const relay of relays) relay.close();
  http.close();
  await runtime.close();
};

await main();
process.exit(0);
