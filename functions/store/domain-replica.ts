import type { Clock } from '../clock/clock.ts';
import { createOrdered, type Ordered } from './ordered.ts';
import { createReplicaIndex, type ReplicaIndex } from './replica-index.ts';
import type { Followed, Replica } from './replica-port.ts';
import { type Change, type Domain, type Revision, type Store, type Stored, sizeOf } from './store.ts';
import { createWindow } from './window.ts';

export interface ReplicaOptions {
  /** Changes kept for watches from an older revision, continue tokens and exact lists. */
  windowChanges: number;
  /** Age at which a kept change goes, in milliseconds. */
  windowMs: number;
  clock: Clock;
}

/** A replica with what its keeper needs. */
export interface KeptReplica extends Replica {
  /** Bytes that it holds, roughly: objects, replaced states of the window, and the bookkeeping of both. */
  readonly bytes: number;
  /** Someone follows it or listens to it. */
  readonly inUse: boolean;
  load(): Promise<void>;
  /** Applies changes that the store pushes; those already applied are passed over. */
  push(changes: readonly Change[]): void;
  trim(): void;
  /** Changes are pushed from now on (true), or it goes to the store for them (false). */
  pushed(on: boolean): void;
  /** Its history is broken: followers end, listeners hear it, the next `fresh` loads anew. */
  expire(): void;
}

/** Bookkeeping of one object or change besides its bytes, measured with bench/store.ts. */
const entryBytes = 600;
const pageItems = 1000;

interface State {
  objects: Ordered;
  index: ReplicaIndex;
}
const emptyState = (): State => {
  const objects = createOrdered();
  return { objects, index: createReplicaIndex(objects) };
};

