/**
 * What the expressions of a MutatingAdmissionPolicy make of an object: an apply configuration that is merged into it, or
 * a JSON patch (KEP-3962). Throws MutationFault in upstream's words.
 */
import { mergeApplied } from '../../../machinery/apply/merge.ts';
import { durationText, timestampText } from '../../../machinery/cel/times.ts';
import {
  Duration,
  List,
  MapValue,
  ObjectValue,
  OpaqueValue,
  Timestamp,
  Uint,
  type Value,
} from '../../../machinery/cel/values.ts';
import { decode } from '../../../machinery/decode.ts';
import type { Json, JsonObject } from '../../../machinery/object.ts';
import { applyJsonPatch, TEST_FAILED } from '../../../machinery/patch/json-patch.ts';
import type { ObjectSchema, Schema } from '../../../machinery/schema.ts';
import { internalError, StatusError } from '../../../machinery/status.ts';
import { runOne } from './evaluate.ts';
import type { Variables } from './inputs.ts';
import type { Hook } from './source.ts';

export class MutationFault extends Error {}

/** A value as JSON. */
const toJson = (value: Value): Json => {
  if (typeof value === 'bigint') return Number(value);
  if (value === null || typeof value !== 'object') return value;
  if (value instanceof List) return value.items().map(toJson);
  if (value instanceof MapValue) return mapToJson(value);
  if (value instanceof ObjectValue) {
    const out: JsonObject = {};
    for (const name of Object.keys(value.json)) {
      const held = value.type.fields.get(name) ? value.get(name) : undefined;
      if (held !== undefined) out[name] = toJson(held);
      else if (value.json[name] === null) out[name] = null;
    }
    return out;
  }
  if (value instanceof Uint) return Number(value.value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (value instanceof Timestamp) return timestampText(value);
  if (value instanceof Duration) return durationText(value);
  const type = value instanceof OpaqueValue ? value.type : 'optional_type';
  throw new MutationFault(`a value of type ${type} has no place in an object`);
};

const mapToJson = (value: MapValue): JsonObject => {
  const out: JsonObject = {};
  for (const key of value.keys()) {
    if (typeof key !== 'string')
      throw new MutationFault(`map key ${JSON.stringify(String(key))} is of type ${typeof key}, not string`);
    Object.defineProperty(out, key, {
      value: toJson(value.find(key) ?? null),
      enumerable: true,
      writable: true,
      configurable: true,
    });
  }
  return out;
};

/** Objects that are made say their place in their type: `Object.spec.template` can only stand there. */
const misplaced = (value: Value, path: string): string[] => {
  if (value instanceof List) return value.adapt ? [] : value.items().flatMap((item) => misplaced(item, path));
  if (value instanceof MapValue)
    return value.keys().flatMap((key) => misplaced(typeof key === 'string' ? (value.find(key) ?? null) : null, path));
  if (!(value instanceof ObjectValue) || !value.type.name.startsWith('Object')) return [];
  const { name } = value.type;
  const own =
    name === path
      ? []
      : [
          `unexpected type name ${JSON.stringify(name)}, expected ${JSON.stringify(path)}, which matches field name path from root Object type`,
        ];
  return [
    ...own,
    ...[...value.type.fields.keys()].flatMap((field) => misplaced(value.get(field) ?? null, `${path}.${field}`)),
  ];
};

const checkPlaces = (value: Value, path: string): void => {
  const faults = misplaced(value, path);
  if (faults.length > 0) throw new MutationFault(`type mismatch: ${faults.join('\n')}`);
};

/** Paths of what would be replaced as a whole: an apply configuration must not take away what it does not name. */
const atomics = (schema: Schema, value: Json, path: string): string[] => {
  if (Array.isArray(value)) {
    if (schema.type !== 'list') return [];
    const own = schema.listType === 'atomic' ? [path] : [];
    return [...own, ...value.flatMap((item, i) => atomics(schema.items, item, `${path}[${i}]`))];
  }
  if (value === null || typeof value !== 'object') return [];
  const own = (schema.type === 'object' || schema.type === 'map') && schema.atomic ? [path] : [];
  if (schema.type !== 'object') return own;
  const below = Object.entries(value).flatMap(([name, held]) => {
    const field = schema.fields[name];
    return field ? atomics(field.schema, held ?? null, `${path}.${name}`) : [];
  });
  return [...own, ...below];
};

/** A value as upstream prints what it did not expect. */
const shown = (value: Json): string => `&value.valueUnstructured{Value:${JSON.stringify(value)}}`;
/** The same where a list or map was expected. */
const shownBare = (value: Json): string => {
  const text = (one: Json): string => {
    if (one === null) return 'NULL_VALUE';
    if (Array.isArray(one)) return `[${one.map(text).join(' ')}]`;
    if (typeof one !== 'object') return String(one);
    return `map[${Object.entries(one)
      .map(([key, held]) => `${key}:${text(held ?? null)}`)
      .join(' ')}]`;
  };
  return `&{${text(value)}}`;
};

const scalarFault = (schema: Schema, value: Json): string | undefined => {
  if (value === null) return undefined;
  if (schema.type === 'string' && schema.format !== 'int-or-string' && schema.format !== 'quantity')
    return typeof value === 'string' ? undefined : `expected string, got ${shown(value)}`;
  if (schema.type === 'boolean')
    return typeof value === 'boolean' ? undefined : `expected boolean, got ${shown(value)}`;
  if (schema.type === 'integer' || schema.type === 'number')
    return typeof value === 'number' ? undefined : `expected numeric (int or float), got ${typeof value}`;
  return undefined;
};

/** What of a value is not of its schema: types, and fields that none knows. */
const misfits = (schema: Schema, value: Json, path: string): string[] => {
  const fault = scalarFault(schema, value);
  if (fault) return [`${path}: ${fault}`];
  if (schema.type === 'list')
    return Array.isArray(value)
      ? value.flatMap((item, i) => misfits(schema.items, item, `${path}[${i}]`))
      : [`${path}: expected list, got ${shownBare(value)}`];
  if (schema.type !== 'map' && schema.type !== 'object') return [];
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    return [`${path}: expected map, got ${shownBare(value)}`];
  return Object.entries(value).flatMap(([name, held]) => {
    const below = `${path}.${name}`;
    if (schema.type === 'map') return misfits(schema.values, held ?? null, below);
    const field = schema.fields[name];
    if (field) return misfits(field.schema, held ?? null, below);
    const isMeta = path === '' && ['apiVersion', 'kind', 'metadata'].includes(name);
    return isMeta || schema.preserveUnknown ? [] : [`${below}: field not declared in schema`];
  });
};

const typedFault = (faults: readonly string[]): string =>
  faults.length === 1 ? `${faults[0]}` : `errors:\n${faults.map((one) => `  ${one}`).join('\n')}`;

const applied = (object: JsonObject, value: Value, schema: ObjectSchema): JsonObject => {
  checkPlaces(value, 'Object');
  const given = toJson(value) as JsonObject;
  const wrong = (why: string) => new MutationFault(`error applying patch: ${why}`);
  const faults = misfits(schema, given, '');
  if (faults.length > 0) throw wrong(`failed to convert patch object to typed object: ${typedFault(faults)}`);
  const whole = atomics(schema, given, '');
  if (whole.length > 0)
    throw wrong(`invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: ${whole.join(', ')}`);
  try {
    return mergeApplied(object, given, schema) as JsonObject;
  } catch (error) {
    if (error instanceof StatusError) throw wrong(`failed to merge patch: ${error.message}`);
    throw error;
  }
};

const operationOf = (value: Value): Json => {
  if (!(value instanceof ObjectValue)) throw new MutationFault('type mismatch: a JSON patch is a list of JSONPatch');
  const text = (field: string): string => {
    const held = value.get(field);
    return typeof held === 'string' ? held : '';
  };
  const from = text('from');
  const { value: raw } = value.json as { value?: Value };
  if (raw instanceof ObjectValue) checkPlaces(raw, raw.type.name);
  return {
    op: text('op'),
    path: text('path'),
    ...(from && { from }),
    ...(raw !== undefined && { value: toJson(raw) }),
  };
};

/** The object itself where a `test` of the patch fails. */
const patched = (object: JsonObject, value: Value): JsonObject => {
  const operations = value instanceof List ? value.items().map(operationOf) : [];
  try {
    return applyJsonPatch(object, operations) as JsonObject;
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    if (typeof error.cause === 'string' && error.cause.endsWith(TEST_FAILED)) return object;
    throw new MutationFault(`JSON Patch: ${typeof error.cause === 'string' ? error.cause : error.message}`);
  }
};

const typeOf = (value: Json | undefined): string => (typeof value === 'string' ? value : '');

/** What a patch made, of the kind that it was; one that is left out means that one. Throws 500 for another. */
const sameKind = (object: JsonObject, next: Json): JsonObject => {
  if (next === null || typeof next !== 'object' || Array.isArray(next))
    throw internalError('replace operation value must be object or array');
  const apiVersion = typeOf(next.apiVersion) || typeOf(object.apiVersion);
  const kind = typeOf(next.kind) || typeOf(object.kind);
  if (apiVersion === object.apiVersion && kind === object.kind) return { ...next, apiVersion, kind };
  const named = `no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)}`;
  throw internalError(`${named} in scheme "pkg/runtime/scheme.go:111"`);
};

/**
 * One mutation of a policy. The object given is left as it is; the result is decoded and defaulted, and is the object
 * itself where nothing was changed. Throws MutationFault and OutOfBudget, and a Status of 500 where a patch does not leave an
 * object of the kind.
 */
export const applyMutation = (
  hook: Hook,
  i: number,
  object: JsonObject,
  schema: ObjectSchema,
  inputs: Variables,
): JsonObject => {
  const expression = hook.programs.mutations[i];
  if (!expression) return object;
  if ('fault' in expression) throw new MutationFault(expression.fault);
  const outcome = runOne(hook.programs, expression, inputs);
  if ('error' in outcome) throw new MutationFault(outcome.error);
  const { value } = outcome;
  const isPatch = hook.spec.mutations?.[i]?.patchType === 'JSONPatch';
  const next = isPatch ? patched(object, value) : applied(object, value, schema);
  if (next === object) return object;
  const whole = isPatch
    ? sameKind(object, next)
    : { ...next, apiVersion: typeOf(object.apiVersion), kind: typeOf(object.kind) };
  try {
    const { value: decoded, strict } = decode<JsonObject>(schema, whole, { defaults: true });
    if (isPatch && strict.length > 0) throw internalError(`strict decoding error: ${strict.join(', ')}`);
    return decoded;
  } catch (error) {
    if (!(error instanceof StatusError) || error.code === 500) throw error;
    throw isPatch ? internalError(error.message) : new MutationFault(error.message);
  }
};
