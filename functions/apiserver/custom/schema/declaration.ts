/**
 * Schemas as types of the expression language: what fields rules see, how their JSON is read, and how large it can be.
 *
 *   declarationOf(schema, isResource) -> Declaration?   undefined for what rules cannot see
 */

import { namesOf } from '../../../machinery/cel/field-names.ts';
import { parseDate, parseDuration, parseTimestamp } from '../../../machinery/cel/times.ts';
import * as types from '../../../machinery/cel/types.ts';
import { type FieldType, listOf, mapOf, type ObjectType, type Type } from '../../../machinery/cel/types.ts';
import {
  Duration,
  EvalFault,
  fromJson,
  List,
  type ListShape,
  mapOfJson,
  ObjectValue,
  type Value,
} from '../../../machinery/cel/values.ts';
import { type Structural, valuesOf } from './structural.ts';

export interface Declaration {
  type: Type;
  adapt: (json: unknown) => Value;
  /** Most items, entries or bytes; 0 where the type has no size. */
  max: number;
  /** Fewest bytes of JSON. */
  least: number;
  fields?: ReadonlyMap<string, Declaration>;
  key?: Declaration;
  element?: Declaration;
}

const REQUEST_BYTES = 3 * 1024 * 1024;
const nullable =
  (adapt: (json: unknown) => Value) =>
  (json: unknown): Value =>
    json === null ? null : adapt(json);
const simple = (type: Type, adapt: (json: unknown) => Value, least: number, max = 0): Declaration => ({
  type,
  adapt: nullable(adapt),
  max,
  least,
});

const read =
  <T extends Value>(parse: (text: string) => T | undefined, what: string) =>
  (json: unknown): Value => {
    const value = typeof json === 'string' ? parse(json) : undefined;
    if (value === undefined) throw new EvalFault(`Invalid ${what} ${JSON.stringify(json)}`);
    return value;
  };
/** Durations of the format also come in words: `3 days`. */
const UNITS: [start: RegExp, text: string][] = [
  [/^(ns|nano)/i, '1ns'],
  [/^(us|µs|micro)/i, '1us'],
  [/^(ms|milli)/i, '1ms'],
  [/^(s$|sec)/i, '1s'],
  [/^(m$|min)/i, '1m'],
  [/^(h$|hr$|hour)/i, '1h'],
  [/^(d$|day)/i, '24h'],
  [/^(w$|wk$|week)/i, '168h'],
];
const looseDuration = (text: string): Duration | undefined => {
  const exact = parseDuration(text);
  if (exact) return exact;
  let ns: bigint | undefined;
  for (const [, count = '', word = ''] of text.matchAll(/(\d+)\s*([A-Za-zµ]+)/g)) {
    const unit = parseDuration(UNITS.find(([start]) => start.test(word))?.[1] ?? '');
    if (unit) ns = (ns ?? 0n) + BigInt(count) * unit.ns;
  }
  return ns === undefined ? undefined : new Duration(ns);
};

const readBytes = (json: unknown): Value => Uint8Array.from(Buffer.from(String(json), 'base64'));
const readInt = (json: unknown): Value => (typeof json === 'number' ? BigInt(Math.trunc(json)) : fromJson(json));

const stringOf = (s: Structural): Declaration => {
  const bounded = s.maxLength === undefined ? undefined : Math.max(0, s.maxLength);
  switch (s.format) {
    case 'byte':
      return simple(types.bytes, readBytes, 2, bounded ?? REQUEST_BYTES - 2);
    case 'duration':
      return simple(types.duration, read(looseDuration, 'duration'), 3, 32);
    case 'date':
      return simple(types.timestamp, read(parseDate, 'date'), 12, 12);
    case 'date-time':
      return simple(types.timestamp, read(parseTimestamp, 'date-time'), 21, 32);
    default:
  }
  const longest = (s.enum ?? []).reduce(
    (max: number, one) => (typeof one === 'string' ? Math.max(max, Buffer.byteLength(one)) : max),
    0,
  );
  const unbounded = s.enum?.length ? longest : REQUEST_BYTES - 2;
  return simple(types.string, (json) => json as Value, 2, bounded === undefined ? unbounded : bounded * 4);
};

