import type { Replica } from './replica-port.ts';
import type { Revision, Stored } from './store.ts';

/** When replicas were last brought up to the store's head, for those who may read one that is a little older. */
export interface Recency {
  isRecent(replica: Replica): boolean;
  /** Brings it up to the store's head, and returns the revision reached. */
  freshen(replica: Replica): Promise<Revision>;
}

/** Replicas are recent for `staleMsMax` milliseconds: what they may be older than a store that does not push its changes. */
export const createRecency = (clock: { now(): number }, staleMsMax: number): Recency => {
  const freshAt = new WeakMap<Replica, number>();
  return {
    isRecent: (replica) => clock.now() - (freshAt.get(replica) ?? Number.NEGATIVE_INFINITY) <= staleMsMax,
    freshen: async (replica) => {
      const asked = clock.now();
      const revision = await replica.fresh();
      freshAt.set(replica, asked);
      return revision;
    },
  };
};

/** What is read out of a stored state, worked out once for each. */
export const oncePerState = <T>(read: (stored: Stored) => T): ((stored: Stored) => T) => {
  const known = new WeakMap<Stored, { value: T }>();
  return (stored) => {
    let found = known.get(stored);
    if (!found) {
      found = { value: read(stored) };
      known.set(stored, found);
    }
    return found.value;
  };
};
