import type { Change, Domain, Indexed, Revision, Stored } from './store.ts';

/** Selects by namespace, labels and extracted fields, without decoding anything. */
export interface Selection {
  /** '' or absent: all namespaces. */
  namespace?: string;
  /** Called only where given. */
  matches?: (key: string, index: Indexed) => boolean;
  /** Only keys after this one, in byte order: where a list goes on. */
  after?: string;
  /** At most so many objects. */
  limit?: number;
}

export type Followed =
  | { type: 'change'; change: Change }
  /** Everything up to this revision has been delivered. */
  | { type: 'bookmark'; revision: Revision };

/** One domain in memory as of one revision, advanced by the change log. Lists, watches, controllers read it. */
export interface Replica {
  readonly domain: Domain;
  readonly revision: Revision;
  readonly size: number;
  /** Brings it up to the store's head, linearizably; returns the revision reached. */
  fresh(): Promise<Revision>;
  /** Waits until at least this revision has been applied (resourceVersion semantics "not older than"). */
  atLeast(revision: Revision, timeoutMs: number): Promise<boolean>;
  get(key: string): Stored | undefined;
  /** In key order; an array of its own, unmoved by later changes. */
  list(select: Selection): readonly Stored[];
  /**
   * The keys and objects, in key order, as of an older revision that the window still reaches; undefined when it does
   * not. Costs the whole domain: lists go by `listAt`.
   */
  at(revision: Revision): ReadonlyMap<string, Stored> | undefined;
  /** `list` as of an older revision (continue tokens, resourceVersionMatch=Exact); undefined when out of reach. */
  listAt(revision: Revision, select: Selection): readonly Stored[] | undefined;
  /** Every change after a revision up to now, in order; undefined when out of reach. */
  since(revision: Revision): readonly Change[] | undefined;
  byOwner(uid: string): Iterable<Stored>;
  byField(field: string, value: string): Iterable<Stored>;
  /**
   * Every change after a revision, in order, none missing, then whatever comes; 'expired' first when out of reach. Ends
   * when aborted, and also when the follower falls behind the window: it then resumes from its last revision, or relists.
   */
  follow(after: Revision, signal: AbortSignal): AsyncIterable<Followed> | 'expired';
  /**
   * Synchronous tail for fan-out: called with each applied batch (empty when only the revision moved); returns its stop
   * function. `expired` is called once, and the listener no more, when the history breaks (cluster dropped, log compacted
   * past the replica): watches then end with 410.
   */
  onApplied(listener: (changes: readonly Change[], revision: Revision) => void, expired?: () => void): () => void;
}

/** The replicas of a process: loaded on first use, least recently used go first, bounded in bytes. */
export interface Replicas {
  of(domain: Domain): Promise<Replica>;
  /** Loaded already, or undefined: never loads. */
  peek(domain: Domain): Replica | undefined;
  close(): Promise<void>;
}
