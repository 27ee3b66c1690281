import { type AffinityTerm, type Filter, type NodeInfo, PASSES, type PodInfo, type Snapshot } from '../framework.ts';
import { countAt, countOf, type TopologyCounts, termMeans } from '../pod-affinity.ts';

interface State {
  pod: PodInfo;
  snapshot: Snapshot;
  required: readonly AffinityTerm[];
  anti: readonly AffinityTerm[];
  /** Pods that all required terms mean; pods that each anti-affinity term means; pods that keep this one away. */
  wanted: TopologyCounts;
  unwanted: TopologyCounts;
  repelled: TopologyCounts;
  self: boolean;
}

const refusal = (reason: string, resolvable: boolean) => [{ reason, resolvable }];
const AFFINITY = refusal("node(s) didn't match pod affinity rules", false);
const ANTI = refusal("node(s) didn't match pod anti-affinity rules", true);
const EXISTING = refusal("node(s) didn't satisfy existing pods anti-affinity rules", true);

const count = (state: State, other: PodInfo, node: NodeInfo, by: 1 | -1): void => {
  const { snapshot, required, anti } = state;
  if (required.length > 0 && required.every((t) => termMeans(t, other, snapshot))) {
    for (const t of required) countAt(state.wanted, t.topologyKey, node, by);
  }
  for (const t of anti) if (termMeans(t, other, snapshot)) countAt(state.unwanted, t.topologyKey, node, by);
  countRepelling(state, other, node, by);
};
const countRepelling = (state: State, other: PodInfo, node: NodeInfo, by: 1 | -1): void => {
  for (const t of other.affinity?.requiredAnti ?? []) {
    if (termMeans(t, state.pod, state.snapshot)) countAt(state.repelled, t.topologyKey, node, by);
  }
};

const someone = (counts: TopologyCounts): boolean => {
  for (const values of counts.values()) for (const n of values.values()) if (n > 0) return true;
  return false;
};

const meetsAffinity = ({ required, wanted, self }: State, node: NodeInfo): boolean => {
  if (required.some((t) => node.labels[t.topologyKey] === undefined)) return false;
  if (required.every((t) => countOf(wanted, t.topologyKey, node.labels[t.topologyKey]) > 0)) return true;
  // The first pod of a group that wants to be together has nobody to join.
  return self && !someone(wanted);
};

/** InterPodAffinity: required affinity and anti-affinity of the pod, and the anti-affinity of pods already there. */
export const interPodAffinity: Filter<State> = {
  name: 'InterPodAffinity',
  prepare: (pod, snapshot) => {
    const required = pod.affinity?.required ?? [];
    const anti = pod.affinity?.requiredAnti ?? [];
    const all = required.length + anti.length > 0;
    const state: State = {
      pod,
      snapshot,
      required,
      anti,
      wanted: new Map(),
      unwanted: new Map(),
      repelled: new Map(),
      self: required.every((t) => termMeans(t, pod, snapshot)),
    };
    for (const node of snapshot.nodes) {
      if (all) for (const other of node.pods) count(state, other, node, 1);
      else for (const other of node.affinityPods) countRepelling(state, other, node, 1);
    }
    return all || state.repelled.size > 0 || snapshot.nominated.size > 0 ? state : undefined;
  },
  check: (state, node) => {
    if (state.required.length > 0 && !meetsAffinity(state, node)) return AFFINITY;
    for (const t of state.anti) {
      if (countOf(state.unwanted, t.topologyKey, node.labels[t.topologyKey]) > 0) return ANTI;
    }
    for (const [key, values] of state.repelled) if ((values.get(node.labels[key] ?? '') ?? 0) > 0) return EXISTING;
    return PASSES;
  },
  changed: count,
};
