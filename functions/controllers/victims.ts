import type { Pod } from '../machinery/kinds.d.ts';
import { isReady, readySince } from './pods.ts';

const phaseRank: Record<string, number> = { Pending: 0, Unknown: 1, Running: 2 };
const deletionCost = 'controller.kubernetes.io/pod-deletion-cost';

/**
 * The pods to delete first when a workload shrinks: unassigned, pending, not ready, cheaper by their deletion cost, on a
 * node with more of the related pods, ready for a shorter time, with more restarts, younger. Times count by powers of two
 * (KEP-2185), ties by uid. `related`: active pods of all replica sets of the same owner.
 */
export const victims = (list: readonly Pod[], count: number, related: readonly Pod[], now: number): Pod[] => {
  if (count >= list.length) return [...list];
  const perNode = new Map<string, number>();
  for (const pod of related) {
    const node = pod.spec?.nodeName;
    if (node) perNode.set(node, (perNode.get(node) ?? 0) + 1);
  }
  const ranked = list.map((pod) => rank(pod, perNode, now));
  ranked.sort(compare);
  return ranked.slice(0, count).map((r) => r.pod);
};

interface Ranked {
  pod: Pod;
  order: number[];
  uid: string;
}

/** Floor of log2 of the nanoseconds passed: how old, by powers of two. */
const age = (since: number | undefined, now: number): number => {
  if (since === undefined) return Number.POSITIVE_INFINITY;
  const passed = (now - since) * 1e6;
  return passed <= 0 ? -1 : Math.floor(Math.log2(passed));
};

const rank = (pod: Pod, perNode: Map<string, number>, now: number): Ranked => {
  const node = pod.spec?.nodeName;
  const statuses = pod.status?.containerStatuses ?? [];
  const restarts = statuses.reduce((most, status) => Math.max(most, status.restartCount ?? 0), 0);
  const cost = Number.parseInt(pod.metadata.annotations?.[deletionCost] ?? '0', 10);
  return {
    pod,
    uid: pod.metadata.uid ?? '',
    order: [
      node ? 1 : 0,
      phaseRank[pod.status?.phase ?? ''] ?? 0,
      isReady(pod) ? 1 : 0,
      Number.isNaN(cost) ? 0 : cost,
      node ? -(perNode.get(node) ?? 0) : 0,
      isReady(pod) ? age(readySince(pod), now) : 0,
      -restarts,
      age(pod.metadata.creationTimestamp ? Date.parse(pod.metadata.creationTimestamp) : undefined, now),
    ],
  };
};

const readyTimeIndex = 5;

const compare = (a: Ranked, b: Ranked): number => {
  for (let i = 0; i < a.order.length; i++) {
    const x = a.order[i] ?? 0;
    const y = b.order[i] ?? 0;
    if (x !== y) return x - y;
    // Both ready in the same power of two, but not at the same time: the uid decides, and nothing after it.
    if (i === readyTimeIndex && readySince(a.pod) !== readySince(b.pod)) break;
  }
  return a.uid < b.uid ? -1 : a.uid > b.uid ? 1 : 0;
};
