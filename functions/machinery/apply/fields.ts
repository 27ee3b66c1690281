import type { Schema } from '../schema.ts';
import { childOf, deduced } from './shape.ts';

/**
 * A set of field paths in the very form of FieldsV1 (KEP-555), so that nothing is decoded or encoded: `f:name` a field,
 * `k:{"name":"c"}` an element of a list by its keys, `v:"x"` one by its value, `i:0` one by its index. An empty node is a
 * member; a node with children is one if it holds `.` too. The empty set is undefined. Nodes are never changed once made.
 */
export interface FieldNode {
  [element: string]: FieldNode;
}
export type FieldSet = FieldNode | undefined;

/** The node of a member without children. */
export const leaf: FieldNode = Object.freeze({});

export const isMember = (node: FieldNode): boolean => {
  if (node['.'] !== undefined) return true;
  for (const _ in node) return false;
  return true;
};

/** A node from whether its path is a member and from what lies below it. */
export const nodeOf = (member: boolean, below: FieldSet): FieldSet => {
  if (below === undefined) return member ? leaf : undefined;
  if (member) below['.'] = leaf;
  return below;
};

const combine = (a: FieldNode, b: FieldNode, each: (x: FieldSet, y: FieldSet) => FieldSet, both: boolean): FieldSet => {
  let out: FieldSet;
  for (const key in a) {
    if (key === '.') continue;
    const node = each(a[key], b[key]);
    if (node !== undefined) {
      out ??= {};
      out[key] = node;
    }
  }
  if (!both) return out;
  for (const key in b) {
    const node = b[key];
    if (key === '.' || node === undefined || a[key] !== undefined) continue;
    out ??= {};
    out[key] = node;
  }
  return out;
};

export const union = (a: FieldSet, b: FieldSet): FieldSet => {
  if (a === undefined || a === b) return b;
  if (b === undefined) return a;
  return nodeOf(isMember(a) || isMember(b), combine(a, b, union, true));
};

export const difference = (a: FieldSet, b: FieldSet): FieldSet => {
  if (a === undefined || a === b) return undefined;
  if (b === undefined) return a;
  return nodeOf(isMember(a) && !isMember(b), combine(a, b, difference, false));
};

export const intersection = (a: FieldSet, b: FieldSet): FieldSet => {
  if (a === undefined || b === undefined) return undefined;
  if (a === b) return a;
  return nodeOf(isMember(a) && isMember(b), combine(a, b, intersection, false));
};

/** `a` without the members of `b` and everything below them. */
export const without = (a: FieldSet, b: FieldSet): FieldSet => {
  if (a === undefined || b === undefined) return a;
  if (isMember(b)) return undefined;
  return nodeOf(isMember(a), combine(a, b, without, false));
};

/** The set of these paths of field names: what a strategy resets. */
export const fieldsOf = (paths: readonly (readonly string[])[]): FieldSet => {
  let out: FieldSet;
  for (const path of paths) {
    let node: FieldNode = leaf;
    for (const name of path.toReversed()) node = { [`f:${name}`]: node };
    out = union(out, node);
  }
  return out;
};

/** Whether the path, given as elements (`f:spec`, `k:{"name":"c"}`), is a member. */
export const has = (set: FieldSet, path: readonly string[]): boolean => {
  let node = set;
  for (const element of path) node = node?.[element];
  return node !== undefined && isMember(node);
};

const showKey = (json: string): string => {
  const keys = JSON.parse(json) as Record<string, unknown>;
  return `[${Object.keys(keys)
    .map((k) => `${k}=${JSON.stringify(keys[k])}`)
    .join(',')}]`;
};

const showElement = (element: string): string => {
  const rest = element.slice(2);
  if (element.startsWith('f:')) return `.${rest}`;
  if (element.startsWith('k:')) return showKey(rest);
  return element.startsWith('v:') ? `[=${rest}]` : `[${rest}]`;
};

/** Every member as upstream writes it in a conflict: `.spec.containers[name="c"].image`, in order. */
export const pathsOf = (set: FieldSet, prefix = ''): string[] => {
  if (set === undefined) return [];
  const out: string[] = prefix !== '' && isMember(set) ? [prefix] : [];
  for (const key of Object.keys(set).sort()) {
    if (key !== '.') out.push(...pathsOf(set[key], prefix + showElement(key)));
  }
  return out;
};

/**
 * The set with its elements in the order of their text, as upstream writes them: clients compare the bytes of one answer
 * with those of another. The very set where it is so already.
 */
export const inOrder = (set: FieldNode): FieldNode => {
  let out: FieldNode | undefined;
  let sorted = true;
  let last = '';
  for (const key in set) {
    if (key < last) sorted = false;
    last = key;
    const node = set[key] ?? leaf;
    const next = inOrder(node);
    if (next === node) continue;
    out ??= { ...set };
    out[key] = next;
  }
  const made = out ?? set;
  if (sorted) return made;
  return Object.fromEntries(
    Object.keys(made)
      .sort()
      .map((key) => [key, made[key] ?? leaf]),
  );
};

/** Makes members of the declared fields that only have members below them. */
export const withNamed = (set: FieldSet, schema: Schema): FieldSet => {
  if (set === undefined) return undefined;
  let out: FieldSet;
  for (const key in set) {
    const child = set[key];
    if (key === '.' || child === undefined) continue;
    const field = key.startsWith('f:');
    const declared = field && schema.type === 'object' ? schema.fields[key.slice(2)]?.schema : undefined;
    const below = field ? childOf(schema, key.slice(2)) : schema.type === 'list' ? schema.items : deduced;
    const node = withNamed(child, below);
    out ??= {};
    out[key] = (declared && node && !isMember(node) ? { ...node, '.': leaf } : node) ?? leaf;
  }
  return nodeOf(isMember(set), out);
};
