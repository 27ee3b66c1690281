/**
 * What is odd about the expressions of a ValidatingAdmissionPolicy when the types of the resources that it matches are
 * known (KEP-3488, "Type checking"): told in its status, and nothing else depends on it.
 *
 *   typeOfKind(schema)                      a built-in kind as a type
 *   typeOfDefinition(openAPIV3Schema)       a custom kind
 *   checkTypes(spec, kindsOf, typeOf)       [{ fieldRef, warning }]
 */
import { schemaOf } from '../facts.ts';
import type { ValidatingAdmissionPolicy } from '../kinds.d.ts';
import { parseGroupVersion } from '../object.ts';
import type { ObjectSchema, Schema } from '../schema.ts';
import { admissionEnvironment, variablesType } from './admission.ts';
import { namesOf } from './field-names.ts';
import * as types from './types.ts';
import { dyn, type FieldType, listOf, mapOf, type ObjectType, type Type } from './types.ts';

export interface TypedKind {
  group: string;
  version: string;
  kind: string;
}
export interface ExpressionWarning {
  fieldRef: string;
  warning: string;
}
type Spec = NonNullable<ValidatingAdmissionPolicy['spec']>;

const same = (value: unknown): unknown => value;
const put = (fields: Map<string, FieldType>, json: string, type: Type | undefined): void => {
  if (!type) return;
  for (const name of namesOf(json)) fields.set(name, { type, json, adapt: same });
};

const structs = new WeakMap<ObjectSchema, ObjectType>();
let made = 0;
const struct = (fields: Map<string, FieldType>): ObjectType => ({ kind: 'object', name: `kind${made++}`, fields });

/** Quantities have two types in the API's description, and so none here. */
const textType = (format: string): Type | undefined => {
  if (format === 'quantity') return undefined;
  if (format === 'int-or-string') return dyn;
  if (format === 'byte') return types.bytes;
  return format === 'date-time' || format === 'micro-time' ? types.timestamp : types.string;
};

const typeOfSchema = (schema: Schema): Type | undefined => {
  switch (schema.type) {
    case 'object':
      return typeOfKind(schema);
    case 'map': {
      const values = typeOfSchema(schema.values);
      return values && mapOf(types.string, values);
    }
    case 'list': {
      const items = typeOfSchema(schema.items);
      return items && listOf(items);
    }
    case 'string':
      return textType(schema.format);
    case 'integer':
      return types.int;
    case 'number':
      return types.double;
    case 'boolean':
      return types.bool;
    default:
      return struct(new Map());
  }
};

/** A built-in kind, or a struct within one. */
export const typeOfKind = (schema: ObjectSchema): ObjectType => {
  const known = structs.get(schema);
  if (known) return known;
  const fields = new Map<string, FieldType>();
  const type = struct(fields);
  structs.set(schema, type);
  for (const [json, field] of Object.entries(schema.fields)) put(fields, json, typeOfSchema(field.schema));
  return type;
};

/** What of a JSON schema (apiextensions.k8s.io/v1 JSONSchemaProps) tells the types. */
export interface JsonSchema {
  type?: string;
  format?: string;
  properties?: Record<string, JsonSchema>;
  additionalProperties?: JsonSchema | boolean;
  items?: JsonSchema;
  'x-kubernetes-int-or-string'?: boolean;
  'x-kubernetes-embedded-resource'?: boolean;
}

const jsonText = (format = ''): Type => {
  if (format === 'duration') return types.duration;
  if (format === 'byte') return types.bytes;
  return format === 'date' || format === 'date-time' ? types.timestamp : types.string;
};

const NAMES: JsonSchema = {
  type: 'object',
  properties: { name: { type: 'string' }, generateName: { type: 'string' } },
};

const typeOfJson = (schema: JsonSchema): Type | undefined => {
  if (schema['x-kubernetes-int-or-string']) return dyn;
  switch (schema.type) {
    case 'array': {
      const items = schema.items && typeOfJson(schema.items);
      return items && listOf(items);
    }
    case 'object':
      return objectOfJson(schema);
    case 'string':
      return jsonText(schema.format);
    case 'integer':
      return types.int;
    case 'number':
      return types.double;
    case 'boolean':
      return types.bool;
    default:
      return undefined;
  }
};

