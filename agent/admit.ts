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

/**
 * Whether this node can take the pod beside those it has: the scheduler may be two, or late. Reasons and messages as
 * kubelet's predicate admit handler gives them. Pure.
 */
export const admitPod = (
  pod: Pod,
  others: Pod[],
  node: Pick<Node, 'metadata'>,
  allocatable: Record<string, string>,
): { reason: string; message: string } | undefined => {
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
  const limit = Number(allocatable.pods ?? '110');
  const out = (resource: string, requested: number, used: number, capacity: number) => ({
    reason: `OutOf${resource}`,
    message: `Pod was rejected: Node didn't have enough resource: ${resource}, requested: ${requested}, used: ${used}, capacity: ${capacity}`,
  });
  if (live.length + 1 > limit) return out('pods', 1, live.length, limit);
  const wants = podRequests(pod);
  const used = live.map(podRequests);
  const cpu = milliValue(allocatable.cpu ?? '0');
  const cpuUsed = used.reduce((sum, r) => sum + r.cpuMilli, 0);
  if (wants.cpuMilli > 0 && cpuUsed + wants.cpuMilli > cpu) return out('cpu', wants.cpuMilli, cpuUsed, cpu);
  const memory = quantityValue(allocatable.memory ?? '0');
  const memoryUsed = used.reduce((sum, r) => sum + r.memory, 0);
  if (wants.memory > 0 && memoryUsed + wants.memory > memory) return out('memory', wants.memory, memoryUsed, memory);
  for (const [name, amount] of Object.entries(wants.other)) {
    const capacity = quantityValue(allocatable[name] ?? '0');
    const taken = used.reduce((sum, r) => sum + (r.other[name] ?? 0), 0);
    if (amount > 0 && taken + amount > capacity) return out(name, amount, taken, capacity);
  }
  return undefined;
};
