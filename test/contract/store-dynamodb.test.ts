import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createSystemClock } from '../../functions/clock/system.ts';
import { createDynamoStore, ensureTable } from '../../functions/store/dynamodb.ts';
import type { Domain } from '../../functions/store/store.ts';
import { type DynamoLocal, noDynamoLocal, startDynamoLocal } from '../simulation/dynamodb-local.ts';
import { create, noIndex, storeContract, textOf } from './store.ts';

const reason = noDynamoLocal();
let local: DynamoLocal;
let tables = 0;

describe.skipIf(reason)(`dynamodb${reason ? `: ${reason}` : ''}`, () => {
  beforeAll(async () => {
    local = await startDynamoLocal();
  });
  afterAll(() => local.stop());
  const open = (table: string, fenceMs = 100) =>
    createDynamoStore({ client: local.config, table, clock: createSystemClock(), fenceMs });

  storeContract(
    'dynamodb',
    () => {
      const table = `contract-${tables++}`;
      return {
        open: async () => {
          await ensureTable(local.config, table);
          return open(table);
        },
        remove: async () => undefined,
      };
    },
    {
      feed: 'committed changes come by the stream of the table, not in process',
      dense: 'a ticket whose write failed is voided, so revisions have gaps',
    },
  );

  it('splits what does not compress over items, and replaces and deletes it', async () => {
    const table = `contract-${tables++}`;
    await ensureTable(local.config, table);
    const domain: Domain = { cluster: 'c', group: '', resource: 'configmaps' };
    const store = open(table);
    const [first, second] = [randomBytes(1_572_864), randomBytes(900_000)];
    const [made] = await store.commit(domain, [{ op: 'create', key: 'a', index: noIndex, bytes: () => first }]);
    const expected = made?.ok ? made.stored.revision : 0n;
    const [changed] = await store.commit(domain, [
      { op: 'update', key: 'a', expected, index: noIndex, bytes: () => second },
    ]);
    expect(changed?.ok).toBe(true);
    const found = await store.get(domain, 'a');
    expect(Buffer.compare(found?.bytes ?? Buffer.alloc(0), second)).toBe(0);
    const [gone] = await store.commit(domain, [{ op: 'delete', key: 'a', expected: found?.revision ?? 0n }]);
    expect(gone?.ok).toBe(true);
    await store.close();
    const fresh = open(table);
    const log = await fresh.changes(domain, 0n, 10);
    const same =
      log !== 'compacted' && log.map((c, i) => `${c.type} ${Buffer.compare(c.stored.bytes, i === 0 ? first : second)}`);
    expect(same).toEqual(['put 0', 'put 0', 'delete 0']);
    await fresh.close();
  });

  it('several processes: every change in the same order for all, one winner for each revision of an object', async () => {
    const table = `contract-${tables++}`;
    await ensureTable(local.config, table);
    const domain: Domain = { cluster: 'c', group: '', resource: 'pods' };
    const stores = Array.from({ length: 4 }, () => open(table));
    const [one] = stores;
    if (!one) throw new Error('no store');
    const wins = new Map<string, number>();
    const work = stores.map(async (store, process) => {
      for (let i = 0; i < 25; i++) {
        const key = `k${i % 3}`;
        const now = await store.get(domain, key);
        const made = create(key, `${process}-${i}`);
        const write = now && made.op === 'create' ? { ...made, op: 'update' as const, expected: now.revision } : made;
        const [outcome] = await store.commit(domain, [write]);
        if (!outcome?.ok) continue;
        const replaced = `${key} ${now?.revision ?? 0n}`;
        wins.set(replaced, (wins.get(replaced) ?? 0) + 1);
      }
    });
    await Promise.all(work);
    expect([...wins.values()].filter((n) => n > 1)).toEqual([]);
    const logs = await Promise.all(stores.map((store) => store.changes(domain, 0n, 1000)));
    const told = logs.map((log) => log !== 'compacted' && log.map((c) => `${c.stored.revision} ${textOf(c.stored)}`));
    for (const other of told) expect(other).toEqual(told[0]);
    expect(told[0] ? told[0].length : 0).toBe(wins.size);
    await Promise.all(stores.map((store) => store.close()));
  });
});
