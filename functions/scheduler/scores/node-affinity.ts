import type { PreferredSchedulingTerm } from '../../machinery/kinds.d.ts';
import { type Score, scaleToMax } from '../framework.ts';
import { termMatches } from '../node-selection.ts';

/** NodeAffinity: the weights of the preferred terms that the node meets, the pod's and those the profile adds. */
export const nodeAffinityScore: Score<readonly PreferredSchedulingTerm[]> = {
  name: 'NodeAffinity',
  weight: 2,
  prepare: ({ pod }, _, __, { nodeAffinity }) => {
    const own = pod.spec?.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
    const all = nodeAffinity.preferred.length > 0 ? [...own, ...nodeAffinity.preferred] : own;
    return all.length > 0 ? all : undefined;
  },
  score: (terms, { node }) => terms.reduce((sum, t) => sum + (termMatches(t.preference, node) ? t.weight : 0), 0),
  normalise: (scores) => scaleToMax(scores, false),
};
