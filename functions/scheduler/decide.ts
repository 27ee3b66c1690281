import { type Checks, checkNode, prepareChecks, type Refused } from './checks.ts';
import type { NodeInfo, PodInfo, Snapshot } from './framework.ts';
import { defaultProfile, type Profile } from './profile.ts';
import { scores } from './scores/index.ts';

/** Weighted scores by node name, then plugin. */
export type Totals = Map<string, Map<string, number>>;

export interface Placed {
  type: 'bind';
  node: string;
  feasible: readonly NodeInfo[];
  totals: Totals;
  /** How many nodes were looked at: where the next decision starts. */
  looked: number;
}
export interface Unplaced {
  type: 'unschedulable';
  /** `0/3 nodes are available: 2 Insufficient cpu, 1 node(s) were unschedulable.` */
  message: string;
  reasons: ReadonlyMap<string, number>;
  /** The filters that refused a node or the pod itself. */
  filters: ReadonlySet<string>;
  /** Nodes where making room could help, and those where it could not. */
  candidates: readonly NodeInfo[];
  hopeless: number;
  checks: Checks;
  looked: number;
}
export type Decision = Placed | Unplaced;

export interface DecideOptions {
  /** A number in [0, 1) that breaks ties. */
  random: number;
  profile?: Profile;
  /** The node to look at first: turning it spreads the work of large clusters over their nodes. */
  start?: number;
}

const MIN_NODES = 100;
const MIN_PERCENT = 5;

/** How many feasible nodes are enough: all of a small cluster, a shrinking share of a large one. */
const enough = (nodes: number, percentage: number): number => {
  if (nodes <= MIN_NODES || percentage >= 100) return nodes;
  const share = percentage || Math.max(MIN_PERCENT, 50 - Math.floor(nodes / 125));
  return Math.max(MIN_NODES, Math.floor((nodes * share) / 100));
};

/** Weighted score of each node by each preference that has something to say. */
const scoreNodes = (pod: PodInfo, snapshot: Snapshot, feasible: readonly NodeInfo[], profile: Profile) => {
  const sums = new Array<number>(feasible.length).fill(0);
  const parts: { name: string; values: number[] }[] = [];
  for (const score of scores) {
    if (profile.disabled.score.has(score.name)) continue;
    const state = score.prepare(pod, snapshot, feasible, profile.args);
    if (state === undefined) continue;
    const weight = profile.weights.get(score.name) ?? score.weight;
    const raw = feasible.map((n) => score.score(state, n));
    const values = (score.normalise ? score.normalise(raw, state, feasible) : raw).map((s) => s * weight);
    for (let i = 0; i < values.length; i++) sums[i] = (sums[i] ?? 0) + (values[i] ?? 0);
    parts.push({ name: score.name, values });
  }
  return { sums, parts };
};

const totalsOf = (nodes: readonly NodeInfo[], parts: readonly { name: string; values: number[] }[]): Totals =>
  new Map(nodes.map((n, i) => [n.name, new Map(parts.map((p) => [p.name, p.values[i] ?? 0]))]));

/** Reasons in order of their text, each with the number of nodes. */
export const listed = (reasons: ReadonlyMap<string, number>): string =>
  [...reasons]
    .map(([reason, n]) => `${n} ${reason}`)
    .sort()
    .join(', ');

const messageOf = (nodes: number, reasons: ReadonlyMap<string, number>): string =>
  nodes === 0 ? 'no nodes available to schedule pods' : `0/${nodes} nodes are available: ${listed(reasons)}.`;

const count = (reasons: Map<string, number>, reason: string): void => {
  reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
};

interface Search {
  feasible: NodeInfo[];
  refused: { node: NodeInfo; by: Refused }[];
  unseen: number;
  looked: number;
}

const search = (checks: Checks, nodes: readonly NodeInfo[], start: number, limit: number): Search => {
  const out: Search = { feasible: [], refused: [], unseen: 0, looked: 0 };
  for (; out.looked < nodes.length && out.feasible.length < limit; out.looked++) {
    const node = nodes[(start + out.looked) % nodes.length];
    if (!node) continue;
    if (checks.only && !checks.only.has(node.name)) {
      out.unseen++;
      continue;
    }
    const by = checkNode(checks, node);
    if (by) out.refused.push({ node, by });
    else out.feasible.push(node);
  }
  return out;
};

const explain = (checks: Checks, found: Search, nodes: number): Unplaced => {
  const reasons = new Map<string, number>();
  const names = new Set<string>();
  const candidates: NodeInfo[] = [];
  for (const { node, by } of found.refused) {
    names.add(by.filter);
    for (const { reason } of by.reasons) count(reasons, reason);
    if (by.reasons.every((r) => r.resolvable)) candidates.push(node);
  }
  if (found.unseen > 0) {
    for (const name of checks.restrictedBy) names.add(name);
    reasons.set(`node(s) didn't satisfy plugin(s) [${checks.restrictedBy.join(' ')}]`, found.unseen);
  }
  return {
    type: 'unschedulable',
    message: messageOf(nodes, reasons),
    reasons,
    filters: names,
    candidates,
    hopeless: nodes - candidates.length,
    checks,
    looked: found.looked,
  };
};

const impossible = (
  checks: Checks,
  { reason, filter }: { reason: string; filter: string },
  nodes: number,
): Unplaced => ({
  type: 'unschedulable',
  message: nodes === 0 ? messageOf(0, new Map()) : `0/${nodes} nodes are available: ${reason}. not found`,
  reasons: new Map(),
  filters: new Set([filter]),
  candidates: [],
  hopeless: nodes,
  checks,
  looked: 0,
});

/** Chooses a node for one pod. Pure: the same pod, snapshot and options give the same node. */
export const decide = (pod: PodInfo, snapshot: Snapshot, options: DecideOptions): Decision => {
  const profile = options.profile ?? defaultProfile;
  const { nodes } = snapshot;
  const checks = prepareChecks(pod, snapshot, profile);
  if (checks.impossible) return impossible(checks, checks.impossible, nodes.length);
  const limit = enough(nodes.length, profile.percentageOfNodesToScore);
  const found = search(checks, nodes, options.start ?? 0, limit);
  const { feasible, looked } = found;
  const [first] = feasible;
  if (!first) return explain(checks, found, nodes.length);
  if (feasible.length === 1) return { type: 'bind', node: first.name, feasible, totals: new Map(), looked };
  const { sums, parts } = scoreNodes(pod, snapshot, feasible, profile);
  let best = -Infinity;
  for (const sum of sums) if (sum > best) best = sum;
  const ties = feasible.filter((_, i) => sums[i] === best);
  const node = ties[Math.floor(options.random * ties.length)] ?? first;
  const totals = feasible.length <= MIN_NODES ? totalsOf(feasible, parts) : new Map();
  return { type: 'bind', node: node.name, feasible, totals, looked };
};
