import type { Filter, PodInfo, Refusal } from '../framework.ts';

/** NodeResourcesFit: every request fits in what the node has left, and it takes one more pod. */
export const nodeResourcesFit: Filter<PodInfo> = {
  name: 'NodeResourcesFit',
  prepare: (pod) => pod,
  check: (pod, node) => {
    const refused: Refusal[] = [];
    const limit = node.allocatable.pods;
    if (limit !== undefined && node.pods.length + 1 > limit)
      refused.push({ reason: 'Too many pods', resolvable: true });
    for (const [resource, wanted] of Object.entries(pod.requests)) {
      if (wanted === 0) continue;
      const total = node.allocatable[resource] ?? 0;
      if (wanted > total - (node.requested[resource] ?? 0)) {
        refused.push({ reason: `Insufficient ${resource}`, resolvable: wanted <= total });
      }
    }
    return refused;
  },
};
