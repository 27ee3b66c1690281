import { compareKeys } from './domain.ts';
import type { Selection } from './replica-port.ts';
import type { Stored } from './store.ts';

/** What to see in place of the present state, by key; undefined: the key was absent. */
export type Undo = ReadonlyMap<string, Stored | undefined>;

/** Objects by key and in key order: blocks of a few hundred, so that a change moves little and a namespace is a range. */
export interface Ordered {
  readonly size: number;
  get(key: string): Stored | undefined;
  /** Returns what it replaced. */
  set(stored: Stored): Stored | undefined;
  /** Returns what it removed. */
  delete(key: string): Stored | undefined;
  select(selection: Selection, undo?: Undo): Stored[];
}

const blockLengthMax = 512;

/** First position in a sorted array whose key is not below `key`. */
const positionIn = (block: readonly Stored[], key: string): number => {
  let low = 0;
  let high = block.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareKeys(block[middle]?.key ?? '', key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
};

/** Last block whose first key is not above `key`; 0 when there is none. */
const blockFor = (blocks: readonly (readonly Stored[])[], key: string): number => {
  let low = 0;
  let high = blocks.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if (compareKeys(blocks[middle]?.[0]?.key ?? '', key) <= 0) low = middle;
    else high = middle - 1;
  }
  return low;
};

/** The undone objects that a selection may hold, in key order. */
const undone = (undo: Undo): Stored[] => {
  const found: Stored[] = [];
  for (const stored of undo.values()) if (stored) found.push(stored);
  return found.sort((a, b) => compareKeys(a.key, b.key));
};

/** Takes objects in key order until the selection is complete. */
const collector = ({ namespace, matches, after = '', limit = Number.POSITIVE_INFINITY }: Selection) => {
  const prefix = namespace ? `${namespace}/` : '';
  const items: Stored[] = [];
  /** False when no later object can belong to it. */
  const take = (stored: Stored): boolean => {
    const { key } = stored;
    if (items.length >= limit) return false;
    if (prefix && !key.startsWith(prefix)) return compareKeys(key, prefix) < 0;
    if (after && compareKeys(key, after) <= 0) return true;
    if (!matches || matches(key, stored.index)) items.push(stored);
    return true;
  };
  return { items, take, from: after && compareKeys(after, prefix) > 0 ? after : prefix };
};

export const createOrdered = (): Ordered => {
  const byKey = new Map<string, Stored>();
  const blocks: Stored[][] = [[]];

  const insert = (stored: Stored): void => {
    const at = blockFor(blocks, stored.key);
    const block = blocks[at] ?? [];
    const last = block.at(-1);
    if (!last || compareKeys(last.key, stored.key) < 0) block.push(stored);
    else block.splice(positionIn(block, stored.key), 0, stored);
    if (block.length > blockLengthMax) {
      // An append leaves a full block behind, so that a load in key order does not leave halves.
      const keep = at === blocks.length - 1 && block.at(-1) === stored ? blockLengthMax : blockLengthMax >>> 1;
      blocks.splice(at + 1, 0, block.splice(keep));
    }
  };

  return {
    get size() {
      return byKey.size;
    },
    get: (key) => byKey.get(key),
    set: (stored) => {
      const replaced = byKey.get(stored.key);
      byKey.set(stored.key, stored);
      if (!replaced) {
        insert(stored);
        return undefined;
      }
      const block = blocks[blockFor(blocks, stored.key)] ?? [];
      block[positionIn(block, stored.key)] = stored;
      return replaced;
    },
    delete: (key) => {
      const removed = byKey.get(key);
      if (!removed) return undefined;
      byKey.delete(key);
      const at = blockFor(blocks, key);
      const block = blocks[at] ?? [];
      block.splice(positionIn(block, key), 1);
      if (block.length === 0 && blocks.length > 1) blocks.splice(at, 1);
      return removed;
    },
    select: (selection, undo) => {
      const { items, take, from } = collector(selection);
      const extra = undo ? undone(undo) : [];
      let next = 0;
      let at = blockFor(blocks, from);
      let position = positionIn(blocks[at] ?? [], from);
      for (; at < blocks.length; at++, position = 0) {
        const block = blocks[at] ?? [];
        for (; position < block.length; position++) {
          const stored = block[position];
          if (!stored) continue;
          for (let e = extra[next]; e && compareKeys(e.key, stored.key) <= 0; e = extra[++next])
            if (!take(e)) return items;
          if (undo?.has(stored.key)) continue;
          if (!take(stored)) return items;
        }
      }
      for (let e = extra[next]; e && take(e); e = extra[++next]);
      return items;
    },
  };
};
