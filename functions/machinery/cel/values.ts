/**
 * Values of the expression language:
 *
 *   bool boolean, int bigint, double number, string string, null null, bytes Uint8Array, and the classes below
 */
import type { Json } from '../object.ts';
import { equalJson } from '../patch/equal.ts';
import type { ObjectType, Type } from './types.ts';

export type Value =
  | null
  | boolean
  | bigint
  | number
  | string
  | Uint8Array
  | Uint
  | Timestamp
  | Duration
  | List
  | MapValue
  | ObjectValue
  | TypeValue
  | Optional
  | OpaqueValue;

/** A failed evaluation: no such key, division by zero, no such overload. */
export class EvalFault extends Error {}

export class Uint {
  readonly value: bigint;
  constructor(value: bigint) {
    this.value = value;
  }
}
/** Nanoseconds since 1970 in UTC, and the offset in seconds that it is written with. */
export class Timestamp {
  readonly ns: bigint;
  readonly offset: number;
  constructor(ns: bigint, offset = 0) {
    this.ns = ns;
    this.offset = offset;
  }
}
export class Duration {
  readonly ns: bigint;
  constructor(ns: bigint) {
    this.ns = ns;
  }
}
export class TypeValue {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}
export class Optional {
  readonly value: Value | undefined;
  constructor(value: Value | undefined) {
    this.value = value;
  }
}
export const NONE = new Optional(undefined);

/** A value of a library's own type. */
export class OpaqueValue {
  readonly type: string;
  readonly content: unknown;
  readonly equals: (other: unknown) => boolean;
  constructor(type: string, content: unknown, equals: (other: unknown) => boolean) {
    this.type = type;
    this.content = content;
    this.equals = equals;
  }
}

/** Lists of type set and map (x-kubernetes-list-type) compare without regard to order, and add up as such. */
export interface ListShape {
  type: 'set' | 'map';
  keys: readonly string[];
}

/** A list; the items of one that came from JSON are read when they are asked for. */
export class List {
  readonly raw: readonly unknown[];
  readonly adapt: ((json: unknown) => Value) | undefined;
  readonly shape: ListShape | undefined;
  constructor(raw: readonly unknown[], adapt?: (json: unknown) => Value, shape?: ListShape) {
    this.raw = raw;
    this.adapt = adapt;
    this.shape = shape;
  }
  get length(): number {
    return this.raw.length;
  }
  at(i: number): Value {
    const item = this.raw[i];
    return this.adapt ? this.adapt(item) : (item as Value);
  }
  items(): Value[] {
    return this.adapt ? this.raw.map(this.adapt) : (this.raw as Value[]);
  }
}

export type Key = string | bigint | boolean | number | symbol;

/** A key by which equal keys of all number types meet; undefined for what is found by no lookup. */
export const keyOf = (value: Value): Key | undefined => {
  if (typeof value === 'string' || typeof value === 'bigint' || typeof value === 'boolean') return value;
  if (value instanceof Uint) return value.value;
  if (typeof value === 'number') return Number.isInteger(value) ? BigInt(value) : value;
  return undefined;
};

/** A map, with its keys as they were given. */
export class MapValue {
  readonly keys: () => Value[];
  readonly find: (key: Key) => Value | undefined;
  readonly size: number;
  constructor(size: number, keys: () => Value[], find: (key: Key) => Value | undefined) {
    this.size = size;
    this.keys = keys;
    this.find = find;
  }
}

/** A map of what an expression spells out; an entry's key is kept as it was given. */
export const mapFrom = (entries: ReadonlyMap<Key, [Value, Value]>): MapValue =>
  new MapValue(
    entries.size,
    () => [...entries.values()].map(([key]) => key),
    (key) => entries.get(key)?.[1],
  );

/** A JSON object as a map from strings. */
export const mapOfJson = (json: Record<string, unknown>, adapt: (json: unknown) => Value): MapValue => {
  const names = Object.keys(json);
  return new MapValue(
    names.length,
    () => names,
    (key) => {
      if (typeof key !== 'string' || !Object.hasOwn(json, key)) return undefined;
      const value = json[key];
      return value === undefined ? undefined : adapt(value);
    },
  );
};

