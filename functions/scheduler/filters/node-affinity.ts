import type { NodeSelector, Pod } from '../../machinery/kinds.d.ts';
import { type Filter, type NodeInfo, PASSES, type Restriction, type Verdict } from '../framework.ts';
import { selectorMatches } from '../node-selection.ts';

interface Wanted {
  labels: [string, string][];
  required: NodeSelector | undefined;
  enforced: NodeSelector | undefined;
}

const REFUSED = [{ reason: "node(s) didn't match Pod's node affinity/selector", resolvable: false }];
const ENFORCED = [{ reason: "node(s) didn't match scheduler-enforced node affinity", resolvable: false }];

const requiredOf = (pod: Pod): NodeSelector | undefined =>
  pod.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;

/** Whether a node meets the nodeSelector and the required node affinity of a pod. */
export const matchesNodeAffinity = (pod: Pod, { node }: NodeInfo): boolean => {
  const selector = pod.spec?.nodeSelector;
  for (const key in selector) if (node.metadata.labels?.[key] !== selector[key]) return false;
  const required = requiredOf(pod);
  return !required || selectorMatches(required, node);
};

/** The nodes that every term names by metadata.name; undefined when some term names none. */
const namedNodes = (required: NodeSelector): Set<string> | undefined => {
  const all = new Set<string>();
  for (const term of required.nodeSelectorTerms) {
    let names: Set<string> | undefined;
    for (const field of term.matchFields ?? []) {
      if (field.key !== 'metadata.name' || field.operator !== 'In') continue;
      const values = field.values ?? [];
      names = new Set(names ? values.filter((v) => names?.has(v)) : values);
    }
    if (!names) return undefined;
    for (const name of names) all.add(name);
  }
  return required.nodeSelectorTerms.length > 0 ? all : undefined;
};

/** NodeAffinity: nodeSelector, the required node affinity, and the affinity that the profile adds. */
export const nodeAffinity: Filter<Wanted> = {
  name: 'NodeAffinity',
  prepare: ({ pod }, _, args): Wanted | Restriction<Wanted> | Verdict | undefined => {
    const labels = Object.entries(pod.spec?.nodeSelector ?? {});
    const required = requiredOf(pod);
    const enforced = args.nodeAffinity.required;
    if (labels.length === 0 && !required && !enforced) return undefined;
    const state = { labels, required, enforced };
    const only = required && namedNodes(required);
    if (!only) return state;
    return only.size === 0 ? { impossible: 'pod affinity terms conflict' } : { only, state };
  },
  check: ({ labels, required, enforced }, { node }) => {
    if (enforced && !selectorMatches(enforced, node)) return ENFORCED;
    for (const [k, v] of labels) if (node.metadata.labels?.[k] !== v) return REFUSED;
    return !required || selectorMatches(required, node) ? PASSES : REFUSED;
  },
};
