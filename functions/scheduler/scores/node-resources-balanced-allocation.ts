import { MAX_SCORE, type NodeInfo, type PodInfo, type Score } from '../framework.ts';

interface State {
  pod: PodInfo;
  resources: readonly { name: string; weight: number }[];
}

/** How far apart the shares in use of the resources are: their standard deviation, at most 0.5. */
const imbalance = ({ pod, resources }: State, node: NodeInfo, withPod: boolean): number => {
  const shares: number[] = [];
  for (const { name } of resources) {
    const capacity = node.allocatable[name] ?? 0;
    const plain = name === 'cpu' || name === 'memory';
    if (capacity === 0 || (!plain && !pod.requests[name])) continue;
    const used = (node.requested[name] ?? 0) + (withPod ? (pod.requests[name] ?? 0) : 0);
    shares.push(Math.min(1, used / capacity));
  }
  if (shares.length < 2) return 0;
  if (shares.length === 2) return Math.abs(((shares[0] ?? 0) - (shares[1] ?? 0)) / 2);
  const mean = shares.reduce((a, b) => a + b, 0) / shares.length;
  return Math.sqrt(shares.reduce((sum, s) => sum + (s - mean) ** 2, 0) / shares.length);
};

/** 100 where the shares are equal; whole numbers, as they are compared. */
const balance = (state: State, node: NodeInfo, withPod: boolean): number =>
  Math.floor((1 - imbalance(state, node, withPod)) * MAX_SCORE);

/** NodeResourcesBalancedAllocation: 75 where the pod leaves the balance as it is, more where it mends it, less where not. */
export const balancedAllocation: Score<State> = {
  name: 'NodeResourcesBalancedAllocation',
  weight: 1,
  prepare: (pod, _, __, { balanced }) =>
    balanced.resources.some(({ name }) => pod.requests[name]) ? { pod, resources: balanced.resources } : undefined,
  score: (state, node) => {
    const better = balance(state, node, true) - balance(state, node, false);
    return MAX_SCORE / 2 + Math.floor((MAX_SCORE / 2 + better) / 2);
  },
};
