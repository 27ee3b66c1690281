import type { Json, JsonObject } from '../object.ts';
import { type FieldNode, leaf, union } from './fields.ts';

/** One entry of metadata.managedFields, with its set; `time` is RFC 3339 in whole seconds. */
export interface ManagedFields {
  manager?: string;
  operation: 'Apply' | 'Update';
  apiVersion: string;
  time?: string;
  fieldsType: 'FieldsV1';
  fieldsV1: FieldNode;
  subresource?: string;
}

/** Update entries beyond this many are merged, oldest first, into one of `ancient-changes` per version. */
export const maxUpdateManagers = 10;
export const ancientChanges = 'ancient-changes';
export const beforeFirstApply = 'before-first-apply';

const isEntry = (raw: Json): boolean => {
  if (raw === null || typeof raw !== 'object' || Array.isArray(raw)) return false;
  const { operation, apiVersion, fieldsType, fieldsV1 } = raw;
  if ((operation !== 'Apply' && operation !== 'Update') || typeof apiVersion !== 'string' || !apiVersion) return false;
  if (fieldsType !== 'FieldsV1' || fieldsV1 === null || typeof fieldsV1 !== 'object' || Array.isArray(fieldsV1))
    return false;
  return true;
};

/**
 * The entries, or undefined where one of them cannot be read: then none counts, as upstream has it. Of two for the same
 * manager the last counts.
 */
export const readManagers = (raw: Json | undefined): ManagedFields[] | undefined => {
  if (!Array.isArray(raw)) return [];
  if (!raw.every(isEntry)) return undefined;
  const entries = raw as unknown as ManagedFields[];
  const isLast = (entry: ManagedFields, i: number): boolean =>
    !entries.some((other, at) => at > i && sameManager(other, entry));
  return entries.every(isLast) ? entries : entries.filter(isLast);
};

const isElement = (key: string): boolean => {
  const rest = key.slice(2);
  if (key.startsWith('i:')) return /^-?\d+$/.test(rest);
  if (key.startsWith('f:')) return true;
  try {
    const value: unknown = JSON.parse(rest);
    return key.startsWith('v:') || (typeof value === 'object' && value !== null && !Array.isArray(value));
  } catch {
    return false;
  }
};

/** A set as a client wrote it: null is a leaf, elements of no known kind are left out. Undefined where it is none. */
const fieldsGiven = (raw: Json): FieldNode | undefined => {
  if (raw === null) return leaf;
  if (typeof raw !== 'object' || Array.isArray(raw)) return undefined;
  const out: FieldNode = {};
  for (const [key, below] of Object.entries(raw)) {
    if (key === '.') out[key] = leaf;
    if (!/^[fikv]:/.test(key)) continue;
    const node = isElement(key) ? fieldsGiven(below ?? null) : undefined;
    if (!node) return undefined;
    out[key] = node;
  }
  return out;
};

/** `readManagers` of what a client wrote, whose sets may be anything. */
export const readManagersGiven = (raw: Json | undefined): ManagedFields[] | undefined => {
  const entries = readManagers(raw)?.map((entry) => ({
    ...entry,
    fieldsV1: fieldsGiven(entry.fieldsV1 as unknown as Json),
  }));
  return entries?.every((entry): entry is ManagedFields => entry.fieldsV1 !== undefined) ? entries : undefined;
};

/** A client empties managedFields by `[]` or `[{}]`. */
export const isReset = (raw: Json | undefined): boolean => {
  if (!Array.isArray(raw) || raw.length > 1) return false;
  const only = raw[0];
  return only === undefined || (only !== null && typeof only === 'object' && Object.keys(only).length === 0);
};

/** Whether two entries speak for the same manager: an applier is the same in every version. */
export const sameManager = (a: ManagedFields, b: ManagedFields): boolean =>
  (a.manager ?? '') === (b.manager ?? '') &&
  a.operation === b.operation &&
  (a.subresource ?? '') === (b.subresource ?? '') &&
  (a.operation === 'Apply' || a.apiVersion === b.apiVersion);

const compareText = (a: string | undefined, b: string | undefined): number => {
  const x = a ?? '';
  const y = b ?? '';
  return x < y ? -1 : x > y ? 1 : 0;
};

const byAge = (a: ManagedFields, b: ManagedFields): number =>
  compareText(a.time, b.time) || compareText(a.manager, b.manager);

/** Appliers first, then by time, manager, version and subresource. */
export const sortManagers = (entries: ManagedFields[]): ManagedFields[] =>
  entries.sort(
    (a, b) =>
      compareText(a.operation, b.operation) ||
      byAge(a, b) ||
      compareText(a.apiVersion, b.apiVersion) ||
      compareText(a.subresource, b.subresource),
  );

/** Merges the oldest updaters until there are few enough. Two of one version are needed to merge. */
export const capManagers = (entries: ManagedFields[]): ManagedFields[] => {
  const updaters = entries.filter((e) => e.operation === 'Update');
  let count = updaters.length;
  if (count <= maxUpdateManagers) return entries;
  const out = new Set(entries);
  const buckets = new Map<string, ManagedFields>();
  for (const entry of updaters.sort(byAge)) {
    if (count <= maxUpdateManagers) break;
    const first = buckets.get(entry.apiVersion);
    if (first) {
      const merged: ManagedFields = {
        manager: ancientChanges,
        operation: 'Update',
        apiVersion: entry.apiVersion,
        ...(entry.time !== undefined && { time: entry.time }),
        fieldsType: 'FieldsV1',
        fieldsV1: union(first.fieldsV1, entry.fieldsV1) ?? {},
      };
      out.delete(first);
      out.delete(entry);
      out.add(merged);
      buckets.set(entry.apiVersion, merged);
      count--;
    } else buckets.set(entry.apiVersion, entry);
  }
  return [...out];
};

export const managedFieldsOf = (object: { metadata?: unknown } | undefined): Json | undefined =>
  (object?.metadata as JsonObject | undefined)?.managedFields;
