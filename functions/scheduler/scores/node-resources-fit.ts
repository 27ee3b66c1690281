import { MAX_SCORE, type NodeInfo, type PodInfo, type Score } from '../framework.ts';
import type { FitStrategy } from '../profile.ts';

interface State {
  pod: PodInfo;
  strategy: FitStrategy;
}

type Rate = (used: number, capacity: number) => number;
const least: Rate = (used, capacity) => (used > capacity ? 0 : Math.floor(((capacity - used) * MAX_SCORE) / capacity));
const most: Rate = (used, capacity) => Math.floor((Math.min(used, capacity) * MAX_SCORE) / capacity);

/** A line through the points of the shape, flat outside them; its scores go to 10. */
const ratio =
  (shape: FitStrategy['shape']): Rate =>
  (used, capacity) => {
    const at = used > capacity ? MAX_SCORE : Math.floor((used * MAX_SCORE) / capacity);
    const points = shape.map((p) => ({ x: p.utilization, y: p.score * 10 }));
    let before = points[0];
    for (const point of points) {
      if (at <= point.x) {
        if (!before || before === point) return point.y;
        return before.y + Math.trunc(((point.y - before.y) * (at - before.x)) / (point.x - before.x));
      }
      before = point;
    }
    return before?.y ?? 0;
  };

const used = (pod: PodInfo, node: NodeInfo, resource: string): number => {
  if (resource === 'cpu' || resource === 'memory') return node.nonZeroRequested[resource] + pod.nonZero[resource];
  return (node.requested[resource] ?? 0) + (pod.requests[resource] ?? 0);
};

/** NodeResourcesFit: by what is asked for after the pod is there, the emptier node, the fuller one, or by a shape. */
export const nodeResourcesFitScore: Score<State> = {
  name: 'NodeResourcesFit',
  weight: 1,
  prepare: (pod, _, __, { fit }) => ({ pod, strategy: fit.strategy }),
  score: ({ pod, strategy }, node) => {
    const shaped = strategy.type === 'RequestedToCapacityRatio';
    const rate = shaped ? ratio(strategy.shape) : strategy.type === 'MostAllocated' ? most : least;
    let score = 0;
    let weights = 0;
    for (const { name, weight } of strategy.resources) {
      const capacity = node.allocatable[name] ?? 0;
      const plain = name === 'cpu' || name === 'memory';
      if (capacity === 0 || (!plain && !pod.requests[name])) continue;
      const rated = rate(used(pod, node, name), capacity);
      if (shaped && rated <= 0) continue;
      score += rated * weight;
      weights += weight;
    }
    if (weights === 0) return 0;
    return shaped ? Math.round(score / weights) : Math.floor(score / weights);
  },
};
