import type { Reader } from '../client/reader.ts';
import { timestamp } from '../clock/clock.ts';
import type { Lease, Node, NodeCondition, Pod, Taint } from '../machinery/kinds.d.ts';
import { conditionOf } from './conditions.ts';
import type { Controller, EventDraft, Instant, Plan, PlannedWrite } from './controller.ts';
import { expectsOf, ownKey, targetOf } from './owners.ts';
import { isReady } from './pods.ts';
import { leases, nodes, pods } from './resources.ts';
import { sameJson, statusWrite } from './status-patch.ts';

export interface NodeLifecycleOptions {
  /**
   * Without a heartbeat for this long a node is Unknown. 50 s upstream, whose kubelets hold their leases for 40 s; a node
   * that says that it holds its lease for longer has as much more time.
   */
  graceMs?: number;
}

export interface NodeObserved {
  node: Node;
  lease: Lease | undefined;
  /** Bound to the node, only where it is not ready. */
  pods: readonly Pod[];
}

const notReady = 'node.kubernetes.io/not-ready';
const unreachable = 'node.kubernetes.io/unreachable';
const ttlAnnotation = 'node.alpha.kubernetes.io/ttl';

const watched = ['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure'];
/** Conditions that keep pods away, and the value that does. */
const noSchedule: [type: string, status: string, key: string][] = [
  ['Ready', 'False', notReady],
  ['Ready', 'Unknown', unreachable],
  ['MemoryPressure', 'True', 'node.kubernetes.io/memory-pressure'],
  ['DiskPressure', 'True', 'node.kubernetes.io/disk-pressure'],
  ['NetworkUnavailable', 'True', 'node.kubernetes.io/network-unavailable'],
  ['PIDPressure', 'True', 'node.kubernetes.io/pid-pressure'],
];
const unschedulable = 'node.kubernetes.io/unschedulable';
const managedNoSchedule = new Set([...noSchedule.map(([, , key]) => key), unschedulable]);

const parse = (time: string | undefined): number => (time ? Date.parse(time) : 0);

/** Of the lease's own duration, so much must have gone by. */
const GRACE_PER_LEASE = 1.25;

const graceOf = ({ lease }: NodeObserved, graceMs: number): number =>
  Math.max(graceMs, (lease?.spec?.leaseDurationSeconds ?? 0) * 1000 * GRACE_PER_LEASE);

const heartbeat = ({ node, lease }: NodeObserved): number =>
  Math.max(
    parse(lease?.spec?.renewTime),
    parse(conditionOf(node.status?.conditions, 'Ready')?.lastHeartbeatTime),
    parse(node.metadata.creationTimestamp),
  );

const unknownConditions = (node: Node, now: Instant): NodeCondition[] => {
  const time = timestamp(now);
  const conditions = [...(node.status?.conditions ?? [])];
  for (const type of watched) {
    const at = conditions.findIndex((condition) => condition.type === type);
    const current = conditions[at];
    if (!current) {
      conditions.push({
        type,
        status: 'Unknown',
        reason: 'NodeStatusNeverUpdated',
        message: 'Kubelet never posted node status.',
        lastHeartbeatTime: node.metadata.creationTimestamp ?? time,
        lastTransitionTime: time,
      });
    } else if (current.status !== 'Unknown') {
      conditions[at] = {
        ...current,
        status: 'Unknown',
        reason: 'NodeStatusUnknown',
        message: 'Kubelet stopped posting node status.',
        lastTransitionTime: time,
      };
    }
  }
  return conditions;
};

/** The node's taints with those that its conditions ask for; a taint that stays keeps its time. */
const taintsOf = (node: Node, conditions: readonly NodeCondition[], now: Instant): Taint[] => {
  const current = node.spec?.taints ?? [];
  const status = conditionOf(conditions, 'Ready')?.status;
  const execute = status === 'False' ? notReady : status === 'Unknown' ? unreachable : undefined;
  const schedule = new Set(
    noSchedule.filter(([type, value]) => conditionOf(conditions, type)?.status === value).map(([, , key]) => key),
  );
  if (node.spec?.unschedulable) schedule.add(unschedulable);
  const kept = current.filter(({ key, effect }) => {
    if (effect === 'NoExecute' && (key === notReady || key === unreachable)) return key === execute;
    if (effect === 'NoSchedule' && managedNoSchedule.has(key)) return schedule.has(key);
    return true;
  });
  const has = (key: string, effect: string) => kept.some((taint) => taint.key === key && taint.effect === effect);
  const timeAdded = timestamp(now);
  const added: Taint[] = [];
  for (const key of schedule) if (!has(key, 'NoSchedule')) added.push({ key, effect: 'NoSchedule', timeAdded });
  if (execute && !has(execute, 'NoExecute')) added.push({ key: execute, effect: 'NoExecute', timeAdded });
  return added.length > 0 || kept.length !== current.length ? [...kept, ...added] : current;
};

