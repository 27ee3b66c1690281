import type { Json, JsonObject } from '../object.ts';
import { equalJson } from '../patch/equal.ts';
import type { Schema } from '../schema.ts';
import { badRequest, type Cause, genericFailure, type StatusError } from '../status.ts';
import { compare, setOf } from './compare.ts';
import {
  difference,
  type FieldNode,
  type FieldSet,
  intersection,
  pathsOf,
  union,
  withNamed,
  without,
} from './fields.ts';
import {
  beforeFirstApply,
  type ManagedFields,
  managedFieldsOf,
  readManagers,
  sameManager,
  sortManagers,
} from './managers.ts';
import { mergeApplied, removeFields } from './merge.ts';
import { isObject, rootOf } from './shape.ts';
import { createdFields, entryFor, skipped, takeFrom, type Writer, withoutMetadata } from './update.ts';

export interface Apply extends Writer {
  /** The object as stored, in the version applied; undefined where it does not exist. */
  live: JsonObject | undefined;
  /** The applied configuration as parsed, neither decoded nor defaulted. */
  applied: JsonObject;
  schema: Schema;
  force: boolean;
}

/**
 * The object to decode, default and store (a null in it is Go's zero value), with its managedFields; `changed` is false
 * where nothing but managedFields may differ from live.
 */
export type Applied = { object: JsonObject; changed: boolean } | { conflicts: Cause[] };

const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';

const ensured = (value: Json | undefined, schema: Schema): FieldSet =>
  value === undefined ? undefined : withNamed(setOf(value, schema), schema);

/** What the applier owned before, does not name now, and nobody else owns. */
const abandoned = (merged: JsonObject, last: FieldNode, owned: FieldSet, schema: Schema): FieldSet => {
  const former = withNamed(last, schema);
  if (!former) return undefined;
  const all = ensured(merged, schema);
  const bare = ensured(removeFields(merged, former, schema, null), schema);
  const unowned = difference(difference(all, bare), withNamed(owned, schema));
  const pruned = unowned ? ensured(removeFields(merged, unowned, schema, null), schema) : all;
  return intersection(difference(all, pruned), former);
};

const removed = (merged: JsonObject, gone: FieldSet, schema: Schema, empty?: null): JsonObject => {
  const out = gone ? removeFields(merged, gone, schema, empty) : merged;
  return isObject(out) ? out : {};
};

const nameOf = (e: ManagedFields): string => {
  const name =
    JSON.stringify(e.manager ?? '') + (e.subresource ? ` with subresource ${JSON.stringify(e.subresource)}` : '');
  return e.operation === 'Update' ? `${name} using ${e.apiVersion}` : name;
};

const conflictsWith = (others: readonly ManagedFields[], changed: FieldSet, allowed: FieldSet): Cause[] =>
  others.flatMap((e) =>
    pathsOf(difference(intersection(e.fieldsV1, changed), allowed)).map((field) => ({
      reason: 'FieldManagerConflict' as const,
      message: `conflict with ${nameOf(e)}`,
      field,
    })),
  );

const annotationsOf = (object: JsonObject | undefined): JsonObject | undefined => {
  const annotations = isObject(object?.metadata) ? object.metadata.annotations : undefined;
  return isObject(annotations) ? annotations : undefined;
};

/**
 * What kubectl applied on the client's side before, as a set: `kubectl apply --server-side` may take it over without
 * force. Undefined unless the annotation can be read.
 */
const clientSideApplied = (live: JsonObject | undefined, schema: Schema): FieldSet => {
  const text = annotationsOf(live)?.[lastApplied];
  if (typeof text !== 'string') return undefined;
  try {
    const config = JSON.parse(text) as Json;
    return isObject(config) ? union(setOf(config, schema), annotationNode) : undefined;
  } catch {
    return undefined;
  }
};
const annotationNode: FieldNode = { 'f:metadata': { 'f:annotations': { [`f:${lastApplied}`]: {} } } };

const sorted = (value: Json): Json => {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((k) => [k, sorted(value[k] ?? null)]),
  );
};

