import type { KubeObject } from '../machinery/object.ts';

// What plays etcd. Adapters: memory.ts, sqlite.ts, dynamodb.ts; test/contract/store.ts holds what all of them promise.

/** Revisions are totally ordered within a domain and mean nothing across domains. */
export interface Domain {
  cluster: string;
  group: string;
  resource: string;
}

/** Ordered within a domain; a decimal string on the wire (metadata.resourceVersion). 0 means "nothing yet". */
export type Revision = bigint;

/**
 * The head of a domain that was never written: the first write gets the next one. Not 0, which clients take for "any
 * version": a list of an empty domain must be a point that a watch can start from. Each resource starts elsewhere (FNV-1a
 * of its name), so that two objects of different kinds do not carry the same resourceVersion, as with one etcd they never
 * do. After a drop every domain of the cluster starts this far above the cluster's floor.
 */
export const firstHead = ({ group, resource }: Pick<Domain, 'group' | 'resource'>): Revision => {
  let hash = 0x811c9dc5;
  for (const char of `${group}/${resource}`) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 0x01000193);
  return BigInt((hash >>> 0) % 900_000) + 100_000n;
};

/** The few fields that selectors and indexes need, extracted once by the writer so that no reader decodes for them. */
export interface Indexed {
  labels: Record<string, string>;
  /** Field-selector values of the resource: `metadata.name` is not in it (the key has it), `spec.nodeName` is. */
  fields: Record<string, string>;
  /** uids of metadata.ownerReferences. */
  owners: string[];
}

export interface Stored {
  /** `namespace/name`, or `name` where cluster-scoped. */
  key: string;
  revision: Revision;
  /** UTF-8 JSON of the object in its storage version, resourceVersion included. Never mutated. */
  bytes: Uint8Array;
  index: Indexed;
  /** Set where reading `bytes` may throw: the value was encrypted, and its key is not to be had (encryption/store.ts). */
  sealed?: true;
}

/** Bytes that a state takes; 0 for one that cannot be read. */
export const sizeOf = (stored: Stored): number => (stored.sealed ? 0 : stored.bytes.byteLength);

/** One committed change. A delete carries the last state, with the revision of the delete. */
export interface Change {
  type: 'put' | 'delete';
  stored: Stored;
  /** What the change replaced; absent on a create, and where the adapter no longer has it (then `previousIndex` may). */
  previous?: Stored;
  /** Selector fields of what was replaced, always present when something was. */
  previousIndex?: Indexed;
}

export interface NewState {
  index: Indexed;
  bytes: (revision: Revision) => Uint8Array;
  /** What `bytes` serialises, given up by the writer: adapters may keep it for readers of the process (decoded.ts). */
  object?: KubeObject;
}

/**
 * `bytes` is called with the revision the write gets, so that resourceVersion stands inside the object. An adapter whose
 * revision went to waste against another process calls it again with the next one, and the last call is the one that
 * counts; adapters with one writer call it once.
 */
export type Write = (
  | ({ op: 'create'; key: string } & NewState)
  | ({ op: 'update'; key: string; expected: Revision } & NewState)
  | { op: 'delete'; key: string; expected: Revision; bytes?: (revision: Revision) => Uint8Array }
) & {
  /** Bytes that the value may take beyond what an object may, in its form here; set when `bytes` has been called. */
  overhead?: number;
};

/** A lost race is an outcome, with what won. A failure of the store itself throws. */
export type Outcome =
  | { ok: true; stored: Stored; created: boolean }
  | { ok: false; reason: 'exists' | 'changed' | 'missing'; current?: Stored }
  | { ok: false; reason: 'too-large' | 'full' | 'throttled'; message: string };

/** Where a scan goes on: after this key; '' starts. Keys come in byte order. */
export interface Page {
  items: Stored[];
  /** Last key of a page that was cut by `limit`; absent at the end. */
  next?: string;
}

export interface Store {
  get(domain: Domain, key: string): Promise<Stored | undefined>;
  /** Items in key order at no fixed revision: to fill a replica, which then catches up by `changes`. */
  scan(domain: Domain, after: string, limit: number): Promise<Page>;
  /** Every write gets its own outcome, in order; the adapter batches. Durable when it resolves. */
  commit(domain: Domain, writes: Write[]): Promise<Outcome[]>;
  /** The newest revision given out; linearizable. */
  head(domain: Domain): Promise<Revision>;
  /** The heads of several domains of a cluster at one moment, in their order; a hundred at once where an adapter says so. */
  heads(domains: readonly Domain[]): Promise<Revision[]>;
  /** Changes after a revision, in order, none missing; 'compacted' when the log no longer reaches back that far. */
  changes(domain: Domain, after: Revision, limit: number): Promise<Change[] | 'compacted'>;
  /** Resolves when there may be changes after `after`, or when aborted. */
  wake(domain: Domain, after: Revision, signal: AbortSignal): Promise<void>;
  /** Drops log entries so that at most `keep` stay per domain. */
  compact(domain: Domain, keep: number): Promise<void>;
  /** Domains that hold at least one object or log entry, of one cluster. */
  domains(cluster: string): Promise<Domain[]>;
  /** Removes every key of a cluster. Its domains start again above their old heads: whoever follows one gets 'compacted'. */
  drop(cluster: string): Promise<void>;
  close(): Promise<void>;
}

/**
 * Committed changes of all domains, as the dispatcher gets them: in process here, DynamoDB Streams in the cloud. A store
 * that is itself a feed calls the listeners in revision order, none missing, before `head` shows the change and before
 * the commit that made it resolves.
 */
export interface CommitFeed {
  /** `dropped` is called when a cluster's keys have been removed by `drop`. */
  subscribe(listener: (domain: Domain, changes: Change[]) => void, dropped?: (cluster: string) => void): () => void;
}
