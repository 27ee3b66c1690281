import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createSystemClock } from '../../functions/clock/system.ts';
import { createDynamoStore, ensureTable } from '../../functions/store/dynamodb.ts';
import { checkHistory, type Seen } from './dynamodb-history.ts';
import { type DynamoLocal, noDynamoLocal, startDynamoLocal } from './dynamodb-local.ts';
import { seedsToRun } from './store-operations.ts';

const reason = noDynamoLocal();
const processes = 4;
const operations = 25;
let local: DynamoLocal;

const runProcess = (table: string, name: string, seed: number): Promise<Seen[]> =>
  new Promise((resolve, reject) => {
    const file = join(import.meta.dirname, 'dynamodb-process.ts');
    const args = [file, `${local.config.endpoint}`, table, name, `${seed}`, `${operations}`];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const seen: Seen[] = [];
    createInterface({ input: child.stdout }).on('line', (line) => seen.push(JSON.parse(line) as Seen));
    child.once('error', reject);
    child.once('close', (code) =>
      code === 0 ? resolve(seen) : reject(new Error(`process ${name} ended with ${code}`)),
    );
  });

describe.skipIf(reason)(`histories of real processes on DynamoDB Local${reason ? `: ${reason}` : ''}`, () => {
  beforeAll(async () => {
    local = await startDynamoLocal();
  });
  afterAll(() => local.stop());

  it.each(seedsToRun(2))(
    'are linearizable, seed %i',
    async (seed) => {
      const table = `histories-${seed}`;
      await ensureTable(local.config, table);
      const names = Array.from({ length: processes }, (_, i) => `p${i}`);
      const histories = await Promise.all(names.map((name, i) => runProcess(table, name, seed * 100 + i)));
      const history = histories.flat();
      expect(history.length).toBe(processes * 3 * operations);
      expect(checkHistory(history)).toEqual([]);
      const won = history.flatMap(({ call }) => ('result' in call && call.result.kind === 'ok' ? [call] : []));
      expect(won.length).toBeGreaterThan(20);
      // The log tells the same: every write that was acknowledged, in revision order, and no other.
      const store = createDynamoStore({ client: local.config, table, clock: createSystemClock() });
      const log = await store.changes({ cluster: 'c', group: '', resource: 'pods' }, 0n, 10_000);
      await store.close();
      const told = log !== 'compacted' && log.map(({ type, stored }) => `${stored.revision} ${type}`);
      const revisionOf = (call: (typeof won)[number]): string =>
        call.result.kind === 'ok' ? call.result.revision : '';
      const wanted = won
        .sort((a, b) => (BigInt(revisionOf(a)) < BigInt(revisionOf(b)) ? -1 : 1))
        .map((call) => `${revisionOf(call)} ${call.op === 'delete' ? 'delete' : 'put'}`);
      expect(told).toEqual(wanted);
      // A checker that accepts anything proves nothing: with a read of the first value after the last it refuses.
      const first = won.find((call) => call.op === 'create');
      const oldest = history.find(({ call }) => 'result' in call && call.token === first?.token);
      if (!first || !oldest) throw new Error('nothing was created');
      const end = Math.max(...history.map((seen) => seen.end)) + 2;
      const found = { token: first.token, revision: revisionOf(first) };
      const stale: Seen = { ...oldest, start: end - 1, end, call: { op: 'get', found } };
      expect(checkHistory([...history, stale])).toHaveLength(1);
    },
    120_000,
  );
});
