import { decode } from '../../../machinery/decode.ts';
import { kindSchema } from '../../../machinery/facts.ts';
import { groupVersion, type Json, type JsonObject, type KubeObject } from '../../../machinery/object.ts';
import type { ObjectSchema } from '../../../machinery/schema.ts';
import type { AnyObject } from '../../context.ts';
import type { ResourceInfo } from '../../registry.ts';
import { readied, readiedToStore } from '../../stored-object.ts';
import type { AdmissionRequest } from '../admission.ts';

/** An object's kind as a review names it. */
export interface Kind {
  group: string;
  version: string;
  kind: string;
}

/** The kind of what is sent to a resource type, or to one of its subresources. */
export const kindAt = (resource: ResourceInfo, subresource: string): Kind => {
  const sub = subresource ? resource.subresources.get(subresource) : undefined;
  if (sub) return { group: sub.group, version: sub.version, kind: sub.kind };
  return { group: resource.group, version: resource.version, kind: resource.kind };
};

/** True where the subresource is written as the object itself. */
const isWhole = (resource: ResourceInfo, subresource: string): boolean =>
  kindAt(resource, subresource).kind === resource.kind;

const encoder = new TextEncoder();

const converted = async (from: ResourceInfo, to: ResourceInfo, object: AnyObject): Promise<AnyObject> => {
  const copy = structuredClone(object) as KubeObject;
  await readiedToStore(from, copy);
  const stored = from.convert ? from.convert.toStorage(copy) : copy;
  const bytes = encoder.encode(JSON.stringify(stored));
  await readied(to, [{ key: '', revision: 0n, bytes, index: { labels: {}, fields: {}, owners: [] } }]);
  const parsed = JSON.parse(JSON.stringify(stored)) as KubeObject;
  const made = to.convert ? to.convert.fromStorage(parsed, bytes) : parsed;
  return { ...made, kind: to.kind, apiVersion: groupVersion(to.group, to.version) } as AnyObject;
};

/** An object of the request as a hook sees it that knows another version of the resource. */
export const asSeenBy = async (
  { call, subresource }: AdmissionRequest,
  resource: ResourceInfo,
  object: AnyObject | undefined,
): Promise<AnyObject | undefined> => {
  if (!object) return undefined;
  if (resource !== call.resource && isWhole(call.resource, subresource))
    return converted(call.resource, resource, object);
  const { group, version, kind } = kindAt(resource, subresource);
  const { kind: _kind, apiVersion: _version, ...rest } = object;
  return { kind, apiVersion: groupVersion(group, version), ...rest } as AnyObject;
};

/** The other way: what a hook made of an object, in the request's version, decoded with its defaults. */
export const asRequested = async (
  { call, subresource }: AdmissionRequest,
  resource: ResourceInfo,
  given: Json,
): Promise<AnyObject> => {
  const whole = isWhole(resource, subresource);
  const { group, version, kind } = kindAt(resource, subresource);
  const schema: ObjectSchema | undefined = whole ? resource.schema : kindSchema(group, version, kind);
  const lenient = whole && resource.custom;
  const value = schema ? decode<JsonObject>(schema, given, { defaults: true, lenient }).value : given;
  const object = { metadata: {}, ...(value as object) } as AnyObject;
  Object.assign(object, { kind, apiVersion: groupVersion(group, version) });
  if (!whole) return object;
  resource.strategy.defaults?.(object);
  return resource === call.resource ? object : converted(resource, call.resource, object);
};
