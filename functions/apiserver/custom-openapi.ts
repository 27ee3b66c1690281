import type { CustomSchemas } from './openapi/documents.ts';
import type { OpenApiSchema } from './openapi/schemas.ts';
import type { ResourceInfo } from './registry.ts';

const published = new WeakMap<ResourceInfo, OpenApiSchema>();

/** Remembers the schema of a custom resource's definition, for the OpenAPI documents. */
export const publishSchema = (info: ResourceInfo, schema: OpenApiSchema): void => void published.set(info, schema);

/** Keywords that Swagger 2.0 does not know are left out of it, as upstream publishes them. */
const V3_ONLY = new Set(['oneOf', 'anyOf', 'not', 'nullable', 'default', 'allOf']);

const forSwagger = (schema: OpenApiSchema): OpenApiSchema => {
  if (schema['x-kubernetes-preserve-unknown-fields'] === true && schema.type === 'object' && !schema.properties) {
    return { 'x-kubernetes-preserve-unknown-fields': true, type: 'object' };
  }
  const out: OpenApiSchema = {};
  for (const [keyword, value] of Object.entries(schema)) {
    if (V3_ONLY.has(keyword)) continue;
    if (keyword === 'properties') {
      const fields = Object.entries(value as Record<string, OpenApiSchema>);
      out.properties = Object.fromEntries(fields.map(([name, field]) => [name, forSwagger(field)]));
    } else if ((keyword === 'items' || keyword === 'additionalProperties') && typeof value === 'object') {
      out[keyword] = forSwagger(value as OpenApiSchema);
    } else out[keyword] = value;
  }
  if (schema.nullable === true || schema['x-kubernetes-int-or-string'] === true) delete out.type;
  return out;
};

/** The published schema of a custom resource, in either version of OpenAPI. */
export const customOpenApi: CustomSchemas = (info, version) => {
  const schema = published.get(info);
  return schema && version === 2 ? forSwagger(schema) : schema;
};
