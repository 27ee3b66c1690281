import type { Undo } from './ordered.ts';
import { type Change, type Revision, type Stored, sizeOf } from './store.ts';

/** The recent changes of one domain, bounded in number, age and bytes, oldest first. */
export interface Window {
  /** Changes after this revision are all here. */
  readonly base: Revision;
  /** Bytes of replaced states that only the window still holds. */
  readonly bytes: number;
  push(change: Change, now: number): void;
  trim(now: number): void;
  /** Starts anew, empty: changes after `base` are to come. */
  reset(base: Revision): void;
  /** Up to `limit` changes after a revision that is not before `base`. */
  after(revision: Revision, limit: number): Change[];
  /** What turns the present state into that of an older revision; undefined when out of reach. */
  undo(revision: Revision): Undo | undefined;
}

/** Of states that only the window holds: large objects that change often must not fill the memory. */
const windowBytesMax = 32 << 20;

export const createWindow = (changesMax: number, ageMsMax: number, bytesMax = windowBytesMax): Window => {
  let base = 0n;
  let bytes = 0;
  let start = 0;
  let changes: Change[] = [];
  let times: number[] = [];

  /** First position after a revision. */
  const position = (revision: Revision): number => {
    let low = start;
    let high = changes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((changes[middle]?.stored.revision ?? 0n) <= revision) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  const held = ({ type, stored, previous }: Change): number =>
    (previous ? sizeOf(previous) : 0) + (type === 'delete' ? sizeOf(stored) : 0);
  const isOver = (now: number): boolean =>
    changes.length - start > changesMax || now - (times[start] ?? now) > ageMsMax || bytes > bytesMax;
  const trim = (now: number): void => {
    while (start < changes.length && isOver(now)) {
      const oldest = changes[start];
      if (oldest) {
        base = oldest.stored.revision;
        bytes -= held(oldest);
      }
      start++;
    }
    if (start < 32 && start < changes.length) return;
    if (start === 0 || start * 2 < changes.length) return;
    changes = changes.slice(start);
    times = times.slice(start);
    start = 0;
  };

  return {
    get base() {
      return base;
    },
    get bytes() {
      return bytes;
    },
    push: (change, now) => {
      changes.push(change);
      times.push(now);
      bytes += held(change);
      trim(now);
    },
    trim,
    reset: (revision) => {
      base = revision;
      bytes = 0;
      start = 0;
      changes = [];
      times = [];
    },
    after: (revision, limit) => {
      const from = position(revision);
      return changes.slice(from, from + limit);
    },
    undo: (revision) => {
      if (revision < base) return undefined;
      const undo = new Map<string, Stored | undefined>();
      for (let i = changes.length - 1; i >= start; i--) {
        const change = changes[i];
        if (!change || change.stored.revision <= revision) break;
        // The adapter no longer had the state that this one replaced.
        if (change.previousIndex && !change.previous) return undefined;
        undo.set(change.stored.key, change.previous);
      }
      return undo;
    },
  };
};
