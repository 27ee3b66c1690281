import type { LabelSelector } from '../machinery/kinds.d.ts';

export type LabelMatch = (labels: Record<string, string> | undefined) => boolean;

const compiled = new WeakMap<LabelSelector, LabelMatch>();
const none: Record<string, string> = {};

/** A LabelSelector as a predicate: absent selects nothing, empty selects everything (API conventions). */
export const selects = (selector: LabelSelector | undefined): LabelMatch => {
  if (!selector) return () => false;
  let match = compiled.get(selector);
  if (!match) {
    match = compile(selector);
    compiled.set(selector, match);
  }
  return match;
};

const compile = (selector: LabelSelector): LabelMatch => {
  const equal = Object.entries(selector.matchLabels ?? {});
  const expressions = selector.matchExpressions ?? [];
  return (labels = none) => {
    for (const [key, value] of equal) if (labels[key] !== value) return false;
    for (const { key, operator, values } of expressions) {
      const value = labels[key];
      if (operator === 'In' && (value === undefined || !values?.includes(value))) return false;
      if (operator === 'NotIn' && value !== undefined && values?.includes(value)) return false;
      if (operator === 'Exists' && value === undefined) return false;
      if (operator === 'DoesNotExist' && value !== undefined) return false;
    }
    return true;
  };
};

/** A plain map selector, as Service and ReplicationController have it: empty or absent selects nothing. */
export const selectsMap = (selector: Record<string, string> | undefined): LabelMatch => {
  const equal = Object.entries(selector ?? {});
  if (equal.length === 0) return () => false;
  return (labels = none) => equal.every(([key, value]) => labels[key] === value);
};

/** True when a selector has no requirement at all: workloads treat that as "selects nothing of mine". */
export const isEmptySelector = (selector: LabelSelector | undefined): boolean =>
  !selector || (Object.keys(selector.matchLabels ?? {}).length === 0 && (selector.matchExpressions ?? []).length === 0);
