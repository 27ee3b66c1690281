import type { Clock } from '../clock/clock.ts';
import { domainName } from './domain.ts';
import type { Dynamo } from './dynamodb-client.ts';
import type { Heads } from './dynamodb-head.ts';
import {
  type Head,
  headKey,
  type Item,
  isVoid,
  logKey,
  logPartition,
  logSort,
  number,
  partsOf,
  readEntry,
  shardsAt,
  voidEntry,
} from './dynamodb-items.ts';
import { PartMissing, readParts } from './dynamodb-writer.ts';
import type { Change, Domain, Revision } from './store.ts';

export interface LogOptions {
  dynamo: Dynamo;
  heads: Heads;
  clock: Clock;
  writer: string;
  /** How long a reader waits for a revision that was given out and not written, in milliseconds; then it puts a void. */
  fenceMs: number;
  /** When a void put now may expire, in seconds since the epoch. */
  voidUntil: () => number;
  /** Bytes of recent changes kept in memory, all domains together. */
  tailBytesMax: number;
}

/** A run of changes without a gap: everything above `from` up to `to` is decided, and here. */
interface Tail {
  base: Revision;
  from: Revision;
  to: Revision;
  changes: Change[];
  bytes: number;
  running?: Promise<Revision> | undefined;
  queued?: Promise<Revision> | undefined;
}

/** Entries read at once at most; more are read in several steps. */
const stepEntries = 1000;
/** Runs shorter than this are read by their keys, longer ones by queries of all shards. */
const byKeyMax = 100;
const changeBytes = 300;

