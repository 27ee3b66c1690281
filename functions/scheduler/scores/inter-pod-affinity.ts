import { type AffinityTerm, MAX_SCORE, type NodeInfo, type PodInfo, type Score, type Snapshot } from '../framework.ts';
import { countAt, countOf, type TopologyCounts, termMeans } from '../pod-affinity.ts';

type State = TopologyCounts;

const sum = (
  counts: TopologyCounts,
  terms: readonly AffinityTerm[],
  pod: PodInfo,
  node: NodeInfo,
  snapshot: Snapshot,
  by: (t: AffinityTerm) => number,
): void => {
  for (const t of terms) if (termMeans(t, pod, snapshot)) countAt(counts, t.topologyKey, node, by(t));
};
const weight = (t: AffinityTerm) => t.weight;
const minus = (t: AffinityTerm) => -t.weight;

/** InterPodAffinity: preferred terms of the pod and, the other way, of the pods already there. */
export const interPodAffinityScore: Score<State> = {
  name: 'InterPodAffinity',
  weight: 2,
  prepare: (pod, snapshot, _, { podAffinity }) => {
    const own = pod.affinity;
    const prefers = own && own.preferred.length + own.preferredAnti.length > 0;
    const counts: State = new Map();
    const hard = () => podAffinity.hardWeight;
    for (const node of snapshot.nodes) {
      for (const other of prefers ? node.pods : node.affinityPods) {
        if (own) {
          sum(counts, own.preferred, other, node, snapshot, weight);
          sum(counts, own.preferredAnti, other, node, snapshot, minus);
        }
        const theirs = other.affinity;
        if (!theirs) continue;
        if (podAffinity.hardWeight > 0) sum(counts, theirs.required, pod, node, snapshot, hard);
        sum(counts, theirs.preferred, pod, node, snapshot, weight);
        sum(counts, theirs.preferredAnti, pod, node, snapshot, minus);
      }
    }
    return counts.size > 0 ? counts : undefined;
  },
  score: (counts, node) => {
    let total = 0;
    for (const key of counts.keys()) total += countOf(counts, key, node.labels[key]);
    return total;
  },
  normalise: (scores) => {
    const min = Math.min(...scores);
    const spread = Math.max(...scores) - min;
    return scores.map((s) => (spread > 0 ? Math.floor((MAX_SCORE * (s - min)) / spread) : 0));
  },
};
