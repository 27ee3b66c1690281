// The store on DynamoDB Local: creates a second in one domain from four processes, against plain TransactWriteItems of the
// same two items from as many writers in the same run; and what each operation costs in request units. JSON lines.
//   node bench/dynamodb.ts [rates] [units]
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import {
  BatchGetItemCommand,
  DynamoDBClient,
  type DynamoDBClientConfig,
  GetItemCommand,
  QueryCommand,
  TransactGetItemsCommand,
  TransactWriteItemsCommand,
} from '@aws-sdk/client-dynamodb';
import { createSystemClock } from '../functions/clock/system.ts';
import { createDynamoStore, ensureTable } from '../functions/store/dynamodb.ts';
import type { DynamoCommand, DynamoSender } from '../functions/store/dynamodb-client.ts';
import { pack } from '../functions/store/dynamodb-items.ts';
import type { Domain, Indexed, Write } from '../functions/store/store.ts';
import type { Item } from '../test/simulation/dynamodb-expressions.ts';
import { createFakeTable, sizeOf } from '../test/simulation/dynamodb-fake.ts';
import { startDynamoLocal } from '../test/simulation/dynamodb-local.ts';

const PROCESSES = 4;
const SECONDS = 4;
const WARM_SECONDS = 1;
const ROUNDS = 3;
const pods: Domain = { cluster: 'default', group: '', resource: 'pods' };
const index: Indexed = {
  labels: { app: 'web', 'pod-template-hash': '5d8f7c9b6' },
  fields: { 'spec.nodeName': 'node-1', 'status.phase': 'Running' },
  owners: ['0b6a1d0e-6c1f-4f0e-9a51-3c1f2a7e5d11'],
};
/** 2.4 KB that compress to about 1 KB, as a pod does. */
const words = Array.from({ length: 130 }, (_, i) => `field${(i * 7919) % 97}: ${(i * 104729) % 65536}`).join(',');
const bytes = (revision: bigint) => Buffer.from(`{"resourceVersion":"${revision}","x":"${words.slice(0, 2360)}"}`);

interface Job {
  config: DynamoDBClientConfig;
  table: string;
  kind: 'store' | 'raw';
  writers: number;
  round: string;
}

const rawWriter = ({ config, table, round }: Job) => {
  const client = new DynamoDBClient({ ...config, maxAttempts: 1 });
  const { attributes } = pack(index, bytes(100_000n));
  return async (n: number): Promise<void> => {
    const key = `${round}-${process.pid}-${n}`;
    const put = (pk: string) => ({
      Put: {
        TableName: table,
        Item: { pk: { S: pk }, sk: { S: key }, r: { N: `${n}` }, ...attributes },
        ConditionExpression: 'attribute_not_exists(pk)',
      },
    });
    await client.send(new TransactWriteItemsCommand({ TransactItems: [put('raw/o'), put('raw/l')] }));
  };
};
const storeWriter = ({ config, table, round }: Job) => {
  const store = createDynamoStore({ client: config, table, clock: createSystemClock() });
  return async (n: number): Promise<void> => {
    const write: Write = { op: 'create', key: `ns/${round}-${process.pid}-${n}`, index, bytes };
    const [outcome] = await store.commit(pods, [write]);
    if (!outcome?.ok) throw new Error(`refused: ${outcome?.reason}`);
  };
};

/** A process of the bench: writes until told how many it did. */
const work = async (job: Job): Promise<void> => {
  const write = job.kind === 'raw' ? rawWriter(job) : storeWriter(job);
  const until = performance.now() + (WARM_SECONDS + SECONDS) * 1000;
  const from = until - SECONDS * 1000;
  let n = 0;
  let done = 0;
  const slowest: number[] = [];
  const writer = async (): Promise<void> => {
    for (let now = performance.now(); now < until; ) {
      await write(n++);
      const end = performance.now();
      if (end > from && end < until) done++;
      slowest.push(end - now);
      now = end;
    }
  };
  await Promise.all(Array.from({ length: job.writers }, writer));
  slowest.sort((a, b) => a - b);
  process.send?.({ done, p99: slowest[Math.floor(slowest.length * 0.99)] ?? 0 });
};

const rate = async (job: Omit<Job, 'writers'>, writers: number): Promise<{ perSecond: number; p99: number }> => {
  const children: ChildProcess[] = [];
  const length = Math.min(writers, PROCESSES);
  const answers = Array.from({ length }, async (_, i) => {
    const child = fork(import.meta.filename, ['work']);
    children.push(child);
    child.send({ ...job, writers: Math.floor(writers / length) + (i < writers % length ? 1 : 0) });
    const [answer] = await once(child, 'message');
    child.kill('SIGTERM');
    await once(child, 'exit');
    return answer as { done: number; p99: number };
  });
  const all = await Promise.all(answers);
  return {
    perSecond: all.reduce((sum, { done }) => sum + done, 0) / SECONDS,
    p99: Math.max(...all.map(({ p99 }) => p99)),
  };
};

