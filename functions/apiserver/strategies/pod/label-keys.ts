import type { LabelSelector, PodAffinityTerm, PodSpec } from '../../../machinery/kinds.d.ts';

const merge = (
  selector: LabelSelector | undefined,
  keys: readonly string[] | undefined,
  operator: 'In' | 'NotIn',
  labels: Readonly<Record<string, string>>,
): void => {
  if (!selector || !keys) return;
  for (const key of keys) {
    const value = labels[key];
    if (value === undefined) continue;
    selector.matchExpressions ??= [];
    selector.matchExpressions.push({ key, operator, values: [value] });
  }
};

/**
 * Writes what matchLabelKeys and mismatchLabelKeys say of a new pod's own labels into the selectors beside them: of its
 * affinity terms (KEP-3633) and its spread constraints (KEP-3243).
 */
export const mergeLabelKeys = (spec: PodSpec, labels: Readonly<Record<string, string>> = {}): void => {
  const ofTerm = (term: PodAffinityTerm | undefined): void => {
    merge(term?.labelSelector, term?.matchLabelKeys, 'In', labels);
    merge(term?.labelSelector, term?.mismatchLabelKeys, 'NotIn', labels);
  };
  for (const terms of [spec.affinity?.podAffinity, spec.affinity?.podAntiAffinity]) {
    for (const weighted of terms?.preferredDuringSchedulingIgnoredDuringExecution ?? [])
      ofTerm(weighted.podAffinityTerm);
    for (const term of terms?.requiredDuringSchedulingIgnoredDuringExecution ?? []) ofTerm(term);
  }
  for (const { labelSelector, matchLabelKeys } of spec.topologySpreadConstraints ?? [])
    merge(labelSelector, matchLabelKeys, 'In', labels);
};
