import type { Toleration } from '../../machinery/kinds.d.ts';
import { type Score, scaleToMax } from '../framework.ts';
import { toleratedBy } from '../tolerations.ts';

/** TaintToleration: fewer PreferNoSchedule taints that the pod does not tolerate are better. */
export const taintTolerationScore: Score<Toleration[]> = {
  name: 'TaintToleration',
  weight: 3,
  prepare: ({ pod }) => (pod.spec?.tolerations ?? []).filter((t) => !t.effect || t.effect === 'PreferNoSchedule'),
  score: (tolerations, { node }) =>
    (node.spec?.taints ?? []).filter((t) => t.effect === 'PreferNoSchedule' && !toleratedBy(tolerations, t)).length,
  normalise: (scores) => scaleToMax(scores, true),
};
