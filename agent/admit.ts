import type { Node, NodeSelectorRequirement, Pod } from '../functions/machinery/kinds.d.ts';
import { milliValue, quantityValue } from '../functions/machinery/quantity.ts';
import { isTerminal } from './observed.ts';
import { podRequests } from './qos.ts';

const holds = (requirement: NodeSelectorRequirement, value: string | undefined): boolean => {
  const values = requirement.values ?? [];
  if (requirement.operator === 'In') return value !== undefined && values.includes(value);
  if (requirement.operator === 'NotIn') return value === undefined || !values.includes(value);
  if (requirement.operator === 'Exists') return value !== undefined;
  if (requirement.operator === 'DoesNotExist') return value === undefined;
  if (value === undefined) return false;
  return requirement.operator === 'Gt' ? Number(value) > Number(values[0]) : Number(value) < Number(values[0]);
};

const fitsNode = (pod: Pod, labels: Record<string, string>, name: string): boolean => {
  for (const [key, value] of Object.entries(pod.spec?.nodeSelector ?? {})) if (labels[key] !== value) return false;
  const required = pod.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  if (!required) return true;
  return required.nodeSelectorTerms.some(
    (term) =>
      (term.matchExpressions?.length ?? 0) + (term.matchFields?.length ?? 0) > 0 &&
      (term.matchExpressions ?? []).every((r) => holds(r, labels[r.key])) &&
      (term.matchFields ?? []).every((r) => holds(r, name)),
  );
};

interface HostPort {
  port: number;
  protocol: string;
  address: string;
}

const hostPortsOf = (pod: Pod): HostPort[] =>
  [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? []).filter((c) => c.restartPolicy === 'Always')]
    .flatMap((container) => container.ports ?? [])
    .filter((port) => port.hostPort)
    .map((p) => ({ port: p.hostPort ?? 0, protocol: p.protocol ?? 'TCP', address: p.hostIP || '0.0.0.0' }));

const clash = (a: HostPort, b: HostPort): boolean =>
  a.port === b.port &&
  a.protocol === b.protocol &&
  (a.address === b.address || a.address === '0.0.0.0' || b.address === '0.0.0.0');

/** What a node lacks for a pod: thousandths of cpu, bytes of memory, else whole units. */
export interface Shortage {
  resource: string;
  requested: number;
  used: number;
  capacity: number;
}

/** Names with a domain other than Kubernetes' own are extended resources, which others than the agent may give a node. */
const isExtended = (name: string): boolean => /^(?!(?:[^/]*\.)?kubernetes\.io\/)[^/]+\//.test(name);

/** The first resource that the pod's requests, beside those of the others, exceed; undefined when all fits. */
export const shortageFor = (
  pod: Pod,
  others: readonly Pod[],
  allocatable: Record<string, string>,
): Shortage | undefined => {
  const live = others.filter((p) => !isTerminal(p));
  const limit = Number(allocatable.pods ?? '110');
  const out = (resource: string, requested: number, used: number, capacity: number): Shortage | undefined =>
    requested > 0 && used + requested > capacity ? { resource, requested, used, capacity } : undefined;
  const wants = podRequests(pod);
  const used = live.map(podRequests);
  const sum = (of: (r: (typeof used)[number]) => number): number => used.reduce((total, r) => total + of(r), 0);
  const compute =
    out('pods', 1, live.length, limit) ??
    out(
      'cpu',
      wants.cpuMilli,
      sum((r) => r.cpuMilli),
      milliValue(allocatable.cpu ?? '0'),
    ) ??
    out(
      'memory',
      wants.memory,
      sum((r) => r.memory),
      quantityValue(allocatable.memory ?? '0'),
    );
  if (compute) return compute;
  for (const [name, amount] of Object.entries(wants.other)) {
    // What the node says nothing of is counted elsewhere: by the scheduler, for resources that are not the node's own.
    if (isExtended(name) && allocatable[name] === undefined) continue;
    const short = out(
      name,
      amount,
      sum((r) => r.other[name] ?? 0),
      quantityValue(allocatable[name] ?? '0'),
    );
    if (short) return short;
  }
  return undefined;
};

/** Why a node does not take a pod. */
export interface Refusal {
  reason: string;
  message: string;
}

/**
 * Whether this node can take the pod beside those it has: the scheduler may be two, or late. Reasons and messages as
 * kubelet's predicate admit handler gives them. Pure.
 */
export const admitPod = (
  pod: Pod,
  others: Pod[],
  node: Pick<Node, 'metadata'>,
  allocatable: Record<string, string>,
): Refusal | undefined => {
  if (!fitsNode(pod, node.metadata.labels ?? {}, node.metadata.name ?? '')) {
    return {
      reason: 'NodeAffinity',
      message: "Pod was rejected: Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
    };
  }
  const live = others.filter((p) => !isTerminal(p));
  const ports = hostPortsOf(pod);
  if (ports.length > 0 && live.flatMap(hostPortsOf).some((taken) => ports.some((port) => clash(port, taken)))) {
    return {
      reason: 'NodePorts',
      message:
        "Pod was rejected: Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports",
    };
  }
  const short = shortageFor(pod, live, allocatable);
  if (!short) return undefined;
  const { resource, requested, used, capacity } = short;
  return {
    reason: `OutOf${resource}`,
    message: `Pod was rejected: Node didn't have enough resource: ${resource}, requested: ${requested}, used: ${used}, capacity: ${capacity}`,
  };
};

const extendedOf = (node: Pick<Node, 'status'>): Record<string, string> =>
  Object.fromEntries(Object.entries(node.status?.allocatable ?? {}).filter(([name]) => isExtended(name)));

/**
 * `admitPod` on the node as it is. Its labels and extended resources are read again only when they are why a pod would be
 * refused: they may have been given to the Node just before the pod.
 */
export const createAdmission = (options: {
  known: Pick<Node, 'metadata' | 'status'>;
  current(): Promise<Node | undefined>;
  allocatable(): Record<string, string>;
}): ((pod: Pod, others: Pod[]) => Refusal | undefined | Promise<Refusal | undefined>) => {
  let { known } = options;
  let extended = extendedOf(known);
  const judge = (pod: Pod, others: Pod[]) => admitPod(pod, others, known, { ...extended, ...options.allocatable() });
  return (pod, others) => {
    const refused = judge(pod, others);
    if (!refused || !(refused.reason === 'NodeAffinity' || refused.reason.includes('/'))) return refused;
    return options.current().then(
      (node) => {
        if (node) {
          known = { metadata: node.metadata };
          extended = extendedOf(node);
        }
        return judge(pod, others);
      },
      () => refused,
    );
  };
};
