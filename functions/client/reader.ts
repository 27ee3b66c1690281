import type { GroupResource, KubeObject } from '../machinery/object.ts';

/**
 * Cached, read-only view of one cluster for controllers and the scheduler: decoded objects that must not be mutated.
 * It may lag behind the API; every write therefore carries its precondition. Adapters: informer-reader.ts (list and
 * watch through a Client) and store/replica-reader.ts (replicas of the store, where the process has them).
 */
export interface Reader {
  readonly cluster: string;
  get<T extends KubeObject>(resource: GroupResource, namespace: string, name: string): Promise<T | undefined>;
  list<T extends KubeObject>(resource: GroupResource, select?: ReaderSelection): Promise<readonly T[]>;
  /**
   * For a consumer that keeps a view of its own: what changed after the resourceVersion of its last look, or everything
   * where the reader does not reach back so far (always without `since`).
   */
  view<T extends KubeObject>(resource: GroupResource, since?: string): Promise<View<T>>;
  /** Objects whose metadata.ownerReferences hold this uid. */
  ownedBy<T extends KubeObject>(resource: GroupResource, uid: string): Promise<readonly T[]>;
  /**
   * Resolves when this view has seen `resourceVersion` of the resource type: true, or false after `timeoutMs`. How a
   * runner waits for its own writes before it looks at the same key again.
   */
  atLeast(resource: GroupResource, resourceVersion: string, timeoutMs: number): Promise<boolean>;
  /** Afterwards the view of this resource type is not older than the moment of the call (absence becomes a fact). */
  fresh(resource: GroupResource): Promise<void>;
}

export type View<T> =
  | { type: 'all'; items: readonly T[]; resourceVersion: string }
  /** Each object once, as it is now; `gone` as `namespace/name`. */
  | { type: 'changes'; put: readonly T[]; gone: readonly string[]; resourceVersion: string };

export interface ReaderSelection {
  namespace?: string;
  /** Equality and set requirements, as machinery/selectors parses them. */
  matches?: (labels: Record<string, string>) => boolean;
  /** One extracted field, such as spec.nodeName. */
  field?: { name: string; value: string };
}
