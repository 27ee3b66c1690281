import type { Json, JsonObject } from '../../../machinery/object.ts';
import { type Cause, cause } from '../../../machinery/status.ts';
import { childNode, type Node } from './node.ts';

/** Duplicates in lists of type set and map, each told once, at its second appearance. */
export const duplicateCauses = (node: Node, value: Json, path = ''): Cause[] => {
  const out: Cause[] = [];
  if (node.hasUnique) visit(out, node, value, path);
  return out;
};

/** JSON with sorted fields: equal values give equal texts. */
const canonical = (value: Json | undefined): string => {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value ?? null);
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  const names = Object.keys(value).filter((name) => value[name] !== undefined);
  return `{${names
    .sort()
    .map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`)
    .join(',')}}`;
};

const keyOf = (node: Node, item: Json): Json => {
  if (node.listType === 'set') return item;
  const key: JsonObject = {};
  for (const name of node.listKeys) {
    const value = (item as JsonObject | null)?.[name];
    if (value !== undefined) key[name] = value;
  }
  return key;
};

const visitList = (out: Cause[], node: Node, value: Json[], path: string): void => {
  if (node.listType === 'set' || node.listType === 'map') {
    const odd = value.findIndex((item) => item !== null && (typeof item !== 'object' || Array.isArray(item)));
    if (node.listType === 'map' && odd >= 0) {
      out.push(cause.invalid(`${path}[${odd}]`, value[odd], 'must be an object for an array of list-type map'));
    } else if (value.length > 1) {
      const seen = new Map<string, number>();
      for (let i = 0; i < value.length; i++) {
        const key = keyOf(node, value[i] ?? null);
        const text = canonical(key);
        const times = seen.get(text) ?? 0;
        if (times === 1) out.push(cause.duplicate(`${path}[${i}]`, key));
        seen.set(text, times + 1);
      }
    }
  }
  const { items } = node;
  if (items?.hasUnique) value.forEach((item, i) => void visit(out, items, item, `${path}[${i}]`));
};

const visit = (out: Cause[], node: Node, value: Json, path: string): void => {
  if (Array.isArray(value)) {
    visitList(out, node, value, path);
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  for (const name of Object.keys(value)) {
    const child = childNode(node, name);
    if (!child?.hasUnique) continue;
    const at = node.properties?.has(name) ? (path ? `${path}.${name}` : name) : `${path}[${name}]`;
    visit(out, child, value[name] ?? null, at);
  }
};
