// Which fields each endpoint of an object may write; what it may not stays as stored.
import { type FieldSet, fieldsOf } from '../../machinery/apply/fields.ts';
import type { JsonObject } from '../../machinery/object.ts';
import type { AnyObject, Call } from '../context.ts';
import type { ResourceInfo } from '../registry.ts';
import { resetFieldsOf } from './create.ts';

const specReset = fieldsOf([['spec']]);
const metadataReset = fieldsOf([['spec'], ['metadata']]);
const labelsReset = fieldsOf([['spec'], ['metadata', 'labels']]);

const ownersReset = fieldsOf([['spec'], ['metadata', 'deletionTimestamp'], ['metadata', 'ownerReferences']]);

type Kept = 'metadata' | 'labels' | 'ownerReferences';

/** Built-in kinds whose status endpoint writes no metadata at all. */
const statusOnly = new Set([
  'APIService',
  'FlowSchema',
  'PriorityLevelConfiguration',
  'ResourceClaim',
  'ServiceCIDR',
  'ValidatingAdmissionPolicy',
  'VolumeAttachment',
]);

/** What of metadata a status write leaves as it was: custom kinds all, Deployments their labels, most kinds nothing. */
const keepsOf = ({ custom, kind }: ResourceInfo): Kept | undefined => {
  if (custom || statusOnly.has(kind)) return 'metadata';
  if (kind === 'Pod') return 'ownerReferences';
  return kind === 'Deployment' ? 'labels' : undefined;
};
/** A certificate request is approved at one endpoint and answered at another: neither touches the other's part. */
const requestResets: Readonly<Record<string, FieldSet>> = {
  status: fieldsOf([['spec'], ['status', 'conditions']]),
  approval: fieldsOf([['spec'], ['status', 'certificate']]),
};
const statusResets = { metadata: metadataReset, labels: labelsReset, ownerReferences: ownersReset };

/** The fields that a write to this endpoint does not own, as it cannot change them. */
export const resetOf = ({ info, resource }: Call): FieldSet => {
  if (resource.kind === 'CertificateSigningRequest' && info.subresource) return requestResets[info.subresource];
  if (info.subresource !== 'status') return resetFieldsOf(resource);
  const keeps = keepsOf(resource);
  return keeps ? statusResets[keeps] : specReset;
};

const metadataAs = (old: AnyObject, next: AnyObject): AnyObject['metadata'] => {
  const { managedFields } = next.metadata;
  return { ...old.metadata, ...(managedFields && { managedFields }) };
};

const statusMetadata = (call: Call, next: AnyObject, old: AnyObject): AnyObject['metadata'] => {
  const keeps = keepsOf(call.resource);
  if (!keeps) return next.metadata;
  if (keeps === 'metadata') return metadataAs(old, next);
  const { [keeps]: _changed, ...rest } = next.metadata;
  return { ...rest, ...(old.metadata[keeps] && { [keeps]: old.metadata[keeps] }) };
};

const withField = (object: JsonObject | undefined, field: string, from: JsonObject | undefined): JsonObject => {
  const { [field]: _gone, ...rest } = object ?? {};
  const value = from?.[field];
  return value === undefined ? rest : { ...rest, [field]: value };
};

const listOf = (value: unknown): JsonObject[] => (Array.isArray(value) ? value : []);

/** The stored containers with the resources and resize policies sent for them; as sent where those are not the same ones. */
const resized = (stored: unknown, sent: unknown): JsonObject[] => {
  const given = listOf(sent);
  const before = listOf(stored);
  if (before.some((container, i) => given[i]?.name !== container.name)) return given;
  return before.map((container, i) => withField(withField(container, 'resources', given[i]), 'resizePolicy', given[i]));
};

const resize = (next: AnyObject, old: AnyObject): JsonObject => {
  const lists = ['containers', 'initContainers'] as const;
  if (lists.some((list) => listOf(old.spec?.[list]).length !== listOf(next.spec?.[list]).length))
    return next.spec ?? {};
  const spec = withField(old.spec, 'resources', next.spec);
  for (const list of lists) if (spec[list] !== undefined) spec[list] = resized(spec[list], next.spec?.[list]);
  return spec;
};

/** The object to store: what the endpoint may write from `next`, the rest from `old`. */
export const separate = (call: Call, next: AnyObject, old: AnyObject): AnyObject => {
  const { info, resource } = call;
  const { metadata } = next;
  if (info.subresource === 'ephemeralcontainers')
    return { ...old, metadata: metadataAs(old, next), spec: withField(old.spec, 'ephemeralContainers', next.spec) };
  if (info.subresource === 'resize') return { ...old, metadata: metadataAs(old, next), spec: resize(next, old) };
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
