import {
  type FieldRequirement,
  type Operator,
  parseFieldSelector,
  parseLabelSelector,
  type Requirement,
} from '../../machinery/selectors.ts';
import type { Selectors } from './selectors.ts';

/** FieldSelectorAttributes and LabelSelectorAttributes of authorization.k8s.io/v1: a text or requirements. */
export interface SelectorAttributes {
  rawSelector?: string;
  requirements?: { key?: string; operator?: string; values?: string[] }[];
}

interface Read<T> {
  found: readonly T[];
  /** Some of it was not understood. It only bounds, so leaving it out asks for more, never for less. */
  partly: boolean;
}

const parsed = <T>(parse: () => readonly T[]): Read<T> => {
  try {
    return { found: parse(), partly: false };
  } catch {
    return { found: [], partly: true };
  }
};

const operators: Readonly<Record<string, Operator>> = { In: 'in', NotIn: 'notin', Exists: 'exists', DoesNotExist: '!' };

const readLabels = ({ rawSelector, requirements = [] }: SelectorAttributes): Read<Requirement> => {
  if (requirements.length === 0) return parsed(() => parseLabelSelector(rawSelector ?? '').requirements);
  const found: Requirement[] = [];
  for (const { key = '', operator = '', values = [] } of requirements) {
    const known = operators[operator];
    if (known) found.push({ key, operator: known, values });
  }
  return { found, partly: found.length < requirements.length };
};

/** A field has one value: what is in one, or not in one, is all that can be said of it. */
const readFields = ({ rawSelector, requirements = [] }: SelectorAttributes): Read<FieldRequirement> => {
  if (requirements.length === 0) return parsed(() => parseFieldSelector(rawSelector ?? ''));
  const found: FieldRequirement[] = [];
  for (const { key = '', operator, values = [] } of requirements) {
    const [value] = values;
    if (value === undefined || values.length > 1) continue;
    if (operator === 'In') found.push({ field: key, operator: '=', value });
    if (operator === 'NotIn') found.push({ field: key, operator: '!=', value });
  }
  return { found, partly: found.length < requirements.length };
};

const faultOf = (name: string, { found, partly }: Read<unknown>): string[] =>
  partly ? [`spec.resourceAttributes.${name} ${found.length > 0 ? 'partially ' : ''}ignored due to parse error`] : [];

/** The selectors of a question, and what of them was not understood. KEP-4601. */
export const selectorsAsked = (asked: {
  fieldSelector?: SelectorAttributes;
  labelSelector?: SelectorAttributes;
}): { selectors: Selectors; faults: string[] } => {
  const fields = readFields(asked.fieldSelector ?? {});
  const labels = readLabels(asked.labelSelector ?? {});
  return {
    selectors: { fields: fields.found, labels: labels.found },
    faults: [...faultOf('fieldSelector', fields), ...faultOf('labelSelector', labels)],
  };
};
