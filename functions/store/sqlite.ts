import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { domainName, parseDomain } from './domain.ts';
import { createGroupCommit } from './sqlite-commit.ts';
import { openLink } from './sqlite-link.ts';
import { createTable, loadPart, type Table, trimLog } from './sqlite-table.ts';
import type { Change, CommitFeed, Domain, Store } from './store.ts';

export { DirectoryInUse, DirectoryRefused } from './sqlite-link.ts';

export interface SqliteOptions {
  /** The data directory; made when absent, readable by its owner only. */
  path: string;
  /** Log entries kept per domain; 10,000 when absent. `compact` cuts further. */
  logKeep?: number;
  /** Bytes of domains in memory; above it the least recently used go. 512 MiB when absent. */
  bytesMax?: number;
  /** Size bound of the database, in bytes; writes beyond it end as 'full'. None when absent. */
  fileBytesMax?: number;
}

const pageBytes = 8192;
/** Of replaced states in a domain's log: large objects that change often must not fill the memory. */
const logBytesMax = 64 << 20;
/** Commits between two looks at what may leave memory. */
const sweepCommits = 2000;

/** Takes the least recently used domains out of memory, until the rest is within bounds. */
const evict = (tables: Map<string, Table>, bytesMax: number, keep: Table): void => {
  let total = 0;
  for (const table of tables.values()) total += table.bytes + 1000;
  if (total <= bytesMax) return;
  for (const table of [...tables.values()].sort((a, b) => a.usedAt - b.usedAt)) {
    if (total <= bytesMax) return;
    if (table === keep || table.pending.size > 0 || table.waiters.size > 0) continue;
    total -= table.bytes + 1000;
    tables.delete(table.name);
  }
};

const wakeAll = (table: Table): void => {
  for (const waiter of table.waiters) waiter();
};

