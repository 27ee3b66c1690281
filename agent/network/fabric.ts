import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { promisify } from 'node:util';
import {
  APISERVER_IP,
  DNS_IP,
  FABRIC_GATEWAY,
  FABRIC_PREFIX,
  KUBERNETES_IP,
  nodeIpOf,
  podCidrOf,
} from './addresses.ts';

const execute = promisify(execFile);
const NETNS_DIRECTORY = '/run/netns';

/** A local node's place in the fabric. */
export interface FabricNode {
  name: string;
  index: number;
  /** Path of its network namespace, for nsenter --net. */
  netns: string;
  ip: string;
  podCidr: string;
}

export interface Fabric {
  /** Makes the node's namespace, or finds it as it was left. */
  addNode(name: string, index: number): Promise<FabricNode>;
  removeNode(node: FabricNode): Promise<void>;
  /** Removes every namespace of this fabric, also those that a crash left. */
  teardown(): Promise<void>;
}

const ip = async (...args: string[]): Promise<string> => (await execute('ip', args)).stdout;
/** For commands whose second run says that it is done already. */
const ipOnce = (...args: string[]): Promise<unknown> =>
  ip(...args).catch((error: Error & { stderr?: string }) => {
    if (!/exists|already assigned/.test(error.stderr ?? '')) throw error;
  });

/**
 * The network of the nodes of one data directory: a network namespace per node, joined by a bridge in a namespace of its
 * own, with a route per node's pod range. Nothing of it is in the host's namespace: no interface, route or rule. Needs root
 * and iproute2. State is in the namespaces' names alone, so a new process finds what a killed one left.
 */
export const createFabric = (id: string): Fabric => {
  const hub = `skiff-${id}`;
  const nodes = new Map<string, FabricNode>();

  const ensureNamespace = async (name: string): Promise<boolean> => {
    if (existsSync(`${NETNS_DIRECTORY}/${name}`)) return false;
    await ip('netns', 'add', name);
    await ip('-n', name, 'link', 'set', 'lo', 'up');
    await execute('nsenter', [`--net=${NETNS_DIRECTORY}/${name}`, 'sysctl', '-qw', 'net.ipv4.ip_forward=1']);
    return true;
  };

  const ensureHub = async (): Promise<void> => {
    await ensureNamespace(hub);
    await ipOnce('-n', hub, 'link', 'add', 'fabric0', 'type', 'bridge');
    await ipOnce('-n', hub, 'addr', 'add', `${FABRIC_GATEWAY}/${FABRIC_PREFIX}`, 'dev', 'fabric0');
    await ip('-n', hub, 'link', 'set', 'fabric0', 'up');
  };

  const connect = async (name: string, node: FabricNode): Promise<void> => {
    const port = `node${node.index}`;
    await ipOnce('link', 'add', port, 'netns', hub, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
    await ip('-n', hub, 'link', 'set', port, 'master', 'fabric0', 'up');
    await ipOnce('-n', name, 'addr', 'add', `${node.ip}/${FABRIC_PREFIX}`, 'dev', 'eth0');
    await ip('-n', name, 'link', 'set', 'eth0', 'up');
    await ip('-n', name, 'route', 'replace', 'default', 'via', FABRIC_GATEWAY);
    for (const own of [KUBERNETES_IP, APISERVER_IP, DNS_IP])
      await ipOnce('-n', name, 'addr', 'add', `${own}/32`, 'dev', 'lo');
  };

  return {
    addNode: async (name, index) => {
      const netns = `${hub}-${name}`;
      const node = {
        name,
        index,
        netns: `${NETNS_DIRECTORY}/${netns}`,
        ip: nodeIpOf(index),
        podCidr: podCidrOf(index),
      };
      await ensureHub();
      await ensureNamespace(netns);
      await connect(netns, node);
      for (const other of nodes.values()) {
        await ip('-n', `${hub}-${other.name}`, 'route', 'replace', node.podCidr, 'via', node.ip);
        await ip('-n', netns, 'route', 'replace', other.podCidr, 'via', other.ip);
      }
      await ip('-n', hub, 'route', 'replace', node.podCidr, 'via', node.ip);
      nodes.set(name, node);
      return node;
    },
    removeNode: async (node) => {
      nodes.delete(node.name);
      await ip('netns', 'del', `${hub}-${node.name}`).catch(() => {});
    },
    teardown: async () => {
      nodes.clear();
      const all = existsSync(NETNS_DIRECTORY) ? readdirSync(NETNS_DIRECTORY) : [];
      for (const name of all)
        if (name === hub || name.startsWith(`${hub}-`)) await ip('netns', 'del', name).catch(() => {});
    },
  };
};
