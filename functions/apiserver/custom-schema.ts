import { kindSchema } from '../machinery/facts.ts';
import type { Json } from '../machinery/object.ts';
import type { Field, ObjectSchema, Schema } from '../machinery/schema.ts';
import { type Cause, cause } from '../machinery/status.ts';

/** A structural schema, as apiextensions.k8s.io/v1 JSONSchemaProps has it. */
export interface Structural {
  type?: string;
  format?: string;
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
  minProperties?: number;
  maxProperties?: number;
  [extension: `x-kubernetes-${string}`]: unknown;
}

const fieldOf = (s: Structural): Field => ({
  schema: schemaOf(s),
  required: false,
  zero: false,
  ...(s.default !== undefined && { default: s.default }),
});

const fieldsOf = (s: Structural): Record<string, Field> =>
  Object.fromEntries(Object.entries(s.properties ?? {}).map(([name, field]) => [name, fieldOf(field)]));

const schemaOf = (s: Structural): Schema => {
  const preserve = s['x-kubernetes-preserve-unknown-fields'] === true;
  if (s['x-kubernetes-int-or-string'] === true) return { type: 'string', format: 'int-or-string' };
  const atomic = s['x-kubernetes-map-type'] === 'atomic';
  if (s.type === 'array') {
    const listType = s['x-kubernetes-list-type'];
    return {
      type: 'list',
      items: s.items ? schemaOf(s.items) : { type: 'any' },
      listType: listType === 'set' || listType === 'map' ? listType : 'atomic',
      keys: (s['x-kubernetes-list-map-keys'] as string[] | undefined) ?? [],
    };
  }
  if (s.type === 'object') {
    if (s.additionalProperties) {
      const values = s.additionalProperties === true ? ({ type: 'any' } as const) : schemaOf(s.additionalProperties);
      return { type: 'map', values, atomic };
    }
    const embedded = s['x-kubernetes-embedded-resource'] === true;
    return { type: 'object', name: '', fields: fieldsOf(s), atomic, preserveUnknown: preserve, embedded };
  }
  if (s.type === 'string' || s.type === 'integer' || s.type === 'number' || s.type === 'boolean')
    return { type: s.type, format: s.format ?? '' };
  return { type: 'any' };
};

/** The schema the generic engine walks, for a version's root schema; metadata is a built-in kind's. */
export const customSchema = (root: Structural): ObjectSchema => {
  const metadata = kindSchema('', 'v1', 'ConfigMap')?.fields.metadata;
  const text: Field = { schema: { type: 'string', format: '' }, required: false, zero: false };
  return {
    type: 'object',
    name: '',
    fields: { ...fieldsOf(root), apiVersion: text, kind: text, ...(metadata && { metadata }) },
    atomic: false,
    preserveUnknown: root['x-kubernetes-preserve-unknown-fields'] === true,
    embedded: false,
  };
};

const typeOf = (value: Json): string => {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
};

const fits = (s: Structural, value: Json): boolean => {
  const type = typeOf(value);
  if (s['x-kubernetes-int-or-string'] === true) return type === 'integer' || type === 'string';
  return !s.type || s.type === type || (s.type === 'number' && type === 'integer');
};

const checkNumber = (out: Cause[], s: Structural, value: number, path: string): void => {
  if (s.minimum !== undefined && (s.exclusiveMinimum ? value <= s.minimum : value < s.minimum)) {
    const bound = s.exclusiveMinimum ? 'greater than' : 'greater than or equal to';
    out.push(cause.invalid(path, value, `${path} in body should be ${bound} ${s.minimum}`));
  }
  if (s.maximum !== undefined && (s.exclusiveMaximum ? value >= s.maximum : value > s.maximum)) {
    const bound = s.exclusiveMaximum ? 'less than' : 'less than or equal to';
    out.push(cause.invalid(path, value, `${path} in body should be ${bound} ${s.maximum}`));
  }
  if (s.multipleOf && !Number.isInteger(value / s.multipleOf))
    out.push(cause.invalid(path, value, `${path} in body should be a multiple of ${s.multipleOf}`));
};

