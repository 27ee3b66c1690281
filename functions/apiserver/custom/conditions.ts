import { timestamp } from '../../clock/clock.ts';
import type { CustomResourceDefinition, CustomResourceDefinitionCondition } from '../../machinery/kinds.d.ts';

export type Status = NonNullable<CustomResourceDefinition['status']>;
export type Condition = Required<Omit<CustomResourceDefinitionCondition, 'lastTransitionTime' | 'observedGeneration'>>;

export const conditionOf = (crd: CustomResourceDefinition, type: string) =>
  crd.status?.conditions?.find((c) => c.type === type);

export const isTrue = (crd: CustomResourceDefinition, type: string): boolean =>
  conditionOf(crd, type)?.status === 'True';

/** The conditions with one set: a new one goes last; its time changes with its status only. */
export const withConditionSet = (
  conditions: readonly CustomResourceDefinitionCondition[] | null | undefined,
  next: Condition,
  now: number,
): CustomResourceDefinitionCondition[] => {
  const all = [...(conditions ?? [])];
  const index = all.findIndex((c) => c.type === next.type);
  const old = all[index];
  const { type, status, reason, message } = next;
  const kept = old?.status === status ? old.lastTransitionTime : undefined;
  const made = { type, status, lastTransitionTime: kept ?? timestamp(now), reason, message };
  if (old) all[index] = { ...old, ...made };
  else all.push(made);
  return all;
};
