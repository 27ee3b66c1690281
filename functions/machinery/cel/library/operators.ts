/** Operators: arithmetic with overflow checks, comparisons, membership, indexes. */
import { func, type Library, type Overload } from '../library.ts';
import { checkedDuration, checkedTimestamp } from '../times.ts';
import {
  bool,
  bytes,
  double,
  duration,
  dyn,
  int,
  listOf,
  mapOf,
  optionalOf,
  param,
  string,
  type Type,
  timestamp,
  uint,
} from '../types.ts';
import {
  compare,
  type Duration,
  EvalFault,
  equal,
  keyOf,
  List,
  type MapValue,
  NONE,
  Optional,
  type Timestamp,
  typeNameOf,
  Uint,
  type Value,
} from '../values.ts';

const A = param('A');
const B = param('B');
const INT_MAX = (1n << 63n) - 1n;
const UINT_MAX = (1n << 64n) - 1n;

export const checkedInt = (value: bigint): bigint => {
  if (value > INT_MAX || value < -INT_MAX - 1n) throw new EvalFault('integer overflow');
  return value;
};
export const checkedUint = (value: bigint): Uint => {
  if (value < 0n || value > UINT_MAX) throw new EvalFault('unsigned integer overflow');
  return new Uint(value);
};
const nonZero = (value: bigint, what: string): bigint => {
  if (value === 0n) throw new EvalFault(what);
  return value;
};

type Bigs = (a: bigint, b: bigint) => bigint;
const arithmetic = (name: string, big: Bigs, real?: (a: number, b: number) => number): Overload[] => [
  func(`${name}_int64`, [int, int], int, (a: bigint, b: bigint) => checkedInt(big(a, b))),
  func(`${name}_uint64`, [uint, uint], uint, (a: Uint, b: Uint) => checkedUint(big(a.value, b.value))),
  ...(real ? [func(`${name}_double`, [double, double], double, real)] : []),
];

/** What lists of type set and map become when they are added up (x-kubernetes-list-type). */
const addLists = (a: List, b: List): List => {
  const { shape } = a;
  if (!shape) return new List([...a.items(), ...b.items()]);
  const same = (x: Value, y: Value): boolean => {
    if (shape.type === 'set') return equal(x, y);
    return shape.keys.every((key) => {
      const field = (value: Value): Value | undefined =>
        value !== null && typeof value === 'object' && 'get' in value ? value.get(key) : undefined;
      const [left, right] = [field(x), field(y)];
      return left === undefined || right === undefined ? left === right : equal(left, right);
    });
  };
  const out = a.items().slice();
  for (const item of b.items()) {
    const at = out.findIndex((one) => same(one, item));
    if (at < 0) out.push(item);
    else if (shape.type === 'map') out[at] = item;
  }
  return new List(out, undefined, shape);
};

const concatBytes = (a: Uint8Array, b: Uint8Array): Uint8Array => Uint8Array.from([...a, ...b]);

const ordered = (name: string, holds: (order: number) => boolean): Overload[] => {
  const types: [string, Type][] = [
    ...([
      ['bool', bool],
      ['int64', int],
      ['uint64', uint],
      ['double', double],
    ] as [string, Type][]),
    ...([
      ['string', string],
      ['bytes', bytes],
      ['timestamp', timestamp],
      ['duration', duration],
    ] as [string, Type][]),
  ];
  const run = (a: Value, b: Value): boolean => {
    const order = compare(a, b);
    return order !== undefined && holds(order);
  };
  const numbers = types.slice(1, 4);
  const mixed = numbers.flatMap(([left, a]) =>
    numbers
      .filter(([right]) => right !== left)
      .map(([right, b]) => func(`${name}_${left}_${right}`, [a, b], bool, run)),
  );
  return [...types.map(([type, t]) => func(`${name}_${type}`, [t, t], bool, run)), ...mixed];
};

const atIndex = (list: List, index: Value): Value => {
  const i = keyOf(index);
  if (typeof i !== 'bigint') throw new EvalFault(`unsupported index type '${typeNameOf(index)}' in list`);
  if (i < 0n || i >= BigInt(list.length)) throw new EvalFault(`index out of bounds: ${i}`);
  return list.at(Number(i));
};
const atKey = (map: MapValue, key: Value): Value => {
  const name = keyOf(key);
  const value = name === undefined ? undefined : map.find(name);
  if (value === undefined) throw new EvalFault(`no such key: ${String(name ?? typeNameOf(key))}`);
  return value;
};
const findIndex = (list: List, index: bigint): Optional =>
  index < 0n || index >= BigInt(list.length) ? NONE : new Optional(list.at(Number(index)));
const findKey = (map: MapValue, key: Value): Optional => {
  const name = keyOf(key);
  const value = name === undefined ? undefined : map.find(name);
  return value === undefined ? NONE : new Optional(value);
};
const inside = (optional: Optional, find: (value: Value) => Optional): Optional =>
  optional.value === undefined ? NONE : find(optional.value);

const listA = listOf(A);
const mapAB = mapOf(A, B);