const arrayOf = (s: Structural): Declaration | undefined => {
  const element = s.items && declarationOf(s.items, s.items['x-kubernetes-embedded-resource'] === true);
  if (!element) return undefined;
  const listType = s['x-kubernetes-list-type'];
  const shape: ListShape | undefined =
    listType === 'set' || listType === 'map'
      ? { type: listType, keys: s['x-kubernetes-list-map-keys'] ?? [] }
      : undefined;
  const max =
    s.maxItems === undefined ? Math.floor((REQUEST_BYTES - 2) / (element.least + 1)) : Math.max(0, s.maxItems);
  return {
    type: listOf(element.type),
    adapt: (json) => (Array.isArray(json) ? new List(json, element.adapt, shape) : fromJson(json)),
    max,
    least: 2,
    element,
  };
};

const KEY: Declaration = simple(types.string, (json) => json as Value, 2);

const mapDeclaration = (s: Structural, values: Structural): Declaration | undefined => {
  const element = declarationOf(values, values['x-kubernetes-embedded-resource'] === true);
  if (!element) return undefined;
  const unbounded = Math.floor((REQUEST_BYTES - 2) / (element.least + 6));
  return {
    type: mapOf(types.string, element.type),
    adapt: (json) =>
      typeof json === 'object' && json !== null
        ? mapOfJson(json as Record<string, unknown>, element.adapt)
        : fromJson(json),
    max: s.maxProperties === undefined ? unbounded : Math.max(0, s.maxProperties),
    least: 2,
    key: KEY,
    element,
  };
};

let objects = 0;

const objectOf = (s: Structural): Declaration => {
  const declared = new Map<string, FieldType>();
  const fields = new Map<string, Declaration>();
  let least = 2;
  for (const [json, property] of Object.entries(s.properties ?? {})) {
    const field = declarationOf(property, property['x-kubernetes-embedded-resource'] === true);
    if (!field) continue;
    for (const name of namesOf(json)) {
      declared.set(name, { type: field.type, json, adapt: field.adapt });
      fields.set(name, field);
    }
    const isSet = property.default !== undefined && property.default !== null;
    if (s.required?.includes(json) && !isSet) least += json.length + field.least + 4;
  }
  const type: ObjectType = { kind: 'object', name: `selfType${objects++}`, fields: declared };
  return {
    type,
    adapt: (json) =>
      typeof json === 'object' && json !== null && !Array.isArray(json)
        ? new ObjectValue(type, json as Record<string, unknown>)
        : fromJson(json),
    max: 0,
    least,
    fields,
  };
};

const TEXT: Structural = { type: 'string' };

/** A resource has apiVersion, kind, and a metadata of which rules see the names. */
const withMeta = (s: Structural): Structural => ({
  ...s,
  properties: {
    ...s.properties,
    kind: TEXT,
    apiVersion: TEXT,
    metadata: { type: 'object', properties: { name: TEXT, generateName: TEXT } },
  },
});

const made = new WeakMap<Structural, Map<boolean, Declaration | undefined>>();

export const declarationOf = (s: Structural, isResource: boolean): Declaration | undefined => {
  const known = made.get(s) ?? new Map<boolean, Declaration | undefined>();
  if (known.has(isResource)) return known.get(isResource);
  const declaration = declare(isResource ? withMeta(s) : s);
  known.set(isResource, declaration);
  made.set(s, known);
  return declaration;
};

const declare = (s: Structural): Declaration | undefined => {
  if (s['x-kubernetes-int-or-string']) {
    const max = s.maxLength === undefined ? REQUEST_BYTES - 2 : Math.max(0, s.maxLength) * 4;
    return simple(types.dyn, fromJson, 1, max);
  }
  switch (s.type) {
    case 'array':
      return arrayOf(s);
    case 'object': {
      const values = valuesOf(s);
      return values ? mapDeclaration(s, values) : objectOf(s);
    }
    case 'string':
      return stringOf(s);
    case 'boolean':
      return simple(types.bool, (json) => json as Value, 4);
    case 'number':
      return simple(types.double, (json) => json as Value, 1);
    case 'integer':
      return simple(types.int, readInt, 1);
    default:
      return undefined;
  }
};

/** The size of what stands at a path below a declaration, for estimates of cost. */
export const sizeBelow =
  (root: Declaration) =>
  (path: readonly string[]): number | undefined => {
    let at: Declaration | undefined = root;
    for (const name of path.slice(1)) {
      if (name === '@items' || name === '@values') at = at.element;
      else if (name === '@keys') at = at.key;
      else at = at.fields?.get(name);
      if (!at) return undefined;
    }
    return at.max;
  };

/** How often data of a size can stand in one request. */
export const mostOften = (declaration: Declaration): number => Math.floor(REQUEST_BYTES / (declaration.least + 1));
