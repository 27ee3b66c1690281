import { bytesMaxOf, tooLarge } from './domain.ts';
import { indexBytesMax, type Packed, pack } from './dynamodb-items.ts';
import type { Indexed, Outcome, Revision, Stored, Write } from './store.ts';

/** One object as read: `stored` unless it is a tombstone. Absent keys have revision 0. */
export interface Known {
  revision: Revision;
  stored?: Stored;
  /** Parts that its value is split over. */
  parts: number;
}
export const absent: Known = { revision: 0n, parts: 0 };

/** The writes of one commit(), with their outcomes so far. */
export interface Call {
  writes: readonly Write[];
  outcomes: (Outcome | undefined)[];
  /** What a bytes function threw: no write after it is tried. */
  failure?: { at: number; error: unknown };
}
export interface Pending {
  call: Call;
  /** Which of the call's writes. */
  at: number;
  write: Write;
}

/** One change to be made: log entry `revision`, and the state it leaves. */
export interface Step {
  type: 'put' | 'delete';
  stored: Stored;
  previousIndex?: Indexed;
  packed: Packed;
}

/** Everything a batch does to one object: all of it goes into one transaction. */
export interface Chain {
  key: string;
  before: Known;
  steps: Step[];
  /** Writes of the batch to this key, with what becomes of each if the chain commits. */
  outcomes: { pending: Pending; outcome: Outcome }[];
}

export interface Plan {
  chains: Chain[];
  /** Writes that did not fit, to be planned again. */
  deferred: Pending[];
  /** Tickets that no step uses. */
  unused: Revision[];
}

/** Bounds of one chain: a transaction takes 100 items and 4 MB. */
const chainItemsMax = 40;
const chainBytesMax = 1_900_000;

/**
 * How many tickets a batch may need. A write that expects a revision above what is known may expect one that this batch
 * is about to get, so it counts; one that surely fails does not, and leaves no gap in the log.
 */
export const ticketsNeeded = (batch: readonly Pending[], view: ReadonlyMap<string, Known>): number => {
  const exists = new Map<string, boolean>();
  let count = 0;
  for (const { write } of batch) {
    const known = view.get(write.key) ?? absent;
    const moved = exists.get(write.key);
    const present = moved ?? known.stored !== undefined;
    if (write.op === 'create' ? present : !present) continue;
    if (write.op !== 'create') {
      if (moved === undefined ? known.revision !== write.expected : write.expected <= known.revision) continue;
    }
    count++;
    exists.set(write.key, write.op !== 'delete');
  }
  return count;
};

const noIndex: Indexed = { labels: {}, fields: {}, owners: [] };
const refused = (reason: 'exists' | 'changed' | 'missing', current?: Stored): Outcome => ({
  ok: false,
  reason,
  ...(current ? { current } : {}),
});
const refusal = (write: Write, current: Stored | undefined): Outcome | undefined => {
  if (write.op === 'create') return current ? refused('exists', current) : undefined;
  if (!current) return refused('missing');
  return current.revision === write.expected ? undefined : refused('changed', current);
};

/** The state that a write leaves at a revision, or that it is too large. */
const stepOf = (write: Write, current: Stored | undefined, revision: Revision): Step | Outcome => {
  const bytes = write.bytes ? write.bytes(revision) : (current?.bytes ?? new Uint8Array());
  if (bytes.byteLength > bytesMaxOf(write)) return { ok: false, reason: 'too-large', message: tooLarge };
  const index = write.op === 'delete' ? (current?.index ?? noIndex) : write.index;
  if (write.op !== 'delete' && Buffer.byteLength(JSON.stringify(index)) > indexBytesMax)
    return { ok: false, reason: 'too-large', message: tooLarge };
  return {
    type: write.op === 'delete' ? 'delete' : 'put',
    stored: { key: write.key, revision, bytes, index },
    ...(current ? { previousIndex: current.index } : {}),
    packed: pack(index, bytes),
  };
};

const bytesOf = (chain: Chain): number => chain.steps.reduce((sum, step) => sum + step.packed.bytes, 0);
const itemsOf = (chain: Chain): number => chain.steps.reduce((sum, step) => sum + 1 + 2 * step.packed.parts.length, 2);

/**
 * Plays the writes in order on what is known, giving out the tickets from `first` on. Calls every bytes function that
 * gets a revision; what one throws ends its call there.
 */
export const planBatch = (
  batch: readonly Pending[],
  view: ReadonlyMap<string, Known>,
  first: Revision,
  tickets: number,
): Plan => {
  const chains = new Map<string, Chain>();
  const deferred: Pending[] = [];
  const full = new Set<string>();
  const end = first + BigInt(tickets);
  let next = first;
  for (const pending of batch) {
    const { call, at, write } = pending;
    if (call.failure && call.failure.at < at) continue;
    const before = view.get(write.key) ?? absent;
    const chain = chains.get(write.key) ?? { key: write.key, before, steps: [], outcomes: [] };
    const last = chain.steps.at(-1);
    const current = last ? (last.type === 'put' ? last.stored : undefined) : before.stored;
    const lost = refusal(write, current);
    chains.set(write.key, chain);
    if (full.has(write.key) || (!lost && next >= end)) {
      full.add(write.key);
      deferred.push(pending);
      continue;
    }
    if (lost) {
      chain.outcomes.push({ pending, outcome: lost });
      continue;
    }
    try {
      const step = stepOf(write, current, next);
      if ('ok' in step) chain.outcomes.push({ pending, outcome: step });
      else {
        chain.steps.push(step);
        chain.outcomes.push({ pending, outcome: { ok: true, stored: step.stored, created: write.op === 'create' } });
        next++;
      }
    } catch (error) {
      call.failure = { at, error };
    }
    if (itemsOf(chain) > chainItemsMax || bytesOf(chain) > chainBytesMax) full.add(write.key);
  }
  const unused: Revision[] = [];
  for (let revision = next; revision < end; revision++) unused.push(revision);
  return { chains: [...chains.values()], deferred, unused };
};
