import type { KubeObject } from '../machinery/object.ts';
import type { ObjectSchema } from '../machinery/schema.ts';
import type { Cause } from '../machinery/status.ts';
import type { Stored } from '../store/store.ts';
import type { TableShape } from './printers/table.ts';

/** One served resource type: built-in (from facts/) or custom (from a CRD). Everything the generic verbs need. */
export interface ResourceInfo {
  group: string;
  version: string;
  /** Plural, lower case: `deployments`. */
  resource: string;
  kind: string;
  listKind: string;
  singular: string;
  namespaced: boolean;
  verbs: ReadonlySet<string>;
  shortNames: readonly string[];
  categories: readonly string[];
  /** Served subresources by name: `status`, `scale`, `log`... */
  subresources: ReadonlyMap<string, SubresourceInfo>;
  schema: ObjectSchema;
  /** The version objects are stored in; others convert through it. */
  storage: { group: string; version: string; resource: string; kind: string };
  /** Between this version and the storage version; absent where the shapes are equal. */
  convert?: Conversion;
  /** Field-selector names this resource supports besides metadata.name and metadata.namespace. */
  selectableFields: readonly string[];
  /** What the index of stored objects holds, where it is more than the selectable fields. */
  indexedFields?: readonly string[];
  /** Value of a selectable field ('' where absent). */
  fieldValue(object: KubeObject, field: string): string;
  strategy: Strategy;
  custom: boolean;
  /** What a custom resource's definition says beyond a built-in kind's tables. */
  definition?: DefinedShape;
}

export interface Conversion {
  toStorage(object: KubeObject): KubeObject;
  /** `bytes` are those that the object was parsed from. */
  fromStorage(object: KubeObject, bytes?: Uint8Array): KubeObject;
  /** Where conversion takes another server: awaited before the functions above are called. */
  prepare?: { read(stored: readonly Stored[]): Promise<void>; write(object: KubeObject): Promise<void> };
}

/** Of a custom resource, in one version. */
export interface DefinedShape {
  /** Of the definition in its present state: another one may show the same stored object differently. */
  id: string;
  /** False for the storage version where clients may not ask for it. */
  served: boolean;
  /** The selectable fields of all versions: what the index of a stored object holds. */
  indexed: readonly string[];
  table: TableShape;
  /** Where its scale subresource keeps what a Scale shows. */
  scale?: ScalePaths;
  /** The warning that every request for a deprecated version carries. */
  deprecation?: string;
  /** What discovery lists, in its order. */
  verbs: readonly string[];
  /** Aborted when the definition has changed or is gone: watches end then. */
  ended: AbortSignal;
}

/** Where a kind keeps what its Scale shows: the fields of a path from the object's root. */
export interface ScalePaths {
  spec: string[];
  status: string[];
  /** A LabelSelector, a map of labels, or (custom resources) a selector's text. */
  selector?: string[];
}

export interface SubresourceInfo {
  name: string;
  kind: string;
  group: string;
  version: string;
  verbs: ReadonlySet<string>;
}

/** What a strategy may look at besides the object. Allocators and lookups are async ports, so they stay out of validate. */
export interface StrategyContext {
  cluster: string;
  namespace: string;
  now: number;
  uuid(): string;
  /** '' for the main resource. */
  subresource: string;
  dryRun: boolean;
  /** Adds a `Warning: 299` header. */
  warn(text: string): void;
  user: UserInfo;
}

/** authentication/v1 UserInfo of the request. */
export interface UserInfo {
  username: string;
  uid: string;
  groups: readonly string[];
  extra: Readonly<Record<string, readonly string[]>>;
}

/**
 * What a table cannot say about a kind; nothing else. Objects are decoded, pruned and statically defaulted before, and
 * may be mutated by prepare*; validate* are pure. The generic engine already does: names, generateName, uid, timestamps,
 * metadata validation and immutability, status reset on main writes and spec reset on status writes (where the kind has a
 * status subresource), generation bump on a spec change.
 */
export interface Strategy {
  /** Dynamic defaults (facts/defaults.json `dynamic`): run after static defaulting, on every decode. */
  defaults?(object: KubeObject): void;
  prepareForCreate?(object: KubeObject, ctx: StrategyContext): void;
  prepareForUpdate?(next: KubeObject, old: KubeObject, ctx: StrategyContext): void;
  /** Awaited before any validation: loads what it needs, where that is not always in memory. */
  ready?(object: KubeObject): Promise<void> | undefined;
  validate?(object: KubeObject, ctx: StrategyContext): Cause[];
  /** Takes the place of validate() for a new object, where updates have rules of their own. */
  validateCreate?(object: KubeObject, ctx: StrategyContext): Cause[];
  /** Called after validate() has run on `next`. Immutable fields and transitions. */
  validateUpdate?(next: KubeObject, old: KubeObject, ctx: StrategyContext): Cause[];
  /** Rules of a status write; without it only metadata is validated. */
  validateStatusUpdate?(next: KubeObject, old: KubeObject, ctx: StrategyContext): Cause[];
  warnings?(object: KubeObject, old: KubeObject | undefined, ctx: StrategyContext): string[];
  /** Rules for metadata.name; a DNS subdomain where absent. Returns the messages, none when valid. */
  validateName?(name: string): string[];
  /** Creatable by PUT (allowCreateOnUpdate upstream): Lease, Role, LimitRange, Service, Endpoints, Event... */
  createOnUpdate?: boolean;
  /** An update without resourceVersion overwrites; false only where upstream refuses it. */
  unconditionalUpdate?: boolean;
  /** Grace period for this object, in seconds, when the kind is deleted gracefully (pods). */
  graceSeconds?(object: KubeObject, requested: number | undefined): number | undefined;
  /**
   * The first delete of a kind that marks its objects itself: called on one without deletionTimestamp, sets it, the
   * finalizers and conditions. The engine then only stores the result.
   */
  markDeleted?(object: KubeObject, now: number): void;
  /** Default propagation when the request names none. */
  defaultPropagation?: 'Background' | 'Orphan';
  /** Which fields of `next` a status write may take, where it is not just `status`. */
  statusFields?: readonly string[];
}
