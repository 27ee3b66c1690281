/** Lists: Kubernetes' own functions, cel-go's lists (version 3) and sets extensions. */
import { func, type Library, method, type Overload } from '../library.ts';
import { checkedDuration } from '../times.ts';
import { bool, bytes, double, duration, int, listOf, param, string, type Type, timestamp, uint } from '../types.ts';
import { compare, Duration, EvalFault, equal, List, Uint, type Value } from '../values.ts';
import { checkedInt, checkedUint } from './operators.ts';

const T = param('T');
const listT = listOf(T);
const numbers: [string, Type][] = [
  ['int', int],
  ['uint', uint],
  ['double', double],
];
const ordered: [string, Type][] = [
  ...numbers,
  ['bool', bool],
  ['duration', duration],
  ['timestamp', timestamp],
  ['string', string],
  ['bytes', bytes],
];

const isSorted = (list: List): boolean => {
  for (let i = 1; i < list.length; i++) if ((compare(list.at(i - 1), list.at(i)) ?? 0) > 0) return false;
  return true;
};
const extreme =
  (sign: number, name: string) =>
  (list: List): Value => {
    if (list.length === 0) throw new EvalFault(`${name} called on empty list`);
    return list.items().reduce((best, item) => ((compare(item, best) ?? 0) * sign > 0 ? item : best));
  };
const sumOf =
  (zero: Value) =>
  (list: List): Value =>
    list.items().reduce((sum: Value, item) => {
      if (typeof sum === 'bigint') return checkedInt(sum + (item as bigint));
      if (typeof sum === 'number') return sum + (item as number);
      if (sum instanceof Uint) return checkedUint(sum.value + (item as Uint).value);
      return checkedDuration((sum as Duration).ns + (item as Duration).ns);
    }, zero);
const indexOf = (list: List, wanted: Value): bigint => BigInt(list.items().findIndex((item) => equal(item, wanted)));
const lastIndexOf = (list: List, wanted: Value): bigint =>
  BigInt(list.items().findLastIndex((item) => equal(item, wanted)));

const each = (prefix: string, types: [string, Type][], result: (type: Type) => Type, run: (list: List) => Value) =>
  types.map(([name, type]) => method(`list_${name}_${prefix}`, [listOf(type)], result(type), run));

const sums: Overload[] = (
  [
    ['int', int, 0n],
    ['uint', uint, new Uint(0n)],
    ['double', double, 0],
    ['duration', duration, new Duration(0n)],
  ] as [string, Type, Value][]
).map(([name, type, zero]) => method(`list_${name}_sum`, [listOf(type)], type, sumOf(zero)));

const slice = (list: List, from: bigint, to: bigint): List => {
  const size = BigInt(list.length);
  if (from < 0n || to < 0n) throw new EvalFault(`cannot slice(${from}, ${to}), negative indexes not supported`);
  if (from > to)
    throw new EvalFault(`cannot slice(${from}, ${to}), start index must be less than or equal to end index`);
  if (to > size) throw new EvalFault(`cannot slice(${from}, ${to}), list is length ${size}`);
  return new List(list.items().slice(Number(from), Number(to)));
};
const flatten = (list: List, depth: bigint): List => {
  if (depth < 0n) throw new EvalFault('level must be non-negative');
  const flat = (items: Value[], left: bigint): Value[] =>
    items.flatMap((item) => (item instanceof List && left > 0n ? flat(item.items(), left - 1n) : [item]));
  return new List(flat(list.items(), depth));
};
const RANGE_MAX = 1_000_000n;
const range = (size: bigint): List => {
  if (size > RANGE_MAX) throw new EvalFault(`lists.range: size ${size} exceeds ${RANGE_MAX}`);
  return new List(Array.from({ length: Math.max(0, Number(size)) }, (_, i) => BigInt(i)));
};
const distinct = (list: List): List => {
  const out: Value[] = [];
  for (const item of list.items()) if (!out.some((one) => equal(one, item))) out.push(item);
  return new List(out);
};
const sortedBy = (list: List, keys: List): List => {
  if (list.length !== keys.length) throw new EvalFault('@sortByAssociatedKeys() expected a list of the same size');
  const order = keys.items().map((key, i) => ({ key, i }));
  order.sort((a, b) => {
    const result = compare(a.key, b.key);
    if (result === undefined) throw new EvalFault('list elements must have the same type');
    return result;
  });
  return new List(order.map(({ i }) => list.at(i)));
};

export const lists: Library = {
  functions: {
    isSorted: each('is_sorted_bool', ordered, () => bool, isSorted),
    sum: sums,
    max: each('max', ordered, (type) => type, extreme(1, 'max')),
    min: each('min', ordered, (type) => type, extreme(-1, 'min')),
    indexOf: [method('list_a_index_of_int', [listT, T], int, indexOf)],
    lastIndexOf: [method('list_a_last_index_of_int', [listT, T], int, lastIndexOf)],
    slice: [method('list_slice', [listT, int, int], listT, slice)],
    flatten: [
      method('list_flatten', [listOf(listT)], listT, (list: List) => flatten(list, 1n)),
      method('list_flatten_int', [listOf(param('D')), int], listOf({ kind: 'dyn' }), flatten),
    ],
    sort: ordered.map(([name, type]) =>
      method(`list_${name}_sort`, [listOf(type)], listOf(type), (list: List) => sortedBy(list, list)),
    ),
    '@sortByAssociatedKeys': ordered.map(([name, type]) =>
      method(`list_${name}_sortByAssociatedKeys`, [listT, listOf(type)], listT, sortedBy),
    ),
    'lists.range': [func('lists_range', [int], listOf(int), range)],
    reverse: [method('list_reverse', [listT], listT, (list: List) => new List(list.items().slice().reverse()))],
    distinct: [method('list_distinct', [listT], listT, distinct)],
  },
};

const within = (list: List, other: List): boolean =>
  other.items().every((wanted) => list.items().some((item) => equal(item, wanted)));

export const sets: Library = {
  functions: {
    'sets.contains': [func('list_sets_contains_list', [listT, listT], bool, within)],
    'sets.equivalent': [
      func('list_sets_equivalent_list', [listT, listT], bool, (a: List, b: List) => within(a, b) && within(b, a)),
    ],
    'sets.intersects': [
      func('list_sets_intersects_list', [listT, listT], bool, (a: List, b: List) =>
        a.items().some((item) => b.items().some((other) => equal(item, other))),
      ),
    ],
  },
};
