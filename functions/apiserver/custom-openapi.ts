import type { CustomSchemas } from './openapi/documents.ts';
import { componentName } from './openapi/paths.ts';
import { type Descriptions, fullName, type OpenApiSchema, type OpenApiVersion } from './openapi/schemas.ts';
import type { ResourceInfo } from './registry.ts';

/**
 * The schemas of custom resources in the OpenAPI documents. Source: "Publish Validation Schema in OpenAPI" of the
 * documentation: version 2 leaves out what kubectl of that format could not read.
 */

const published = new WeakMap<ResourceInfo, OpenApiSchema>();

/** Remembers the schema of a custom resource's definition, for the OpenAPI documents. */
export const publishSchema = (info: ResourceInfo, schema: OpenApiSchema): void => void published.set(info, schema);

const PRESERVE = 'x-kubernetes-preserve-unknown-fields';
const INT_OR_STRING = 'x-kubernetes-int-or-string';
const EMBEDDED = 'x-kubernetes-embedded-resource';
const JUNCTORS = ['oneOf', 'anyOf', 'allOf', 'not'];
type Fields = Record<string, OpenApiSchema>;
type Change = (schema: OpenApiSchema) => OpenApiSchema;

const isSchema = (value: unknown): value is OpenApiSchema =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const without = (schema: OpenApiSchema, keywords: readonly string[]): OpenApiSchema => {
  const out = { ...schema };
  for (const keyword of keywords) delete out[keyword];
  return out;
};

/** The schema with a change made to it and to every schema below, outermost first. */
const each = (schema: OpenApiSchema, change: Change): OpenApiSchema => {
  const out = change(schema);
  if (isSchema(out.properties)) {
    const fields = Object.entries(out.properties as Fields);
    out.properties = Object.fromEntries(fields.map(([name, field]) => [name, each(field, change)]));
  }
  for (const keyword of ['items', 'additionalProperties'])
    if (isSchema(out[keyword])) out[keyword] = each(out[keyword], change);
  return out;
};

const requiredOf = (schema: OpenApiSchema): string[] => (Array.isArray(schema.required) ? schema.required : []);

/** One schema as version 2 can say it. */
const forSwagger: Change = (schema) => {
  const dropped = [...JUNCTORS, 'default', 'nullable'];
  const nullable = schema.nullable === true;
  const preserve = schema[PRESERVE] === true;
  // kubectl takes listed properties or items of an open value for all that there may be.
  if (nullable || preserve) dropped.push('properties', 'items');
  if (nullable || (preserve && schema.type === 'object')) dropped.push('type');
  if (schema.type === 'array' && (nullable || preserve || !schema.items)) dropped.push('type');
  const out = without(schema, dropped);
  const fields = (isSchema(out.properties) ? out.properties : {}) as Fields;
  const required = requiredOf(out).filter((name) => fields[name]?.nullable !== true);
  const values = out.additionalProperties;
  delete out.required;
  if (required.length > 0 && !(isSchema(values) && values.nullable === true)) out.required = required;
  return out;
};

const EITHER = [{ type: 'integer' }, { type: 'string' }];
const isEither = (anyOf: unknown): boolean => JSON.stringify(anyOf) === JSON.stringify(EITHER);

/** Version 3 says that an int-or-string is one of both, where the schema does not yet. */
const unfolded: Change = (schema) => {
  if (schema[INT_OR_STRING] !== true || isEither(schema.anyOf)) return { ...schema };
  const all = Array.isArray(schema.allOf) ? (schema.allOf as OpenApiSchema[]) : [];
  if (isEither(all[0]?.anyOf)) return { ...schema };
  return schema.anyOf ? { ...schema, allOf: [{ anyOf: EITHER }, ...all] } : { ...schema, anyOf: EITHER };
};

/** What stands in the schema of every object: a list's metadata is another. */
const nativeFields = (version: OpenApiVersion, texts: Readonly<Record<string, string>>, meta: string): Fields => {
  const root = version === 3 ? '#/components/schemas/' : '#/definitions/';
  const described = (name: string) => (texts[name] ? { description: texts[name] } : {});
  const ref = { $ref: `${root}${fullName(meta)}` };
  const isWrapped = version === 3 && texts.metadata;
  return {
    apiVersion: { ...described('apiVersion'), type: 'string' },
    kind: { ...described('kind'), type: 'string' },
    metadata: isWrapped ? { ...described('metadata'), allOf: [ref] } : { ...described('metadata'), ...ref },
  };
};

/** Embedded objects have kind, apiVersion and metadata; not where version 2 would have to deny them all else. */
const embedding =
  (version: OpenApiVersion, native: Fields): Change =>
  (schema) => {
    if (schema[EMBEDDED] !== true || (version === 2 && schema[PRESERVE] === true)) return schema;
    const required = [...new Set([...requiredOf(schema), 'kind', 'apiVersion'])];
    return { ...schema, properties: { ...(schema.properties as Fields | undefined), ...native }, required };
  };

const objectSchema = (version: OpenApiVersion, schema: OpenApiSchema | undefined, native: Fields): OpenApiSchema => {
  // With any property listed kubectl would take all others for unknown.
  if (!schema || (version === 2 && schema[PRESERVE] === true)) return { type: 'object' };
  const shaped = each(each(schema, version === 2 ? forSwagger : unfolded), embedding(version, native));
  return { ...shaped, properties: { ...(shaped.properties as Fields | undefined), ...native } };
};

/** The texts of fields that every kind has, from one that has them. */
const textsOf = (descriptions: Descriptions, kind: string) => descriptions(`core.v1.${kind}`) ?? {};

/** The schemas of a custom resource and its list by name, in either version of OpenAPI. */
export const customOpenApi: CustomSchemas = (info, version, descriptions) => {
  const gvk = { group: info.group, version: info.version, kind: info.kind };
  const name = componentName(gvk);
  const root = version === 3 ? '#/components/schemas/' : '#/definitions/';
  const native = nativeFields(version, textsOf(descriptions, 'ConfigMap'), '~meta.v1.ObjectMeta');
  const selectable = info.selectableFields.map((fieldPath) => ({ fieldPath }));
  const shown = selectable.length > 0 ? { 'x-kubernetes-selectable-fields': selectable } : {};
  const object = {
    ...objectSchema(version, published.get(info), native),
    'x-kubernetes-group-version-kind': [gvk],
    ...shown,
  };
  const listMeta = nativeFields(version, textsOf(descriptions, 'ConfigMapList'), '~meta.v1.ListMeta');
  const items = { type: 'array', items: { $ref: `${root}${name}` }, description: `List of ${info.resource}.` };
  const list = {
    description: `${info.listKind} is a list of ${info.kind}`,
    type: 'object',
    required: ['items'],
    properties: { ...listMeta, items },
    'x-kubernetes-group-version-kind': [{ ...gvk, kind: info.listKind }],
    ...shown,
  };
  return { [name]: object, [componentName({ ...gvk, kind: info.listKind })]: list };
};
