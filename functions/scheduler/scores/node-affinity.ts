import type { PreferredSchedulingTerm } from '../../machinery/kinds.d.ts';
import { type Score, scaleToMax } from '../framework.ts';
import { termMatches } from '../node-selection.ts';

/** NodeAffinity: the weights of the preferred terms that the node meets. */
export const nodeAffinityScore: Score<readonly PreferredSchedulingTerm[]> = {
  name: 'NodeAffinity',
  weight: 2,
  prepare: ({ pod }) => {
    const preferred = pod.spec?.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution;
    return preferred?.length ? preferred : undefined;
  },
  score: (terms, { node }) => terms.reduce((sum, t) => sum + (termMatches(t.preference, node) ? t.weight : 0), 0),
  normalise: (scores) => scaleToMax(scores, false),
};
