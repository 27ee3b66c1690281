import type { Json, JsonObject } from '../object.ts';
import type { Field, ListSchema, ObjectSchema, Schema } from '../schema.ts';
import { badRequest } from '../status.ts';

/** What no schema describes: objects are granular, lists atomic. The `any` of a schema, by contrast, is atomic. */
export const deduced: ObjectSchema = {
  type: 'object',
  name: '',
  fields: {},
  atomic: false,
  preserveUnknown: true,
  embedded: false,
};

export const isObject = (value: Json | undefined): value is JsonObject =>
  value !== null && typeof value === 'object' && !Array.isArray(value);

const text: Schema = { type: 'string', format: '' };
const field = (schema: Schema): Field => ({ schema, required: false, zero: false });
const strings = field({ type: 'map', values: text, atomic: false });
const owner: Schema = {
  type: 'object',
  name: 'meta.v1.OwnerReference',
  fields: { uid: field(text) },
  atomic: true,
  preserveUnknown: true,
  embedded: false,
};

/** ObjectMeta as far as field sets go; custom resources' schemas need not hold it. */
const metadata: Field = {
  schema: {
    type: 'object',
    name: 'meta.v1.ObjectMeta',
    fields: {
      labels: strings,
      annotations: strings,
      finalizers: field({ type: 'list', items: text, listType: 'set', keys: [] }),
      ownerReferences: field({ type: 'list', items: owner, listType: 'map', keys: ['uid'] }),
    },
    atomic: false,
    preserveUnknown: true,
    embedded: false,
  },
  required: false,
  zero: true,
};

const roots = new WeakMap<Schema, ObjectSchema>();

/** The schema of a whole API object, with a metadata that is the same for all kinds. */
export const rootOf = (schema: Schema): ObjectSchema => {
  const known = roots.get(schema);
  if (known) return known;
  const fields = schema.type === 'object' ? schema.fields : {};
  const root: ObjectSchema = {
    type: 'object',
    name: '',
    fields: { ...fields, metadata },
    atomic: false,
    preserveUnknown: true,
    embedded: false,
  };
  roots.set(schema, root);
  return root;
};

/** Whether fields of the value are owned one by one. */
export const isGranular = (schema: Schema): boolean =>
  (schema.type === 'object' || schema.type === 'map') && !schema.atomic;

export const isAssociative = (schema: Schema): schema is ListSchema =>
  schema.type === 'list' && schema.listType !== 'atomic';

export const childOf = (schema: Schema, name: string): Schema => {
  if (schema.type === 'map') return schema.values;
  return schema.type === 'object' ? (schema.fields[name]?.schema ?? deduced) : deduced;
};

/** Whether the field is one of a declared structure, not a key of a map. */
export const isDeclared = (schema: Schema, name: string): boolean =>
  schema.type === 'object' && schema.fields[name]?.schema !== undefined;

interface KeyPart {
  name: string;
  prefix: string;
  absent: string | undefined;
}
const keyParts = new WeakMap<ListSchema, KeyPart[]>();

/** What stands for an absent key: its default, or Go's zero value in a built-in type. */
const absentKey = (f: Field | undefined, builtIn: boolean): string | undefined => {
  if (f?.default !== undefined) return JSON.stringify(f.default);
  if (!f || !builtIn) return undefined;
  return f.schema.type === 'string' ? '""' : f.schema.type === 'boolean' ? 'false' : '0';
};

const partsOf = (schema: ListSchema): KeyPart[] => {
  const known = keyParts.get(schema);
  if (known) return known;
  const { items } = schema;
  const parts = schema.keys.toSorted().map((name) => ({
    name,
    prefix: `${JSON.stringify(name)}:`,
    absent: items.type === 'object' ? absentKey(items.fields[name], items.name !== '') : undefined,
  }));
  keyParts.set(schema, parts);
  return parts;
};

/** The path element of an item of an associative list. Throws StatusError 400 for an item without any of its keys. */
export const elementOf = (schema: ListSchema, item: Json): string => {
  if (schema.listType === 'set') return `v:${JSON.stringify(item)}`;
  if (!isObject(item)) throw badRequest('an element of an associative list must be an object');
  let out = '';
  for (const part of partsOf(schema)) {
    const value = item[part.name];
    const json = value === undefined || value === null ? part.absent : JSON.stringify(value);
    if (json !== undefined) out += `${out && ','}${part.prefix}${json}`;
  }
  if (!out) throw badRequest(`an element of a list lacks its keys ${schema.keys.join(', ')}`);
  return `k:{${out}}`;
};
