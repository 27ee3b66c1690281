import { type NodeInfo, type Score, scaleToMax } from '../framework.ts';

interface Counts {
  perNode: Map<NodeInfo, number>;
}

/** Spreads the pods of one controller (a replica set) over the nodes: fewer siblings are better. */
export const ownerSpread: Score<Counts> = {
  name: 'PodTopologySpread',
  weight: 2,
  prepare: ({ pod }, _, feasible) => {
    const owner = pod.metadata.ownerReferences?.find((r) => r.controller)?.uid;
    if (!owner || pod.spec?.topologySpreadConstraints?.length) return undefined;
    const siblings = (n: NodeInfo) =>
      n.pods.filter((p) => p.pod.metadata.ownerReferences?.some((r) => r.controller && r.uid === owner)).length;
    return { perNode: new Map(feasible.map((n) => [n, siblings(n)])) };
  },
  score: ({ perNode }, node) => perNode.get(node) ?? 0,
  normalise: (scores) => scaleToMax(scores, true),
};
