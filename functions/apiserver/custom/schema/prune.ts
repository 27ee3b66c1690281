/**
 * From the body of a request, or from the store, to a custom object: unknown fields are pruned and reported, nulls that the
 * schema does not allow dropped, embedded metadata coerced, defaults filled in. Values of a wrong type stay as they are, for
 * the validation to refuse.
 *
 *   coerce(node, object, { defaults, found? }) -> { value, strict }   throws StatusError 400 on malformed metadata
 *   pruneDefaults(node)                                               defaults hold declared fields only
 *
 * The result shares no object with its input. Fields come out sorted, as Go encodes maps.
 */
import { decode } from '../../../machinery/decode.ts';
import { kindSchema } from '../../../machinery/facts.ts';
import type { Json, JsonObject } from '../../../machinery/object.ts';
import type { Decoded, Schema } from '../../../machinery/schema.ts';
import { badRequest, StatusError } from '../../../machinery/status.ts';
import { childNode, type Node } from './node.ts';

interface Walk {
  defaults: boolean;
  path: (string | number)[];
  unknown: string[];
  /** Unknown fields of embedded metadata: upstream finds them in a later pass. */
  unknownMeta: string[];
}

let metadataSchema: Schema | undefined;
const objectMeta = (): Schema => {
  metadataSchema ??= kindSchema('', 'v1', 'ConfigMap')?.fields.metadata?.schema ?? { type: 'any' };
  return metadataSchema;
};

const textOf = (path: readonly (string | number)[]): string => {
  let text = '';
  for (const p of path) text += typeof p === 'number' ? `[${p}]` : text ? `.${p}` : p;
  return text;
};

const put = (target: JsonObject, name: string, value: Json): void => {
  if (name === '__proto__')
    Object.defineProperty(target, name, { value, enumerable: true, configurable: true, writable: true });
  else target[name] = value;
};

const sortedNames = (value: JsonObject): string[] => {
  const names = Object.keys(value);
  return names.length > 1 ? names.sort() : names;
};

/** metadata as ObjectMeta; unknown fields go to `unknown` with their paths. */
const coerceMetadata = (value: Json, path: (string | number)[], unknown: string[]): Json => {
  let decoded: Decoded<JsonObject>;
  try {
    decoded = decode<JsonObject>(objectMeta(), value);
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    throw badRequest(`${textOf(path)}: Invalid value: ${JSON.stringify(value)}: ${error.message}`);
  }
  const at = textOf(path);
  for (const text of decoded.strict) {
    const field = /^unknown field "(.*)"$/.exec(text)?.[1];
    if (field !== undefined) unknown.push(`${at}.${field}`);
  }
  if (decoded.value.creationTimestamp === null) delete decoded.value.creationTimestamp;
  return decoded.value;
};

const isTypeMeta = (name: string): boolean => name === 'apiVersion' || name === 'kind';

/** A field of an embedded resource that the schema need not declare. */
const embeddedField = (walk: Walk, name: string, value: Json): Json => {
  if (!isTypeMeta(name)) return coerceMetadata(value, [...walk.path, name], walk.unknownMeta);
  if (typeof value === 'string') return value;
  throw badRequest(`${textOf([...walk.path, name])}: Invalid value: ${JSON.stringify(value)}: must be a string`);
};

const copy = (value: Json): Json => (typeof value === 'object' && value !== null ? structuredClone(value) : value);

/** A declared field or item that is null: kept, replaced by the default, or (undefined) dropped. */
const nullOf = (walk: Walk, node: Node): Json | undefined => {
  if (node.nullable) return null;
  if (node.default === undefined) return undefined;
  return walk.defaults ? visit(walk, node, node.default) : null;
};

const visitField = (walk: Walk, node: Node, name: string, value: Json, out: JsonObject): void => {
  const child = childNode(node, name);
  if (node.embedded && (name === 'metadata' || isTypeMeta(name))) {
    put(out, name, embeddedField(walk, name, value));
    return;
  }
  if (child) {
    if (value === null) {
      const kept = nullOf(walk, child);
      if (kept !== undefined) put(out, name, kept);
      return;
    }
    walk.path.push(name);
    put(out, name, visit(walk, child, value));
    walk.path.pop();
  } else if (node.open) put(out, name, visitUntyped(walk, value, name));
  else if (node.preserve) put(out, name, copy(value));
  else walk.unknown.push(textOf([...walk.path, name]));
};

/** A boolean additionalProperties says nothing of the values: whatever fields they have are unknown. */
const visitUntyped = (walk: Walk, value: Json, name?: string | number): Json => {
  if (typeof value !== 'object' || value === null) return value;
  if (name !== undefined) walk.path.push(name);
  let out: Json = {};
  if (Array.isArray(value)) out = value.map((item, i) => visitUntyped(walk, item ?? null, i));
  else for (const field of Object.keys(value)) walk.unknown.push(textOf([...walk.path, field]));
  if (name !== undefined) walk.path.pop();
  return out;
};

const visitObject = (walk: Walk, node: Node, value: JsonObject): JsonObject => {
  const out: JsonObject = {};
  for (const name of sortedNames(value)) visitField(walk, node, name, value[name] ?? null, out);
  if (!walk.defaults || !node.properties) return out;
  for (const [name, child] of node.properties) {
    if (child.default === undefined || Object.hasOwn(out, name)) continue;
    put(out, name, visit(walk, child, child.default));
  }
  return out;
};

const visit = (walk: Walk, node: Node, value: Json): Json => {
  if (typeof value !== 'object' || value === null) return value;
  if (!Array.isArray(value)) return visitObject(walk, node, value);
  const { items } = node;
  return value.map((item, i) => {
    const given = item ?? null;
    if (items && given === null) return nullOf(walk, items) ?? null;
    walk.path.push(i);
    const made = items ? visit(walk, items, given) : node.preserve ? copy(given) : visitUntyped(walk, given);
    walk.path.pop();
    return made;
  });
};

/** The object that a value is under a schema. `found` are faults of the text (duplicate fields), told first. */
export const coerce = (
  node: Node,
  object: JsonObject,
  options: { defaults: boolean; found?: readonly string[] },
): Decoded<JsonObject> => {
  const walk: Walk = { defaults: options.defaults, path: [], unknown: [], unknownMeta: [] };
  const { apiVersion, kind, metadata, ...rest } = object;
  const own: string[] = [];
  const out: JsonObject = {
    ...(apiVersion !== undefined && { apiVersion }),
    ...(kind !== undefined && { kind }),
    ...(metadata !== undefined && metadata !== null && { metadata: coerceMetadata(metadata, ['metadata'], own) }),
  };
  Object.assign(out, visitObject(walk, { ...node, embedded: false }, rest as JsonObject));
  const unknown = [...own, ...walk.unknown.sort(), ...walk.unknownMeta.sort()];
  const strict = [...(options.found ?? []), ...unknown.map((path) => `unknown field ${JSON.stringify(path)}`)];
  return { value: out, strict };
};

/** A value under a schema with nothing filled in, and whether that lost fields. */
export const pruned = (node: Node, value: Json): { value: Json; lost: boolean } => {
  const walk: Walk = { defaults: false, path: [], unknown: [], unknownMeta: [] };
  return { value: visit(walk, node, value), lost: walk.unknown.length > 0 };
};

/** Prunes the defaults of a schema, and of those below it. */
export const pruneDefaults = (node: Node): void => {
  if (node.default !== undefined) node.default = pruned(node, node.default).value;
  if (node.items) pruneDefaults(node.items);
  if (node.values) pruneDefaults(node.values);
  for (const child of node.properties?.values() ?? []) pruneDefaults(child);
};
