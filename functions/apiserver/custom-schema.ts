import { kindSchema } from '../machinery/facts.ts';
import type { JsonObject } from '../machinery/object.ts';
import type { Field, ObjectSchema, Schema } from '../machinery/schema.ts';
import { type CustomKind, customKind } from './custom/schema/custom-kind.ts';
import { type Structural, valuesOf } from './custom/schema/structural.ts';

export type { CustomKind } from './custom/schema/custom-kind.ts';
export type { Structural } from './custom/schema/structural.ts';

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
      keys: s['x-kubernetes-list-map-keys'] ?? [],
    };
  }
  if (s.type === 'object') {
    const values = valuesOf(s);
    if (values) return { type: 'map', values: schemaOf(values), atomic };
    if (s.additionalProperties) return { type: 'map', values: { type: 'any' }, atomic };
    const embedded = s['x-kubernetes-embedded-resource'] === true;
    return { type: 'object', name: '', fields: fieldsOf(s), atomic, preserveUnknown: preserve, embedded };
  }
  if (s.type === 'string' || s.type === 'integer' || s.type === 'number' || s.type === 'boolean')
    return { type: s.type, format: s.format ?? '' };
  return { type: 'any' };
};

const kinds = new WeakMap<ObjectSchema, CustomKind>();

/**
 * The schema the generic engine walks, for a version's root schema; metadata is a built-in kind's. Values are read through
 * customKindOf(schema): pruned, defaulted, their nulls dropped as the structural schema says.
 */
export const customSchema = (root: Structural): ObjectSchema => {
  const metadata = kindSchema('', 'v1', 'ConfigMap')?.fields.metadata;
  const text: Field = { schema: { type: 'string', format: '' }, required: false, zero: false };
  const kind = customKind(root);
  const schema: ObjectSchema = {
    type: 'object',
    name: '',
    fields: { ...fieldsOf(root), apiVersion: text, kind: text, ...(metadata && { metadata }) },
    atomic: false,
    preserveUnknown: root['x-kubernetes-preserve-unknown-fields'] === true,
    embedded: false,
    decode: (value, options) => kind.coerce(value as JsonObject, options),
  };
  kinds.set(schema, kind);
  return schema;
};

/** What a schema of customSchema() was made from. Throws for any other. */
export const customKindOf = (schema: ObjectSchema): CustomKind => {
  const kind = kinds.get(schema);
  if (!kind) throw new Error('not the schema of a custom resource');
  return kind;
};
