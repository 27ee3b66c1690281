/**
 * Validation of ObjectMeta and LabelSelector, with upstream's causes (API conventions, "Metadata").
 *
 *   validateObjectMeta(meta, { namespaced, validateName?, path? }) -> Cause[]
 *   validateObjectMetaUpdate(next, old, path?)                      -> Cause[]   what an update may not change
 *   validateLabels(labels, path), validateAnnotations(annotations, path) -> Cause[]
 *   validateLabelSelector(selector, path, { allowInvalidValues? })  -> Cause[]
 */
import type { LabelSelector, ObjectMeta, OwnerReference } from './kinds.d.ts';
import { dns1123Label, labelValue, type NameCheck, nameIsSubdomain, qualifiedName } from './names.ts';
import type { Json } from './object.ts';
import { type Cause, cause } from './status.ts';

/** All annotations of an object together, keys and values, in bytes. */
export const ANNOTATIONS_BYTES_MAX = 256 * 1024;

export const validateLabels = (labels: Record<string, string> | undefined | null, path: string): Cause[] => {
  const out: Cause[] = [];
  for (const [key, value] of Object.entries(labels ?? {})) {
    for (const why of qualifiedName(key)) out.push(cause.invalid(path, key, why));
    for (const why of labelValue(value)) out.push(cause.invalid(path, value, why));
  }
  return out;
};

