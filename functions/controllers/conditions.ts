/** What all condition types of the API share (API conventions, "Typical status properties"). */
export interface AnyCondition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
  lastTransitionTime?: string;
}

export const conditionOf = <C extends { type: string }>(conditions: readonly C[] | undefined, type: string) =>
  conditions?.find((condition) => condition.type === type);

export const isTrue = (conditions: readonly AnyCondition[] | undefined, type: string): boolean =>
  conditionOf(conditions, type)?.status === 'True';

/**
 * The conditions with one replaced or added at the end. One of the same status and reason stays as it is; the time of
 * transition moves only with the status.
 */
export const withCondition = <C extends AnyCondition>(conditions: readonly C[] | undefined, next: C): C[] => {
  const current = conditionOf(conditions, next.type);
  if (current && current.status === next.status && current.reason === next.reason) return [...(conditions ?? [])];
  const time = current?.status === next.status ? current.lastTransitionTime : next.lastTransitionTime;
  const others = (conditions ?? []).filter((condition) => condition.type !== next.type);
  return [...others, { ...next, ...(time !== undefined && { lastTransitionTime: time }) }];
};

export const withoutCondition = <C extends AnyCondition>(conditions: readonly C[] | undefined, type: string): C[] =>
  (conditions ?? []).filter((condition) => condition.type !== type);
