import { filters } from './filters/index.ts';
import type { NodeInfo, PodInfo, Refusal, Snapshot } from './framework.ts';
import { scores } from './scores/index.ts';

export type Decision =
  | { type: 'bind'; node: string; feasible: number; totals: Map<string, Map<string, number>> }
  | { type: 'unschedulable'; message: string; reasons: Map<string, number>; resolvable: boolean };

type Prepared<T> = { rule: T; state: unknown }[];
const prepared = <T extends { prepare(...args: never[]): unknown }>(
  rules: readonly T[],
  prepare: (rule: T) => unknown,
): Prepared<T> => {
  const out: Prepared<T> = [];
  for (const rule of rules) {
    const state = prepare(rule);
    if (state !== undefined) out.push({ rule, state });
  }
  return out;
};

const refusalOf = (checks: Prepared<(typeof filters)[number]>, node: NodeInfo): Refusal[] => {
  for (const { rule, state } of checks) {
    const refused = rule.check(state, node);
    if (refused.length > 0) return refused;
  }
  return [];
};

const total = (plugins: Map<string, number>): number => [...plugins.values()].reduce((a, b) => a + b, 0);

/** Weighted score of each node by each preference that has something to say. */
const scoreNodes = (pod: PodInfo, snapshot: Snapshot, feasible: NodeInfo[]): Map<string, Map<string, number>> => {
  const out = new Map(feasible.map((n) => [n.node.metadata.name ?? '', new Map<string, number>()]));
  for (const { rule, state } of prepared(scores, (s) => s.prepare(pod, snapshot, feasible))) {
    const raw = feasible.map((n) => rule.score(state, n));
    const scaled = rule.normalise ? rule.normalise(raw) : raw;
    feasible.forEach((n, i) => {
      out.get(n.node.metadata.name ?? '')?.set(rule.name, (scaled[i] ?? 0) * rule.weight);
    });
  }
  return out;
};

/** `0/3 nodes are available: 2 Insufficient cpu, 1 node(s) were unschedulable.` with the reasons in order. */
const messageOf = (nodes: number, reasons: Map<string, number>): string => {
  if (nodes === 0) return 'no nodes available to schedule pods';
  const parts = [...reasons].map(([reason, n]) => `${n} ${reason}`).sort();
  return `0/${nodes} nodes are available: ${parts.join(', ')}.`;
};

/** Chooses a node for one pod. Pure: ties are broken by `random`, a number in [0, 1). */
export const decide = (pod: PodInfo, snapshot: Snapshot, random: number): Decision => {
  const checks = prepared(filters, (f) => f.prepare(pod, snapshot));
  const reasons = new Map<string, number>();
  const feasible: NodeInfo[] = [];
  let resolvable = false;
  for (const node of snapshot.nodes) {
    const refused = refusalOf(checks, node);
    if (refused.length === 0) feasible.push(node);
    else if (refused.every((r) => r.resolvable)) resolvable = true;
    for (const { reason } of refused) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  }
  if (feasible.length === 0) {
    return { type: 'unschedulable', message: messageOf(snapshot.nodes.length, reasons), reasons, resolvable };
  }
  if (feasible.length === 1) {
    return { type: 'bind', node: feasible[0]?.node.metadata.name ?? '', feasible: 1, totals: new Map() };
  }
  const totals = scoreNodes(pod, snapshot, feasible);
  const best = Math.max(...[...totals.values()].map(total));
  const ties = [...totals].filter(([, plugins]) => total(plugins) === best);
  const [node] = ties[Math.floor(random * ties.length)] ?? [''];
  return { type: 'bind', node, feasible: feasible.length, totals };
};