/** kubectl's annotation, kept up to date while it is there. */
const withLastApplied = (object: JsonObject, applied: JsonObject): JsonObject => {
  const annotations = annotationsOf(object);
  if (annotations?.[lastApplied] === undefined) return object;
  const meta = isObject(applied.metadata) ? applied.metadata : {};
  const { managedFields: _, ...kept } = meta;
  const text = `${JSON.stringify(sorted({ ...applied, metadata: kept }))}\n`;
  return {
    ...object,
    metadata: { ...(object.metadata as JsonObject), annotations: { ...annotations, [lastApplied]: text } },
  };
};

const formerManagers = (a: Apply): ManagedFields[] => {
  const known = readManagers(managedFieldsOf(a.live)) ?? [];
  if (known.length || !a.live) return known;
  const fields = createdFields(a.live, a.schema, a.resetFields);
  return fields ? [entryFor({ ...a, manager: beforeFirstApply }, 'Update', fields, a.now)] : [];
};

const withoutManaged = (object: JsonObject | undefined): JsonObject => {
  if (!isObject(object?.metadata)) return object ?? {};
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
};

/**
 * Server-side apply (KEP-555, structured-merge-diff's semantics). Nothing given is changed. Conflicts are answered with
 * their causes, see applyConflict; a configuration that names managedFields, or an element of a list twice, throws
 * StatusError 400.
 */
export const applyPatch = (a: Apply): Applied => {
  const given = managedFieldsOf(a.applied);
  if (given !== undefined && given !== null) throw badRequest('metadata.managedFields must be nil');
  const schema = rootOf(a.schema);
  const skip = skipped(a.resetFields);
  const set = withoutMetadata(without(setOf(a.applied, schema, true), skip));
  const former = formerManagers(a);
  const own = entryFor(a, 'Apply', set ?? {}, undefined);
  const last = former.find((e) => sameManager(e, own));
  const others = former.filter((e) => e !== last);
  const live = withoutManaged(a.live);
  const merged = mergeApplied(live, withoutManaged(a.applied), schema) as JsonObject;
  const owned = others.reduce<FieldSet>((sum, e) => union(sum, e.fieldsV1), set);
  // Most applies name again all that they named before.
  const gone = last && difference(last.fieldsV1, set) && abandoned(merged, last.fieldsV1, owned, schema);
  const pruned = removed(merged, gone, schema);
  const d = compare(live, removed(merged, gone, schema, null), schema, skip);
  if (!a.force && d?.changed) {
    const allowed = a.manager === 'kubectl' ? clientSideApplied(a.live, schema) : undefined;
    const conflicts = conflictsWith(others, d.changed, allowed);
    if (conflicts.length) return { conflicts };
  }
  const entries = takeFrom(others, d?.changed, d?.removed);
  const changed = !a.live || !equalJson(live, pruned);
  if (set) {
    const time = changed ? a.now : last?.time;
    entries.push(entryFor(a, 'Apply', set, time));
  }
  const managedFields = sortManagers(entries);
  const object = a.manager === 'kubectl' ? withLastApplied(pruned, a.applied) : pruned;
  const metadata: JsonObject = isObject(object.metadata) ? { ...object.metadata } : {};
  if (managedFields.length) metadata.managedFields = managedFields as unknown as Json;
  return { object: { ...object, metadata }, changed };
};

/** 409 with the causes of a refused apply; kubectl shows its message as it is. */
export const applyConflict = (causes: Cause[]): StatusError => {
  const [only] = causes;
  if (causes.length === 1 && only)
    return genericFailure(409, 'Conflict', `Apply failed with 1 conflict: ${only.message}: ${only.field}`, { causes });
  const lines = [...Map.groupBy(causes, (c) => c.message)].flatMap(([message, list]) => [
    `${message.replace(/^conflict /, 'conflicts ')}:`,
    ...list.map((c) => `- ${c.field}`),
  ]);
  const message = `Apply failed with ${causes.length} conflicts: ${lines.join('\n')}`;
  return genericFailure(409, 'Conflict', message, { causes });
};
