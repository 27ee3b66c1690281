// Which fields each endpoint of an object may write; what it may not stays as stored.
import { type FieldSet, fieldsOf } from '../../machinery/apply/fields.ts';
import type { JsonObject } from '../../machinery/object.ts';
import type { AnyObject, Call } from '../context.ts';
import type { ResourceInfo } from '../registry.ts';
import { resetFieldsOf } from './create.ts';

const specReset = fieldsOf([['spec']]);
const metadataReset = fieldsOf([['spec'], ['metadata']]);
const labelsReset = fieldsOf([['spec'], ['metadata', 'labels']]);

/** What of metadata a status write leaves as it was: custom kinds all, Deployments their labels, others nothing. */
const keepsOf = ({ custom, kind }: ResourceInfo): 'metadata' | 'labels' | undefined => {
  if (custom || kind === 'CustomResourceDefinition' || kind === 'APIService') return 'metadata';
  return kind === 'Deployment' ? 'labels' : undefined;
};
const statusResets = { metadata: metadataReset, labels: labelsReset };

/** The fields that a write to this endpoint does not own, as it cannot change them. */
export const resetOf = ({ info, resource }: Call): FieldSet => {
  if (info.subresource !== 'status') return resetFieldsOf(resource);
  const keeps = keepsOf(resource);
  return keeps ? statusResets[keeps] : specReset;
};

const statusMetadata = (call: Call, next: AnyObject, old: AnyObject): AnyObject['metadata'] => {
  const keeps = keepsOf(call.resource);
  if (!keeps) return next.metadata;
  const { managedFields } = next.metadata;
  if (keeps === 'metadata') return { ...old.metadata, ...(managedFields && { managedFields }) };
  const { labels: _labels, ...rest } = next.metadata;
  return { ...rest, ...(old.metadata.labels && { labels: old.metadata.labels }) };
};

const withField = (object: JsonObject | undefined, field: string, from: JsonObject | undefined): JsonObject => {
  const { [field]: _gone, ...rest } = object ?? {};
  const value = from?.[field];
  return value === undefined ? rest : { ...rest, [field]: value };
};

const listOf = (value: unknown): JsonObject[] => (Array.isArray(value) ? value : []);

/** The stored containers with the resources and resize policies that were sent for them. */
const resized = (stored: unknown, sent: unknown): JsonObject[] => {
  const byName = new Map(listOf(sent).map((container) => [container.name, container]));
  return listOf(stored).map((container) => {
    const given = byName.get(container.name);
    if (!given) return container;
    return withField(withField(container, 'resources', given), 'resizePolicy', given);
  });
};

const resize = (next: AnyObject, old: AnyObject): JsonObject => ({
  ...old.spec,
  containers: resized(old.spec?.containers, next.spec?.containers),
  ...(old.spec?.initContainers !== undefined && {
    initContainers: resized(old.spec.initContainers, next.spec?.initContainers),
  }),
});

/** The object to store: what the endpoint may write from `next`, the rest from `old`. */
export const separate = (call: Call, next: AnyObject, old: AnyObject): AnyObject => {
  const { info, resource } = call;
  const { metadata } = next;
  if (info.subresource === 'ephemeralcontainers')
    return { ...old, metadata, spec: withField(old.spec, 'ephemeralContainers', next.spec) };
  if (info.subresource === 'resize') return { ...old, metadata, spec: resize(next, old) };
  if (info.subresource === 'approval')
    return { ...old, metadata, status: withField(old.status, 'conditions', next.status) };
  if (!resource.subresources.has('status')) return next;
  if (info.subresource !== 'status') {
    if (old.status === undefined) delete next.status;
    else next.status = old.status;
    return next;
  }
  const out: AnyObject = { ...old, metadata: statusMetadata(call, next, old) };
  for (const field of resource.strategy.statusFields ?? ['status']) {
    if (next[field] === undefined) delete out[field];
    else out[field] = next[field];
  }
  return out;
};