const objectOfJson = (schema: JsonSchema): Type | undefined => {
  const { additionalProperties } = schema;
  if (typeof additionalProperties === 'object') {
    const values = typeOfJson(additionalProperties);
    return values && mapOf(types.string, values);
  }
  const fields = new Map<string, FieldType>();
  for (const [json, property] of Object.entries(schema.properties ?? {})) put(fields, json, typeOfJson(property));
  if (schema['x-kubernetes-embedded-resource']) addMeta(fields, typeOfJson(NAMES));
  return struct(fields);
};

const addMeta = (fields: Map<string, FieldType>, metadata: Type | undefined): void => {
  put(fields, 'kind', types.string);
  put(fields, 'apiVersion', types.string);
  put(fields, 'metadata', metadata);
};

/** One version of a custom kind, by its schema. */
export const typeOfDefinition = (schema: JsonSchema): ObjectType => {
  const fields = new Map<string, FieldType>();
  for (const [json, property] of Object.entries(schema.properties ?? {})) put(fields, json, typeOfJson(property));
  addMeta(fields, typeOfKind(schemaOf('~meta.v1.ObjectMeta')));
  return struct(fields);
};

const KINDS_MAX = 10;
const concrete = (values: readonly string[] | undefined): string[] =>
  values?.some((value) => value.includes('*')) ? [] : [...(values ?? [])].sort();

type KindsOf = (group: string, version: string, resource: string) => readonly TypedKind[];

/** The kinds that the rules name; wildcards and subresources are passed over. */
export const kindsToCheck = (spec: Spec, kindsOf: KindsOf): TypedKind[] => {
  const found = new Map<string, TypedKind>();
  for (const rule of spec.matchConstraints?.resourceRules ?? []) {
    const resources = (rule.resources ?? []).filter((one) => !/[*/]/.test(one)).sort();
    let count = 0;
    for (const group of concrete(rule.apiGroups))
      for (const version of concrete(rule.apiVersions))
        for (const resource of resources)
          for (const kind of kindsOf(group, version, resource)) {
            if (count++ >= KINDS_MAX) continue;
            found.set(`${kind.group}\n${kind.version}\n${kind.kind}`, kind);
          }
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, kind]) => kind);
};

const compilerFor = (spec: Spec, object: Type, params: Type | undefined) => {
  const { type, add } = variablesType();
  const env = admissionEnvironment({
    params: spec.paramKind !== undefined,
    authorizer: true,
    variables: type,
    object,
    paramsType: params ?? dyn,
  });
  for (const { name, expression } of spec.variables ?? []) {
    const compiled = env.compile(expression);
    add(name, 'program' in compiled ? compiled.program.type : dyn);
  }
  return env;
};

/** The warnings of a policy's status. `typeOf` is asked for the matched kinds and for the paramKind. */
export const checkTypes = (
  spec: Spec,
  kindsOf: KindsOf,
  typeOf: (kind: TypedKind) => Type | undefined,
): ExpressionWarning[] => {
  const { apiVersion = '', kind = '' } = spec.paramKind ?? {};
  const params = spec.paramKind && typeOf({ ...parseGroupVersion(apiVersion), kind });
  const environments = kindsToCheck(spec, kindsOf).flatMap((one) => {
    const object = typeOf(one);
    if (!object) return [];
    const name = `${one.group}/${one.version}, Kind=${one.kind}`;
    return [{ name, env: compilerFor(spec, object, params) }];
  });
  const warnings: ExpressionWarning[] = [];
  const check = (fieldRef: string, expression: string): void => {
    const texts = environments.flatMap(({ name, env }) => {
      const compiled = env.compile(expression);
      return 'issues' in compiled ? [`${name}: ${compiled.describe()}\n`] : [];
    });
    if (texts.length > 0) warnings.push({ fieldRef, warning: texts.join('\n') });
  };
  spec.validations?.forEach(({ expression, messageExpression }, i) => {
    check(`spec.validations[${i}].expression`, expression);
    if (messageExpression) check(`spec.validations[${i}].messageExpression`, messageExpression);
  });
  return warnings;
};
