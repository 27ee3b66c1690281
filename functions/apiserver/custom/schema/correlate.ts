/**
 * What of an old object stands at the place of a part of the new one (KEP-4008). Fields correlate by name, items of lists of
 * type map by their keys, other items not at all. `ABSENT` is a place that the old object does not have.
 */
import type { Json, JsonObject } from '../../../machinery/object.ts';
import { equalJson } from '../../../machinery/patch/equal.ts';
import { childNode, type Node } from './node.ts';

export const ABSENT: unique symbol = Symbol('absent');
export type Old = Json | typeof ABSENT;

const isObject = (value: Old | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The old value of a field; absent too where the schema says nothing about it. */
export const oldField = (node: Node, old: Old, name: string): Old => {
  if (!isObject(old) || !Object.hasOwn(old, name) || !childNode(node, name)) return ABSENT;
  return old[name] ?? null;
};

/** The key of an item of a list of type map, as text; undefined where it is no object. */
export const itemKey = (node: Node, item: Json | undefined): string | undefined => {
  if (!isObject(item)) return undefined;
  const { listKeys } = node;
  const only = listKeys.length === 1 ? item[listKeys[0] ?? ''] : undefined;
  if (typeof only === 'string') return only;
  return JSON.stringify(listKeys.map((key) => item[key] ?? null));
};

/** Finds the old item that has the keys of a new one. */
export const oldItems = (node: Node, old: Old): ((item: Json) => Old) => {
  if (node.listType !== 'map' || !node.items || !Array.isArray(old) || old.length === 0) return () => ABSENT;
  const byKey = new Map<string, Json>();
  for (const item of old) {
    const key = itemKey(node, item);
    if (key !== undefined && !byKey.has(key)) byKey.set(key, item);
  }
  return (item) => {
    const key = itemKey(node, item);
    return key === undefined ? ABSENT : (byKey.get(key) ?? ABSENT);
  };
};

/** True where a value is what it was, place by place. */
export const unchanged = (node: Node, value: Json, old: Old): boolean => {
  if (old === ABSENT) return false;
  if (value === old) return true;
  if (value === null || old === null) return false;
  if (Array.isArray(value)) {
    if (!Array.isArray(old) || old.length !== value.length) return false;
    if (node.listType !== 'map' || !node.items) return equalJson(value, old);
    const { items } = node;
    const find = oldItems(node, old);
    return value.every((item) => unchanged(items, item, find(item)));
  }
  if (!isObject(value)) return equalJson(value, old as Json);
  if (!isObject(old)) return false;
  const names = Object.keys(value);
  if (names.length !== Object.keys(old).length) return false;
  return names.every((name) => {
    const child = childNode(node, name);
    return child !== undefined && unchanged(child, value[name] ?? null, oldField(node, old, name));
  });
};
