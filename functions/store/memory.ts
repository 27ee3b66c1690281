import { keepWritten } from './decoded.ts';
import { bytesMaxOf, compareKeys, domainName, parseDomain, tooLarge } from './domain.ts';
import {
  type Change,
  type CommitFeed,
  type Domain,
  firstHead,
  type Outcome,
  type Revision,
  type Store,
  type Stored,
  type Write,
} from './store.ts';

interface Table {
  /** The head before its first write. */
  readonly begin: Revision;
  objects: Map<string, Stored>;
  log: Change[];
  head: Revision;
  /** Changes after this revision are in the log. */
  compacted: Revision;
  waiters: Set<() => void>;
}

/** How one write ends: refused, or as a change. */
type Step = { outcome: Outcome; change?: Change };

const write = (table: Table, w: Write): Step => {
  const current = table.objects.get(w.key);
  const lost = (reason: 'exists' | 'changed' | 'missing'): Step => ({
    outcome: { ok: false, reason, ...(current ? { current } : {}) },
  });
  if (w.op === 'create' ? current : !current) return lost(w.op === 'create' ? 'exists' : 'missing');
  if (w.op !== 'create' && current?.revision !== w.expected) return lost('changed');
  const revision = table.head + 1n;
  const bytes = w.bytes ? w.bytes(revision) : (current?.bytes ?? new Uint8Array());
  if (bytes.byteLength > bytesMaxOf(w)) return { outcome: { ok: false, reason: 'too-large', message: tooLarge } };
  const index = w.op === 'delete' ? (current?.index ?? { labels: {}, fields: {}, owners: [] }) : w.index;
  const stored: Stored = { key: w.key, revision, bytes, index };
  if (w.op !== 'delete' && w.object) keepWritten(stored, w.object);
  table.head = revision;
  if (w.op === 'delete') table.objects.delete(w.key);
  else table.objects.set(w.key, stored);
  const change: Change = {
    type: w.op === 'delete' ? 'delete' : 'put',
    stored,
    ...(current ? { previous: current, previousIndex: current.index } : {}),
  };
  table.log.push(change);
  return { outcome: { ok: true, stored, created: w.op === 'create' }, change };
};

const wakeAll = (table: Table): void => {
  for (const waiter of table.waiters) waiter();
};

/** Cuts the log to `keep` entries. */
const trim = (table: Table, keep: number): void => {
  const removed = table.log.splice(0, Math.max(0, table.log.length - keep));
  table.compacted = removed.at(-1)?.stored.revision ?? table.compacted;
};

/**
 * Domains in memory, gone with the process: the model that the other adapters are compared with. Keeps about `logKeep`
 * log entries per domain.
 */
export const createMemoryStore = ({ logKeep = 10_000 } = {}): Store & CommitFeed => {
  const tables = new Map<string, Table>();
  const floors = new Map<string, Revision>();
  const listeners = new Set<{ changed: Parameters<CommitFeed['subscribe']>[0]; dropped?: (cluster: string) => void }>();

  const headOfNew = (domain: Domain): Revision => (floors.get(domain.cluster) ?? 0n) + firstHead(domain);
  const tableOf = (domain: Domain): Table => {
    const name = domainName(domain);
    let table = tables.get(name);
    if (!table) {
      const head = headOfNew(domain);
      const compacted = floors.has(domain.cluster) ? head : 0n;
      table = { begin: head, objects: new Map(), log: [], head, compacted, waiters: new Set() };
      tables.set(name, table);
    }
    return table;
  };
  const peek = (domain: Domain) => tables.get(domainName(domain));

  return {
    get: async (domain, key) => peek(domain)?.objects.get(key),
    scan: async (domain, after, limit) => {
      const sorted = [...(peek(domain)?.objects.values() ?? [])].sort((a, b) => compareKeys(a.key, b.key));
      const rest = sorted.filter((stored) => after === '' || compareKeys(stored.key, after) > 0);
      const items = rest.slice(0, limit);
      const last = items.at(-1);
      return last && rest.length > items.length ? { items, next: last.key } : { items };
    },
    commit: async (domain, writes) => {
      const table = tableOf(domain);
      const changes: Change[] = [];
      const outcomes: Outcome[] = [];
      try {
        for (const w of writes) {
          const step = write(table, w);
          outcomes.push(step.outcome);
          if (step.change) changes.push(step.change);
        }
      } finally {
        if (changes.length > 0) {
          for (const { changed } of listeners) changed(domain, changes);
          wakeAll(table);
          if (table.log.length > logKeep + (logKeep >>> 2) + 64) trim(table, logKeep);
        }
      }
      return outcomes;
    },
    head: async (domain) => peek(domain)?.head ?? headOfNew(domain),
    heads: async (domains) => domains.map((domain) => peek(domain)?.head ?? headOfNew(domain)),
    changes: async (domain, after, limit) => {
      const table = tableOf(domain);
      if (after < table.compacted) return 'compacted';
      return table.log.filter((change) => change.stored.revision > after).slice(0, limit);
    },
    wake: (domain, after, signal) => {
      const table = tableOf(domain);
      if (table.head > after || signal.aborted) return Promise.resolve();
      return new Promise((resolve) => {
        const done = () => {
          table.waiters.delete(done);
          signal.removeEventListener('abort', done);
          resolve();
        };
        table.waiters.add(done);
        signal.addEventListener('abort', done);
      });
    },
    compact: async (domain, keep) => {
      const table = peek(domain);
      if (table) trim(table, keep);
    },
    domains: async (cluster) =>
      [...tables]
        .filter(([name, table]) => name.startsWith(`${cluster}/`) && (table.objects.size > 0 || table.log.length > 0))
        .map(([name]) => parseDomain(name)),
    drop: async (cluster) => {
      const gone = [...tables].filter(([name]) => name.startsWith(`${cluster}/`));
      if (gone.length === 0) return;
      const written = gone.map(([, table]) => table).filter((table) => table.head > table.begin);
      let floor = floors.get(cluster) ?? 0n;
      for (const table of written) if (table.head > floor) floor = table.head;
      if (written.length > 0) floors.set(cluster, floor + 1n);
      for (const [name] of gone) tables.delete(name);
      for (const { dropped } of listeners) dropped?.(cluster);
      for (const [, table] of gone) wakeAll(table);
    },
    close: async () => {
      for (const table of tables.values()) wakeAll(table);
    },
    subscribe: (changed, dropped) => {
      const entry = { changed, ...(dropped ? { dropped } : {}) };
      listeners.add(entry);
      return () => listeners.delete(entry);
    },
  };
};
