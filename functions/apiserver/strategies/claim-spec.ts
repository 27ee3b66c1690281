// The spec of a PersistentVolumeClaim, also where it is a template in a pod or a StatefulSet.
import type {
  PersistentVolumeClaimSpec,
  PersistentVolumeClaimTemplate,
  TypedLocalObjectReference,
  TypedObjectReference,
} from '../../machinery/kinds.d.ts';
import { signOf } from '../../machinery/quantity.ts';
import { cause } from '../../machinery/status.ts';
import {
  at,
  type Causes,
  checkAnnotations,
  checkLabels,
  checkSelector,
  checkSubdomain,
  invalidEach,
  oneOf,
  required,
  same,
} from './checks.ts';
import { dnsSubdomain } from './names.ts';

export const ACCESS_MODES = ['ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOncePod'];

/** accessModes of claims and volumes: supported, and ReadWriteOncePod alone. */
export const checkAccessModes = (out: Causes, path: string, modes: readonly string[] | undefined): void => {
  let alone = false;
  for (const mode of modes ?? []) {
    oneOf(out, path, mode, ACCESS_MODES);
    alone ||= mode === 'ReadWriteOncePod';
  }
  if (alone && (modes ?? []).length > 1) {
    out.push(cause.forbidden(path, 'may not use ReadWriteOncePod with other access modes'));
  }
};

type DataSource = TypedLocalObjectReference | TypedObjectReference;
const checkDataSource = (out: Causes, path: string, source: DataSource): void => {
  required(out, `${path}.name`, source.name);
  required(out, `${path}.kind`, source.kind);
  if (!source.apiGroup && source.kind !== 'PersistentVolumeClaim') {
    out.push(cause.invalid(path, source.kind, 'must be PersistentVolumeClaim when referencing the default apiGroup'));
  }
  if (source.apiGroup) checkSubdomain(out, `${path}.apiGroup`, source.apiGroup);
};

const checkSources = (out: Causes, path: string, spec: PersistentVolumeClaimSpec): void => {
  const { dataSource, dataSourceRef } = spec;
  if (dataSource) checkDataSource(out, `${path}.dataSource`, dataSource);
  if (dataSourceRef) checkDataSource(out, `${path}.dataSourceRef`, dataSourceRef);
  if (dataSourceRef?.namespace) {
    if (dataSource) {
      const detail = 'may not be specified when dataSourceRef.namespace is specified';
      out.push(cause.invalid(path, `${path}.dataSource`, detail));
    }
  } else if (dataSource && dataSourceRef && !same(dataSource, dataSourceRef)) {
    out.push(cause.invalid(path, `${path}.dataSource`, 'must match dataSourceRef'));
  }
};

/** Rules of a claim's spec (upstream's ValidatePersistentVolumeClaimSpec). */
export const checkClaimSpec = (out: Causes, path: string, spec: PersistentVolumeClaimSpec): void => {
  if (!spec.accessModes?.length) {
    out.push(cause.required(`${path}.accessModes`, 'at least 1 access mode is required'));
  }
  checkSelector(out, `${path}.selector`, spec.selector);
  checkAccessModes(out, `${path}.accessModes`, spec.accessModes);
  const storage = spec.resources?.requests?.storage;
  if (storage === undefined) out.push(cause.required(`${path}.resources[storage]`));
  else if (signOf(storage) <= 0) {
    out.push(cause.invalid(`${path}.resources[storage]`, storage, 'must be greater than zero'));
  }
  if (spec.storageClassName) {
    invalidEach(out, `${path}.storageClassName`, spec.storageClassName, dnsSubdomain(spec.storageClassName));
  }
  oneOf(out, `${path}.volumeMode`, spec.volumeMode, ['Block', 'Filesystem']);
  checkSources(out, path, spec);
  const attributes = spec.volumeAttributesClassName;
  if (attributes) invalidEach(out, `${path}.volumeAttributesClassName`, attributes, dnsSubdomain(attributes));
};

const TEMPLATE_META = new Set(['labels', 'annotations']);

/** A claim template in an ephemeral volume: only labels and annotations may stand in its metadata. */
export const checkClaimTemplate = (out: Causes, path: string, template: PersistentVolumeClaimTemplate): void => {
  const meta = template.metadata ?? {};
  checkAnnotations(out, `${path}.metadata.annotations`, meta.annotations);
  checkLabels(out, `${path}.metadata.labels`, meta.labels);
  for (const key in meta) {
    const value = (meta as Record<string, unknown>)[key];
    if (TEMPLATE_META.has(key) || value === undefined || same(value, undefined)) continue;
    // Upstream makes the path of the field's name in Go.
    const field = key === 'uid' ? 'uID' : key;
    out.push(cause.forbidden(`${path}.metadata.${field}`, 'cannot be set for an Ephemeral Container'));
  }
  checkClaimSpec(out, `${path}.spec`, template.spec ?? {});
};

/** `path[key]` of a request, for callers that report on one resource. */
export const requestPath = (path: string, name: string): string => at(`${path}.resources.requests`, name);
