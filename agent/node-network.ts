import type { NodeNetwork } from './main.ts';
import { type DnsServer, startDns } from './network/dns.ts';
import { createServiceProxy } from './network/proxy.ts';

export interface NodeNetworkOptions {
  node: string;
  podCidr: string;
  /** The node's own addresses. */
  own: ReadonlySet<string>;
  /** Where the cluster DNS listens in the node's network namespace; absent: this node answers none. */
  dns?: { ip: string; port: number; domain: string; upstreams: string[] };
}

/** Service proxy and cluster DNS of one node; runs in the process that lives in the node's network namespace. */
export const createNodeNetwork = (options: NodeNetworkOptions): NodeNetwork => {
  const proxy = createServiceProxy({ node: options.node, podCidr: options.podCidr, own: options.own });
  let dns: DnsServer | undefined;
  let problem: string | undefined;
  return {
    async start() {
      await proxy.update([], []);
      if (options.dns) dns = await startDns(options.dns);
    },
    async onServices(services, slices) {
      dns?.update(services, slices);
      try {
        await proxy.update(services, slices);
        problem = undefined;
      } catch (error) {
        problem = `service proxy: ${error instanceof Error ? error.message : String(error)}`;
        throw error;
      }
    },
    health: () => problem,
    async stop() {
      await dns?.close();
    },
  };
};
