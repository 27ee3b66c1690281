import type { Score } from '../framework.ts';
import { nodeAffinityScore } from './node-affinity.ts';
import { leastAllocated } from './node-resources-fit.ts';
import { ownerSpread } from './owner-spread.ts';
import { taintTolerationScore } from './taint-toleration.ts';

/** The one list of scores. */
export const scores: readonly Score[] = [
  taintTolerationScore,
  nodeAffinityScore,
  ownerSpread,
  leastAllocated,
] as readonly Score[];
