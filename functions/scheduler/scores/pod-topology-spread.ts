import { MAX_SCORE, type NodeInfo, type PodInfo, type Score } from '../framework.ts';
import { type Constraint, constraintsOf, countMatching, HOSTNAME, hasAllKeys, includes } from '../spread.ts';

interface Weighted extends Constraint {
  weight: number;
  /** Matching pods by topology value; undefined for the hostname, which is counted node by node. */
  counts: Map<string, number> | undefined;
}
interface State {
  pod: PodInfo;
  constraints: readonly Weighted[];
  /** Feasible nodes without the labels of all constraints: they score 0. */
  ignored: ReadonlySet<NodeInfo>;
}

/** PodTopologySpread: soft constraints, rarer topologies weighing less. System defaults forgive missing labels. */
export const podTopologySpreadScore: Score<State> = {
  name: 'PodTopologySpread',
  weight: 2,
  prepare: (pod, snapshot, feasible, args) => {
    const plain = constraintsOf(pod, snapshot, args.spread, 'ScheduleAnyway');
    if (plain.length === 0) return undefined;
    const strict = Boolean(pod.pod.spec?.topologySpreadConstraints?.length) || !args.spread.system;
    const ignored = new Set(strict ? feasible.filter((n) => !hasAllKeys(plain, n)) : []);
    const constraints = plain.map((c): Weighted => {
      const hostname = c.topologyKey === HOSTNAME;
      const counts = hostname ? undefined : new Map<string, number>();
      if (counts) for (const n of feasible) if (!ignored.has(n)) counts.set(n.labels[c.topologyKey] ?? '', 0);
      const size = counts ? counts.size : feasible.length - ignored.size;
      return { ...c, counts, weight: Math.log(size + 2) };
    });
    for (const node of snapshot.nodes) {
      if (strict && !hasAllKeys(plain, node)) continue;
      for (const c of constraints) {
        const value = node.labels[c.topologyKey] ?? '';
        const count = c.counts?.get(value);
        if (count === undefined || !includes(c, pod.pod, node)) continue;
        c.counts?.set(value, count + countMatching(c.selector, pod.namespace, node));
      }
    }
    return { pod, constraints, ignored };
  },
  score: ({ pod, constraints, ignored }, node) => {
    if (ignored.has(node)) return 0;
    let score = 0;
    for (const c of constraints) {
      const value = node.labels[c.topologyKey];
      if (value === undefined) continue;
      const count = c.counts ? (c.counts.get(value) ?? 0) : countMatching(c.selector, pod.namespace, node);
      score += count * c.weight + (c.maxSkew - 1);
    }
    return Math.round(score);
  },
  normalise: (scores, { ignored }, nodes) => {
    const counted = scores.filter((_, i) => !ignored.has(nodes[i] as NodeInfo));
    let min = Number.MAX_SAFE_INTEGER;
    let max = 0;
    for (const s of counted) {
      if (s < min) min = s;
      if (s > max) max = s;
    }
    return scores.map((s, i) => {
      if (ignored.has(nodes[i] as NodeInfo)) return 0;
      return max === 0 ? MAX_SCORE : Math.floor((MAX_SCORE * (max + min - s)) / max);
    });
  },
};
