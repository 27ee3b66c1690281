import { Agent } from 'node:https';
import { connect as connectTls } from 'node:tls';
import { StatusError } from '../../machinery/status.ts';
import type { Server } from '../context.ts';
import { checkHost, lookupFor } from './addresses.ts';
import { dialService, type ServiceReference } from './service-endpoint.ts';

/** Who is asked over TLS, and as whom. PEM texts. */
export interface Destination {
  cluster: string;
  /** A Service to reach, whose certificate is for `name.namespace.svc`; else the host of the URL asked for. */
  service?: ServiceReference;
  /** The authorities that its certificate is trusted by; the system's where absent. */
  ca?: string;
  /** The client certificate to show. */
  identity?: { cert: string; key: string };
  /** Any certificate will do. */
  insecure?: boolean;
}

/** So many destinations keep their connections; the one that was not used for longest goes first. */
const agentsMax = 64;
const idleMs = 30_000;

const serviceFault = (error: unknown, name: string): Error => {
  if (error instanceof StatusError && error.code === 404) return new Error(`service "${name}" not found`);
  return error instanceof Error ? error : new Error(String(error));
};

const tlsOf = ({ ca, identity, insecure }: Destination) => ({
  ...(ca && { ca }),
  ...identity,
  ...(insecure && { rejectUnauthorized: false }),
});

/** A TLS connection to a destination's service. Rejects where it cannot be reached; its certificate is checked after. */
export const connectService = async (
  server: Server,
  destination: Destination & { service: ServiceReference },
): Promise<ReturnType<typeof connectTls>> => {
  const { cluster, service } = destination;
  const servername = `${service.name}.${service.namespace}.svc`;
  const socket = await dialService(server, cluster, service).catch((error: unknown) => {
    throw serviceFault(error, service.name);
  });
  return connectTls({ socket, servername, ...tlsOf(destination) });
};

const createAgent = (server: Server, destination: Destination): Agent => {
  const { cluster, service } = destination;
  const lookup = lookupFor(cluster);
  const agent = new Agent({ keepAlive: true, keepAliveMsecs: idleMs, timeout: idleMs, lookup, ...tlsOf(destination) });
  if (!service) {
    const connect = agent.createConnection.bind(agent);
    agent.createConnection = (options, done) => {
      checkHost(cluster, options.host ?? '');
      return connect(options, done);
    };
    return agent;
  }
  agent.createConnection = (_options, done) => {
    connectService(server, { ...destination, service }).then(
      (socket) => done?.(null, socket),
      (error: Error) => done?.(error, undefined as never),
    );
    return undefined;
  };
  return agent;
};

/** Ends connections that nobody uses. The others may be another cluster's on its way: they end when they are idle. */
const endIdle = (agent: Agent): void => {
  for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
};

const agents = new WeakMap<Server, Map<string, Agent>>();

/** The connections to a destination, kept for a while. */
export const agentOf = (server: Server, destination: Destination): Agent => {
  let known = agents.get(server);
  if (!known) {
    known = new Map();
    agents.set(server, known);
  }
  const key = JSON.stringify(destination);
  const agent = known.get(key) ?? createAgent(server, destination);
  known.delete(key);
  known.set(key, agent);
  for (const [oldest, old] of known) {
    if (known.size <= agentsMax) break;
    known.delete(oldest);
    endIdle(old);
  }
  return agent;
};
