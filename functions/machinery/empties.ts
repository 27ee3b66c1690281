/**
 * Upstream stores built-in kinds as protobuf, where an empty list or map is none: what Go encodes without omitempty comes
 * back as null. The step comes after ownership is worked out, as whoever sends `[]` for null owns the field.
 *
 *   nullEmpties(schema, value)   writes null in place of them, in the value itself
 */
import type { Json, JsonObject } from './object.ts';
import type { Field, Schema } from './schema.ts';

type Visit = (value: Json) => void;
/** The visit of a schema, `false` while it is worked out or where nothing below it can be empty and encoded. */
const visits = new Map<Schema, Visit | false>();

const isNulled = (field: Field): boolean =>
  field.zero && !field.pointer && (field.schema.type === 'list' || field.schema.type === 'map');

const isEmpty = (value: Json): boolean => {
  if (typeof value !== 'object' || value === null) return false;
  for (const _ in value) return false;
  return true;
};

const visitObject = (fields: Record<string, Field>): Visit | false => {
  const slots: { name: string; nulled: boolean; below: Visit | false }[] = [];
  for (const [name, field] of Object.entries(fields)) {
    const nulled = isNulled(field);
    const below = visitOf(field.schema);
    if (nulled || below) slots.push({ name, nulled, below });
  }
  if (slots.length === 0) return false;
  return (value) => {
    if (typeof value !== 'object' || value === null) return;
    const object = value as JsonObject;
    for (const { name, nulled, below } of slots) {
      const child = object[name];
      if (child === undefined || child === null) continue;
      if (nulled && isEmpty(child)) object[name] = null;
      else if (below) below(child);
    }
  };
};

const visitAll = (inner: Visit | false): Visit | false => {
  if (!inner) return false;
  return (value) => {
    if (typeof value === 'object' && value !== null)
      for (const child of Object.values(value as JsonObject)) if (child !== undefined) inner(child);
  };
};

const visitOf = (schema: Schema): Visit | false => {
  const known = visits.get(schema);
  if (known !== undefined) return known;
  if (schema.type !== 'object' && schema.type !== 'list' && schema.type !== 'map') return false;
  visits.set(schema, false);
  const made =
    schema.type === 'object'
      ? visitObject(schema.fields)
      : visitAll(visitOf(schema.type === 'list' ? schema.items : schema.values));
  visits.set(schema, made);
  return made;
};

/** Writes null for every empty list and map that the schema encodes when unset. Recursive types are not followed. */
export const nullEmpties = (schema: Schema, value: JsonObject): void => {
  const visit = visitOf(schema);
  if (visit) visit(value);
};
