// The thread that owns the database file. All writes that wait when it turns to them go in one transaction; the fsync
// happens here and nowhere else.
import { DatabaseSync } from 'node:sqlite';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { codeOf, createDatabase, type Database, messageOf, numberOf } from './sqlite-database.ts';
import type { Forget, FromWorker, ToWorker, WorkerSettings, WriteBatch } from './sqlite-protocol.ts';

const schemaVersion = 1;
/** 'Skif', in the header of the file. */
const applicationId = 0x536b6966;
const schema = `
  CREATE TABLE domains (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, compacted INTEGER NOT NULL);
  CREATE TABLE entries (id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, key TEXT NOT NULL, fields TEXT NOT NULL, bytes BLOB NOT NULL);
  CREATE TABLE dropped (cluster TEXT PRIMARY KEY, floor INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE garbage (domain INTEGER PRIMARY KEY);
`;

const sqliteBusy = 5;
const sqliteNotDatabase = 26;

const port = parentPort;
if (!port) throw new Error('sqlite-worker.ts runs as a worker thread');
const send = (message: FromWorker, transfer: ArrayBuffer[] = []) => port.postMessage(message, transfer);

const open = ({ file, pagesMax }: WorkerSettings): DatabaseSync | undefined => {
  let db: DatabaseSync | undefined;
  const refuse = (reason: 'in-use' | 'newer' | 'foreign' | 'failed', message: string) => {
    db?.close();
    send({ type: 'refused', reason, message });
    return undefined;
  };
  try {
    db = new DatabaseSync(file, { timeout: 0 });
    db.exec('PRAGMA locking_mode=EXCLUSIVE; PRAGMA page_size=8192');
    db.exec('BEGIN EXCLUSIVE');
    const version = numberOf(db.prepare('PRAGMA user_version').get(), 'user_version');
    const id = numberOf(db.prepare('PRAGMA application_id').get(), 'application_id');
    const tables = numberOf(db.prepare('SELECT count(*) AS n FROM sqlite_schema').get(), 'n');
    if (tables > 0 && id !== applicationId) return refuse('foreign', `${file} is not a database of Skiff`);
    if (version > schemaVersion) return refuse('newer', `schema version ${version}, this Skiff knows ${schemaVersion}`);
    if (tables === 0) {
      db.exec(schema);
      db.exec(`PRAGMA application_id=${applicationId}; PRAGMA user_version=${schemaVersion}`);
    }
    db.exec('COMMIT');
    db.exec('PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=2000');
    db.exec('PRAGMA journal_size_limit=33554432; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-8192');
    if (pagesMax > 0) db.exec(`PRAGMA max_page_count=${pagesMax}`);
    return db;
  } catch (error) {
    if (codeOf(error) === sqliteBusy) return refuse('in-use', messageOf(error));
    if (codeOf(error) === sqliteNotDatabase) return refuse('foreign', `${file} is not a database of Skiff`);
    return refuse('failed', messageOf(error));
  }
};

const serve = (database: Database): void => {
  port.on('message', (first: ToWorker) => {
    const waiting: ToWorker[] = [first];
    for (let next = receiveMessageOnPort(port); next; next = receiveMessageOnPort(port)) waiting.push(next.message);
    let writes: (WriteBatch | Forget)[] = [];
    const flush = () => {
      if (writes.length > 0) database.write(writes);
      writes = [];
    };
    for (const message of waiting) {
      if (message.type === 'write' || message.type === 'forget') writes.push(message);
      else {
        flush();
        database.answer(message);
        if (message.type === 'close') port.close();
      }
    }
    flush();
  });
  database.sweep();
};

const db = open(workerData as WorkerSettings);
if (db) {
  serve(createDatabase(db, send));
  send({ type: 'opened' });
} else port.close();
