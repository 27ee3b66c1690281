import { fieldsText } from '../machinery/apply/created.ts';
import type { ManagedFields } from '../machinery/apply/managers.ts';
import type { JsonObject, KubeObject } from '../machinery/object.ts';
import type { Indexed, NewState, Revision, Stored } from '../store/store.ts';
import type { AnyObject } from './context.ts';
import type { ResourceInfo } from './registry.ts';

const encoder = new TextEncoder();

/**
 * Objects as stored bytes. They start `{"kind":K,"apiVersion":V,` so that a list can leave that out of its items by
 * length alone, and resourceVersion stands where it can be filled in without a second serialisation.
 */
const heads = new WeakMap<ResourceInfo, string>();
const headOf = (resource: ResourceInfo): string => {
  const known = heads.get(resource);
  if (known !== undefined) return known;
  const { group, version, kind } = resource.storage;
  const head = `{"kind":${JSON.stringify(kind)},"apiVersion":${JSON.stringify(group ? `${group}/${version}` : version)},`;
  heads.set(resource, head);
  return head;
};

/** Bytes of `{"kind":..,"apiVersion":..,` at the start of every stored object of a resource. */
export const headLength = (resource: ResourceInfo): number => Buffer.byteLength(headOf(resource));

/** The object's bytes with a revision filled in; `object` is in its request version. */
export const serializer = (resource: ResourceInfo, object: KubeObject): ((revision: Revision) => Uint8Array) =>
  bytesOf(resource, resource.convert ? resource.convert.toStorage(object) : object);

/** What a write stores of an object in its request version. The object is the store's from then on. */
export const newState = (resource: ResourceInfo, object: KubeObject): NewState => {
  const stored = resource.convert ? resource.convert.toStorage(object) : object;
  const bytes = bytesOf(resource, stored);
  return {
    index: indexStored(resource, stored),
    bytes: (revision) => {
      stored.metadata.resourceVersion = `${revision}`;
      return bytes(revision);
    },
    object: stored,
  };
};

const bytesOf = (resource: ResourceInfo, stored: KubeObject): ((revision: Revision) => Uint8Array) => {
  const { kind: _kind, apiVersion: _version, metadata, ...rest } = stored as AnyObject;
  const { name, generateName, namespace, uid, resourceVersion: _rv, ...others } = metadata;
  const start = JSON.stringify({ name, generateName, namespace, uid });
  const meta = metadataText(others);
  const body = JSON.stringify(rest);
  const before = `${headOf(resource)}"metadata":${start.slice(0, -1)},"resourceVersion":"`;
  const after = `"${meta === '{}' ? '}' : `,${meta.slice(1)}`}${body === '{}' ? '}' : `,${body.slice(1)}`}`;
  // Bytes of their own: a view into Node's pool would hold the whole pool in memory, or be copied.
  return (revision) => encoder.encode(`${before}${revision}${after}`);
};

/** The JSON of the rest of metadata; the field sets in it are mostly shared, and have their text already. */
const metadataText = (metadata: Partial<AnyObject['metadata']>): string => {
  const { managedFields, ...others } = metadata;
  const before = JSON.stringify(others);
  if (!managedFields) return before;
  const entries = managedFields.map((entry) => {
    const { fieldsV1, subresource, ...head } = entry as unknown as ManagedFields;
    if (!fieldsV1) return JSON.stringify(entry);
    const start = JSON.stringify(head).slice(0, -1);
    const end = subresource ? `,"subresource":${JSON.stringify(subresource)}}` : '}';
    return `${start},"fieldsV1":${fieldsText(fieldsV1)}${end}`;
  });
  return `${before.slice(0, -1)}${before === '{}' ? '' : ','}"managedFields":[${entries.join(',')}]}`;
};

/**
 * To be awaited, where it is something, before the states are parsed: another server may have to convert them first
 * (conversion webhooks). The same for an object that is about to be stored.
 */
export const readied = (resource: ResourceInfo, stored: readonly Stored[]): Promise<void> | undefined =>
  resource.convert?.prepare?.read(stored);
export const readiedToStore = (resource: ResourceInfo, object: KubeObject): Promise<void> | undefined =>
  resource.convert?.prepare?.write(object);

/** Decodes stored bytes into the resource's own version. The result belongs to the caller. */
export const parseStored = (resource: ResourceInfo, bytes: Uint8Array): AnyObject => {
  const object = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()) as KubeObject;
  return (resource.convert ? resource.convert.fromStorage(object, bytes) : object) as AnyObject;
};

/** The bytes to send for a whole object, converted where the resource's version is not the stored one. */
export const bytesToSend = (resource: ResourceInfo, stored: Stored): Uint8Array =>
  resource.convert ? Buffer.from(JSON.stringify(parseStored(resource, stored.bytes))) : stored.bytes;

/** What selectors and indexes need of an object. */
export const indexOf = (resource: ResourceInfo, object: KubeObject): Indexed =>
  indexStored(resource, resource.convert ? resource.convert.toStorage(object) : object);

const indexStored = (resource: ResourceInfo, stored: KubeObject): Indexed => {
  const fields: Record<string, string> = {};
  for (const field of resource.definition?.indexed ?? resource.indexedFields ?? resource.selectableFields)
    fields[field] = resource.fieldValue(stored, field);
  return {
    labels: { ...stored.metadata.labels },
    fields,
    owners: (stored.metadata.ownerReferences ?? []).map((owner) => owner.uid),
  };
};

export const asJson = (object: KubeObject): JsonObject => object as unknown as JsonObject;