/** A JSON object with declared fields; one that is null counts as absent. */
export class ObjectValue {
  readonly type: ObjectType;
  readonly json: Record<string, unknown>;
  constructor(type: ObjectType, json: Record<string, unknown>) {
    this.type = type;
    this.json = json;
  }
  has(field: string): boolean {
    return this.raw(field) !== undefined;
  }
  get(field: string): Value | undefined {
    const value = this.raw(field);
    return value === undefined ? undefined : (this.type.fields.get(field)?.adapt(value) as Value);
  }
  private raw(field: string): unknown {
    const declared = this.type.fields.get(field);
    if (!declared || (declared.json in Object.prototype && !Object.hasOwn(this.json, declared.json))) return undefined;
    return this.json[declared.json] ?? undefined;
  }
}

/** Any JSON value, with whole numbers as int: for data without a schema. */
export const fromJson = (json: unknown): Value => {
  if (typeof json === 'number') return Number.isInteger(json) ? BigInt(json) : json;
  if (Array.isArray(json)) return new List(json, fromJson);
  if (typeof json === 'object' && json !== null) return mapOfJson(json as Record<string, unknown>, fromJson);
  return (json ?? null) as Value;
};

/** The name of a value's type, as type() gives it and overloads are told apart. */
export const typeNameOf = (value: Value): string => {
  switch (typeof value) {
    case 'boolean':
      return 'bool';
    case 'bigint':
      return 'int';
    case 'number':
      return 'double';
    case 'string':
      return 'string';
    default:
  }
  if (value === null) return 'null_type';
  if (value instanceof List) return 'list';
  if (value instanceof MapValue || value instanceof ObjectValue) return 'map';
  if (value instanceof Uint8Array) return 'bytes';
  if (value instanceof Uint) return 'uint';
  if (value instanceof Timestamp) return 'google.protobuf.Timestamp';
  if (value instanceof Duration) return 'google.protobuf.Duration';
  if (value instanceof TypeValue) return 'type';
  if (value instanceof Optional) return 'optional_type';
  return (value as OpaqueValue).type;
};

/** Whether a value may be an argument of a type, when types were not known before. */
export const isOfType = (value: Value, type: Type): boolean => {
  switch (type.kind) {
    case 'dyn':
    case 'param':
    case 'error':
      return true;
    case 'list':
      // As upstream does, by the first element.
      return value instanceof List && (value.length === 0 || isOfType(value.at(0), type.element));
    case 'map':
    case 'type':
      return typeNameOf(value) === type.kind;
    case 'object':
      return value instanceof ObjectValue && value.type.name === type.name;
    case 'opaque':
      return typeNameOf(value) === type.name;
    case 'null':
      return value === null;
    case 'timestamp':
      return value instanceof Timestamp;
    case 'duration':
      return value instanceof Duration;
    default:
      return typeNameOf(value) === type.kind;
  }
};

const isNumber = (value: Value): value is bigint | number | Uint =>
  typeof value === 'bigint' || typeof value === 'number' || value instanceof Uint;
const plain = (value: bigint | number | Uint): bigint | number => (value instanceof Uint ? value.value : value);

/** Mixed types compare exactly; NaN has no order. */
const compareNumbers = (x: bigint | number, y: bigint | number): number | undefined => {
  if (x < y) return -1;
  if (x > y) return 1;
  return Number.isNaN(x) || Number.isNaN(y) ? undefined : 0;
};

const equalLists = (a: List, b: List): boolean => {
  if (a.length !== b.length) return false;
  // The left one says how lists compare.
  if (!a.shape) {
    for (let i = 0; i < a.length; i++) if (!equal(a.at(i), b.at(i))) return false;
    return true;
  }
  const others = b.items();
  return a.items().every((item) => others.some((other) => equal(item, other)));
};

