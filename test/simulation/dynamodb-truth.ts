// What really happened in the simulated table, seen from inside it, and whether what callers were told agrees.
import { domainName } from '../../functions/store/domain.ts';
import {
  isTombstone,
  isVoid,
  number,
  objectsPartition,
  partKey,
  partsOf,
  readEntry,
  readObject,
} from '../../functions/store/dynamodb-items.ts';
import type { Change, Domain, Revision, Stored } from '../../functions/store/store.ts';
import type { Item } from './dynamodb-expressions.ts';
import type { FakeTable } from './dynamodb-fake.ts';
import { type Seen, tokenOf } from './dynamodb-history.ts';

/** A run of changes that one watcher saw without being told 'compacted'. */
export interface Segment {
  domain: Domain;
  from: Revision;
  reached: Revision;
  changes: Change[];
}

interface Log {
  entries: Map<Revision, Change>;
  /** Where the domain began, each time. */
  bases: Revision[];
  head: Revision;
}

export const createTruth = (table: () => FakeTable) => {
  const logs = new Map<string, Log>();
  const faults: string[] = [];
  const logOf = (name: string): Log => {
    const log = logs.get(name) ?? { entries: new Map(), bases: [], head: 0n };
    logs.set(name, log);
    return log;
  };
  /** Parts are read when the entry comes: they are of the same transaction, which is applied as a whole before any look. */
  const late: (() => void)[] = [];

  const observe = (next: Item | undefined, old: Item | undefined): void => {
    if (!next) return;
    const path = (next.pk?.S ?? '').split('/');
    const name = path.slice(0, 3).join('/');
    const revision = number(next, 'r') ?? 0n;
    if (path[3] === 'h') {
      const log = logOf(name);
      const head = number(next, 'h') ?? 0n;
      if (head < log.head) faults.push(`head of ${name} went back from ${log.head} to ${head}`);
      log.head = head;
      const base = number(next, 'b') ?? 0n;
      if (log.bases.at(-1) !== base) log.bases.push(base);
    }
    if (path[3] !== 'l' || isVoid(next)) return;
    if (old) faults.push(`entry ${revision} of ${name} was overwritten`);
    late.push(() => {
      const log = logOf(name);
      const [cluster = '', group = '', resource = ''] = path;
      const parts = Array.from({ length: partsOf(next) }, (_, i) => {
        const key = partKey({ cluster, group, resource }, revision, i);
        return table().get(key.pk.S, key.sk.S)?.v?.B ?? Buffer.alloc(0);
      });
      if (log.entries.has(revision)) faults.push(`revision ${revision} of ${name} was written twice`);
      log.entries.set(revision, readEntry(next, parts));
    });
  };
  /** To be called between events. */
  const settle = (): void => {
    for (const work of late.splice(0)) work();
  };

  const inOrder = (log: Log): Change[] =>
    [...log.entries.values()].sort((a, b) => (a.stored.revision < b.stored.revision ? -1 : 1));
  const baseAt = (log: Log, revision: Revision): Revision => log.bases.filter((base) => base < revision).at(-1) ?? 0n;

  /** Each change follows from the state before it; what is left is what the table holds. */
  const checkTable = (domain: Domain): void => {
    const name = domainName(domain);
    const log = logOf(name);
    const state = new Map<string, Change>();
    let base = 0n;
    for (const change of inOrder(log)) {
      const { key, revision } = change.stored;
      if (baseAt(log, revision) !== base) state.clear();
      base = baseAt(log, revision);
      const before = state.get(key);
      const previous = JSON.stringify(before?.stored.index);
      if (JSON.stringify(change.previousIndex) !== previous)
        faults.push(`${name} ${revision}: previous is ${JSON.stringify(change.previousIndex)}, was ${previous}`);
      if (change.type === 'delete') state.delete(key);
      else state.set(key, change);
    }
    const head = table().get(`${name}/h`, 'h');
    const live = new Map<string, Item>();
    for (const item of table().items(objectsPartition(domain)))
      if (!isTombstone(item)) live.set(item.sk?.S ?? '', item);
    // A drop that died in the middle; whoever asks again finishes it.
    if (head?.x) return;
    const begun = head ? (number(head, 'b') ?? 0n) : undefined;
    if (begun === undefined || base !== begun) state.clear();
    for (const [key, change] of state) {
      const item = live.get(key);
      if (!item) faults.push(`${name} ${key}@${change.stored.revision} is in the log and not in the table`);
      else if (textOf(objectOf(domain, item)) !== textOf(change.stored))
        faults.push(`${name} ${key}: log has ${textOf(change.stored)}, table ${textOf(objectOf(domain, item))}`);
      live.delete(key);
    }
    for (const [key, item] of live)
      faults.push(`${name} ${key}@${number(item, 'r')} is in the table and not in the log`);
  };
  const objectOf = (domain: Domain, item: Item): Stored => {
    const parts = Array.from({ length: partsOf(item) }, (_, i) => {
      const key = partKey(domain, number(item, 'r') ?? 0n, i);
      const part = table().get(key.pk.S, key.sk.S);
      if (part?.ttl) faults.push(`part ${i} of ${item.sk?.S} expires while it is in use`);
      return part?.v?.B ?? Buffer.alloc(0);
    });
    return readObject(item, parts);
  };
  const textOf = (stored: Stored): string =>
    `${stored.revision} ${tokenOf(stored).token} ${stored.bytes.byteLength} ${JSON.stringify(stored.index)}`;
  const changeText = (change: Change): string =>
    `${change.type} ${textOf(change.stored)} ${JSON.stringify(change.previousIndex)}`;

  const checkSegment = ({ domain, from, reached, changes }: Segment): void => {
    const name = domainName(domain);
    const log = logOf(name);
    const jump = log.bases.slice(1).find((base) => from < base && base <= reached);
    if (jump !== undefined) faults.push(`a watcher of ${name} went from ${from} to ${reached} over a drop`);
    const wanted = inOrder(log).filter(({ stored: { revision } }) => revision > from && revision <= reached);
    const [one, two] = [changes.map(changeText), wanted.map(changeText)];
    if (one.join() !== two.join())
      faults.push(
        `a watcher of ${name} from ${from} to ${reached} saw\n  ${one.join('\n  ')}\nand not\n  ${two.join('\n  ')}`,
      );
  };

  /** Acknowledged writes are in the log, refused ones are not, none is there twice. */
  const checkSeen = (history: readonly Seen[], droppedAt: (cluster: string) => number): void => {
    const made = new Map<string, string[]>();
    for (const [name, log] of logs)
      for (const { type, stored } of log.entries.values()) {
        if (type === 'delete') continue;
        const { token } = tokenOf(stored);
        made.set(token, [...(made.get(token) ?? []), `${name} ${stored.key} ${stored.revision}`]);
      }
    for (const { domain, key, start, call } of history) {
      if (!('result' in call)) continue;
      const { op, token, result } = call;
      const places = made.get(token) ?? [];
      if (places.length > 1) faults.push(`${token} was written more than once: ${places.join(', ')}`);
      if (result.kind === 'refused' || result.kind === 'nothing') {
        if (places.length > 0) faults.push(`${token} was refused and is there: ${places.join(', ')}`);
        continue;
      }
      if (result.kind !== 'ok') continue;
      const revision = BigInt(result.revision);
      const entry = logOf(domain).entries.get(revision);
      if (entry?.stored.key !== key || (entry.type === 'delete') !== (op === 'delete'))
        faults.push(`${op} of ${domain} ${key} at ${revision} was acknowledged and is not in the log`);
      if (start > droppedAt(domain.split('/')[0] ?? '') && revision <= (logOf(domain).bases.at(-1) ?? 0n))
        faults.push(`${domain} ${key}@${revision} was written after the drop and went with it`);
    }
  };

  return { observe, settle, faults, checkTable, checkSegment, checkSeen, head: (name: string) => logOf(name).head };
};
export type Truth = ReturnType<typeof createTruth>;