export const validateAnnotations = (annotations: Record<string, string> | undefined | null, path: string): Cause[] => {
  const out: Cause[] = [];
  let bytes = 0;
  for (const [key, value] of Object.entries(annotations ?? {})) {
    for (const why of qualifiedName(key.toLowerCase())) out.push(cause.invalid(path, key, why));
    bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  if (bytes > ANNOTATIONS_BYTES_MAX) out.push(cause.tooLong(path, ANNOTATIONS_BYTES_MAX));
  return out;
};

/** What is wrong with the names of finalizers, of an object or of a namespace's content. */
export const validateFinalizerNames = (names: readonly string[], at: string): Cause[] =>
  names.flatMap((name, i) => {
    const out = qualifiedName(name).map((why) => cause.invalid(at, name, why));
    if (!name.includes('/') && !['orphan', 'foregroundDeletion', 'kubernetes'].includes(name)) {
      out.push(
        cause.invalid(`${at}[${i}]`, name, 'name is neither a standard finalizer name nor is it fully qualified'),
      );
    }
    return out;
  });

const validateFinalizers = (meta: ObjectMeta, path: string): Cause[] => {
  const at = `${path}.finalizers`;
  const out = validateFinalizerNames(meta.finalizers ?? [], at);
  if (meta.finalizers?.includes('orphan') && meta.finalizers.includes('foregroundDeletion')) {
    out.push(cause.invalid(at, meta.finalizers, 'finalizer orphan and foregroundDeletion cannot be both set'));
  }
  return out;
};

const validateOwner = (owner: OwnerReference, path: string): Cause[] => {
  const out: Cause[] = [];
  const parts = owner.apiVersion.split('/');
  const [group, version] = parts.length === 1 ? ['', parts[0]] : parts;
  if (parts.length > 2)
    out.push(
      cause.invalid(`${path}.apiVersion`, owner.apiVersion, `unexpected GroupVersion string: ${owner.apiVersion}`),
    );
  else if (!version) out.push(cause.invalid(`${path}.apiVersion`, owner.apiVersion, 'version must not be empty'));
  if (!owner.kind) out.push(cause.invalid(`${path}.kind`, owner.kind, 'must not be empty'));
  if (!owner.name) out.push(cause.invalid(`${path}.name`, owner.name, 'must not be empty'));
  if (!owner.uid) out.push(cause.invalid(`${path}.uid`, owner.uid, 'must not be empty'));
  if (group === '' && version === 'v1' && owner.kind === 'Event') {
    out.push(cause.invalid(path, owner as unknown as Json, '/v1, Kind=Event is disallowed from being an owner'));
  }
  return out;
};

const validateOwners = (meta: ObjectMeta, path: string): Cause[] => {
  const at = `${path}.ownerReferences`;
  const owners = meta.ownerReferences ?? [];
  const out = owners.flatMap((owner) => validateOwner(owner, at));
  const controllers = owners.filter((o) => o.controller === true);
  if (controllers.length > 1) {
    const names = controllers.map((o) => `${o.kind}/${o.name}`).join(' and ');
    out.push(
      cause.invalid(
        at,
        owners,
        `Only one reference can have Controller set to true. Found "true" in references for ${names}`,
      ),
    );
  }
  return out;
};

const validateManagedFields = (meta: ObjectMeta, path: string): Cause[] =>
  (meta.managedFields ?? []).flatMap((entry, i) => {
    const at = `${path}.managedFields[${i}]`;
    const out: Cause[] = [];
    if (entry.operation !== 'Apply' && entry.operation !== 'Update') {
      out.push(cause.invalid(`${at}.operation`, entry.operation ?? '', 'must be `Apply` or `Update`'));
    }
    if (entry.fieldsType && entry.fieldsType !== 'FieldsV1') {
      out.push(cause.invalid(`${at}.fieldsType`, entry.fieldsType, 'must be `FieldsV1`'));
    }
    if (Buffer.byteLength(entry.manager ?? '') > 128) out.push(cause.tooLong(`${at}.manager`, 128));
    return out;
  });

export interface MetaRules {
  namespaced: boolean;
  /** Default: a DNS subdomain. */
  validateName?: NameCheck;
  /** Default: metadata. */
  path?: string;
}

/** Validates the metadata of a new object, after its name has been generated. */
export const validateObjectMeta = (meta: ObjectMeta, rules: MetaRules): Cause[] => {
  const path = rules.path ?? 'metadata';
  const checkName = rules.validateName ?? nameIsSubdomain;
  const out: Cause[] = [];
  if (meta.generateName) {
    for (const why of checkName(meta.generateName, true)) {
      out.push(cause.invalid(`${path}.generateName`, meta.generateName, why));
    }
  }
  if (!meta.name) out.push(cause.required(`${path}.name`, 'name or generateName is required'));
  else for (const why of checkName(meta.name, false)) out.push(cause.invalid(`${path}.name`, meta.name, why));
  if (rules.namespaced) {
    if (!meta.namespace) out.push(cause.required(`${path}.namespace`));
    else
      for (const why of dns1123Label(meta.namespace)) out.push(cause.invalid(`${path}.namespace`, meta.namespace, why));
  } else if (meta.namespace) out.push(cause.forbidden(`${path}.namespace`, 'not allowed on this type'));
  return [
    ...out,
    ...((meta.generation ?? 0) < 0
      ? [cause.invalid(`${path}.generation`, meta.generation, 'must be greater than or equal to 0')]
      : []),
    ...validateLabels(meta.labels, `${path}.labels`),
    ...validateAnnotations(meta.annotations, `${path}.annotations`),
    ...validateOwners(meta, path),
    ...validateFinalizers(meta, path),
    ...validateManagedFields(meta, path),
  ];
};

/** What an update may not change; `next` must already carry what the server fills in when a client leaves it out. */
export const validateObjectMetaUpdate = (next: ObjectMeta, old: ObjectMeta, path = 'metadata'): Cause[] => {
  const out: Cause[] = [];
  const immutable = (field: keyof ObjectMeta, why = 'field is immutable'): void => {
    if ((next[field] ?? null) !== (old[field] ?? null)) {
      out.push(cause.invalid(`${path}.${field}`, next[field], why));
    }
  };
  if (old.deletionTimestamp) {
    const added = (next.finalizers ?? []).filter((f) => !(old.finalizers ?? []).includes(f));
    if (added.length) {
      out.push(
        cause.forbidden(
          `${path}.finalizers`,
          `no new finalizers can be added if the object is being deleted, found new finalizers []string{${added.map((f) => JSON.stringify(f)).join(', ')}}`,
        ),
      );
    }
  }
  for (const field of ['name', 'namespace', 'uid', 'creationTimestamp', 'deletionTimestamp'] as const) immutable(field);
  immutable('deletionGracePeriodSeconds', 'field is immutable; may only be changed via deletion');
  if (!next.resourceVersion) {
    out.push(cause.invalid(`${path}.resourceVersion`, next.resourceVersion ?? '', 'must be specified for an update'));
  }
  if ((next.generation ?? 0) < (old.generation ?? 0)) {
    out.push(cause.invalid(`${path}.generation`, next.generation, 'must not be decremented'));
  }
  return [
    ...out,
    ...validateLabels(next.labels, `${path}.labels`),
    ...validateAnnotations(next.annotations, `${path}.annotations`),
    ...validateOwners(next, path),
    ...validateFinalizers(next, path),
    ...validateManagedFields(next, path),
  ];
};

const selectorOperators = ['DoesNotExist', 'Exists', 'In', 'NotIn'];

/** Validates a LabelSelector object; `allowInvalidValues` is upstream's for old objects with bad values. */
export const validateLabelSelector = (
  selector: LabelSelector | undefined | null,
  path: string,
  options: { allowInvalidValues?: boolean } = {},
): Cause[] => {
  const out = validateLabels(selector?.matchLabels, `${path}.matchLabels`);
  for (const [i, e] of (selector?.matchExpressions ?? []).entries()) {
    const at = `${path}.matchExpressions[${i}]`;
    const count = e.values?.length ?? 0;
    if (e.operator === 'In' || e.operator === 'NotIn') {
      if (count === 0) {
        out.push(cause.required(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
      }
    } else if (e.operator === 'Exists' || e.operator === 'DoesNotExist') {
      if (count > 0) {
        out.push(cause.forbidden(`${at}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
      }
    } else if (selectorOperators.includes(e.operator) === false) {
      out.push(cause.invalid(`${at}.operator`, e.operator, 'not a valid selector operator'));
    }
    for (const why of qualifiedName(e.key)) out.push(cause.invalid(`${at}.key`, e.key, why));
    if (options.allowInvalidValues) continue;
    for (const [j, value] of (e.values ?? []).entries()) {
      for (const why of labelValue(value)) out.push(cause.invalid(`${at}.values[${j}]`, value, why));
    }
  }
  return out;
};
