import type { AffinityTerm, NodeInfo, PodInfo, Snapshot } from './framework.ts';

/** Whether a term means a pod: its namespace, by name or by the labels of it, and its labels. */
export const termMeans = (term: AffinityTerm, pod: PodInfo, { objects }: Snapshot): boolean => {
  if (!term.namespaces.has(pod.namespace)) {
    if (!term.namespaceSelector) return false;
    if (!term.namespaceSelector.empty) {
      const namespace = objects.namespaces.get(pod.namespace);
      if (!term.namespaceSelector.matches(namespace?.metadata.labels)) return false;
    }
  }
  return term.selector.matches(pod.labels);
};

/** Counts by topology key and value. */
export type TopologyCounts = Map<string, Map<string, number>>;

export const countAt = (counts: TopologyCounts, key: string, node: NodeInfo, by: number): void => {
  const value = node.labels[key];
  if (value === undefined) return;
  let values = counts.get(key);
  if (!values) {
    values = new Map();
    counts.set(key, values);
  }
  values.set(value, (values.get(value) ?? 0) + by);
};

export const countOf = (counts: TopologyCounts, key: string, value: string | undefined): number =>
  value === undefined ? 0 : (counts.get(key)?.get(value) ?? 0);
