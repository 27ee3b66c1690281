import type { Json, JsonObject } from '../object.ts';
import { equalJson } from '../patch/equal.ts';
import type { ListSchema, Schema } from '../schema.ts';
import { badRequest } from '../status.ts';
import { type FieldNode, type FieldSet, isMember, leaf, nodeOf } from './fields.ts';
import { childOf, elementOf, isAssociative, isDeclared, isGranular, isObject } from './shape.ts';

/** What differs: `changed` came or has another value, `removed` is gone. Undefined as a whole where nothing differs. */
export interface Difference {
  changed: FieldSet;
  removed: FieldSet;
}

const put = (out: FieldSet, element: string, node: FieldSet): FieldSet => {
  if (node === undefined) return out;
  const target = out ?? {};
  target[element] = node;
  return target;
};

const isEmpty = (value: Json): boolean => {
  if (value === null) return true;
  if (typeof value !== 'object') return false;
  if (Array.isArray(value)) return value.length === 0;
  for (const key in value) if (value[key] !== undefined) return false;
  return true;
};

/** Every field of a value that was not there before, as one pass over it. */
export const allFields = (value: Json, schema: Schema, skip?: FieldNode): FieldNode => {
  if (value === null || typeof value !== 'object') return leaf;
  let out: FieldSet;
  if (Array.isArray(value)) {
    if (!isAssociative(schema)) return leaf;
    for (const item of value) {
      const element = elementOf(schema, item);
      out = put(out, element, out?.[element] ? leaf : allFields(item, schema.items));
    }
  } else {
    if (!isGranular(schema)) return leaf;
    for (const key in value) {
      const child = value[key];
      if (child === undefined) continue;
      const element = `f:${key}`;
      const skipped = skip?.[element];
      if (skipped === undefined || !isMember(skipped))
        out = put(out, element, allFields(child, childOf(schema, key), skipped));
    }
  }
  return nodeOf(true, out) ?? leaf;
};

/** Whether the value is the one Go's empty object has: an empty list or map is not, those are null there. */
export const isZero = (value: Json, schema: Schema): boolean => {
  if (value === null || value === '' || value === 0 || value === false) return true;
  return schema.type === 'object' && isEmpty(value);
};

/**
 * The fields of a new object. Where Go's empty object already holds a structure (`zero` in the schema), upstream compares
 * with that one: the structure itself is not owned, nor is a zero value in it.
 */
export const newFields = (value: JsonObject, schema: Schema, skip: FieldNode | undefined): FieldSet => {
  let out: FieldSet;
  for (const key in value) {
    const child = value[key];
    if (child === undefined) continue;
    const element = `f:${key}`;
    const skipped = skip?.[element];
    if (skipped !== undefined && isMember(skipped)) continue;
    const field = schema.type === 'object' ? schema.fields[key] : undefined;
    if (!field?.zero) out = put(out, element, allFields(child, field?.schema ?? childOf(schema, key), skipped));
    else if (!isZero(child, field.schema)) out = put(out, element, intoZero(child, field.schema, skipped));
  }
  return out;
};

const intoZero = (value: Json, schema: Schema, skip: FieldNode | undefined): FieldSet => {
  if (isObject(value) && isGranular(schema)) return newFields(value, schema, skip);
  const node = allFields(value, schema, skip);
  if (!node['.']) return node;
  const { '.': _, ...below } = node;
  return below;
};

const byElement = (schema: ListSchema, items: readonly Json[]): Map<string, Json[]> => {
  const out = new Map<string, Json[]>();
  for (const item of items) {
    const element = elementOf(schema, item);
    const found = out.get(element);
    if (found) found.push(item);
    else out.set(element, [item]);
  }
  return out;
};

const compareItems = (l: Json[], r: Json[], schema: Schema): Difference | undefined => {
  if (l.length <= 1 && r.length <= 1) return compare(l[0], r[0], schema);
  if (l.length > 1 && r.length > 1) return equalJson(l, r) ? undefined : { changed: leaf, removed: undefined };
  if (l.length > 1) return { changed: r[0] === undefined ? undefined : allFields(r[0], schema), removed: leaf };
  return { changed: leaf, removed: l[0] === undefined ? undefined : allFields(l[0], schema) };
};

