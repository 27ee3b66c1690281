/** Objects in the other version of their resource that a rule speaks of, and back. */

import { kindSchema } from '../../../machinery/facts.ts';
import type { JsonObject, KubeObject } from '../../../machinery/object.ts';
import type { ObjectSchema } from '../../../machinery/schema.ts';
import type { AnyObject } from '../../context.ts';
import type { ResourceInfo } from '../../registry.ts';
import { asJson, readied, readiedToStore } from '../../stored-object.ts';
import type { Kind, Matched, Subject } from './match.ts';

/** An object of one version of a resource in another. The object itself is left as it is. */
export const convertedTo = async (object: AnyObject, from: ResourceInfo, to: ResourceInfo): Promise<AnyObject> => {
  if (from === to) return object;
  await readiedToStore(from, object);
  const stored = (from.convert?.toStorage(structuredClone(object)) ?? object) as KubeObject;
  if (!to.convert) return stored as AnyObject;
  const bytes = Buffer.from(JSON.stringify(stored));
  await readied(to, [{ key: '', revision: 0n, index: { labels: {}, fields: {}, owners: [] }, bytes }]);
  return to.convert.fromStorage(stored, bytes) as AnyObject;
};

/** Whether a request's object is of its resource's own kind; what an endpoint takes may be of another. */
const isOwnKind = ({ kind, resource }: Subject): boolean =>
  kind.kind === resource.kind && kind.group === resource.group && kind.version === resource.version;

export interface Versioned {
  object: AnyObject | undefined;
  old: AnyObject | undefined;
}

/** The objects of a request in the version that was matched. */
export const versioned = async (subject: Subject, { resource }: Matched): Promise<Versioned> => {
  const { object, old } = subject.request;
  if (resource === subject.resource || !isOwnKind(subject)) return { object, old };
  return {
    object: object && (await convertedTo(object, subject.resource, resource)),
    old: old && (await convertedTo(old, subject.resource, resource)),
  };
};

/** The schema of what a request carries; undefined where there is none to be had. */
export const schemaFor = (subject: Subject, resource: ResourceInfo, kind: Kind): ObjectSchema | undefined => {
  if (isOwnKind(subject)) return resource.schema;
  return kindSchema(kind.group, kind.version, kind.kind);
};

/** Puts a new state in the place of the one that others hold. */
export const replaceContent = (object: AnyObject, next: JsonObject): void => {
  const target = asJson(object);
  for (const key of Object.keys(target)) delete target[key];
  Object.assign(target, next);
};
