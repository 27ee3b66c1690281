import type { PodDisruptionBudget } from '../machinery/kinds.d.ts';
import { labelSelector } from '../machinery/selectors.ts';
import { type Checks, checkNode, move } from './checks.ts';
import { listed, type Unplaced } from './decide.ts';
import type { NodeInfo, PodInfo, Snapshot } from './framework.ts';

/** Pods to evict from a node so that a more important one fits. */
export interface Eviction {
  node: NodeInfo;
  victims: readonly PodInfo[];
  /** How many victims have a disruption budget with nothing left. */
  violations: number;
}
export type Preemption =
  | { type: 'evict'; node: string; victims: readonly PodInfo[] }
  | { type: 'none'; message: string; eligible: boolean };

const NOT_HELPFUL = 'Preemption is not helpful for scheduling';
const NO_VICTIMS = 'No preemption victims found for incoming pod';
const MIN_CANDIDATES = 100;

/** Pods without a start time began just now. */
const startOf = (pod: PodInfo): string => pod.pod.status?.startTime ?? '9';
const byImportance = (a: PodInfo, b: PodInfo): number =>
  b.priority - a.priority || (startOf(a) < startOf(b) ? -1 : startOf(a) > startOf(b) ? 1 : 0);

/** Which of the pods, evicted in this order, go against a budget. An empty selector protects nothing. */
const violating = (pods: readonly PodInfo[], budgets: readonly PodDisruptionBudget[]): Set<PodInfo> => {
  const out = new Set<PodInfo>();
  const rules = budgets.map((b) => ({
    b,
    selector: labelSelector(b.spec?.selector),
    left: b.status?.disruptionsAllowed ?? 0,
  }));
  for (const pod of pods) {
    for (const rule of rules) {
      const { b, selector } = rule;
      if (b.metadata.namespace !== pod.namespace || selector.empty || !selector.matches(pod.labels)) continue;
      if (b.status?.disruptedPods?.[pod.pod.metadata.name ?? '']) continue;
      rule.left--;
      if (rule.left < 0) out.add(pod);
    }
  }
  return out;
};

/** The least important pods of a node whose eviction lets the pod in; or why it does not come in even without them. */
const victimsOn = (checks: Checks, node: NodeInfo): Eviction | readonly string[] => {
  const lower = node.pods.filter((p) => p.priority < checks.pod.priority);
  if (lower.length === 0) return [NO_VICTIMS];
  for (const pod of lower) move(checks, pod, node, -1);
  const refused = checkNode(checks, node);
  if (refused) {
    for (const pod of lower) move(checks, pod, node, 1);
    return refused.reasons.map((r) => r.reason);
  }
  lower.sort(byImportance);
  const against = violating(lower, checks.snapshot.objects.budgets);
  const victims: PodInfo[] = [];
  for (const pod of [...lower.filter((p) => against.has(p)), ...lower.filter((p) => !against.has(p))]) {
    move(checks, pod, node, 1);
    if (!checkNode(checks, node)) continue;
    move(checks, pod, node, -1);
    victims.push(pod);
  }
  for (const pod of victims) move(checks, pod, node, 1);
  victims.sort(byImportance);
  return { node, victims, violations: victims.filter((p) => against.has(p)).length };
};

/** Added to each priority so that more victims weigh more even where priorities are negative. */
const OFFSET = 2 ** 31;
const earliestTop = ({ victims }: Eviction): string => {
  const [first] = victims;
  const top = victims.filter((v) => v.priority === first?.priority).map(startOf);
  return top.sort()[0] ?? '';
};

/**
 * Fewest budgets broken; lowest top priority; lowest sum of priorities; fewest pods; the youngest top victims; the first
 * found. Source: "Pod Priority and Preemption" of the Kubernetes documentation.
 */
const better = (a: Eviction, b: Eviction): boolean => {
  const ranks = [
    a.violations - b.violations,
    (a.victims[0]?.priority ?? -OFFSET) - (b.victims[0]?.priority ?? -OFFSET),
    a.victims.reduce((n, v) => n + v.priority + OFFSET, 0) - b.victims.reduce((n, v) => n + v.priority + OFFSET, 0),
    a.victims.length - b.victims.length,
  ];
  const decisive = ranks.find((r) => r !== 0);
  return decisive === undefined ? earliestTop(a) > earliestTop(b) : decisive < 0;
};

/** Whether room is being made already for a pod where it is expected: then it waits. */
const madeRoom = (pod: PodInfo, snapshot: Snapshot): boolean => {
  const node = snapshot.byName.get(pod.pod.status?.nominatedNodeName ?? '');
  return (
    node?.pods.some(
      (p) =>
        p.terminating &&
        p.priority < pod.priority &&
        p.pod.status?.conditions?.some(
          (c) => c.type === 'DisruptionTarget' && c.status === 'True' && c.reason === REASON,
        ),
    ) ?? false
  );
};
/** The reason of the DisruptionTarget condition of victims. Source: KEP-3329. */
export const REASON = 'PreemptionByScheduler';

/**
 * Looks for the pods to evict for one that fits nowhere. Pure: the snapshot is as before afterwards. `random`, in [0, 1),
 * turns the node to begin with in clusters too large to look at every node.
 */
export const preempt = (decision: Unplaced, random: number): Preemption => {
  const { checks, candidates } = decision;
  const { pod, snapshot } = checks;
  if (pod.pod.spec?.preemptionPolicy === 'Never') {
    return { type: 'none', message: 'not eligible due to preemptionPolicy=Never.', eligible: false };
  }
  if (madeRoom(pod, snapshot)) {
    return { type: 'none', message: 'not eligible due to a terminating pod on the nominated node.', eligible: false };
  }
  const wanted = Math.max(MIN_CANDIDATES, Math.floor(snapshot.nodes.length / 10));
  const start = candidates.length > wanted ? Math.floor(random * candidates.length) : 0;
  const reasons = new Map<string, number>();
  if (decision.hopeless > 0) reasons.set(NOT_HELPFUL, decision.hopeless);
  let best: Eviction | undefined;
  let found = 0;
  for (let i = 0; i < candidates.length && found < wanted; i++) {
    const node = candidates[(start + i) % candidates.length];
    const result = node && victimsOn(checks, node);
    if (!result) continue;
    if ('victims' in result) {
      found++;
      if (!best || better(result, best)) best = result;
    } else for (const reason of result) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  }
  if (best) return { type: 'evict', node: best.node.name, victims: best.victims };
  return {
    type: 'none',
    message: `0/${snapshot.nodes.length} nodes are available: ${listed(reasons)}.`,
    eligible: true,
  };
};