const compareLists = (l: readonly Json[], r: readonly Json[], schema: ListSchema): Difference | undefined => {
  if (l.length === r.length && l.every((item, i) => equalJson(item, r[i]))) return undefined;
  const before = byElement(schema, l);
  const after = byElement(schema, r);
  let changed: FieldSet;
  let removed: FieldSet;
  const note = (element: string, d: Difference | undefined): void => {
    if (!d) return;
    changed = put(changed, element, d.changed);
    removed = put(removed, element, d.removed);
  };
  for (const [element, items] of after) note(element, compareItems(before.get(element) ?? [], items, schema.items));
  for (const [element, items] of before) if (!after.has(element)) note(element, compareItems(items, [], schema.items));
  return changed || removed ? { changed, removed } : undefined;
};

const compareObjects = (
  l: JsonObject,
  r: JsonObject,
  schema: Schema,
  skip: FieldNode | undefined,
): Difference | undefined => {
  let changed: FieldSet;
  let removed: FieldSet;
  for (const key in r) {
    const after = r[key];
    const before = l[key];
    if (after === undefined || after === before) continue;
    const element = `f:${key}`;
    const skipped = skip?.[element];
    if (skipped !== undefined && isMember(skipped)) continue;
    const d = compare(before, after, childOf(schema, key), skipped);
    if (!d) continue;
    changed = put(changed, element, d.changed);
    removed = put(removed, element, d.removed);
  }
  for (const key in l) {
    const before = l[key];
    if (before === undefined || r[key] !== undefined) continue;
    const element = `f:${key}`;
    const skipped = skip?.[element];
    if (skipped === undefined || !isMember(skipped))
      removed = put(removed, element, allFields(before, childOf(schema, key), skipped));
  }
  return changed || removed ? { changed, removed } : undefined;
};

const nothing: JsonObject = Object.freeze({});

/** Compares two values by schema (structured-merge-diff's rules); `skip` names what is left out of account. */
export const compare = (
  before: Json | undefined,
  after: Json | undefined,
  schema: Schema,
  skip?: FieldNode,
): Difference | undefined => {
  if (before === after) return undefined;
  if (before === undefined)
    return after === undefined ? undefined : { changed: allFields(after, schema, skip), removed: undefined };
  if (after === undefined) return { changed: undefined, removed: allFields(before, schema, skip) };
  const noBefore = isEmpty(before);
  const noAfter = isEmpty(after);
  if (!(noBefore && noAfter)) {
    if (isAssociative(schema) && (noBefore || Array.isArray(before)) && (noAfter || Array.isArray(after))) {
      return compareLists(Array.isArray(before) ? before : [], Array.isArray(after) ? after : [], schema);
    }
    const l = before === null ? nothing : before;
    const r = after === null ? nothing : after;
    if (isGranular(schema) && isObject(l) && isObject(r)) return compareObjects(l, r, schema, skip);
  }
  return equalJson(before, after) ? undefined : { changed: leaf, removed: undefined };
};

/**
 * The fields that a configuration names, as its applier will own them. With `strict`, an element named twice throws
 * StatusError 400 (upstream answers 500).
 */
export const setOf = (value: Json, schema: Schema, strict = false): FieldSet => {
  if (Array.isArray(value) && isAssociative(schema)) return setOfList(value, schema, strict);
  if (value === null && (isAssociative(schema) || isGranular(schema))) return undefined;
  if (!isObject(value) || !isGranular(schema)) return leaf;
  let out: FieldSet;
  for (const key in value) {
    const child = value[key];
    if (child === undefined) continue;
    const node = setOf(child, childOf(schema, key), strict);
    const member = child === null || (isObject(child) && isEmpty(child)) || !isDeclared(schema, key);
    out = put(out, `f:${key}`, member ? withSelf(node) : node);
  }
  return out;
};

const withSelf = (node: FieldSet): FieldNode => {
  if (node === undefined || isMember(node)) return node ?? leaf;
  return { ...node, '.': leaf };
};

const setOfList = (items: Json[], schema: ListSchema, strict: boolean): FieldSet => {
  let out: FieldSet;
  for (const item of items) {
    const element = elementOf(schema, item);
    if (strict && out?.[element]) throw badRequest(`duplicate entries for key ${element.slice(2)}`);
    out = put(out, element, withSelf(setOf(item, schema.items, strict)));
  }
  return out;
};
