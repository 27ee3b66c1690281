import { goValue } from '../go-value.ts';
import type { Json, JsonObject } from '../object.ts';
import type { Field, Schema } from '../schema.ts';
import { badRequest, unsupportedMediaType } from '../status.ts';
import { equalJson } from './equal.ts';

const deletePrefix = '$deleteFromPrimitiveList/';
const orderPrefix = '$setElementOrder/';
const retainKeys = '$retainKeys';
const directive = '$patch';

const isObject = (value: Json | undefined): value is JsonObject =>
  value !== null && typeof value === 'object' && !Array.isArray(value);

interface Place {
  schema: Schema | undefined;
  patch: Field['patch'] | undefined;
}
const nowhere: Place = { schema: undefined, patch: undefined };

const placeOf = (schema: Schema | undefined, name: string): Place => {
  if (schema?.type === 'object' && Object.hasOwn(schema.fields, name)) {
    const field = schema.fields[name];
    return field ? { schema: field.schema, patch: field.patch } : nowhere;
  }
  return schema?.type === 'map' ? { schema: schema.values, patch: undefined } : nowhere;
};

const itemsOf = (schema: Schema | undefined): Schema | undefined =>
  schema?.type === 'list' ? schema.items : undefined;

/** What a patch leaves where nothing stood before: nulls and directives taken out. */
const settle = (value: Json, place: Place): Json => {
  if (Array.isArray(value)) {
    const items = { schema: itemsOf(place.schema), patch: undefined };
    return value.filter((v) => !(isObject(v) && v[directive] !== undefined)).map((v) => settle(v, items));
  }
  return isObject(value) ? mergeObject({}, value, place.schema) : value;
};

const retain = (target: JsonObject, patch: JsonObject): void => {
  const keys = patch[retainKeys];
  if (keys === undefined) return;
  if (!Array.isArray(keys)) throw badRequest('invalid patch format of retainKeys');
  for (const key of Object.keys(patch)) {
    if (!key.startsWith('$') && !keys.includes(key))
      throw badRequest(`${retainKeys} does not name the patched field "${key}"`);
  }
  for (const key of Object.keys(target)) if (!keys.includes(key)) delete target[key];
};

/** Merges `order` (the wanted order of some elements) into the order the server has, keeping both where they agree. */
const arrange = (merged: Json[], order: Json[], server: Json[], mergeKey: string): Json[] => {
  const same = (a: Json, b: Json): boolean =>
    isObject(a) && isObject(b) ? equalJson(a[mergeKey], b[mergeKey]) : equalJson(a, b);
  const rank = (list: Json[], item: Json): number => list.findIndex((other) => same(other, item));
  const wanted = merged.filter((m) => rank(order, m) >= 0).sort((a, b) => rank(order, a) - rank(order, b));
  const rest = merged.filter((m) => rank(order, m) < 0).sort((a, b) => rank(server, a) - rank(server, b));
  const out: Json[] = [];
  let w = 0;
  for (const item of rest) {
    const at = rank(server, item);
    for (let next = wanted[w]; next !== undefined; next = wanted[++w]) {
      const other = rank(server, next);
      if (at >= 0 && other >= 0 && at < other) break;
      out.push(next);
    }
    out.push(item);
  }
  return [...out, ...wanted.slice(w)];
};

const keyedBy = (item: Json, mergeKey: string): JsonObject => {
  if (!isObject(item)) throw badRequest('a list of objects cannot be merged with plain values');
  if (item[mergeKey] === undefined)
    throw badRequest(`map: ${goValue(item)} does not contain declared merge key: ${mergeKey}`);
  return item;
};

const mergeObjects = (target: Json[], patch: Json[], mergeKey: string, items: Schema | undefined): Json[] => {
  if (patch.some((p) => isObject(p) && p[directive] === 'replace')) {
    return settle(patch, {
      schema: { type: 'list', items: items ?? { type: 'any' }, listType: 'atomic', keys: [] },
      patch: undefined,
    }) as Json[];
  }
  if (!mergeKey) throw badRequest('a list without a merge key cannot be merged');
  let out = [...target];
  const kept: Json[] = [];
  for (const raw of patch) {
    const item = keyedBy(raw, mergeKey);
    const what = item[directive];
    if (what !== undefined && what !== 'delete')
      throw badRequest(`unknown patch type: ${goValue(what)} in map: ${goValue(item)}`);
    if (what === 'delete') out = out.filter((o) => !(isObject(o) && equalJson(o[mergeKey], item[mergeKey])));
  }
  for (const raw of patch) {
    const item = keyedBy(raw, mergeKey);
    if (item[directive] !== undefined) continue;
    kept.push(item);
    const at = out.findIndex((o) => isObject(o) && equalJson(o[mergeKey], item[mergeKey]));
    const before = out[at];
    if (isObject(before)) out[at] = mergeObject(before, item, items);
    else out.push(mergeObject({}, item, items));
  }
  return arrange(out, kept, target, mergeKey);
};

