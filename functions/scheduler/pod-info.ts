import type { Container, Node, Pod } from '../machinery/kinds.d.ts';
import { milliValue, quantityValue } from '../machinery/quantity.ts';
import type { HostPort, NodeInfo, PodInfo, Requests, Snapshot } from './framework.ts';

const DEFAULT_CPU_MILLI = 100;
const DEFAULT_MEMORY_BYTES = 200 * 1024 * 1024;

const amount = (resource: string, quantity: string): number =>
  resource === 'cpu' ? milliValue(quantity) : quantityValue(quantity);

export const requestsOf = (list: Record<string, string> | undefined): Requests => {
  const out: Requests = {};
  for (const [name, quantity] of Object.entries(list ?? {})) out[name] = amount(name, quantity);
  return out;
};

const add = (into: Requests, more: Requests): Requests => {
  for (const [k, v] of Object.entries(more)) into[k] = (into[k] ?? 0) + v;
  return into;
};
const maximum = (into: Requests, other: Requests): Requests => {
  for (const [k, v] of Object.entries(other)) into[k] = Math.max(into[k] ?? 0, v);
  return into;
};

const isSidecar = (c: Container): boolean => c.restartPolicy === 'Always';

/**
 * What a pod needs at its peak: the sum of its containers and sidecars, or the largest init container with the sidecars
 * started before it, whichever is more, plus overhead; pod-level resources win. Sources: KEP-753, KEP-2837.
 */
const podRequests = (pod: Pod, ofContainer: (c: Container) => Requests): Requests => {
  const total: Requests = {};
  for (const c of pod.spec?.containers ?? []) add(total, ofContainer(c));
  const sidecars: Requests = {};
  const peak: Requests = {};
  for (const c of pod.spec?.initContainers ?? []) {
    const own = ofContainer(c);
    if (isSidecar(c)) {
      add(total, own);
      maximum(peak, add(sidecars, own));
    } else maximum(peak, add({ ...own }, sidecars));
  }
  maximum(total, peak);
  Object.assign(total, requestsOf(pod.spec?.resources?.requests));
  return add(total, requestsOf(pod.spec?.overhead));
};

const hostPortsOf = (pod: Pod): HostPort[] =>
  [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? []).filter(isSidecar)].flatMap((c) =>
    (c.ports ?? [])
      .filter((p) => p.hostPort)
      .map((p) => ({ ip: p.hostIP || '0.0.0.0', protocol: p.protocol ?? 'TCP', port: p.hostPort ?? 0 })),
  );

const known = new WeakMap<Pod, PodInfo>();

/** Remembered per pod object, which readers never mutate. */
export const podInfoOf = (pod: Pod): PodInfo => {
  const cached = known.get(pod);
  if (cached) return cached;
  const requests = podRequests(pod, (c) => requestsOf(c.resources?.requests));
  const assumed = podRequests(pod, (c) => ({
    cpu: DEFAULT_CPU_MILLI,
    memory: DEFAULT_MEMORY_BYTES,
    ...requestsOf(c.resources?.requests),
  }));
  const info: PodInfo = {
    pod,
    requests,
    nonZero: { cpu: assumed.cpu ?? 0, memory: assumed.memory ?? 0 },
    hostPorts: hostPortsOf(pod),
  };
  known.set(pod, info);
  return info;
};

export const emptyNode = (node: Node): NodeInfo => ({
  node,
  allocatable: requestsOf(node.status?.allocatable ?? node.status?.capacity),
  requested: {},
  nonZeroRequested: { cpu: 0, memory: 0 },
  pods: [],
});

/** Puts a pod on a node of a snapshot. */
export const place = (node: NodeInfo, pod: PodInfo): void => {
  node.pods.push(pod);
  add(node.requested, pod.requests);
  node.nonZeroRequested.cpu += pod.nonZero.cpu;
  node.nonZeroRequested.memory += pod.nonZero.memory;
};

const isFinished = (pod: Pod): boolean => pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';

/** The cluster from its nodes and pods; `assumed` are bindings that the pods do not show yet. */
export const snapshotOf = (
  nodes: readonly Node[],
  pods: Iterable<Pod>,
  assumed: ReadonlyMap<string, string> = new Map(),
): Snapshot => {
  const infos = nodes.filter((n) => !n.metadata.deletionTimestamp).map(emptyNode);
  const byName = new Map(infos.map((n) => [n.node.metadata.name ?? '', n]));
  for (const pod of pods) {
    const name = pod.spec?.nodeName || assumed.get(pod.metadata.uid ?? '');
    const node = name ? byName.get(name) : undefined;
    if (node && !isFinished(pod)) place(node, podInfoOf(pod));
  }
  return { nodes: infos, byName };
};