const never = (): Value => {
  throw new EvalFault('no such overload');
};

const arithmeticFunctions: Record<string, Overload[]> = {
  '_+_': [
    ...arithmetic(
      'add',
      (a, b) => a + b,
      (a, b) => a + b,
    ),
    func('add_string', [string, string], string, (a: string, b: string) => a + b),
    func('add_bytes', [bytes, bytes], bytes, concatBytes),
    func('add_list', [listA, listA], listA, addLists),
    func('add_duration_duration', [duration, duration], duration, (a: Duration, b: Duration) =>
      checkedDuration(a.ns + b.ns),
    ),
    func('add_timestamp_duration', [timestamp, duration], timestamp, (a: Timestamp, b: Duration) =>
      checkedTimestamp(a.ns + b.ns, a.offset),
    ),
    func('add_duration_timestamp', [duration, timestamp], timestamp, (a: Duration, b: Timestamp) =>
      checkedTimestamp(a.ns + b.ns, b.offset),
    ),
  ],
  '_-_': [
    ...arithmetic(
      'subtract',
      (a, b) => a - b,
      (a, b) => a - b,
    ),
    func('subtract_duration_duration', [duration, duration], duration, (a: Duration, b: Duration) =>
      checkedDuration(a.ns - b.ns),
    ),
    func('subtract_timestamp_timestamp', [timestamp, timestamp], duration, (a: Timestamp, b: Timestamp) =>
      checkedDuration(a.ns - b.ns),
    ),
    func('subtract_timestamp_duration', [timestamp, duration], timestamp, (a: Timestamp, b: Duration) =>
      checkedTimestamp(a.ns - b.ns, a.offset),
    ),
  ],
  '_*_': arithmetic(
    'multiply',
    (a, b) => a * b,
    (a, b) => a * b,
  ),
  '_/_': arithmetic(
    'divide',
    (a, b) => a / nonZero(b, 'division by zero'),
    (a, b) => a / b,
  ),
  '_%_': arithmetic('modulo', (a, b) => a % nonZero(b, 'modulus by zero')),
  '-_': [
    func('negate_int64', [int], int, (a: bigint) => checkedInt(-a)),
    func('negate_double', [double], double, (a: number) => -a),
  ],
};

/** The operators of the language. Logic and conditions are the compiler's: they leave arguments alone. */
export const operators: Library = {
  functions: {
    ...arithmeticFunctions,
    '_&&_': [func('logical_and', [bool, bool], bool, never)],
    '_||_': [func('logical_or', [bool, bool], bool, never)],
    '_?_:_': [func('conditional', [bool, A, A], A, never)],
    '@not_strictly_false': [func('not_strictly_false', [bool], bool, never)],
    '!_': [func('logical_not', [bool], bool, (a: boolean) => !a)],
    '_==_': [func('equals', [A, A], bool, equal)],
    '_!=_': [func('not_equals', [A, A], bool, (a: Value, b: Value) => !equal(a, b))],
    '_<_': ordered('less', (order) => order < 0),
    '_<=_': ordered('less_equals', (order) => order <= 0),
    '_>_': ordered('greater', (order) => order > 0),
    '_>=_': ordered('greater_equals', (order) => order >= 0),
    '@in': [
      func('in_list', [A, listA], bool, (a: Value, list: List) => {
        for (let i = 0; i < list.length; i++) if (equal(a, list.at(i))) return true;
        return false;
      }),
      func('in_map', [A, mapAB], bool, (a: Value, map: MapValue) => findKey(map, a) !== NONE),
    ],
    '_[_]': [
      func('index_list', [listA, int], A, atIndex),
      func('index_map', [mapAB, A], B, atKey),
      func('optional_list_index_int', [optionalOf(listA), int], optionalOf(A), (o: Optional, i: bigint) =>
        inside(o, (list) => findIndex(list as List, i)),
      ),
      func('optional_map_index_value', [optionalOf(mapAB), A], optionalOf(B), (o: Optional, key: Value) =>
        inside(o, (map) => findKey(map as MapValue, key)),
      ),
    ],
    '_[?_]': [
      func('list_optindex_optional_int', [listA, int], optionalOf(A), findIndex),
      func('map_optindex_optional_value', [mapAB, A], optionalOf(B), findKey),
      func('optional_list_optindex_optional_int', [optionalOf(listA), int], optionalOf(A), (o: Optional, i: bigint) =>
        inside(o, (list) => findIndex(list as List, i)),
      ),
      func('optional_map_optindex_optional_value', [optionalOf(mapAB), A], optionalOf(B), (o: Optional, key: Value) =>
        inside(o, (map) => findKey(map as MapValue, key)),
      ),
    ],
    '_?._': [func('select_optional_field', [dyn, string], optionalOf(A), never)],
    'cel.@mapInsert': [
      func('@mapInsert_map_map', [mapAB, mapAB], mapAB, never),
      func('@mapInsert_map_key_value', [mapAB, A, B], mapAB, never),
    ],
  },
};