const waitFor = (table: Table, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const done = () => {
      table.waiters.delete(done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    table.waiters.add(done);
    signal.addEventListener('abort', done);
  });

/** A store in files. */
export interface SqliteStore extends Store, CommitFeed {
  /** Leaves in the files nothing of what was deleted, replaced or compacted. Writes wait meanwhile: the file is copied. */
  scrub(): Promise<void>;
}

/**
 * A durable store in one directory (SQLite in WAL mode, synchronous=FULL): a write is acknowledged, and seen by readers,
 * after its fsync. Rejects with DirectoryInUse or DirectoryRefused when the directory is not ours to open.
 */
export const createSqliteStore = async (options: SqliteOptions): Promise<SqliteStore> => {
  const { path, logKeep = 10_000, bytesMax = 512 << 20, fileBytesMax = 0 } = options;
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const tables = new Map<string, Table>();
  const loading = new Map<string, Promise<Table>>();
  const dropping = new Map<string, Promise<void>>();
  const listeners = new Set<{ changed: Parameters<CommitFeed['subscribe']>[0]; dropped?: (cluster: string) => void }>();
  let uses = 0;
  let dead: Error | undefined;

  const trim = (table: Table, keep: number): void => {
    const unneeded = trimLog(table, keep);
    link.post({
      type: 'forget',
      domain: table.name,
      revisions: Float64Array.from(unneeded),
      compacted: Number(table.compacted),
    });
  };
  const publish = (domain: Domain, table: Table, changes: Change[]): void => {
    for (const { changed } of listeners) changed(domain, changes);
    wakeAll(table);
    if (table.log.length > logKeep + (logKeep >>> 2) + 64) trim(table, logKeep);
    while (table.logBytes > logBytesMax && table.log.length > 1) trim(table, table.log.length >>> 1);
  };
  const group = createGroupCommit((message, transfer) => link.post(message, transfer), publish);
  const link = await openLink(
    path,
    { file: join(path, 'store.db'), pagesMax: Math.ceil(fileBytesMax / pageBytes) },
    {
      written: (message) => {
        if (message.type === 'written') group.written(message.seq);
        else group.failed(message.full, message.message);
      },
      died: (error) => {
        dead = error;
        group.failed(false, error.message);
        for (const table of tables.values()) wakeAll(table);
      },
    },
  );

  /** Not now: whoever waits for a table that is loaded must have it before it may go. */
  const evictSoon = (keep: Table) => setImmediate(evict, tables, bytesMax, keep);
  const load = async (domain: Domain, name: string): Promise<Table> => {
    await dropping.get(domain.cluster);
    if (dead) throw dead;
    const table = createTable(domain, name);
    await link.load(name, (part) => loadPart(table, part));
    tables.set(name, table);
    table.usedAt = ++uses;
    evictSoon(table);
    return table;
  };
  /** At once where the domain is in memory, so that the hot path does not wait. */
  const tableOf = (domain: Domain): Table | Promise<Table> => {
    if (dead) return Promise.reject(dead);
    const name = domainName(domain);
    const table = dropping.size > 0 && dropping.has(domain.cluster) ? undefined : tables.get(name);
    if (table) {
      table.usedAt = ++uses;
      if (uses % sweepCommits === 0) evictSoon(table);
      return table;
    }
    let loads = loading.get(name);
    if (!loads) {
      loads = load(domain, name).finally(() => loading.delete(name));
      loading.set(name, loads);
    }
    return loads;
  };

  const drop = async (cluster: string): Promise<void> => {
    const prefix = `${cluster}/`;
    await Promise.allSettled([...loading].filter(([name]) => name.startsWith(prefix)).map(([, loads]) => loads));
    await group.idle();
    await link.drop(cluster);
    const gone = [...tables.values()].filter((table) => table.name.startsWith(prefix));
    for (const table of gone) tables.delete(table.name);
    for (const { dropped } of listeners) dropped?.(cluster);
    for (const table of gone) wakeAll(table);
  };

  return {
    get: async (domain, key) => {
      const table = tableOf(domain);
      return (table instanceof Promise ? await table : table).objects.get(key);
    },
    scan: async (domain, after, limit) => {
      const items = (await tableOf(domain)).objects.select({ after, limit: limit + 1 });
      if (items.length <= limit) return { items };
      items.length = limit;
      return { items, next: items.at(-1)?.key ?? '' };
    },
    commit: (domain, writes) => {
      const table = tableOf(domain);
      return table instanceof Promise ? table.then((t) => group.commit(t, writes)) : group.commit(table, writes);
    },
    head: async (domain) => (await tableOf(domain)).head,
    heads: async (domains) => (await Promise.all(domains.map(tableOf))).map((table) => table.head),
    changes: async (domain, after, limit) => {
      const table = await tableOf(domain);
      if (after < table.compacted) return 'compacted';
      const { log } = table;
      let low = 0;
      let high = log.length;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if ((log[middle]?.stored.revision ?? 0n) <= after) low = middle + 1;
        else high = middle;
      }
      return log.slice(low, low + limit);
    },
    wake: async (domain, after, signal) => {
      const table = await tableOf(domain);
      if (table.head <= after && !signal.aborted) await waitFor(table, signal);
    },
    compact: async (domain, keep) => {
      const table = await tableOf(domain);
      if (table.log.length > keep) trim(table, keep);
    },
    domains: async (cluster) => (await link.domains(cluster)).map(parseDomain),
    drop: async (cluster) => {
      await dropping.get(cluster);
      const done = drop(cluster).finally(() => dropping.delete(cluster));
      dropping.set(
        cluster,
        done.catch(() => undefined),
      );
      await done;
    },
    scrub: async () => {
      await group.idle();
      await link.scrub();
    },
    close: async () => {
      if (dead) return;
      await group.idle();
      await link.close();
    },
    subscribe: (changed, dropped) => {
      const entry = { changed, ...(dropped ? { dropped } : {}) };
      listeners.add(entry);
      return () => listeners.delete(entry);
    },
  };
};
