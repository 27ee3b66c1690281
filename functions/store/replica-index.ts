import type { Ordered } from './ordered.ts';
import type { Stored } from './store.ts';

/** Keys by value; one key stands alone, since most owners of a kind own one object of another. */
type Postings = Map<string, string | Set<string>>;

const add = (postings: Postings, value: string, key: string): void => {
  const keys = postings.get(value);
  if (keys === undefined) postings.set(value, key);
  else if (typeof keys !== 'string') keys.add(key);
  else if (keys !== key) postings.set(value, new Set([keys, key]));
};

const remove = (postings: Postings, value: string, key: string): void => {
  const keys = postings.get(value);
  if (keys === key) postings.delete(value);
  if (keys === undefined || typeof keys === 'string') return;
  keys.delete(key);
  if (keys.size === 0) postings.delete(value);
};

/** Where an object stands by owner uid and by field value; a field's postings are built on first use, then kept up. */
export interface ReplicaIndex {
  moved(from: Stored | undefined, to: Stored | undefined): void;
  byOwner(uid: string): Stored[];
  byField(field: string, value: string): Stored[];
}

export const createReplicaIndex = (objects: Ordered): ReplicaIndex => {
  const owners: Postings = new Map();
  const fields = new Map<string, Postings>();

  const found = (keys: string | Set<string> | undefined): Stored[] => {
    const items: Stored[] = [];
    for (const key of typeof keys === 'string' ? [keys] : (keys ?? [])) {
      const stored = objects.get(key);
      if (stored) items.push(stored);
    }
    return items;
  };
  const postingsOf = (field: string): Postings => {
    let postings = fields.get(field);
    if (!postings) {
      postings = new Map();
      for (const stored of objects.select({})) add(postings, stored.index.fields[field] ?? '', stored.key);
      fields.set(field, postings);
    }
    return postings;
  };

  return {
    moved: (from, to) => {
      if (from) for (const uid of from.index.owners) remove(owners, uid, from.key);
      if (to) for (const uid of to.index.owners) add(owners, uid, to.key);
      for (const [field, postings] of fields) {
        const before = from && (from.index.fields[field] ?? '');
        const now = to && (to.index.fields[field] ?? '');
        if (before === now) continue;
        if (from && before !== undefined) remove(postings, before, from.key);
        if (to && now !== undefined) add(postings, now, to.key);
      }
    },
    byOwner: (uid) => found(owners.get(uid)),
    byField: (field, value) => found(postingsOf(field).get(value)),
  };
};