const patterns = new Map<string, RegExp | undefined>();

/** A pattern as JavaScript reads it; one that only RE2 understands is not checked. */
const patternOf = (source: string): RegExp | undefined => {
  if (patterns.has(source)) return patterns.get(source);
  let made: RegExp | undefined;
  try {
    made = new RegExp(source);
  } catch {
    made = undefined;
  }
  patterns.set(source, made);
  return made;
};

const checkText = (out: Cause[], s: Structural, value: string, path: string): void => {
  const length = [...value].length;
  if (s.minLength !== undefined && length < s.minLength)
    out.push(cause.invalid(path, value, `${path} in body should be at least ${s.minLength} chars long`));
  if (s.maxLength !== undefined && length > s.maxLength) out.push(cause.tooLong(path, s.maxLength));
  if (s.pattern !== undefined && patternOf(s.pattern)?.test(value) === false)
    out.push(cause.invalid(path, value, `${path} in body should match '${s.pattern}'`));
};

const checkArray = (out: Cause[], s: Structural, value: Json[], path: string): void => {
  if (s.minItems !== undefined && value.length < s.minItems)
    out.push(cause.invalid(path, value.length, `${path} in body should have at least ${s.minItems} items`));
  if (s.maxItems !== undefined && value.length > s.maxItems) out.push(cause.tooMany(path, value.length, s.maxItems));
  const listType = s['x-kubernetes-list-type'];
  const keys = (s['x-kubernetes-list-map-keys'] as string[] | undefined) ?? [];
  const seen = new Set<string>();
  value.forEach((item, i) => {
    if (s.items) checkValue(out, s.items, item, `${path}[${i}]`);
    if (listType !== 'set' && listType !== 'map') return;
    const fields = item as Record<string, Json>;
    const key = JSON.stringify(listType === 'set' ? item : keys.map((k) => fields?.[k] ?? null));
    if (seen.has(key)) out.push(cause.duplicate(`${path}[${i}]`, item));
    seen.add(key);
  });
};

const checkFields = (out: Cause[], s: Structural, value: Record<string, Json>, path: string): void => {
  const at = (name: string) => (path ? `${path}.${name}` : name);
  for (const name of s.required ?? []) if (value[name] === undefined) out.push(cause.required(at(name)));
  const size = Object.keys(value).length;
  if (s.minProperties !== undefined && size < s.minProperties)
    out.push(cause.invalid(path, size, `${path} in body should have at least ${s.minProperties} properties`));
  if (s.maxProperties !== undefined && size > s.maxProperties) out.push(cause.tooMany(path, size, s.maxProperties));
  for (const [name, item] of Object.entries(value)) {
    const field = s.properties?.[name];
    if (field) checkValue(out, field, item, at(name));
    else if (typeof s.additionalProperties === 'object') checkValue(out, s.additionalProperties, item, at(name));
  }
};

/** Holds a value to a structural schema, with upstream's causes. Combinators and rules in CEL are not evaluated. */
export const checkValue = (out: Cause[], s: Structural, value: Json, path: string): void => {
  if (value === null && s.nullable) return;
  if (!fits(s, value)) {
    const detail = `${path} in body must be of type ${s.type ?? 'integer,string'}: ${JSON.stringify(typeOf(value))}`;
    out.push(cause.typeInvalid(path, typeOf(value), detail));
    return;
  }
  if (s.enum && !s.enum.some((allowed) => JSON.stringify(allowed) === JSON.stringify(value))) {
    const names = s.enum.map((e) => (typeof e === 'string' ? e : JSON.stringify(e)));
    out.push(cause.notSupported(path, value, names));
  }
  if (typeof value === 'number') checkNumber(out, s, value, path);
  else if (typeof value === 'string') checkText(out, s, value, path);
  else if (Array.isArray(value)) checkArray(out, s, value, path);
  else if (typeof value === 'object' && value) checkFields(out, s, value as Record<string, Json>, path);
};
