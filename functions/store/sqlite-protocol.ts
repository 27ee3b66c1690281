// What sqlite.ts and the thread that owns the database (sqlite-worker.ts) say to each other.

/** How an entry of the log changed its key. */
export const entryKind = { create: 0, update: 1, delete: 2 } as const;

/** Entries of several domains in columns; `bytes` holds all objects in a row, `ends` where each one ends in it. */
export interface WriteBatch {
  type: 'write';
  seq: number;
  /** Grows at each failure: what was sent before it is void. */
  epoch: number;
  domains: string[];
  domain: Uint32Array;
  revisions: Float64Array;
  kinds: Uint8Array;
  keys: string[];
  /** Indexed as JSON. */
  indexes: string[];
  ends: Float64Array;
  bytes: Uint8Array;
}

/** Entries no longer needed, and up to where the log is now cut. */
export interface Forget {
  type: 'forget';
  domain: string;
  revisions: Float64Array;
  compacted: number;
}

export type Request =
  | { type: 'load'; id: number; domain: string }
  | { type: 'domains'; id: number; cluster: string }
  | { type: 'drop'; id: number; cluster: string }
  /** Leaves nothing in the files of what was deleted or replaced. */
  | { type: 'scrub'; id: number }
  | { type: 'close'; id: number };

export type ToWorker = WriteBatch | Forget | Request;

/** A part of a domain's entries in revision order; `last` ends it. */
export interface LoadedPart {
  type: 'loaded';
  id: number;
  revisions: number[];
  kinds: number[];
  keys: string[];
  indexes: string[];
  bytes: Uint8Array[];
  compacted: number;
  last: boolean;
}

export type FromWorker =
  | { type: 'opened' }
  | { type: 'refused'; reason: 'in-use' | 'newer' | 'foreign' | 'failed'; message: string }
  /** Everything up to this sequence number is durable. */
  | { type: 'written'; seq: number }
  /** Nothing after the last 'written' was stored. */
  | { type: 'failed'; epoch: number; full: boolean; message: string }
  | LoadedPart
  | { type: 'domains'; id: number; names: string[] }
  | { type: 'done'; id: number }
  | { type: 'error'; id: number; message: string };

/** What the worker is started with. */
export interface WorkerSettings {
  file: string;
  /** Size bound of the database, in pages of 8 KiB; 0: none. */
  pagesMax: number;
}
