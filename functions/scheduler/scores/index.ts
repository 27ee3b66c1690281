import type { Score } from '../framework.ts';
import { imageLocality } from './image-locality.ts';
import { interPodAffinityScore } from './inter-pod-affinity.ts';
import { nodeAffinityScore } from './node-affinity.ts';
import { balancedAllocation } from './node-resources-balanced-allocation.ts';
import { nodeResourcesFitScore } from './node-resources-fit.ts';
import { podTopologySpreadScore } from './pod-topology-spread.ts';
import { taintTolerationScore } from './taint-toleration.ts';

/** The one list of scores. */
export const scores: readonly Score[] = [
  taintTolerationScore,
  nodeAffinityScore,
  podTopologySpreadScore,
  interPodAffinityScore,
  nodeResourcesFitScore,
  balancedAllocation,
  imageLocality,
] as readonly Score[];
