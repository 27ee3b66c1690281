import { MAX_SCORE, type PodInfo, type Score } from '../framework.ts';

const free = (used: number, capacity: number): number =>
  capacity === 0 || used > capacity ? 0 : Math.floor(((capacity - used) * MAX_SCORE) / capacity);

/** NodeResourcesFit with LeastAllocated: the emptier node, by cpu and memory alike. */
export const leastAllocated: Score<PodInfo> = {
  name: 'NodeResourcesFit',
  weight: 1,
  prepare: (pod) => pod,
  score: (pod, node) => {
    const shares = [
      [node.nonZeroRequested.cpu + pod.nonZero.cpu, node.allocatable.cpu ?? 0],
      [node.nonZeroRequested.memory + pod.nonZero.memory, node.allocatable.memory ?? 0],
    ].filter(([, capacity]) => (capacity ?? 0) > 0);
    if (shares.length === 0) return 0;
    return Math.floor(
      shares.reduce((sum, [used, capacity]) => sum + free(used ?? 0, capacity ?? 0), 0) / shares.length,
    );
  },
};
