import { type Filter, type HostPort, PASSES, type PodInfo } from '../framework.ts';

const REFUSED = [{ reason: "node(s) didn't have free ports for the requested pod ports", resolvable: true }];

const clash = (a: HostPort, b: HostPort): boolean =>
  a.port === b.port && a.protocol === b.protocol && (a.ip === b.ip || a.ip === '0.0.0.0' || b.ip === '0.0.0.0');

/** Whether two pods cannot be on one node because of their host ports. */
export const portsClash = (wanted: readonly HostPort[], pod: PodInfo): boolean =>
  pod.hostPorts.some((used) => wanted.some((w) => clash(w, used)));

/** NodePorts: no pod of the node has any of the host ports the pod wants. */
export const nodePorts: Filter<HostPort[]> = {
  name: 'NodePorts',
  prepare: (pod) => (pod.hostPorts.length > 0 ? pod.hostPorts : undefined),
  check: (wanted, node) => (node.pods.some((p) => portsClash(wanted, p)) ? REFUSED : PASSES),
};
