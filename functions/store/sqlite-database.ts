import type { DatabaseSync } from 'node:sqlite';
import { parseDomain } from './domain.ts';
import type { Forget, FromWorker, Request, WriteBatch } from './sqlite-protocol.ts';
import { firstHead } from './store.ts';

/** An entry's id is its domain's id and its revision below it. */
const revisionBits = 40n;
const loadPartEntries = 2000;
const garbagePartEntries = 500;

type Row = Record<string, unknown>;
export const numberOf = (row: Row | undefined, column: string): number => Number(row?.[column] ?? 0);
const textOf = (row: Row | undefined, column: string): string => String(row?.[column] ?? '');
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
/** SQLite's primary result code. */
export const codeOf = (error: unknown): number =>
  error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : 0;
const sqliteFull = 13;

/** What the database does for the main thread; answers go through `send`. */
export interface Database {
  /** One transaction for all that waits. */
  write(messages: (WriteBatch | Forget)[]): void;
  answer(request: Request): void;
  /** Removes the entries of dropped clusters, a part at a time, until none are left. */
  sweep(): void;
}

export const createDatabase = (
  db: DatabaseSync,
  send: (message: FromWorker, transfer?: ArrayBuffer[]) => void,
): Database => {
  const statements = {
    domain: db.prepare('SELECT id, compacted FROM domains WHERE name = ?'),
    addDomain: db.prepare('INSERT INTO domains (name, compacted) VALUES (?, ?)'),
    floor: db.prepare('SELECT floor FROM dropped WHERE cluster = ?'),
    insert: db.prepare('INSERT INTO entries (id, kind, key, fields, bytes) VALUES (?, ?, ?, ?, ?)'),
    remove: db.prepare('DELETE FROM entries WHERE id = ?'),
    compacted: db.prepare('UPDATE domains SET compacted = ? WHERE name = ?'),
    page: db.prepare('SELECT id, kind, key, fields, bytes FROM entries WHERE id > ? AND id < ? ORDER BY id LIMIT ?'),
    names: db.prepare(`SELECT name FROM domains d WHERE name >= ? AND name < ?
      AND EXISTS (SELECT 1 FROM entries WHERE id > (d.id << 40) AND id < ((d.id + 1) << 40)) ORDER BY name`),
    drop: {
      heads: db.prepare(`SELECT max(compacted) AS compacted, max((SELECT max(id) FROM entries
        WHERE id > (d.id << 40) AND id < ((d.id + 1) << 40)) & 1099511627775) AS head
        FROM domains d WHERE name >= ? AND name < ?`),
      garbage: db.prepare('INSERT INTO garbage (domain) SELECT id FROM domains WHERE name >= ? AND name < ?'),
      domains: db.prepare('DELETE FROM domains WHERE name >= ? AND name < ?'),
      floor: db.prepare('INSERT OR REPLACE INTO dropped (cluster, floor) VALUES (?, ?)'),
    },
    garbage: db.prepare('SELECT domain FROM garbage LIMIT 1'),
    sweep: db.prepare('DELETE FROM entries WHERE id IN (SELECT id FROM entries WHERE id > ? AND id < ? LIMIT ?)'),
    swept: db.prepare('DELETE FROM garbage WHERE domain = ?'),
  };
  /** Ids of domains by name; forgotten when a transaction fails. */
  const ids = new Map<string, bigint>();
  let failedEpoch = -1;

  const floorOf = (name: string): number => numberOf(statements.floor.get(name.slice(0, name.indexOf('/'))), 'floor');
  const compactedOfNew = (name: string): number => {
    const floor = floorOf(name);
    return floor === 0 ? 0 : floor + Number(firstHead(parseDomain(name)));
  };
  const idOf = (name: string): bigint => {
    let id = ids.get(name);
    if (id !== undefined) return id;
    const row = statements.domain.get(name);
    id = row
      ? BigInt(numberOf(row, 'id'))
      : BigInt(statements.addDomain.run(name, compactedOfNew(name)).lastInsertRowid);
    ids.set(name, id);
    return id;
  };
  const insert = (batch: WriteBatch): void => {
    const domains = batch.domains.map((name) => idOf(name) << revisionBits);
    let start = 0;
    for (let i = 0; i < batch.keys.length; i++) {
      const end = batch.ends[i] ?? start;
      statements.insert.run(
        (domains[batch.domain[i] ?? 0] ?? 0n) | BigInt(batch.revisions[i] ?? 0),
        batch.kinds[i] ?? 0,
        batch.keys[i] ?? '',
        batch.indexes[i] ?? '',
        batch.bytes.subarray(start, end),
      );
      start = end;
    }
  };
  const forget = (message: Forget): void => {
    const base = idOf(message.domain) << revisionBits;
    for (const revision of message.revisions) statements.remove.run(base | BigInt(revision));
    statements.compacted.run(message.compacted, message.domain);
  };

  /** One transaction for all that waits. */
  const write = (messages: (WriteBatch | Forget)[]): void => {
    const valid = messages.filter((message) => message.type === 'forget' || message.epoch > failedEpoch);
    let newest: WriteBatch | undefined;
    for (const message of valid) if (message.type === 'write') newest = message;
    try {
      db.exec('BEGIN IMMEDIATE');
      for (const message of valid) message.type === 'write' ? insert(message) : forget(message);
      db.exec('COMMIT');
    } catch (error) {
      ids.clear();
      if (db.isTransaction) db.exec('ROLLBACK');
      if (!newest) return;
      failedEpoch = newest.epoch;
      const full = codeOf(error) === sqliteFull;
      send({ type: 'failed', epoch: newest.epoch, full, message: messageOf(error) });
      return;
    }
    if (newest) send({ type: 'written', seq: newest.seq });
  };

  const load = (id: number, name: string): void => {
    const row = statements.domain.get(name);
    const compacted = row ? numberOf(row, 'compacted') : compactedOfNew(name);
    const base = BigInt(numberOf(row, 'id')) << revisionBits;
    const end = base + (1n << revisionBits);
    for (let after = base, last = false; !last; ) {
      const rows = row ? statements.page.all(after, end, loadPartEntries) : [];
      last = rows.length < loadPartEntries;
      const revisions = rows.map((entry) => Number(BigInt.asUintN(40, entry.id as bigint)));
      after = base | BigInt(revisions.at(-1) ?? 0);
      const bytes = rows.map((entry) => entry.bytes as Uint8Array<ArrayBuffer>);
      const kinds = rows.map((entry) => numberOf(entry, 'kind'));
      const keys = rows.map((entry) => textOf(entry, 'key'));
      const indexes = rows.map((entry) => textOf(entry, 'fields'));
      const transfer = bytes.filter((object) => object.byteLength > 0).map((object) => object.buffer);
      send({ type: 'loaded', id, revisions, kinds, keys, indexes, bytes, compacted, last }, transfer);
    }
  };
  statements.page.setReadBigInts(true);

  /** The domains are gone at once, with one small transaction; their entries go later, piece by piece. */
  const drop = (cluster: string): void => {
    const range = [`${cluster}/`, `${cluster}0`] as const;
    db.exec('BEGIN IMMEDIATE');
    try {
      const row = statements.drop.heads.get(...range);
      const newest = Math.max(numberOf(row, 'head'), numberOf(row, 'compacted'), floorOf(`${cluster}/`));
      statements.drop.garbage.run(...range);
      const { changes } = statements.drop.domains.run(...range);
      if (Number(changes) > 0) statements.drop.floor.run(cluster, newest + 1);
      db.exec('COMMIT');
    } catch (error) {
      if (db.isTransaction) db.exec('ROLLBACK');
      throw error;
    } finally {
      ids.clear();
    }
    setImmediate(sweep);
  };
  const sweep = (): void => {
    if (!db.isOpen) return;
    const row = statements.garbage.get();
    if (!row) return;
    const base = BigInt(numberOf(row, 'domain')) << revisionBits;
    try {
      const { changes } = statements.sweep.run(base, base + (1n << revisionBits), garbagePartEntries);
      if (Number(changes) === 0) statements.swept.run(numberOf(row, 'domain'));
      setImmediate(sweep);
    } catch {
      // No room even to delete: the garbage table still names it, and the next start goes on.
    }
  };

  /** All pages are written anew, none is free, and the WAL is empty: what was deleted is in no file any more. */
  const scrub = (): void => {
    for (let row = statements.garbage.get(); row; row = statements.garbage.get()) {
      const base = BigInt(numberOf(row, 'domain')) << revisionBits;
      statements.sweep.run(base, base + (1n << revisionBits), Number.MAX_SAFE_INTEGER);
      statements.swept.run(numberOf(row, 'domain'));
    }
    // The copy that VACUUM makes may be larger than the memory.
    db.exec('PRAGMA temp_store=FILE');
    try {
      db.exec('VACUUM');
    } finally {
      db.exec('PRAGMA temp_store=MEMORY');
    }
    db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  };

  const answer = (request: Request): void => {
    try {
      if (request.type === 'load') {
        load(request.id, request.domain);
        return;
      }
      if (request.type === 'domains') {
        const rows = statements.names.all(`${request.cluster}/`, `${request.cluster}0`);
        send({ type: 'domains', id: request.id, names: rows.map((row) => textOf(row, 'name')) });
        return;
      }
      if (request.type === 'drop') drop(request.cluster);
      if (request.type === 'scrub') scrub();
      if (request.type === 'close') db.close();
      send({ type: 'done', id: request.id });
    } catch (error) {
      send({ type: 'error', id: request.id, message: messageOf(error) });
    }
  };

  return { write, answer, sweep };
};
