/**
 * Generic validation from a schema, for kinds whose strategy has no rule of its own.
 *
 *   validateRequired(schema, value, path?) -> Cause[]   required fields that are absent or empty
 *   validateEnums(schema, value, path?)    -> Cause[]   values outside a documented enum
 *
 * Enums of the facts are documentation: upstream leaves some unchecked, so the two stand apart and neither runs by itself.
 */
import type { Json } from './object.ts';
import type { Schema } from './schema.ts';
import { type Cause, cause } from './status.ts';

type Visit = (schema: Schema, value: Json | undefined, path: string, out: Cause[]) => void;

const children = (schema: Schema, value: Json | undefined, path: string, visit: Visit, out: Cause[]): void => {
  if (schema.type === 'list' && Array.isArray(value)) {
    for (const [i, item] of value.entries()) visit(schema.items, item, `${path}[${i}]`, out);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return;
  if (schema.type === 'map') {
    for (const key of Object.keys(value)) visit(schema.values, value[key], `${path}[${key}]`, out);
  }
  if (schema.type !== 'object') return;
  for (const [name, field] of Object.entries(schema.fields)) {
    const given = value[name];
    if (given !== undefined) visit(field.schema, given, path ? `${path}.${name}` : name, out);
  }
};

/** Absent, null, '' or an empty list or map; 0 and false are values. */
const isMissing = (schema: Schema, value: Json | undefined): boolean => {
  if (value === undefined || value === null || value === '') return true;
  if (schema.type === 'list') return Array.isArray(value) && value.length === 0;
  return false;
};

const required: Visit = (schema, value, path, out) => {
  if (schema.type === 'object' && typeof value === 'object' && value !== null && !Array.isArray(value)) {
    for (const [name, field] of Object.entries(schema.fields)) {
      if (field.required && isMissing(field.schema, value[name]))
        out.push(cause.required(path ? `${path}.${name}` : name));
    }
  }
  children(schema, value, path, required, out);
};

const enums: Visit = (schema, value, path, out) => {
  if (schema.type === 'string' && schema.enum && typeof value === 'string' && value !== '') {
    if (!schema.enum.includes(value)) out.push(cause.notSupported(path, value, schema.enum));
  }
  children(schema, value, path, enums, out);
};

export const validateRequired = (schema: Schema, value: Json, path = ''): Cause[] => {
  const out: Cause[] = [];
  required(schema, value, path, out);
  return out;
};
export const validateEnums = (schema: Schema, value: Json, path = ''): Cause[] => {
  const out: Cause[] = [];
  enums(schema, value, path, out);
  return out;
};