const equalMaps = (a: MapValue, b: MapValue): boolean =>
  a.size === b.size &&
  a.keys().every((given) => {
    const key = keyOf(given);
    const other = key === undefined ? undefined : b.find(key);
    const own = key === undefined ? undefined : a.find(key);
    return other !== undefined && own !== undefined && equal(own, other);
  });

const declaredJson = new WeakMap<ObjectType, ReadonlySet<string>>();
const isDeclared = (type: ObjectType, json: string): boolean => {
  let known = declaredJson.get(type);
  if (!known) {
    known = new Set([...type.fields.values()].map((field) => field.json));
    declaredJson.set(type, known);
  }
  return known.has(json);
};

const equalObjects = (a: ObjectValue, b: ObjectValue): boolean => {
  const names = Object.keys(a.json);
  if (names.length !== Object.keys(b.json).length) return false;
  for (const name of a.type.fields.keys()) {
    const left = a.get(name);
    const right = b.get(name);
    if (left === undefined || right === undefined ? left !== right : !equal(left, right)) return false;
  }
  // Fields that are kept without a declaration have to be the same where both have them.
  return names.every(
    (name) =>
      isDeclared(a.type, name) || b.json[name] === undefined || equalJson(a.json[name] as Json, b.json[name] as Json),
  );
};

/** Equality of any two values; numbers compare by value across their types, other types never equal. */
export const equal = (a: Value, b: Value): boolean => {
  if (a === b) return true;
  if (isNumber(a)) return isNumber(b) && compareNumbers(plain(a), plain(b)) === 0;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (a instanceof List) return b instanceof List && equalLists(a, b);
  if (a instanceof MapValue) return b instanceof MapValue && equalMaps(a, b);
  if (a instanceof ObjectValue) return b instanceof ObjectValue && equalObjects(a, b);
  if (a instanceof Timestamp) return b instanceof Timestamp && a.ns === b.ns;
  if (a instanceof Duration) return b instanceof Duration && a.ns === b.ns;
  if (a instanceof Uint8Array) return b instanceof Uint8Array && Buffer.compare(a, b) === 0;
  if (a instanceof TypeValue) return b instanceof TypeValue && a.name === b.name;
  if (a instanceof Optional)
    return (
      b instanceof Optional &&
      (a.value === undefined || b.value === undefined ? a.value === b.value : equal(a.value, b.value))
    );
  return a instanceof OpaqueValue && b instanceof OpaqueValue && a.type === b.type && a.equals(b.content);
};

/** -1, 0 or 1 for two values that have an order; undefined for others. */
export const compare = (a: Value, b: Value): number | undefined => {
  if (isNumber(a) && isNumber(b)) {
    return compareNumbers(plain(a), plain(b));
  }
  if (typeof a === 'string' && typeof b === 'string') return a === b ? 0 : a < b ? -1 : 1;
  if (typeof a === 'boolean' && typeof b === 'boolean') return Number(a) - Number(b);
  if ((a instanceof Timestamp && b instanceof Timestamp) || (a instanceof Duration && b instanceof Duration))
    return a.ns < b.ns ? -1 : a.ns > b.ns ? 1 : 0;
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b);
  return undefined;
};

/** Code points of a text. */
export const runes = (text: string): string[] => Array.from(text);

/** size() of a value, 1 for what has none: what costs are counted in. */
export const sizeOf = (value: Value): number => {
  if (typeof value === 'string') {
    let pairs = 0;
    for (let i = 0; i < value.length; i++) if ((value.charCodeAt(i) & 0xfc00) === 0xdc00) pairs++;
    return value.length - pairs;
  }
  if (value instanceof List) return value.length;
  if (value instanceof Uint8Array) return value.length;
  if (value instanceof MapValue) return value.size;
  if (value instanceof ObjectValue) return Object.keys(value.json).length;
  if (value instanceof Optional && value.value !== undefined) return sizeOf(value.value);
  return 1;
};
