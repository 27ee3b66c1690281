import type { Json, JsonObject } from '../object.ts';
import type { ListSchema, Schema } from '../schema.ts';
import { isZero, newFields } from './compare.ts';
import { type FieldNode, type FieldSet, inOrder, isMember } from './fields.ts';
import { childOf, elementOf, isAssociative, isGranular, isObject, rootOf } from './shape.ts';

// Most objects that are created look like one created before: the pods of a template have the same fields. Comparing with
// a sample is several times cheaper than making the set, and the set shared is serialised once.

interface Sample {
  object: JsonObject;
  skip: FieldNode | undefined;
  fields: FieldSet;
}
const samplesMax = 4;
/** Larger objects are no samples: they would be held in memory. */
const sampleKeysMax = 64;
/** Longer texts are cut in samples; one that names an element is like no other then. */
const textMax = 256;
const samples = new WeakMap<Schema, Sample[]>();
/** JSON of the sets that objects share. */
const texts = new WeakMap<FieldNode, string>();

/** The fields of a new object that its creator owns; the same set for objects that have the same fields. */
export const createdFields = (object: JsonObject, schema: Schema, skip: FieldNode | undefined): FieldSet => {
  let known = samples.get(schema);
  if (!known) {
    known = [];
    samples.set(schema, known);
  }
  const root = rootOf(schema);
  const at = known.findIndex((sample) => sample.skip === skip && sameNew(sample.object, object, root, skip));
  const found = known[at];
  if (found) {
    if (at > 0) {
      known.splice(at, 1);
      known.unshift(found);
    }
    if (found.fields && !texts.has(found.fields)) texts.set(found.fields, JSON.stringify(inOrder(found.fields)));
    return found.fields;
  }
  const fields = newFields(object, root, skip);
  if (isSmall(object)) {
    known.unshift({ object: outline(object) as JsonObject, skip, fields });
    if (known.length > samplesMax) known.pop();
  }
  return fields;
};

const isSmall = (object: JsonObject): boolean =>
  Object.values(object).every((v) => v === null || typeof v !== 'object' || Object.keys(v).length <= sampleKeysMax);

/** A copy with its long texts cut: what a sample is compared by are keys, and the short values that name elements. */
const outline = (value: Json): Json => {
  if (typeof value === 'string') return value.length > textMax ? value.slice(0, textMax + 1) : value;
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map(outline);
  return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, outline(child as Json)]));
};

const count = (value: JsonObject): number => {
  let n = 0;
  for (const key in value) if (value[key] !== undefined) n++;
  return n;
};

/** Whether newFields gives the same for both. */
const sameNew = (a: JsonObject, b: JsonObject, schema: Schema, skip: FieldNode | undefined): boolean => {
  let n = 0;
  for (const key in b) {
    const child = b[key];
    if (child === undefined) continue;
    n++;
    const other = a[key];
    if (other === undefined) return false;
    const skipped = skip?.[`f:${key}`];
    if (skipped !== undefined && isMember(skipped)) continue;
    const field = schema.type === 'object' ? schema.fields[key] : undefined;
    const below = field?.schema ?? childOf(schema, key);
    if (field?.zero) {
      if (isZero(other, below) !== isZero(child, below)) return false;
      if (isObject(other) && isObject(child) && isGranular(below)) {
        if (!sameNew(other, child, below, skipped)) return false;
        continue;
      }
    }
    if (!sameAll(other, child, below, skipped)) return false;
  }
  return n === count(a);
};

const structured = (value: Json): boolean => value !== null && typeof value === 'object';

/** Whether allFields gives the same for both. */
const sameAll = (a: Json, b: Json, schema: Schema, skip: FieldNode | undefined): boolean => {
  if (!structured(a) || !structured(b)) return structured(a) === structured(b);
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b)) return false;
    return !isAssociative(schema) || sameItems(a, b, schema);
  }
  if (!isGranular(schema)) return true;
  const left = a as JsonObject;
  const right = b as JsonObject;
  let n = 0;
  for (const key in right) {
    const child = right[key];
    if (child === undefined) continue;
    n++;
    const other = left[key];
    if (other === undefined) return false;
    const skipped = skip?.[`f:${key}`];
    if (skipped !== undefined && isMember(skipped)) continue;
    if (structured(child) || structured(other)) {
      if (!sameAll(other, child, childOf(schema, key), skipped)) return false;
    }
  }
  return n === count(left);
};

const isCut = (value: Json | undefined): boolean => typeof value === 'string' && value.length > textMax;

const sameItems = (a: Json[], b: Json[], schema: ListSchema): boolean => {
  if (a.length !== b.length) return false;
  for (let i = 0; i < b.length; i++) {
    const left = a[i] as Json;
    const right = b[i] as Json;
    // A member of a set is named by all that it holds.
    if (structured(left) && schema.listType === 'set') return false;
    if (isObject(left) ? schema.keys.some((key) => isCut(left[key])) : isCut(left)) return false;
    const same =
      isObject(left) && isObject(right)
        ? schema.keys.every((key) => left[key] === right[key] && !structured(left[key] ?? null))
        : left === right;
    if (!same && elementOf(schema, left) !== elementOf(schema, right)) return false;
    if (!sameAll(left, right, schema.items, undefined)) return false;
  }
  return true;
};

/** The JSON of a set, made once for one that objects share. */
export const fieldsText = (fields: FieldNode): string => texts.get(fields) ?? JSON.stringify(inOrder(fields));