const median = (values: number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

const rates = async (config: DynamoDBClientConfig): Promise<void> => {
  for (const writers of [1, 16, 64]) {
    const rounds: { raw: number; store: number; p99: number }[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const table = `rates-${writers}-${round}`;
      await ensureTable(config, table);
      const job = { config, table, round: `${writers}-${round}` };
      const raw = await rate({ ...job, kind: 'raw' }, writers);
      const store = await rate({ ...job, kind: 'store' }, writers);
      rounds.push({ raw: raw.perSecond, store: store.perSecond, p99: store.p99 });
    }
    const ratio = median(rounds.map((one) => one.store / one.raw));
    const figures = {
      writers,
      processes: Math.min(writers, PROCESSES),
      perSecond: Math.round(median(rounds.map((one) => one.store))),
      rawPerSecond: Math.round(median(rounds.map((one) => one.raw))),
      ratio: Number(ratio.toFixed(2)),
      p99Ms: Math.round(median(rounds.map((one) => one.p99))),
    };
    console.log(JSON.stringify({ bench: 'dynamodb', ...figures, goalRatio: 0.6, met: ratio >= 0.6 }));
  }
};

const kilobytes = (bytes: number, of: number): number => Math.max(1, Math.ceil(bytes / (of * 1024)));

/**
 * Request units by the rules of the DynamoDB Developer Guide ("Read and write operations"): a consistent read takes one
 * for each 4 KB, a write one for each 1 KB of the larger of old and new, both twice in a transaction; a read of nothing
 * and a write that is refused take one as well. Counted on a table in memory, since DynamoDB Local counts otherwise.
 */
const createMeter = () => {
  let readUnits = 0;
  let writeUnits = 0;
  let requests = 0;
  const table = createFakeTable();
  const sizeAt = (key: Item | undefined): number => {
    const item = table.get(key?.pk?.S ?? '', key?.sk?.S ?? '');
    return item ? sizeOf(item) : 0;
  };
  const send = async (command: DynamoCommand): Promise<never> => {
    requests++;
    const input: Record<string, unknown> = { ...command.input };
    const reads = (keys: Item[], times: number): void => {
      for (const key of keys) readUnits += times * kilobytes(sizeAt(key), 4);
    };
    const transaction = (input.TransactItems ?? []) as Record<string, { Key?: Item; Item?: Item }>[];
    const batch = Object.values((input.RequestItems ?? {}) as Record<string, { Keys?: Item[] }>);
    if (command instanceof GetItemCommand) reads([command.input.Key ?? {}], 1);
    if (command instanceof BatchGetItemCommand) reads(batch[0]?.Keys ?? [], 1);
    if (command instanceof TransactGetItemsCommand)
      reads(
        transaction.map(({ Get }) => Get?.Key ?? {}),
        2,
      );
    const written: Item[] = [];
    if (command instanceof TransactWriteItemsCommand)
      written.push(
        ...transaction.map((write) => Object.values(write).map((one) => one.Key ?? one.Item ?? {})[0] ?? {}),
      );
    else if (input.Item ?? (input.UpdateExpression && input.Key)) written.push((input.Item ?? input.Key) as Item);
    const before = written.map(sizeAt);
    try {
      const answer = table.execute(command) as { Items?: Item[] };
      if (command instanceof QueryCommand)
        readUnits += kilobytes(
          (answer.Items ?? []).reduce((sum, item) => sum + sizeOf(item), 0),
          4,
        );
      return answer as never;
    } finally {
      const times = command instanceof TransactWriteItemsCommand ? 2 : 1;
      for (const [i, key] of written.entries())
        writeUnits += times * kilobytes(Math.max(before[i] ?? 0, sizeAt(key)), 1);
    }
  };
  const take = () => {
    const taken = { readUnits, writeUnits, requests };
    readUnits = 0;
    writeUnits = 0;
    requests = 0;
    return taken;
  };
  return { sender: { send } as DynamoSender, take };
};

const units = async (): Promise<void> => {
  const table = 'units';
  const { sender, take } = createMeter();
  const store = createDynamoStore({ client: sender, table, clock: createSystemClock() });
  const reader = createDynamoStore({ client: sender, table, clock: createSystemClock() });
  const say = (operation: string, times = 1): void => {
    const { readUnits, writeUnits, requests } = take();
    const each = (value: number) => Number((value / times).toFixed(2));
    const figures = { readUnits: each(readUnits), writeUnits: each(writeUnits), requests: each(requests) };
    console.log(JSON.stringify({ bench: 'dynamodb units', operation, ...figures }));
  };
  const commit = async (writes: Write[]) => (await store.commit(pods, writes))[0];
  const create = (key: string): Write => ({ op: 'create', key, index, bytes });
  await commit([create('ns/first')]);
  say('first write of a domain');
  const made = await commit([create('ns/a')]);
  say('create, 1 KB compressed');
  const revision = made?.ok ? made.stored.revision : 0n;
  await commit([{ op: 'update', key: 'ns/a', expected: revision, index, bytes }]);
  say('update');
  await commit([create('ns/a')]);
  say('create that is refused');
  await store.get(pods, 'ns/a');
  say('get');
  await commit(Array.from({ length: 20 }, (_, i) => create(`ns/b${i}`)));
  say('create, twenty at once, each', 20);
  await reader.head(pods);
  take();
  await reader.head(pods);
  say('fresh, nothing changed');
  await commit([create('ns/c')]);
  take();
  await reader.head(pods);
  say('fresh, one change');
  const now = await store.get(pods, 'ns/c');
  take();
  await commit([{ op: 'delete', key: 'ns/c', expected: now?.revision ?? 0n }]);
  say('delete');
  for (let i = 0; i < 500; i += 20) await commit(Array.from({ length: 20 }, (_, n) => create(`ns/d${i + n}`)));
  take();
  await store.scan(pods, '', 500);
  say('page of 500 objects');
  await store.close();
  await reader.close();
};

const main = async (): Promise<void> => {
  const wanted = process.argv.slice(2);
  const local = await startDynamoLocal();
  try {
    if (wanted.length === 0 || wanted.includes('units')) await units();
    if (wanted.length === 0 || wanted.includes('rates')) await rates(local.config);
  } finally {
    await local.stop();
  }
};

if (process.argv[2] === 'work') process.once('message', (job) => void work(job as Job));
else await main();
