import type { GroupVersionResource, KubeObject } from '../machinery/object.ts';

/**
 * A Kubernetes API client: what controllers, scheduler, agent and CLI use. It crosses the same HTTP pipeline as everyone
 * (in process: the apiserver's `fetch`; remote: HTTP/2). Failures of the API throw StatusError; a lost precondition is a
 * StatusError with code 409, a missing object on get is `undefined`.
 */
export interface Client {
  get<T extends KubeObject>(resource: GroupVersionResource, namespace: string, name: string): Promise<T | undefined>;
  list<T extends KubeObject>(resource: GroupVersionResource, options?: ListOptions): Promise<ObjectList<T>>;
  /** Reconnects nowhere by itself: ends when the server ends it; see informer.ts for list-and-watch. */
  watch<T extends KubeObject>(
    resource: GroupVersionResource,
    options: WatchOptions,
    signal: AbortSignal,
  ): AsyncIterable<WatchEvent<T>>;
  create<T extends KubeObject>(resource: GroupVersionResource, object: T, options?: WriteOptions): Promise<T>;
  update<T extends KubeObject>(resource: GroupVersionResource, object: T, options?: WriteOptions): Promise<T>;
  patch<T extends KubeObject>(
    resource: GroupVersionResource,
    namespace: string,
    name: string,
    patch: PatchBody,
    options?: WriteOptions,
  ): Promise<T>;
  delete(
    resource: GroupVersionResource,
    namespace: string,
    name: string,
    options?: DeleteOptions,
  ): Promise<KubeObject | undefined>;
  /** Any other path below the cluster: subresources such as log, token, eviction, binding. */
  raw(method: string, path: string, init?: RawInit): Promise<Response>;
}

export interface ObjectList<T> {
  items: T[];
  resourceVersion: string;
  continue?: string;
}
export interface ListOptions {
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  resourceVersion?: string;
  limit?: number;
  continue?: string;
}
export interface WatchOptions extends ListOptions {
  allowWatchBookmarks?: boolean;
  timeoutSeconds?: number;
}
export type WatchEvent<T> =
  | { type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: T }
  | { type: 'BOOKMARK'; object: { metadata: { resourceVersion: string } } }
  | { type: 'ERROR'; object: { code: number; reason: string; message: string } };
export interface WriteOptions {
  subresource?: string;
  fieldManager?: string;
  force?: boolean;
}
export type PatchBody = { type: 'json'; body: unknown[] } | { type: 'merge' | 'strategic' | 'apply'; body: unknown };
export interface DeleteOptions {
  uid?: string;
  resourceVersion?: string;
  gracePeriodSeconds?: number;
  propagationPolicy?: 'Orphan' | 'Background' | 'Foreground';
}
export interface RawInit {
  query?: Record<string, string>;
  headers?: Record<string, string>;
  body?: string | Uint8Array;
  signal?: AbortSignal;
}
