/**
 * One pass over a parsed body: types are checked, unknown fields pruned and reported, nulls dropped as Go drops them,
 * static defaults filled in, scalars put into canonical form, fields in the order in which upstream encodes them.
 *
 *   decode(schema, value, options?) -> { value, strict }   throws StatusError 400 on a wrong type
 *   decodeKind(schema, body, gvk, options?)                the same with upstream's prefix naming the kind
 *
 * Schemas are compiled to closures once (decode-scalars.ts holds the leaves). The result shares no object with its input,
 * except subtrees of type any.
 */
import type { ParsedBody } from './body.ts';
import { amount, compileScalar } from './decode-scalars.ts';
import { type Decoder, MAP_KEY, mismatch, pathText, type Walk } from './decode-walk.ts';
import type { Json, JsonObject } from './object.ts';
import type { Decoded, Field, ListSchema, MapSchema, ObjectSchema, Schema } from './schema.ts';
import { badRequest, StatusError } from './status.ts';

export interface DecodeOptions {
  /** Fill in the schema's defaults. */
  defaults?: boolean;
  /** Custom resources: a wrong type is left as it is for the validation to refuse, and nulls are kept. */
  lenient?: boolean;
  oddNumbers?: ParsedBody['oddNumbers'];
  /** Strict errors found before (duplicate keys); they are copied to the front of `strict`. */
  found?: readonly string[];
}

interface Compiled {
  run: Decoder;
  /** What an unset field of this type is encoded as. */
  zero: (walk: Walk) => Json;
}

const STRICT_MAX = 100;
const compiled = new WeakMap<Schema, Compiled>();

const shortName = (name: string): string => name.slice(name.lastIndexOf('.') + 1);
const goName = (name: string): string => name.split('.').slice(-2).join('.');
const goTypeOf = (schema: Schema): string => {
  if (schema.type === 'object') return goName(schema.name);
  if (schema.type === 'list') return `[]${goTypeOf(schema.items)}`;
  if (schema.type === 'map') return `map[string]${goTypeOf(schema.values)}`;
  if (schema.type === 'integer') return schema.format || 'int64';
  if (schema.type === 'any') return 'interface {}';
  return schema.type === 'boolean' ? 'bool' : schema.type === 'number' ? 'float64' : 'string';
};

const isObject = (value: Json): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Assignment that is safe for the one key with a meaning in JavaScript. */
const put = (target: JsonObject, key: string, value: Json): void => {
  if (key === '__proto__')
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
  else target[key] = value;
};

const isEmpty = (value: Json): boolean => {
  if (typeof value !== 'object') return value === '' || value === 0 || value === false;
  if (value === null) return true;
  if (Array.isArray(value)) return value.length === 0;
  for (const _ in value) return false;
  return true;
};

interface Slot {
  name: string;
  inner: Compiled;
  field: Field;
  /** An empty value counts as unset: a Go value, not a pointer. */
  emptyIsUnset: boolean;
  inherited: boolean;
}

/** An empty list or map that is encoded stays until it is stored (empties.ts): whoever sent it owns the field. */
const emptyIsUnset = (field: Field): boolean => {
  if (field.dropEmpty) return true;
  return field.zero && !field.pointer && field.default !== undefined;
};

const compileObject = (schema: ObjectSchema, self: Compiled): void => {
  const slots: Slot[] = Object.entries(schema.fields).map(([name, field]) => ({
    name,
    field,
    inner: compile(field.schema),
    emptyIsUnset: emptyIsUnset(field),
    inherited: name in Object.prototype,
  }));
  const struct = shortName(schema.name);
  const goType = goTypeOf(schema);
  self.run = (value, walk) => {
    if (!isObject(value)) return mismatch(value, goType, walk);
    const out: JsonObject = {};
    let seen = 0;
    walk.structs.push(struct);
    for (const slot of slots) {
      let given = slot.inherited && !Object.hasOwn(value, slot.name) ? undefined : value[slot.name];
      if (given !== undefined) {
        seen++;
        given = decodeField(slot, given, walk);
      }
      if (given === undefined) given = unset(slot, walk);
      if (given !== undefined) out[slot.name] = given;
    }
    if (seen !== Object.keys(value).length) unknownFields(schema, value, out, walk);
    walk.structs.pop();
    return out;
  };
  self.zero = (walk) => self.run({}, walk);
};

const decodeField = (slot: Slot, given: Json, walk: Walk): Json | undefined => {
  if (given === null && !walk.lenient) return undefined;
  if (given === null) return slot.field.default === undefined || !walk.defaults ? null : undefined;
  walk.path.push(slot.name);
  const value = slot.inner.run(given, walk);
  walk.path.pop();
  return slot.emptyIsUnset && isEmpty(value) ? undefined : value;
};

