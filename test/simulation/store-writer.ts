// Run as a process by store-kill.test.ts, which kills it: writes without end and prints each acknowledged write.
//   node test/simulation/store-writer.ts DIRECTORY SEED ROUND
import { writeSync } from 'node:fs';
import { createSqliteStore } from '../../functions/store/sqlite.ts';
import { domains, seeded } from './store-operations.ts';

const [path = '', seed = '1', round = '0'] = process.argv.slice(2);
const random = seeded(Number(seed) * 1000 + Number(round));
const store = await createSqliteStore({ path, logKeep: 500 });
const index = { labels: {}, fields: {}, owners: [] };

/** At once, so that what was told is told whatever happens next; waits where the pipe is full (it does not block). */
const tell = (line: string): void => {
  for (;;) {
    try {
      writeSync(1, line);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
};

const caller = async (id: number): Promise<void> => {
  let own: { key: string; revision: bigint } | undefined;
  for (let n = 0; ; n++) {
    const at = id % domains.length;
    const domain = domains[at];
    if (!domain) return;
    const size = Math.floor(random() * 3000);
    const bytes = (revision: bigint) => Buffer.from(`${revision}:${'x'.repeat(size)}`);
    const key = `r${round}/c${id}-${n}`;
    const remove = own && random() < 0.2;
    const [outcome] = await store.commit(domain, [
      !own || random() < 0.3
        ? { op: 'create', key, index, bytes }
        : remove
          ? { op: 'delete', key: own.key, expected: own.revision }
          : { op: 'update', key: own.key, expected: own.revision, index, bytes },
    ]);
    if (!outcome?.ok) throw new Error(`refused: ${outcome?.reason}`);
    const gone = outcome.stored.key === own?.key && remove;
    own = gone ? undefined : outcome.stored;
    tell(`${at} ${outcome.stored.key} ${outcome.stored.revision} ${gone ? 'gone' : 'there'}\n`);
  }
};
tell('ready\n');
await Promise.all(Array.from({ length: 12 }, (_, id) => caller(id)));