/** The change log of every domain, as this process sees it. */
export const createLog = (options: LogOptions) => {
  const { dynamo, heads, clock, writer, fenceMs, voidUntil, tailBytesMax } = options;
  const tails = new Map<string, Tail>();
  let held = 0;

  const shard = async (domain: Domain, i: number, first: Revision, last: Revision, into: Map<Revision, Item>) => {
    let start: Item | undefined;
    do {
      const page = await dynamo.query({
        KeyConditionExpression: 'pk = :p AND sk BETWEEN :a AND :b',
        ExpressionAttributeValues: {
          ':p': { S: logPartition(domain, i) },
          ':a': { S: logSort(first) },
          ':b': { S: logSort(last) },
        },
        ...(start ? { ExclusiveStartKey: start } : {}),
      });
      for (const item of page.items) into.set(number(item, 'r') ?? 0n, item);
      start = page.more;
    } while (start);
  };
  const byKeys = async (domain: Domain, head: Head, revisions: readonly Revision[], into: Map<Revision, Item>) => {
    const found = await dynamo.getAll(revisions.map((revision) => logKey(domain, head, revision)));
    for (const item of found.values()) into.set(number(item, 'r') ?? 0n, item);
  };
  const range = (first: Revision, last: Revision): Revision[] =>
    Array.from({ length: Number(last - first) + 1 }, (_, i) => first + BigInt(i));

  /** Every entry from `first` to `last`, voids included: waits for writers, then fences those that do not come. */
  const entries = async (domain: Domain, head: Head, first: Revision, last: Revision): Promise<Map<Revision, Item>> => {
    const found = new Map<Revision, Item>();
    const all = range(first, last);
    if (all.length <= byKeyMax) await byKeys(domain, head, all, found);
    else {
      const count = shardsAt(head, last);
      await Promise.all(Array.from({ length: count }, (_, i) => shard(domain, i, first, last, found)));
    }
    const until = clock.now() + fenceMs;
    for (let pause = 5; ; pause = Math.min(50, pause * 2)) {
      const missing = all.filter((revision) => !found.has(revision));
      if (missing.length === 0) return found;
      if (clock.now() >= until) {
        for (let at = 0; at < missing.length; at += 25)
          await Promise.all(missing.slice(at, at + 25).map((revision) => fence(domain, head, revision, found)));
        return found;
      }
      await clock.sleep(pause);
      await byKeys(domain, head, missing, found);
    }
  };
  const fence = async (domain: Domain, head: Head, revision: Revision, found: Map<Revision, Item>): Promise<void> => {
    const item = voidEntry(logKey(domain, head, revision), revision, writer, voidUntil());
    const put = await dynamo.put({ Item: item, ConditionExpression: 'attribute_not_exists(pk)' });
    if (put.ok) found.set(revision, item);
    else if (put.item) found.set(revision, put.item);
    else await byKeys(domain, head, [revision], found);
    if (!found.has(revision)) throw new Error(`log entry ${revision} of ${domainName(domain)} cannot be read`);
  };
  /**
   * Changes from `first` to `last`; undefined when the log no longer reaches back to them. A void may stand where an entry
   * was that expired or was dropped since the head was read, so where one is seen the head is looked at again.
   */
  const read = async (domain: Domain, head: Head, first: Revision, last: Revision): Promise<Change[] | undefined> => {
    if (first > last) return [];
    const found = await entries(domain, head, first, last);
    const items: Item[] = [];
    for (const revision of range(first, last)) {
      const item = found.get(revision);
      if (item && !isVoid(item)) items.push(item);
    }
    if (items.length <= last - first && !(await stillReaches(domain, head, first))) return undefined;
    try {
      const parts = (item: Item) => readParts(dynamo, domain, number(item, 'r') ?? 0n, partsOf(item));
      return await Promise.all(items.map(async (item) => readEntry(item, await parts(item))));
    } catch (error) {
      if (error instanceof PartMissing && !(await stillReaches(domain, head, first))) return undefined;
      throw error;
    }
  };
  const stillReaches = async (domain: Domain, head: Head, first: Revision): Promise<boolean> => {
    const now = await heads.read(domain);
    return now !== undefined && now.base === head.base && heads.floor(now) < first;
  };

  const sizeOf = (change: Change): number => changeBytes + change.stored.bytes.byteLength;
  const cut = (tail: Tail, count: number): void => {
    const gone = tail.changes.splice(0, count);
    const bytes = gone.reduce((sum, change) => sum + sizeOf(change), 0);
    tail.from = gone.at(-1)?.stored.revision ?? tail.from;
    tail.bytes -= bytes;
    held -= bytes;
  };
  /** Nothing was ever given out up to the base: a domain that never was dropped can be read from 0. */
  const reset = (tail: Tail, base: Revision, floor: Revision): void => {
    cut(tail, tail.changes.length);
    Object.assign(tail, { base, from: floor, to: floor > base ? floor : base });
  };
  const bound = (): void => {
    for (const [name, tail] of tails) {
      if (held <= tailBytesMax && tails.size < 10_000) return;
      if (tail.running) continue;
      cut(tail, tail.changes.length);
      tails.delete(name);
    }
  };
  const append = (tail: Tail, changes: readonly Change[], to: Revision): void => {
    for (const change of changes) {
      tail.changes.push(change);
      tail.bytes += sizeOf(change);
      held += sizeOf(change);
    }
    tail.to = to;
    // One domain takes at most half of it.
    let count = 0;
    let excess = tail.bytes - tailBytesMax / 2;
    for (const change of tail.changes) {
      if (excess <= 0) break;
      excess -= sizeOf(change);
      count++;
    }
    if (count > 0) cut(tail, count);
  };

  /** Reads the head and brings the tail up to it: every revision up to the result is decided. */
  const advanceOnce = async (domain: Domain, tail: Tail): Promise<Revision> => {
    for (;;) {
      const head = await heads.readOrStart(domain);
      if (!('revision' in head)) {
        reset(tail, head.base, head.readableFrom);
        return head.base;
      }
      const floor = heads.floor(head);
      if (head.base !== tail.base || tail.to < floor || tail.to > head.revision) reset(tail, head.base, floor);
      if (await catchUp(domain, tail, head)) return tail.to;
    }
  };
  /** False when what is missing can no longer be read. */
  const catchUp = async (domain: Domain, tail: Tail, head: Head): Promise<boolean> => {
    while (tail.to < head.revision) {
      const last = tail.to + BigInt(stepEntries) < head.revision ? tail.to + BigInt(stepEntries) : head.revision;
      const changes = await read(domain, head, tail.to + 1n, last);
      if (!changes) return false;
      append(tail, changes, last);
    }
    return true;
  };
  const tailOf = (domain: Domain): Tail => {
    const name = domainName(domain);
    const known = tails.get(name);
    const tail = known ?? { base: -1n, from: 0n, to: 0n, changes: [], bytes: 0 };
    // The last used goes to the end: the first is the one to drop.
    if (known) tails.delete(name);
    tails.set(name, tail);
    return tail;
  };
  /** Callers that come while one runs share the next: a head read before a caller asked is no answer to it. */
  const advance = (domain: Domain, tail = tailOf(domain)): Promise<Revision> => {
    if (!tail.running) {
      tail.running = advanceOnce(domain, tail).finally(() => {
        tail.running = undefined;
        bound();
      });
      return tail.running;
    }
    tail.queued ??= tail.running
      .catch(() => 0n)
      .then(() => {
        tail.queued = undefined;
        return advance(domain, tail);
      });
    return tail.queued;
  };
  const fromTail = (tail: Tail, after: Revision, limit: number): Change[] => {
    let low = 0;
    let high = tail.changes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((tail.changes[middle]?.stored.revision ?? 0n) <= after) low = middle + 1;
      else high = middle;
    }
    return tail.changes.slice(low, low + limit);
  };

  return {
    head: (domain: Domain): Promise<Revision> => advance(domain),
    changes: async (domain: Domain, after: Revision, limit: number): Promise<Change[] | 'compacted'> => {
      const tail = tailOf(domain);
      if (tail.base < 0n || after >= tail.to || after < tail.from) await advance(domain, tail);
      if (after >= tail.from) return after > tail.to ? [] : fromTail(tail, after, limit);
      const head = await heads.read(domain);
      if (!head || after < heads.floor(head)) return 'compacted';
      const changes: Change[] = [];
      let at = after > head.base ? after : head.base;
      while (at < head.revision && changes.length < limit) {
        const step = BigInt(Math.min(stepEntries, limit - changes.length + 16));
        const last = at + step < head.revision ? at + step : head.revision;
        const more = await read(domain, head, at + 1n, last);
        if (!more) return 'compacted';
        changes.push(...more);
        at = last;
      }
      return changes.slice(0, limit);
    },
    compact: async (domain: Domain, keep: number): Promise<void> => {
      const tail = tailOf(domain);
      const head = await advance(domain, tail);
      const floor = head - BigInt(keep);
      if (floor <= 0n) return;
      await dynamo.update({
        Key: { ...headKey(domain) },
        UpdateExpression: 'SET f = :f',
        ConditionExpression: 'f < :f',
        ExpressionAttributeValues: { ':f': { N: `${floor}` } },
      });
      cut(tail, tail.changes.findLastIndex((change) => change.stored.revision <= floor) + 1);
      if (tail.from < floor) tail.from = floor;
    },
    /** Every ticket up to a closed head is decided from here on: for drop(). */
    settle: async (domain: Domain, head: Head): Promise<void> => {
      for (let at = heads.openAbove(head); at < head.revision; at += BigInt(stepEntries)) {
        const last = at + BigInt(stepEntries) < head.revision ? at + BigInt(stepEntries) : head.revision;
        await entries(domain, head, at + 1n, last);
      }
    },
  };
};
export type Log = ReturnType<typeof createLog>;