const unset = (slot: Slot, walk: Walk): Json | undefined => {
  const { field } = slot;
  if (walk.defaults && field.default !== undefined) return slot.inner.run(field.default, walk);
  if (!field.zero) return undefined;
  if (field.pointer) return null;
  return slot.inner.zero(walk);
};

const unknownFields = (schema: ObjectSchema, value: JsonObject, out: JsonObject, walk: Walk): void => {
  for (const key of Object.keys(value)) {
    if (Object.hasOwn(schema.fields, key)) continue;
    if (schema.preserveUnknown) put(out, key, value[key] ?? null);
    else if (walk.strict.length < STRICT_MAX)
      walk.strict.push(`unknown field ${JSON.stringify(pathText([...walk.path, key]))}`);
  }
};

const compileMap = (schema: MapSchema, self: Compiled): void => {
  const { values } = schema;
  const inner = values.type === 'string' && values.format === 'quantity' ? amount : compile(values);
  const goType = goTypeOf(schema);
  self.run = (value, walk) => {
    if (!isObject(value)) return mismatch(value, goType, walk);
    const out: JsonObject = {};
    // Go encodes maps with their keys sorted: the same object gives the same bytes.
    const keys = Object.keys(value);
    if (keys.length > 1) keys.sort();
    for (const key of keys) {
      const given = value[key] ?? null;
      walk.path.push(MAP_KEY, key);
      if (given === null) put(out, key, walk.lenient ? null : inner.zero(walk));
      else put(out, key, inner.run(given, walk));
      walk.path.length -= 2;
    }
    return out;
  };
  self.zero = () => null;
};

const compileList = (schema: ListSchema, self: Compiled): void => {
  const inner = compile(schema.items);
  const goType = goTypeOf(schema);
  self.run = (value, walk) => {
    if (!Array.isArray(value)) return mismatch(value, goType, walk);
    const out: Json[] = [];
    for (let i = 0; i < value.length; i++) {
      const given = value[i] ?? null;
      walk.path.push(i);
      if (given === null) out.push(walk.lenient ? null : inner.zero(walk));
      else out.push(inner.run(given, walk));
      walk.path.pop();
    }
    return out;
  };
  self.zero = () => null;
};

const identity: Compiled = { run: (value) => value, zero: () => null };

/** The closures of a schema, made once. Cycles resolve because the entry is filled after it is registered. */
const compile = (schema: Schema): Compiled => {
  const known = compiled.get(schema);
  if (known) return known;
  const self: Compiled = { run: identity.run, zero: identity.zero };
  compiled.set(schema, self);
  if (schema.type === 'object') compileObject(schema, self);
  else if (schema.type === 'map') compileMap(schema, self);
  else if (schema.type === 'list') compileList(schema, self);
  else if (schema.type !== 'any') Object.assign(self, compileScalar(schema));
  return self;
};

/** Decodes a value; throws StatusError 400 with Go's sentence where a type is wrong. */
export const decode = <T = JsonObject>(schema: Schema, value: Json, options: DecodeOptions = {}): Decoded<T> => {
  if (schema.type === 'object' && schema.decode) {
    const { defaults = false, found } = options;
    return schema.decode(value, { defaults, ...(found && { found }) }) as Decoded<T>;
  }
  const walk: Walk = {
    defaults: options.defaults ?? false,
    lenient: options.lenient ?? false,
    oddNumbers: options.oddNumbers,
    strict: options.found ? [...options.found] : [],
    path: [],
    structs: [],
  };
  return { value: compile(schema).run(value, walk) as T, strict: walk.strict };
};

/** Decodes a request body as a kind, with upstream's prefix on errors. */
export const decodeKind = <T = JsonObject>(
  schema: ObjectSchema,
  body: ParsedBody,
  kind: { version: string; kind: string },
  options: DecodeOptions = {},
): Decoded<T> => {
  try {
    const out = decode<T>(schema, body.value, { ...options, oddNumbers: body.oddNumbers, found: body.duplicates });
    const { places } = body;
    // Go's decoder meets duplicate and unknown fields as they come; that of custom resources tells duplicates first.
    if (!schema.decode && places && body.duplicates.length > 0 && out.strict.length > body.duplicates.length)
      out.strict.sort((a, b) => (places.get(a) ?? 0) - (places.get(b) ?? 0));
    return out;
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    throw badRequest(
      `${kind.kind} in version ${JSON.stringify(kind.version)} cannot be handled as a ${kind.kind}: ${error.message}`,
    );
  }
};
