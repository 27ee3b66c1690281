import type { Json, JsonObject } from '../object.ts';
import type { ListSchema, Schema } from '../schema.ts';
import { type FieldNode, isMember } from './fields.ts';
import { childOf, elementOf, isAssociative, isGranular, isObject } from './shape.ts';

const mergeObjects = (l: JsonObject, r: JsonObject, schema: Schema): JsonObject => {
  const out: JsonObject = { ...l };
  for (const key in r) {
    const value = r[key];
    if (value !== undefined && key !== '__proto__') out[key] = mergeApplied(l[key], value, childOf(schema, key));
  }
  return out;
};

/**
 * Items of both, the applied ones in the applied order; items that only live has keep their place before the shared item
 * that follows them (structured-merge-diff's order).
 */
const mergeLists = (l: Json[], r: Json[], schema: ListSchema): Json[] => {
  const left = l.map((item) => elementOf(schema, item));
  const right = r.map((item) => elementOf(schema, item));
  const inLeft = new Map(left.map((element, i) => [element, l[i]]));
  const inRight = new Set(right);
  const shared = right.filter((element) => inLeft.has(element));
  const done = new Set<string>();
  const out: Json[] = [];
  let i = 0;
  let j = 0;
  let next = 0;
  while (i < left.length || j < right.length) {
    const mine = left[i];
    const theirs = right[j];
    const item = l[i];
    if (mine !== undefined && item !== undefined && !inRight.has(mine)) {
      out.push(item);
      i++;
    } else if (
      mine !== undefined &&
      (done.has(mine) || (theirs !== undefined && mine !== theirs && shared[next] !== mine))
    ) {
      i++;
    } else if (theirs !== undefined) {
      const applied = r[j];
      if (applied !== undefined) out.push(mergeApplied(inLeft.get(theirs), applied, schema.items));
      done.add(theirs);
      if (shared[next] === theirs) next++;
      if (mine === theirs) i++;
      j++;
    } else i++;
  }
  return out;
};

/** The live value with the applied configuration laid over it; neither is changed. */
export const mergeApplied = (live: Json | undefined, applied: Json, schema: Schema): Json => {
  if (live === undefined || live === null) return applied;
  if (isAssociative(schema) && Array.isArray(live)) {
    if (Array.isArray(applied))
      return applied.length === 0 ? (live.length ? live : applied) : mergeLists(live, applied, schema);
    return applied === null && live.length ? live : applied;
  }
  if (isGranular(schema) && isObject(live)) {
    if (isObject(applied)) return mergeObjects(live, applied, schema);
    return applied === null && Object.keys(live).length ? live : applied;
  }
  return applied;
};

const removeFromList = (
  list: Json[],
  set: FieldNode,
  schema: ListSchema,
  empty: null | undefined,
): Json[] | undefined => {
  const out: Json[] = [];
  for (const item of list) {
    const node = set[elementOf(schema, item)];
    if (node === undefined) out.push(item);
    else if (!isMember(node)) {
      const rest = removeFields(item, node, schema.items, empty);
      if (rest !== undefined && rest !== null) out.push(rest);
    }
  }
  return out.length ? out : undefined;
};

/** The value without the members of the set. Of a field that is emptied by that, `empty` is left: nothing, or null. */
export const removeFields = (value: Json, set: FieldNode, schema: Schema, empty?: null): Json | undefined => {
  if (Array.isArray(value))
    return isAssociative(schema) && value.length ? removeFromList(value, set, schema, empty) : value;
  if (!isObject(value) || !isGranular(schema)) return value;
  const out: JsonObject = {};
  let before = 0;
  let kept = 0;
  for (const key in value) {
    const child = value[key];
    if (child === undefined) continue;
    before++;
    const node = set[`f:${key}`];
    const rest =
      node === undefined
        ? child
        : isMember(node)
          ? undefined
          : (removeFields(child, node, childOf(schema, key), empty) ?? empty);
    if (rest === undefined) continue;
    out[key] = rest;
    kept++;
  }
  return kept || !before ? out : undefined;
};