export const createReplica = (store: Store, domain: Domain, options: ReplicaOptions): KeptReplica => {
  const { clock } = options;
  const window = createWindow(options.windowChanges, options.windowMs);
  const listeners = new Set<{ applied: Parameters<Replica['onApplied']>[0]; expired?: () => void }>();
  /** Called at each advance, and when the history breaks. */
  const waiters = new Set<() => void>();
  let state = emptyState();
  let revision: Revision = 0n;
  let bytes = 0;
  let loaded = false;
  let isPushed = false;
  let followers = 0;
  /** Grows when the history breaks: followers of an older one end. */
  let history = 0;
  let running: Promise<Revision> | undefined;
  let queued: Promise<Revision> | undefined;
  let tail: AbortController | undefined;

  const place = (change: Change): Stored | undefined => {
    const { stored } = change;
    const before = change.type === 'put' ? state.objects.set(stored) : state.objects.delete(stored.key);
    state.index.moved(before, change.type === 'put' ? stored : undefined);
    if (before) bytes -= sizeOf(before) + entryBytes;
    if (change.type === 'put') bytes += sizeOf(stored) + entryBytes;
    return before;
  };
  const wakeAll = () => {
    for (const waiter of waiters) waiter();
  };
  /** Applies what is new and tells everyone; `reached` may lie beyond the last change. */
  const apply = (changes: readonly Change[], reached: Revision): void => {
    const now = clock.now();
    const fresh: Change[] = [];
    for (const change of changes) {
      if (change.stored.revision <= revision) continue;
      const before = place(change);
      const whole = before && change.previous === undefined;
      const kept = whole ? { ...change, previous: before, previousIndex: before.index } : change;
      window.push(kept, now);
      revision = change.stored.revision;
      fresh.push(kept);
    }
    const moved = fresh.length > 0 || reached > revision;
    if (reached > revision) revision = reached;
    if (!moved) return;
    for (const { applied } of listeners) applied(fresh, revision);
    wakeAll();
  };

  /** Brings a state that a scan read while it moved up to the head; false when the log no longer reaches. */
  const settle = async (from: Revision, newest: Revision): Promise<boolean> => {
    let at = from;
    for (;;) {
      const head = await store.head(domain);
      const changes = await store.changes(domain, at, pageItems);
      if (changes === 'compacted') return false;
      for (const change of changes) {
        const present = state.objects.get(change.stored.key);
        if (!present || present.revision < change.stored.revision) place(change);
      }
      at = changes.at(-1)?.stored.revision ?? at;
      if (changes.length === pageItems) continue;
      if (head > at) at = head;
      if (at < newest) continue;
      revision = at;
      return true;
    }
  };
  /** Fills the window from the log, as far back as it reaches. */
  const remember = async (): Promise<void> => {
    window.reset(revision);
    for (let want = options.windowChanges; want > 0; want = Math.floor(want / 4)) {
      const from = revision > BigInt(want) ? revision - BigInt(want) : 0n;
      const changes = await store.changes(domain, from, want);
      if (changes === 'compacted') continue;
      window.reset(from);
      const now = clock.now();
      for (const change of changes) if (change.stored.revision <= revision) window.push(change, now);
      return;
    }
  };
  const load = async (): Promise<void> => {
    for (;;) {
      state = emptyState();
      bytes = 0;
      const head = await store.head(domain);
      let newest = head;
      let after: string | undefined = '';
      while (after !== undefined) {
        const page = await store.scan(domain, after, pageItems);
        for (const stored of page.items) {
          place({ type: 'put', stored });
          if (stored.revision > newest) newest = stored.revision;
        }
        after = page.next;
      }
      if (!(await settle(head, newest))) continue;
      await remember();
      loaded = true;
      return;
    }
  };

  const expire = (): void => {
    loaded = false;
    history++;
    const told = [...listeners];
    listeners.clear();
    for (const { expired } of told) expired?.();
    wakeAll();
  };
  const catchUp = async (): Promise<Revision> => {
    if (!loaded) {
      await load();
      wakeAll();
      return revision;
    }
    for (;;) {
      const head = await store.head(domain);
      if (head === revision) return revision;
      const changes = head < revision ? 'compacted' : await store.changes(domain, revision, pageItems);
      if (changes === 'compacted') {
        expire();
        await load();
        wakeAll();
        return revision;
      }
      apply(changes, changes.length < pageItems ? head : revision);
      if (changes.length < pageItems) return revision;
    }
  };
  /** A caller is answered by a read that began after it asked; callers that wait share one. */
  const sync = (): Promise<Revision> => {
    if (!running) {
      running = catchUp().finally(() => {
        running = undefined;
      });
      return running;
    }
    queued ??= running
      .catch(() => revision)
      .then(() => {
        queued = undefined;
        return sync();
      });
    return queued;
  };

  const inUse = () => followers > 0 || listeners.size > 0;
  /** While anyone follows and the store does not push, wakes up for its changes. */
  const follow = (): void => {
    if (tail || isPushed || !inUse()) return;
    const controller = new AbortController();
    tail = controller;
    const run = async () => {
      let failures = 0;
      while (!controller.signal.aborted) {
        try {
          await store.wake(domain, revision, controller.signal);
          if (!controller.signal.aborted) await sync();
          failures = 0;
        } catch {
          // The store is unwell: followers wait, and requests that need it hear of it from their own calls.
          failures++;
          await clock.sleep(Math.min(5000, 50 * 2 ** failures), controller.signal).catch(() => undefined);
        }
      }
    };
    void run();
  };
  const released = (): void => {
    if (inUse()) return;
    tail?.abort();
    tail = undefined;
  };

  async function* followed(after: Revision, mine: number, signal: AbortSignal): AsyncGenerator<Followed> {
    let at = after;
    let woken: (() => void) | undefined;
    const waiter = () => woken?.();
    followers++;
    waiters.add(waiter);
    signal.addEventListener('abort', waiter);
    follow();
    try {
      while (!signal.aborted && history === mine && at >= window.base) {
        const changes = window.after(at, pageItems);
        for (const change of changes) {
          at = change.stored.revision;
          yield { type: 'change', change };
          if (signal.aborted || history !== mine) return;
        }
        if (changes.length > 0) continue;
        if (revision > at) {
          at = revision;
          yield { type: 'bookmark', revision };
          continue;
        }
        await new Promise<void>((resolve) => {
          woken = resolve;
        });
        woken = undefined;
      }
    } finally {
      followers--;
      waiters.delete(waiter);
      signal.removeEventListener('abort', waiter);
      released();
    }
  }

  return {
    domain,
    get revision() {
      return revision;
    },
    get size() {
      return state.objects.size;
    },
    get bytes() {
      return bytes + window.bytes;
    },
    get inUse() {
      return inUse();
    },
    load: async () => {
      await sync();
    },
    fresh: () => (isPushed && loaded ? Promise.resolve(revision) : sync()),
    atLeast: async (wanted, timeoutMs) => {
      if (revision >= wanted) return true;
      if (!isPushed || !loaded) await sync();
      const until = clock.now() + timeoutMs;
      followers++;
      follow();
      try {
        while (revision < wanted && clock.now() < until) await nextAdvance(clock, waiters, until - clock.now());
      } finally {
        followers--;
        released();
      }
      return revision >= wanted;
    },
    get: (key) => state.objects.get(key),
    list: (select) => state.objects.select(select),
    listAt: (at, select) => {
      const undo = at === revision ? new Map() : at > revision ? undefined : window.undo(at);
      return undo && state.objects.select(select, undo);
    },
    at: (at) => {
      const undo = at === revision ? new Map() : at > revision ? undefined : window.undo(at);
      return undo && new Map(state.objects.select({}, undo).map((stored) => [stored.key, stored]));
    },
    since: (at) => (!loaded || at < window.base || at > revision ? undefined : window.after(at, Infinity)),
    byOwner: (uid) => state.index.byOwner(uid),
    byField: (field, value) => state.index.byField(field, value),
    follow: (after, signal) => (!loaded || after < window.base ? 'expired' : followed(after, history, signal)),
    onApplied: (applied, expired) => {
      const entry = { applied, ...(expired ? { expired } : {}) };
      listeners.add(entry);
      follow();
      return () => {
        listeners.delete(entry);
        released();
      };
    },
    push: (changes) => apply(changes, revision),
    trim: () => window.trim(clock.now()),
    pushed: (on) => {
      isPushed = on;
      if (!on) follow();
    },
    expire,
  };
};

/** Resolves at the next advance, or after `ms`. */
const nextAdvance = (clock: Clock, waiters: Set<() => void>, ms: number): Promise<void> =>
  new Promise((resolve) => {
    const done = () => {
      waiters.delete(done);
      cancel();
      resolve();
    };
    const cancel = clock.after(ms, done);
    waiters.add(done);
  });
