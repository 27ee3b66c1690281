import { type Filter, PASSES, type PodInfo } from '../framework.ts';
import { type Constraint, constraintsOf, countMatching, hasAllKeys, includes } from '../spread.ts';

interface State {
  pod: PodInfo;
  constraints: readonly Constraint[];
  /** Of each constraint, the matching pods by topology value. */
  counts: readonly Map<string, number>[];
  /** Of each constraint, the least crowded value's count; recomputed after changes. */
  minimum: (number | undefined)[];
}

const NO_LABEL = [
  { reason: "node(s) didn't match pod topology spread constraints (missing required label)", resolvable: false },
];
const REFUSED = [{ reason: "node(s) didn't match pod topology spread constraints", resolvable: true }];

const minimumOf = (counts: ReadonlyMap<string, number>, minDomains: number): number => {
  if (counts.size < minDomains) return 0;
  let min = Number.MAX_SAFE_INTEGER;
  for (const n of counts.values()) if (n < min) min = n;
  return min;
};

/** PodTopologySpread: no topology value gets more than maxSkew pods above the least crowded. Source: KEP-895. */
export const podTopologySpread: Filter<State> = {
  name: 'PodTopologySpread',
  prepare: (pod, snapshot, args) => {
    const constraints = constraintsOf(pod, snapshot, args.spread, 'DoNotSchedule');
    if (constraints.length === 0) return undefined;
    const counts = constraints.map(() => new Map<string, number>());
    for (const node of snapshot.nodes) {
      if (!hasAllKeys(constraints, node)) continue;
      for (const [i, c] of constraints.entries()) {
        if (!includes(c, pod.pod, node)) continue;
        const value = node.labels[c.topologyKey] ?? '';
        const map = counts[i];
        map?.set(value, (map.get(value) ?? 0) + countMatching(c.selector, pod.namespace, node));
      }
    }
    return { pod, constraints, counts, minimum: constraints.map(() => undefined) };
  },
  check: ({ pod, constraints, counts, minimum }, node) => {
    for (let i = 0; i < constraints.length; i++) {
      const c = constraints[i];
      const map = counts[i];
      if (!c || !map) continue;
      const value = node.labels[c.topologyKey];
      if (value === undefined) return NO_LABEL;
      minimum[i] ??= minimumOf(map, c.minDomains);
      const own = c.selector.matches(pod.labels) ? 1 : 0;
      if ((map.get(value) ?? 0) + own - (minimum[i] ?? 0) > c.maxSkew) return REFUSED;
    }
    return PASSES;
  },
  changed: ({ pod, constraints, counts, minimum }, other, node, sign) => {
    if (other.namespace !== pod.namespace || other.terminating || !hasAllKeys(constraints, node)) return;
    for (const [i, c] of constraints.entries()) {
      if (c.selector.empty || !c.selector.matches(other.labels) || !includes(c, pod.pod, node)) continue;
      const value = node.labels[c.topologyKey] ?? '';
      const map = counts[i];
      map?.set(value, (map.get(value) ?? 0) + sign);
      minimum[i] = undefined;
    }
  },
};
