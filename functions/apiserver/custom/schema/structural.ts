import type { Json } from '../../../machinery/object.ts';

/** A rule of x-kubernetes-validations. */
export interface ValidationRule {
  rule: string;
  message?: string;
  messageExpression?: string;
  reason?: string;
  fieldPath?: string;
  optionalOldSelf?: boolean;
}

/** A schema as apiextensions.k8s.io/v1 JSONSchemaProps has it; structural ones use `items` with one schema only. */
export interface Structural {
  type?: string;
  format?: string;
  title?: string;
  description?: string;
  properties?: Record<string, Structural>;
  additionalProperties?: boolean | Structural;
  items?: Structural;
  required?: string[];
  enum?: Json[];
  default?: Json;
  nullable?: boolean;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: boolean;
  exclusiveMaximum?: boolean;
  multipleOf?: number;
  minLength?: number;
  maxLength?: number;
  pattern?: string;
  minItems?: number;
  maxItems?: number;
  uniqueItems?: boolean;
  minProperties?: number;
  maxProperties?: number;
  allOf?: Structural[];
  anyOf?: Structural[];
  oneOf?: Structural[];
  not?: Structural;
  'x-kubernetes-int-or-string'?: boolean;
  'x-kubernetes-embedded-resource'?: boolean;
  'x-kubernetes-preserve-unknown-fields'?: boolean;
  'x-kubernetes-list-type'?: string;
  'x-kubernetes-list-map-keys'?: string[];
  'x-kubernetes-map-type'?: string;
  'x-kubernetes-validations'?: ValidationRule[];
  [keyword: string]: unknown;
}

/** The schema of a map's values, where additionalProperties is one. */
export const valuesOf = (s: Structural): Structural | undefined =>
  typeof s.additionalProperties === 'object' ? s.additionalProperties : undefined;

/** True where a schema, or one below it on the structural spine, satisfies a condition. */
export const some = (s: Structural | undefined, holds: (s: Structural) => boolean): boolean => {
  if (!s) return false;
  if (holds(s) || some(s.items, holds) || some(valuesOf(s), holds)) return true;
  for (const name in s.properties) if (some(s.properties[name], holds)) return true;
  return false;
};

/** True where a schema, or one anywhere below it, in combinators too, satisfies a condition. */
export const someAnywhere = (s: Structural | undefined, holds: (s: Structural) => boolean): boolean => {
  if (!s) return false;
  const below = (inner: Structural): boolean => someAnywhere(inner, holds);
  if (holds(s) || someItem(s.items, holds) || someAnywhere(valuesOf(s), holds) || someAnywhere(s.not, holds))
    return true;
  if (s.allOf?.some(below) || s.anyOf?.some(below) || s.oneOf?.some(below)) return true;
  for (const name in s.properties) if (someAnywhere(s.properties[name], holds)) return true;
  return false;
};

/** Items of a schema that is not structural may be a list. */
const someItem = (items: unknown, holds: (s: Structural) => boolean): boolean =>
  Array.isArray(items)
    ? items.some((item: Structural) => someAnywhere(item, holds))
    : someAnywhere(items as Structural | undefined, holds);
