import type { Node } from '../machinery/kinds.d.ts';
import type { Controller } from './controller.ts';
import { expectsOf, targetOf } from './owners.ts';
import { nodes } from './resources.ts';

export interface NodeIpamOptions {
  /** IPv4 block of all pods; 10.200.0.0/16. */
  clusterCidr?: string;
  /** Prefix length of each node's block; 24. */
  nodeMaskBits?: number;
}

export interface IpamObserved {
  waiting: Node[];
  taken: string[];
}

const toNumber = (ip: string): number => ip.split('.').reduce((n, part) => n * 256 + Number(part), 0);
const toText = (n: number): string => [24, 16, 8, 0].map((shift) => Math.floor(n / 2 ** shift) % 256).join('.');

/**
 * Gives every node without one a block of the pods' network. One key for the whole cluster, so that no block is given
 * twice; the node's resourceVersion guards the rest.
 */
export const createNodeIpamController = (options: NodeIpamOptions = {}): Controller<IpamObserved> => {
  const [base = '10.200.0.0', bits = '16'] = (options.clusterCidr ?? '10.200.0.0/16').split('/');
  const mask = options.nodeMaskBits ?? 24;
  const blocks = 2 ** (mask - Number(bits));
  const size = 2 ** (32 - mask);
  const first = toNumber(base);
  return {
    name: 'node-ipam',
    component: 'node-controller',
    watches: [
      { resource: nodes, keys: ({ object, deleted }) => (deleted || (object as Node).spec?.podCIDR ? [] : ['nodes']) },
    ],
    async observe(read) {
      const all = await read.list<Node>(nodes);
      const waiting = all.filter((node) => !node.spec?.podCIDR && !node.metadata.deletionTimestamp);
      if (waiting.length === 0) return undefined;
      return { waiting, taken: all.flatMap((node) => node.spec?.podCIDRs ?? node.spec?.podCIDR ?? []) };
    },
    decide({ waiting, taken }) {
      const used = new Set(taken);
      let at = 0;
      const next = (): string | undefined => {
        for (; at < blocks; at++) {
          const cidr = `${toText(first + at * size)}/${mask}`;
          if (!used.has(cidr)) {
            used.add(cidr);
            return cidr;
          }
        }
        return undefined;
      };
      const plan: ReturnType<Controller<IpamObserved>['decide']> = { writes: [], events: [] };
      for (const node of waiting) {
        const cidr = next();
        if (!cidr) {
          const message = `Node ${node.metadata.name} status is now: CIDRNotAvailable`;
          plan.events?.push({ regarding: node, type: 'Normal', reason: 'CIDRNotAvailable', message });
          continue;
        }
        const merge = { spec: { podCIDR: cidr, podCIDRs: [cidr] } };
        plan.writes.push({ op: 'patch', resource: nodes, target: targetOf(node), merge, expects: expectsOf(node) });
      }
      return plan;
    },
  };
};
