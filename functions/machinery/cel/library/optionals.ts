/** Optional values: optional.of(), orValue(), and the first and last of a list. */
import { func, type Library, method } from '../library.ts';
import { bool, listOf, optionalOf, param } from '../types.ts';
import { Duration, EvalFault, List, MapValue, NONE, Optional, Uint, type Value } from '../values.ts';

const V = param('V');
const optional = optionalOf(V);

const isZero = (value: Value): boolean => {
  if (value === null || value === false || value === 0n || value === 0 || value === '') return true;
  if (value instanceof List || value instanceof Uint8Array) return value.length === 0;
  if (value instanceof MapValue) return value.size === 0;
  if (value instanceof Duration) return value.ns === 0n;
  return value instanceof Uint && value.value === 0n;
};
const held = (o: Optional): Value => {
  if (o.value === undefined) throw new EvalFault('optional.none() dereference');
  return o.value;
};
const unwrapAll = (list: List): List =>
  new List(list.items().flatMap((one) => (one instanceof Optional && one.value !== undefined ? [one.value] : [])));

export const optionals: Library = {
  functions: {
    'optional.of': [func('optional_of', [V], optional, (v: Value) => new Optional(v))],
    'optional.ofNonZeroValue': [
      func('optional_ofNonZeroValue', [V], optional, (v: Value) => (isZero(v) ? NONE : new Optional(v))),
    ],
    'optional.none': [func('optional_none', [], optional, () => NONE)],
    'optional.unwrap': [func('optional_unwrap', [listOf(optional)], listOf(V), unwrapAll)],
    unwrapOpt: [method('optional_unwrapOpt', [listOf(optional)], listOf(V), unwrapAll)],
    value: [method('optional_value', [optional], V, held)],
    hasValue: [method('optional_hasValue', [optional], bool, (o: Optional) => o.value !== undefined)],
    or: [
      method('optional_or_optional', [optional, optional], optional, (o: Optional, other: Optional) =>
        o.value === undefined ? other : o,
      ),
    ],
    orValue: [
      method('optional_orValue_value', [optional, V], V, (o: Optional, other: Value) =>
        o.value === undefined ? other : o.value,
      ),
    ],
    first: [method('list_first', [listOf(V)], optional, (l: List) => (l.length === 0 ? NONE : new Optional(l.at(0))))],
    last: [
      method('list_last', [listOf(V)], optional, (l: List) =>
        l.length === 0 ? NONE : new Optional(l.at(l.length - 1)),
      ),
    ],
  },
};
