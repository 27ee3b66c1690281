/**
 * What calls cost when they run, in the units of Kubernetes' budgets. Functions that walk their input cost with its size,
 * the others 1.
 */
import { List, MapValue, ObjectValue, OpaqueValue, Optional, sizeOf, type Value } from './values.ts';

export const TRAVERSAL = 0.1;
export const REGEX_LENGTH = 0.25;
/** Longest pattern behind a named format. */
export const FORMAT_REGEX_MAX = 128;
const CHECK_COST = 350_000;

type Cost = (args: readonly Value[], result: Value) => number;

const walked =
  (factor: number): Cost =>
  (args) =>
    Math.ceil(sizeOf(args[0] ?? null) * factor);
const smaller: Cost = (args) => Math.ceil(Math.min(sizeOf(args[0] ?? null), sizeOf(args[1] ?? null)) * TRAVERSAL);
const both: Cost = (args) => Math.ceil((sizeOf(args[0] ?? null) + sizeOf(args[1] ?? null)) * TRAVERSAL);
const pattern: Cost = (args) =>
  Math.ceil((1 + sizeOf(args[0] ?? null)) * TRAVERSAL) * Math.ceil(sizeOf(args[1] ?? null) * REGEX_LENGTH);

/** The cost of going through a value with all it holds. */
const traversal = (value: Value): number => {
  if (typeof value === 'string') return Math.trunc(Buffer.byteLength(value) * TRAVERSAL);
  if (value instanceof Uint8Array) return Math.trunc(value.length * TRAVERSAL);
  if (value instanceof List) return value.items().reduce((sum: number, item) => sum + traversal(item), 0);
  if (value instanceof MapValue)
    return value.keys().reduce((sum: number, key) => {
      const held = typeof key === 'string' ? value.find(key) : undefined;
      return sum + traversal(key) + (held === undefined ? 1 : traversal(held));
    }, 0);
  if (value instanceof ObjectValue)
    return [...value.type.fields.keys()].reduce((sum, name) => {
      const held = value.get(name);
      return held === undefined ? sum : sum + Math.trunc(name.length * TRAVERSAL) + traversal(held);
    }, 0);
  return value instanceof Optional && value.value !== undefined ? traversal(value.value) : 1;
};

const joined: Cost = (_, result) => Math.ceil(sizeOf(result) * 2 * TRAVERSAL);
const through: Cost = (args) => traversal(args[0] ?? null);
const rangeCost = (id: string): Cost => {
  const parses = id.endsWith('_string');
  const masks = id.startsWith('cidr_contains_cidr');
  return (args) => {
    const size = sizeOf(args[0] ?? null);
    const bits = Math.ceil(2 * size * TRAVERSAL) + (masks ? Math.ceil(size * TRAVERSAL) + 1 : 0);
    return bits + (parses ? Math.ceil(sizeOf(args[1] ?? null) * TRAVERSAL) : 0);
  };
};
const formatCost: Cost = ([format, text]) => {
  const pattern = format instanceof OpaqueValue ? (format.content as { patternSize: number }).patternSize : 0;
  return Math.ceil((1 + sizeOf(text ?? null)) * TRAVERSAL) * Math.ceil(pattern * REGEX_LENGTH);
};
const selectorCost: Cost = (args) => {
  const size = sizeOf(args[1] ?? null);
  return 10 + Math.ceil(size * TRAVERSAL) + Math.ceil(Math.ceil(size * 0.5) * 50);
};

const byFunction: Record<string, Cost | number> = {
  check: CHECK_COST,
  fieldSelector: selectorCost,
  labelSelector: selectorCost,
  validate: formatCost,
};
for (const name of ['isSorted', 'sum', 'max', 'min', 'indexOf', 'lastIndexOf']) byFunction[name] = through;
for (const name of ['url', 'lowerAscii', 'upperAscii', 'substring', 'trim', 'jsonpatch.escapeKey'])
  byFunction[name] = walked(TRAVERSAL);
for (const name of ['cidr', 'isIP', 'isCIDR', 'quantity', 'isQuantity', 'semver', 'isSemver'])
  byFunction[name] = walked(TRAVERSAL);
for (const name of ['replace', 'split', 'ip.isCanonical']) byFunction[name] = walked(2 * TRAVERSAL);
for (const name of ['find', 'findAll']) byFunction[name] = pattern;
byFunction.join = joined;

const byOverload: Record<string, Cost> = { in_list: (args) => sizeOf(args[1] ?? null), matches_string: pattern };
byOverload.contains_string = (args) =>
  Math.ceil(sizeOf(args[0] ?? null) * TRAVERSAL) * Math.ceil(sizeOf(args[1] ?? null) * TRAVERSAL);
for (const id of [
  ...['starts_with_string', 'ends_with_string', 'string_to_bytes', 'bytes_to_string', 'strings_quote', 'string_format'],
])
  byOverload[id] = walked(TRAVERSAL);
for (const order of ['less', 'greater', 'less_equals', 'greater_equals'])
  for (const type of ['string', 'bytes']) byOverload[`${order}_${type}`] = smaller;
for (const id of ['equals', 'not_equals']) byOverload[id] = smaller;
for (const id of ['add_string', 'add_bytes']) byOverload[id] = both;

/** List functions pay for the list they make, and for each comparison where all items meet. */
const CALL_AND_LIST = 11;
const made =
  (items: Cost): Cost =>
  (args, result) =>
    CALL_AND_LIST + Math.trunc(items(args, result));
const compared = (list: Value | undefined): number => {
  if (!(list instanceof List) || list.length === 0) return 0;
  const first = list.at(0);
  const each = typeof first === 'string' || first instanceof Uint8Array ? 2 + TRAVERSAL : 2;
  return list.length * list.length * each;
};
const result: Cost = (_, value) => sizeOf(value);
for (const id of ['list_slice', 'lists_range', 'list_reverse']) byOverload[id] = made(result);
byOverload.list_flatten = made((args) => sizeOf(args[0] ?? null));
byOverload.list_flatten_int = made((args) => sizeOf(args[0] ?? null) * Number(args[1] ?? 1n));
byOverload.list_distinct = made((args) => compared(args[0]));
const meeting =
  (factor: number): Cost =>
  (args) =>
    1 + Math.trunc(sizeOf(args[0] ?? null) * sizeOf(args[1] ?? null) * factor);
for (const name of ['contains', 'intersects']) byOverload[`list_sets_${name}_list`] = meeting(1);
byOverload.list_sets_equivalent_list = meeting(2);

/** The cost of a call of an overload: fixed, or by its arguments and result. */
export const callCost = (name: string, id: string): Cost | number => {
  if (name === 'ip') return id === 'cidr_ip' ? 1 : walked(TRAVERSAL);
  if (name === '@in_literals') return 0;
  if (name === 'sort') return made((args) => compared(args[0]));
  if (name === '@sortByAssociatedKeys') return made((args) => compared(args[1]));
  if (name === 'containsIP' || name === 'containsCIDR') return rangeCost(id);
  return byFunction[name] ?? byOverload[id] ?? 1;
};
