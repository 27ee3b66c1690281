import { decode } from '../../machinery/decode.ts';
import type { Json, KubeObject } from '../../machinery/object.ts';
import type { ObjectSchema } from '../../machinery/schema.ts';
import type { ResourceInfo } from '../registry.ts';

type Convert = NonNullable<ResourceInfo['convert']>;

/** The versions of one definition, as conversion walks them. */
export interface Versions {
  group: string;
  storage: string;
  /** By version; of every version in the definition, served or not. */
  schemas: ReadonlyMap<string, ObjectSchema>;
}

export const versionOf = (object: KubeObject): string =>
  object.apiVersion?.slice(object.apiVersion.indexOf('/') + 1) ?? '';

/** An object as a version's schema has it: what that does not know pruned, its defaults filled in where asked. */
export const shaped = (schema: ObjectSchema | undefined, object: KubeObject, defaults: boolean): KubeObject =>
  schema ? decode<KubeObject>(schema, object as unknown as Json, { defaults, lenient: true }).value : object;

/**
 * Conversion None: versions share every field, so an object only changes its apiVersion. What the version it was stored
 * in does not know is pruned and its defaults are filled in, then what the version asked for does not know is pruned.
 * Source: "Versions in CustomResourceDefinitions" and "Defaulting" of the documentation.
 */
export const convertBetween = ({ group, storage, schemas }: Versions, version: string): Convert => ({
  fromStorage: (object) => {
    const stored = versionOf(object);
    const known = shaped(schemas.get(stored), object, true);
    if (stored === version) return known;
    return { ...shaped(schemas.get(version), known, false), apiVersion: `${group}/${version}` };
  },
  toStorage: (object) => {
    if (versionOf(object) === storage) return object;
    return { ...shaped(schemas.get(storage), object, false), apiVersion: `${group}/${storage}` };
  },
});
