import { domainName } from './domain.ts';
import { createReplica, type KeptReplica, type ReplicaOptions } from './domain-replica.ts';
import type { Replicas } from './replica-port.ts';
import type { Change, CommitFeed, Domain, Store } from './store.ts';

export interface ReplicasOptions extends ReplicaOptions {
  /** Bytes of all replicas together; above it the least recently used that nobody follows go. */
  bytesMax: number;
  /** A replica that nobody used for so long goes, in milliseconds; 10 minutes when absent. */
  idleMsMax?: number;
}

interface Entry {
  replica: KeptReplica;
  ready: Promise<KeptReplica>;
  loaded: boolean;
  usedAt: number;
  /** Changes pushed while it loads. */
  early: Change[][];
  /** Its cluster was dropped while it loaded. */
  dropped: boolean;
}

/**
 * The replicas of a process. Where the store is a CommitFeed, its changes are pushed into them and `fresh` costs nothing;
 * elsewhere `fresh` reads the head and the log. Nothing runs for a domain that nobody asked for.
 */
export const createReplicas = (store: Store & Partial<CommitFeed>, options: ReplicasOptions): Replicas => {
  const { clock, bytesMax, idleMsMax = 600_000 } = options;
  const entries = new Map<string, Entry>();
  let sweepAt = 0;
  let changesSeen = 0;

  const forget = (name: string, entry: Entry): void => {
    entries.delete(name);
    entry.replica.pushed(false);
  };
  const sweep = (): void => {
    const now = clock.now();
    sweepAt = now + Math.min(idleMsMax, 60_000) / 4;
    let total = 0;
    for (const [name, entry] of entries) {
      entry.replica.trim();
      if (entry.loaded && !entry.replica.inUse && now - entry.usedAt > idleMsMax) forget(name, entry);
      else total += entry.replica.bytes;
    }
    if (total <= bytesMax) return;
    const byUse = [...entries].sort(([, a], [, b]) => a.usedAt - b.usedAt);
    for (const [name, entry] of byUse) {
      if (total <= bytesMax || entries.size === 1) return;
      if (!entry.loaded || entry.replica.inUse || entry.usedAt === now) continue;
      total -= entry.replica.bytes;
      forget(name, entry);
    }
  };

  const open = (domain: Domain, name: string): Entry => {
    const replica = createReplica(store, domain, options);
    const load = async (): Promise<KeptReplica> => {
      try {
        await replica.load();
        if (store.subscribe && !entry.dropped) {
          for (const changes of entry.early) replica.push(changes);
          replica.pushed(true);
        }
        entry.loaded = true;
        entry.early = [];
        sweep();
        return replica;
      } catch (error) {
        if (entries.get(name) === entry) entries.delete(name);
        throw error;
      }
    };
    const entry: Entry = {
      replica,
      ready: Promise.resolve(replica),
      loaded: false,
      usedAt: clock.now(),
      early: [],
      dropped: false,
    };
    entries.set(name, entry);
    entry.ready = load();
    return entry;
  };

  const unsubscribe = store.subscribe?.(
    (domain, changes) => {
      const entry = entries.get(domainName(domain));
      if (!entry) return;
      if (entry.loaded) entry.replica.push(changes);
      else entry.early.push(changes);
      changesSeen += changes.length;
      if (changesSeen < 1000) return;
      changesSeen = 0;
      sweep();
    },
    (cluster) => {
      for (const [name, entry] of entries) {
        if (!name.startsWith(`${cluster}/`)) continue;
        entry.dropped = true;
        forget(name, entry);
        entry.replica.expire();
      }
    },
  );

  return {
    of: (domain) => {
      const name = domainName(domain);
      const entry = entries.get(name) ?? open(domain, name);
      entry.usedAt = clock.now();
      if (entry.usedAt > sweepAt) sweep();
      return entry.ready;
    },
    peek: (domain) => {
      const entry = entries.get(domainName(domain));
      if (!entry?.loaded) return undefined;
      entry.usedAt = clock.now();
      return entry.replica;
    },
    close: async () => {
      unsubscribe?.();
      for (const [name, entry] of entries) {
        forget(name, entry);
        entry.replica.expire();
      }
    },
  };
};
