import { keepWritten } from './decoded.ts';
import { bytesMaxOf, tooLarge } from './domain.ts';
import { createOrdered, type Ordered } from './ordered.ts';
import { entryKind, type LoadedPart } from './sqlite-protocol.ts';
import {
  type Change,
  type Domain,
  firstHead,
  type Indexed,
  type Outcome,
  type Revision,
  type Stored,
  type Write,
} from './store.ts';

/** A domain in memory: what is durable, and over it what waits to be. */
export interface Table {
  readonly domain: Domain;
  readonly name: string;
  readonly objects: Ordered;
  /** The newest change of each key that waits. Readers do not see it, writers are checked against it. */
  readonly pending: Map<string, Change>;
  readonly log: Change[];
  readonly waiters: Set<() => void>;
  /** The newest durable revision. */
  head: Revision;
  /** The newest revision given out. */
  next: Revision;
  /** Changes after this revision are in the log. */
  compacted: Revision;
  /** Of objects and of replaced states in the log. */
  bytes: number;
  /** Of the states that only the log holds. */
  logBytes: number;
  usedAt: number;
}

/** What one state costs in memory: its bytes and the bookkeeping around them. */
const stateBytes = (stored: Stored): number => stored.bytes.byteLength + 600;

export const createTable = (domain: Domain, name: string): Table => ({
  domain,
  name,
  objects: createOrdered(),
  pending: new Map(),
  log: [],
  waiters: new Set(),
  head: firstHead(domain),
  next: firstHead(domain),
  compacted: 0n,
  bytes: 0,
  logBytes: 0,
  usedAt: 0,
});

const heldByLog = ({ type, stored, previous }: Change): number =>
  (previous ? stateBytes(previous) : 0) + (type === 'delete' ? stateBytes(stored) : 0);

/** A change that is durable now. */
export const applyChange = (table: Table, change: Change): void => {
  const { stored } = change;
  if (change.type === 'put') table.objects.set(stored);
  else table.objects.delete(stored.key);
  table.bytes += stateBytes(stored);
  table.log.push(change);
  table.logBytes += heldByLog(change);
  table.head = stored.revision;
  if (table.next < table.head) table.next = table.head;
  if (table.pending.get(stored.key) === change) table.pending.delete(stored.key);
};

/** Takes in one part of what the database holds. */
export const loadPart = (table: Table, part: LoadedPart): void => {
  const compacted = BigInt(part.compacted);
  table.compacted = compacted;
  part.keys.forEach((key, i) => {
    const revision = BigInt(part.revisions[i] ?? 0);
    const index = JSON.parse(part.indexes[i] ?? '') as Indexed;
    const stored: Stored = { key, revision, bytes: part.bytes[i] ?? new Uint8Array(), index };
    const previous = table.objects.get(key);
    applyChange(table, {
      type: part.kinds[i] === entryKind.delete ? 'delete' : 'put',
      stored,
      ...(previous ? { previous, previousIndex: previous.index } : {}),
    });
    // States from before the cut are there because they are current, or because a later entry replaced them.
    if (revision <= compacted) {
      const popped = table.log.pop();
      if (popped) table.logBytes -= heldByLog(popped);
    }
  });
  if (table.head < compacted) table.head = compacted;
  table.next = table.head;
};

/** Bytes of its own: a small view would hold a large buffer in memory. */
const owned = (bytes: Uint8Array): Uint8Array =>
  bytes.buffer.byteLength > bytes.byteLength * 1.25 + 64 ? new Uint8Array(bytes) : bytes;

/** How a write ends if the batch it joins becomes durable; `waits`: it saw a state that is not durable yet. */
export type Step = { outcome: Outcome; change?: Change; waits: boolean };

/** Checks a write against the newest state, durable or not, and gives it its revision. */
export const step = (table: Table, write: Write): Step => {
  const { key } = write;
  const waiting = table.pending.get(key);
  const waits = waiting !== undefined;
  const current = !waiting ? table.objects.get(key) : waiting.type === 'put' ? waiting.stored : undefined;
  const reason =
    write.op === 'create'
      ? current && 'exists'
      : !current
        ? 'missing'
        : current.revision !== write.expected
          ? 'changed'
          : undefined;
  if (reason) return { outcome: { ok: false, reason, ...(current ? { current } : {}) }, waits };
  const revision = table.next + 1n;
  const bytes = write.bytes ? owned(write.bytes(revision)) : (current?.bytes ?? new Uint8Array());
  if (bytes.byteLength > bytesMaxOf(write)) {
    return { outcome: { ok: false, reason: 'too-large', message: tooLarge }, waits: false };
  }
  const index = write.op === 'delete' ? (current?.index ?? { labels: {}, fields: {}, owners: [] }) : write.index;
  const stored: Stored = { key, revision, bytes, index };
  if (write.op !== 'delete' && write.object) keepWritten(stored, write.object);
  table.next = revision;
  const change: Change = {
    type: write.op === 'delete' ? 'delete' : 'put',
    stored,
    ...(current ? { previous: current, previousIndex: current.index } : {}),
  };
  table.pending.set(key, change);
  return { outcome: { ok: true, stored, created: write.op === 'create' }, change, waits: true };
};

/** Nothing of what waited was stored. */
export const rollback = (table: Table): void => {
  table.pending.clear();
  table.next = table.head;
};

/** Cuts the log to `keep` entries; returns the revisions of the entries that nobody needs any more. */
export const trimLog = (table: Table, keep: number): number[] => {
  const removed = table.log.splice(0, Math.max(0, table.log.length - keep));
  const unneeded: number[] = [];
  for (const change of removed) {
    const { type, stored, previous } = change;
    table.logBytes -= heldByLog(change);
    for (const state of type === 'delete' ? [previous, stored] : [previous]) {
      if (!state) continue;
      unneeded.push(Number(state.revision));
      table.bytes -= stateBytes(state);
    }
    table.compacted = stored.revision;
  }
  return unneeded;
};
