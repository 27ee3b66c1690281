import type { Json, JsonObject } from '../object.ts';
import type { Schema } from '../schema.ts';
import { StatusError } from '../status.ts';
import { compare } from './compare.ts';
import { createdFields as fieldsCreated } from './created.ts';
import { difference, type FieldNode, type FieldSet, fieldsOf, leaf, union } from './fields.ts';
import {
  capManagers,
  isReset,
  type ManagedFields,
  managedFieldsOf,
  readManagers,
  readManagersGiven,
  sameManager,
  sortManagers,
} from './managers.ts';
import { rootOf } from './shape.ts';

/** Who writes, where and when. */
export interface Writer {
  /** The fieldManager parameter, or what stands before the first `/` of the user agent. */
  manager: string;
  /** `status`, `scale`...; '' for the object itself. */
  subresource?: string;
  /** The version that the request speaks. */
  apiVersion: string;
  /** RFC 3339 in whole seconds, UTC. */
  now: string;
  /** Fields that the endpoint's strategy resets, so that nobody owns them through it: see fieldsOf. */
  resetFields?: FieldSet;
}

/** Of metadata, these are never owned; neither are apiVersion and kind. */
const untracked = [
  'name',
  'namespace',
  'creationTimestamp',
  'selfLink',
  'uid',
  'clusterName',
  'generation',
  'managedFields',
  'resourceVersion',
];
const stripped = fieldsOf([['apiVersion'], ['kind'], ...untracked.map((name) => ['metadata', name])]) ?? {};
const skips = new WeakMap<FieldNode, FieldNode>();

/** What the comparison leaves out: the untracked fields and the reset ones. */
export const skipped = (resetFields: FieldSet): FieldNode => {
  if (!resetFields) return stripped;
  const known = skips.get(resetFields);
  if (known) return known;
  const out = union(stripped, resetFields) ?? stripped;
  skips.set(resetFields, out);
  return out;
};

export const entryFor = (
  writer: Writer,
  operation: 'Apply' | 'Update',
  fields: FieldNode,
  time: string | undefined,
): ManagedFields => ({
  manager: writer.manager,
  operation,
  apiVersion: writer.apiVersion,
  ...(time !== undefined && { time }),
  fieldsType: 'FieldsV1',
  fieldsV1: fields,
  ...(writer.subresource && { subresource: writer.subresource }),
});

/** Takes the fields from every manager; those left with none are gone. */
export const takeFrom = (entries: readonly ManagedFields[], taken: FieldSet, gone: FieldSet): ManagedFields[] => {
  const out: ManagedFields[] = [];
  for (const entry of entries) {
    const rest = difference(difference(entry.fieldsV1, taken), gone);
    if (rest) out.push(rest === entry.fieldsV1 ? entry : { ...entry, fieldsV1: rest });
  }
  return out;
};

const metadataNode: FieldNode = { 'f:metadata': leaf };

/** Drops ownership of `metadata` itself, which is never tracked. */
export const withoutMetadata = (set: FieldSet): FieldSet => (set?.['f:metadata'] ? difference(set, metadataNode) : set);

const startingPoint = (before: JsonObject | undefined, after: JsonObject, subresource: boolean): ManagedFields[] => {
  const live = managedFieldsOf(before);
  if (subresource) return readManagers(live) ?? [];
  const given = managedFieldsOf(after);
  if (isReset(given)) return [];
  const own = given === live ? undefined : readManagersGiven(given);
  return own?.length ? own : (readManagers(live) ?? []);
};

/** The fields of a new object that its creator owns. */
export const createdFields = (object: JsonObject, schema: Schema, resetFields?: FieldSet): FieldSet =>
  fieldsCreated(object, schema, skipped(resetFields));

export interface Update extends Writer {
  /** The object as stored; undefined for a create. */
  before: JsonObject | undefined;
  /** The object as it will be stored, decoded and defaulted, before admission changes it. */
  after: JsonObject;
  schema: Schema;
}

/**
 * metadata.managedFields after a create, update or non-apply patch (KEP-555). Nothing given is changed. Returns the live
 * entries themselves where no field changed, and undefined where there are none: an object whose managedFields were
 * emptied is not tracked again before the next apply. A list element without its keys leaves the entries as they are:
 * validation will refuse it.
 */
export const trackUpdate = (u: Update): ManagedFields[] | undefined => {
  const former = startingPoint(u.before, u.after, !!u.subresource);
  try {
    return advance(u, former);
  } catch (err) {
    if (err instanceof StatusError) return former.length ? former : undefined;
    throw err;
  }
};

const advance = (u: Update, former: ManagedFields[]): ManagedFields[] | undefined => {
  if (u.before === undefined && former.length === 0) {
    const fields = createdFields(u.after, u.schema, u.resetFields);
    return fields && [entryFor(u, 'Update', fields, u.now)];
  }
  if (former.length === 0) return undefined;
  const d = compare(u.before ?? ({} as Json), u.after, rootOf(u.schema), skipped(u.resetFields));
  if (!d) return former;
  const taken = withoutMetadata(d.changed);
  const entries = takeFrom(former, d.changed, d.removed);
  if (taken) {
    const entry = entryFor(u, 'Update', taken, u.now);
    const at = entries.findIndex((e) => sameManager(e, entry));
    const own = entries[at];
    if (own) entries[at] = { ...entry, fieldsV1: union(own.fieldsV1, taken) ?? taken };
    else entries.push(entry);
  }
  const out = sortManagers(capManagers(entries));
  return out.length ? out : undefined;
};
