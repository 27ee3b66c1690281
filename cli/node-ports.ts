import type { Server } from 'node:net';
import { dialThrough, forwardTo } from '../agent/network/relay.ts';
import type { Client } from '../functions/client/client.ts';
import type { Service } from '../functions/machinery/kinds.d.ts';

const SERVICES = { group: '', version: 'v1', resource: 'services' };
const RETRY_MS = 1_000;

export interface NodePortsOptions {
  client: Client;
  /** The dialer of one node: any node leads to every service. */
  dialSocket: string;
  nodeIp: string;
  log(line: string): void;
}

const portsOf = (services: Iterable<Service>): Set<number> => {
  const ports = new Set<number>();
  for (const service of services) {
    for (const p of service.spec?.ports ?? []) if (p.nodePort && (p.protocol ?? 'TCP') === 'TCP') ports.add(p.nodePort);
  }
  return ports;
};

/** Keeps a listener on 127.0.0.1 for every TCP node port of the cluster. A port that is taken is told, and left. */
export const startNodePorts = async (options: NodePortsOptions): Promise<{ close(): Promise<void> }> => {
  const servers = new Map<number, Server>();
  const stopping = new AbortController();
  const services = new Map<string, Service>();

  const sync = async (): Promise<void> => {
    const wanted = portsOf(services.values());
    for (const [port, server] of servers) {
      if (wanted.has(port)) continue;
      server.close();
      servers.delete(port);
    }
    for (const port of wanted) {
      if (servers.has(port)) continue;
      try {
        const dial = () => dialThrough(options.dialSocket, options.nodeIp, port);
        servers.set(port, await forwardTo({ host: '127.0.0.1', port }, dial));
      } catch (error) {
        options.log(`node port ${port} is not on 127.0.0.1: ${error instanceof Error ? error.message : error}`);
      }
    }
  };

  const follow = async (): Promise<void> => {
    const list = await options.client.list<Service>(SERVICES);
    services.clear();
    const key = (s: Service) => `${s.metadata.namespace}/${s.metadata.name}`;
    for (const service of list.items) services.set(key(service), service);
    await sync();
    const from = { resourceVersion: list.resourceVersion };
    for await (const event of options.client.watch<Service>(SERVICES, from, stopping.signal)) {
      if (event.type === 'ERROR') return;
      if (event.type === 'BOOKMARK') continue;
      if (event.type === 'DELETED') services.delete(key(event.object));
      else services.set(key(event.object), event.object);
      await sync();
    }
  };

  const running = (async () => {
    while (!stopping.signal.aborted) {
      await follow().catch(() => {});
      if (!stopping.signal.aborted) await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  })();

  return {
    close: async () => {
      stopping.abort();
      for (const server of servers.values()) server.close();
      await running;
    },
  };
};