const markNotReady = (pod: Pod, now: Instant): PlannedWrite[] => {
  const conditions = (pod.status?.conditions ?? []).map((condition) =>
    condition.type === 'Ready' ? { ...condition, status: 'False', lastTransitionTime: timestamp(now) } : condition,
  );
  const event: EventDraft = {
    regarding: pod,
    type: 'Warning',
    reason: 'NodeNotReady',
    message: 'Node is not ready',
  };
  return statusWrite(pod, pods, { ...pod.status, conditions }).map((write) => ({ ...write, done: () => event }));
};

const decideWith =
  (leastGraceMs: number) =>
  (observed: NodeObserved, now: Instant): Plan => {
    const { node } = observed;
    const graceMs = graceOf(observed, leastGraceMs);
    const silentMs = now - heartbeat(observed);
    const lost = silentMs > graceMs;
    const before = node.status?.conditions ?? [];
    const conditions = lost ? unknownConditions(node, now) : before;
    const wasReady = conditionOf(before, 'Ready')?.status === 'True';
    const ready = conditionOf(conditions, 'Ready')?.status;
    const events: EventDraft[] = [];
    if (wasReady && ready !== 'True') {
      const message = `Node ${node.metadata.name} status is now: NodeNotReady`;
      events.push({ regarding: node, type: 'Normal', reason: 'NodeNotReady', message });
    }
    const writes: PlannedWrite[] = [];
    const registered = node.metadata.annotations?.[ttlAnnotation] !== undefined;
    const taints = taintsOf(node, conditions, now);
    const merge = {
      ...(!registered && { metadata: { annotations: { [ttlAnnotation]: '0' } } }),
      ...(!sameJson(taints, node.spec?.taints ?? []) && { spec: { taints: taints.length > 0 ? taints : null } }),
    };
    if (Object.keys(merge).length > 0) {
      writes.push({ op: 'patch', resource: nodes, target: targetOf(node), merge, expects: expectsOf(node) });
    }
    if (!registered) {
      const message = `Node ${node.metadata.name} event: Registered Node ${node.metadata.name} in Controller`;
      events.push({ regarding: node, type: 'Normal', reason: 'RegisteredNode', message });
    }
    if (lost) {
      const uid = { uid: node.metadata.uid ?? '' };
      writes.push(...statusWrite(node, nodes, { ...node.status, conditions }, uid));
    }
    // Only a node that says nothing: one that reports itself not ready also reports its pods.
    if (lost) {
      for (const pod of observed.pods) if (isReady(pod)) writes.push(...markNotReady(pod, now));
    }
    return { writes, events, ...(!lost && { again: { afterMs: graceMs - silentMs + 100 } }) };
  };

/** Watches heartbeats (the node's Lease and status): conditions, taints, and the readiness of a lost node's pods. */
export const createNodeLifecycleController = (options: NodeLifecycleOptions = {}): Controller<NodeObserved> => ({
  name: 'nodelifecycle',
  component: 'node-controller',
  watches: [{ resource: nodes, keys: (change) => (change.deleted ? [] : ownKey(change)) }],
  async observe(read: Reader, key) {
    const node = await read.get<Node>(nodes, '', key.name);
    if (!node || node.metadata.deletionTimestamp) return undefined;
    const lease = await read.get<Lease>(leases, 'kube-node-lease', key.name);
    const field = { name: 'spec.nodeName', value: key.name };
    return { node, lease, pods: await read.list<Pod>(pods, { field }) };
  },
  decide: decideWith(options.graceMs ?? 50_000),
});
