import type { ObjectMeta } from './kinds.d.ts';

/** A JSON value as an API object may hold it. */
export type Json = null | boolean | number | string | Json[] | JsonObject;
export type JsonObject = { [field: string]: Json | undefined };

/** Any API object, of a built-in or custom kind. Typed kinds of kinds.d.ts are assignable to it. */
export interface KubeObject {
  apiVersion?: string;
  kind?: string;
  metadata: ObjectMeta;
}

/** A resource type: `apps`, `v1`, `deployments`. The core group is ''. */
export interface GroupVersionResource {
  group: string;
  version: string;
  resource: string;
}

/** A resource type without its version: what names a store domain within a cluster. */
export interface GroupResource {
  group: string;
  resource: string;
}

/** One object of a resource type; namespace is '' for cluster-scoped ones. */
export interface ObjectKey {
  namespace: string;
  name: string;
}

/** `namespace/name`, or `name` for cluster-scoped objects: the key used by stores and queues. */
export const keyOf = (namespace: string | undefined, name: string): string =>
  namespace ? `${namespace}/${name}` : name;

export const parseKey = (key: string): ObjectKey => {
  const slash = key.indexOf('/');
  return slash < 0 ? { namespace: '', name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
};

/** `v1` or `apps/v1` -> group and version. */
export const parseGroupVersion = (apiVersion: string): { group: string; version: string } => {
  const slash = apiVersion.indexOf('/');
  return slash < 0
    ? { group: '', version: apiVersion }
    : { group: apiVersion.slice(0, slash), version: apiVersion.slice(slash + 1) };
};

export const groupVersion = (group: string, version: string): string => (group ? `${group}/${version}` : version);
