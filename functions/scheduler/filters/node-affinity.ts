import type { NodeSelector } from '../../machinery/kinds.d.ts';
import type { Filter } from '../framework.ts';
import { selectorMatches } from '../node-selection.ts';

interface Wanted {
  labels: [string, string][];
  required: NodeSelector | undefined;
}

/** NodeAffinity: nodeSelector and the required node affinity. */
export const nodeAffinity: Filter<Wanted> = {
  name: 'NodeAffinity',
  prepare: ({ pod }) => {
    const labels = Object.entries(pod.spec?.nodeSelector ?? {});
    const required = pod.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
    return labels.length > 0 || required ? { labels, required } : undefined;
  },
  check: ({ labels, required }, { node }) => {
    const fits =
      labels.every(([k, v]) => node.metadata.labels?.[k] === v) && (!required || selectorMatches(required, node));
    return fits ? [] : [{ reason: "node(s) didn't match Pod's node affinity/selector", resolvable: false }];
  },
};