const mergeList = (target: Json[], patch: Json[], place: Place): Json[] => {
  if (!place.patch?.strategies.includes('merge')) return patch;
  const sample = target[0] ?? patch[0];
  if (isObject(sample)) return mergeObjects(target, patch, place.patch.mergeKey, itemsOf(place.schema));
  const out = [...target];
  for (const p of patch) if (!out.some((o) => equalJson(o, p))) out.push(p);
  return arrange(out, patch, target, '');
};

const listAt = (value: Json | undefined, key: string): Json[] => {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw badRequest(`"${key}" must be a list`);
  return value;
};

const mergeOrdered = (out: JsonObject, patch: JsonObject, key: string, schema: Schema | undefined): void => {
  const name = key.slice(orderPrefix.length);
  const place = placeOf(schema, name);
  const order = listAt(patch[key], key);
  const target = listAt(out[name], name);
  if (patch[name] === null || (out[name] === undefined && patch[name] === undefined)) return;
  const merged = mergeList(target, listAt(patch[name], name), place);
  out[name] = arrange(merged, order, target, place.patch?.mergeKey ?? '');
};

const mergeField = (out: JsonObject, name: string, value: Json, place: Place): void => {
  const before = out[name];
  if (value === null) delete out[name];
  else if (isObject(value) && isObject(before) && !place.patch?.strategies.includes('replace')) {
    out[name] = mergeObject(before, value, place.schema);
  } else if (Array.isArray(value) && Array.isArray(before)) out[name] = mergeList(before, value, place);
  else out[name] = settle(value, place);
};

function mergeObject(target: JsonObject, patch: JsonObject, schema: Schema | undefined): JsonObject {
  const what = patch[directive];
  if (what === 'delete') return {};
  if (what !== undefined && what !== 'replace' && what !== 'merge') {
    throw badRequest(`unknown patch type: ${goValue(what)} in map: ${goValue(patch)}`);
  }
  const out: JsonObject = what === 'replace' ? {} : { ...target };
  retain(out, patch);
  for (const key of Object.keys(patch)) if (key.startsWith(orderPrefix)) mergeOrdered(out, patch, key, schema);
  for (const key of Object.keys(patch)) {
    const value = patch[key];
    if (key === '__proto__') continue;
    if (value === undefined || key === directive || key === retainKeys || key.startsWith(orderPrefix)) continue;
    if (key.startsWith(deletePrefix)) {
      const name = key.slice(deletePrefix.length);
      const gone = listAt(value, key);
      if (out[name] !== undefined)
        out[name] = listAt(out[name], name).filter((v) => !gone.some((g) => equalJson(g, v)));
    } else if (value === null || patch[orderPrefix + key] === undefined)
      mergeField(out, key, value, placeOf(schema, key));
  }
  return out;
}

/** The answer to a strategic merge patch of a custom resource: 415, naming what is accepted instead. */
export const strategicUnsupported = (): Error =>
  unsupportedMediaType(['application/json-patch+json', 'application/merge-patch+json', 'application/apply-patch+yaml']);

/**
 * Strategic merge patch by the schema's patch strategies and merge keys, with the directives `$patch`, `$retainKeys`,
 * `$setElementOrder/x` and `$deleteFromPrimitiveList/x` (sig-api-machinery, strategic-merge-patch.md). Nothing given is
 * changed. Elements of the patch that are new come first, as upstream orders them. Throws StatusError 400 for a patch that
 * does not fit (upstream answers some of these with 500).
 */
export const applyStrategicMergePatch = (document: JsonObject, patch: Json, schema: Schema): JsonObject => {
  if (!isObject(patch)) throw badRequest('a strategic merge patch must be an object');
  return mergeObject(document, patch, schema);
};
