// The store on DynamoDB: ticket, commit, fence. docs/architecture.md has the protocol, dynamodb-items.ts the table.
import {
  CreateTableCommand,
  DynamoDBClient,
  type DynamoDBClientConfig,
  UpdateTimeToLiveCommand,
  waitUntilTableExists,
} from '@aws-sdk/client-dynamodb';
import type { Clock } from '../clock/clock.ts';
import { domainName } from './domain.ts';
import { createDynamo, type DynamoSender } from './dynamodb-client.ts';
import { dropCluster, listDomains } from './dynamodb-drop.ts';
import { createHeads } from './dynamodb-head.ts';
import { type Item, isTombstone, objectsPartition } from './dynamodb-items.ts';
import { createLog } from './dynamodb-log.ts';
import type { Call, Pending } from './dynamodb-plan.ts';
import type { ReadParts } from './dynamodb-stream.ts';
import { createWriter, readKnown, readParts, readWhole } from './dynamodb-writer.ts';
import type { Domain, Outcome, Revision, Store, Stored } from './store.ts';

export interface DynamoStoreOptions {
  table: string;
  clock: Clock;
  /** A client with retries of its own turned off, or what to make one from. */
  client: DynamoSender | DynamoDBClientConfig;
  /** How long one commit is tried before its writes are 'throttled', in milliseconds; 10 seconds when absent. */
  commitMsMax?: number;
  /** How long a reader waits for a revision given out and not written, in milliseconds; 200 when absent. */
  fenceMs?: number;
  /** How long log entries stay, in milliseconds; an hour when absent. */
  retentionMs?: number;
  /**
   * How long a request may be under way, from the moment its process decided to send it, in milliseconds; a day when
   * absent: a function's environment may be frozen in between.
   */
  lateMsMax?: number;
  /** Longest pause between two looks of wake(), in milliseconds; 1 second when absent. */
  pollMsMax?: number;
  /** Rings when a domain may have changed (a stream's doorbell); returns its stop function. */
  doorbell?: (domain: Domain, ring: () => void) => () => void;
}

/** Writes of one batch, and batches of one domain at once. */
const batchWrites = 24;
const batchesMax = 4;
/**
 * While one batch is under way, others wait to share the next one, unless so many wait, or it takes longer than so many
 * milliseconds: requests cost more than waiting for one of them does.
 */
const besideWrites = 12;
const besideMs = 100;
/** A transaction reads so many items at one moment. */
const headsAtOnce = 99;
const tailBytesMax = 64 * 1024 * 1024;

interface Waiting extends Call {
  next: number;
  running: boolean;
  resolve(outcomes: Outcome[]): void;
  reject(error: unknown): void;
}
interface Lane {
  domain: Domain;
  calls: Waiting[];
  busy: Set<string>;
  batches: number;
  /** When the newest batch began, and what ends the wait for it. */
  beganAt: number;
  stopWaiting?: () => void;
}

const isSender = (client: DynamoSender | DynamoDBClientConfig): client is DynamoSender => 'send' in client;

const senderOf = (client: DynamoSender | DynamoDBClientConfig): DynamoSender =>
  isSender(client) ? client : (new DynamoDBClient({ maxAttempts: 1, ...client }) as unknown as DynamoSender);

/** Takes consecutive writes of idle calls, none to an object that another batch is writing. */
const takeBatch = (lane: Lane): { batch: Pending[]; calls: Waiting[] } => {
  const batch: Pending[] = [];
  const calls: Waiting[] = [];
  const held = new Set(lane.busy);
  for (const call of lane.calls) {
    if (batch.length >= batchWrites) break;
    const before = batch.length;
    let write = call.running ? undefined : call.writes[call.next];
    for (; write && batch.length < batchWrites && !held.has(write.key); write = call.writes[call.next])
      batch.push({ call, at: call.next++, write });
    // Its next write waits: later calls to that object wait behind it.
    for (const rest of call.writes.slice(call.next)) held.add(rest.key);
    if (batch.length === before) continue;
    call.running = true;
    calls.push(call);
  }
  for (const { write } of batch) lane.busy.add(write.key);
  return { batch, calls };
};

/** Writes that no batch has taken, as far as it matters. */
const waitingOf = (lane: Lane): number => {
  let count = 0;
  for (const { running, writes, next } of lane.calls) {
    if (!running) count += writes.length - next;
    if (count >= besideWrites) break;
  }
  return count;
};

/** Reads the parts of large values, which a stream's records do not hold. */
export const createPartsReader = (options: Pick<DynamoStoreOptions, 'table' | 'clock' | 'client'>): ReadParts => {
  const { table, clock } = options;
  const dynamo = createDynamo({ client: senderOf(options.client), table, clock, requestMsMax: 10_000 });
  return (domain, revision, count) => readParts(dynamo, domain, revision, count);
};

export const createDynamoStore = (options: DynamoStoreOptions): Store => {
  const { table, clock, doorbell } = options;
  const { commitMsMax = 10_000, fenceMs = 200, retentionMs = 3_600_000, pollMsMax = 1000 } = options;
  const { lateMsMax = 86_400_000 } = options;
  const voidUntil = (): number => Math.ceil((clock.now() + Math.max(retentionMs, lateMsMax)) / 1000);
  const owned = !isSender(options.client);
  const client = senderOf(options.client);
  const writerId = clock.uuid();
  const dynamo = createDynamo({ client, table, clock, requestMsMax: commitMsMax });
  const heads = createHeads({ dynamo, clock, retentionMs, shardTicketsPerSecond: 200 });
  const log = createLog({ dynamo, heads, clock, writer: writerId, fenceMs, voidUntil, tailBytesMax });
  const writer = createWriter({
    dynamo,
    heads,
    clock,
    writer: writerId,
    commitMsMax,
    ticketMsMax: 3 * commitMsMax,
    retentionMs,
    voidUntil,
  });
  const lanes = new Map<string, Lane>();
  const rings = new Map<string, Set<() => void>>();
  const closing = new AbortController();
  const ring = (domain: Domain): void => {
    for (const bell of rings.get(domainName(domain)) ?? []) bell();
  };

  const finish = (lane: Lane, call: Waiting, error?: unknown): void => {
    call.running = false;
    const failed = error !== undefined || call.failure !== undefined;
    if (!failed && call.next < call.writes.length) return;
    lane.calls.splice(lane.calls.indexOf(call), 1);
    if (failed) call.reject(error ?? call.failure?.error);
    else call.resolve(call.outcomes.flatMap((outcome) => outcome ?? []));
  };
  const pump = (name: string, lane: Lane): void => {
    lane.stopWaiting?.();
    delete lane.stopWaiting;
    while (lane.batches < batchesMax && lane.calls.length > 0) {
      const left = lane.beganAt + besideMs - clock.now();
      if (lane.batches > 0 && left > 0 && waitingOf(lane) < besideWrites) {
        lane.stopWaiting = clock.after(left, () => pump(name, lane));
        break;
      }
      const { batch, calls } = takeBatch(lane);
      if (batch.length === 0) break;
      lane.batches++;
      lane.beganAt = clock.now();
      const done = (error?: unknown) => {
        lane.batches--;
        for (const { write } of batch) lane.busy.delete(write.key);
        for (const call of calls) finish(lane, call, error);
        ring(lane.domain);
        pump(name, lane);
      };
      writer.commit(lane.domain, batch).then(() => done(), done);
    }
    if (lane.calls.length === 0 && lane.batches === 0) lanes.delete(name);
  };

  const page = async (domain: Domain, after: string, limit: number, start?: Item) => {
    const { items, more } = await dynamo.query({
      KeyConditionExpression: after === '' ? 'pk = :p' : 'pk = :p AND sk > :a',
      ExpressionAttributeValues: {
        ':p': { S: objectsPartition(domain) },
        ...(after === '' ? {} : { ':a': { S: after } }),
      },
      Limit: limit,
      ...(start ? { ExclusiveStartKey: start } : {}),
    });
    const live = items.filter((item) => !isTombstone(item)).map((item) => readWhole(dynamo, domain, item));
    return { items: (await Promise.all(live)).flatMap((known) => known?.stored ?? []), more };
  };

  const wake = async (domain: Domain, after: Revision, signal: AbortSignal): Promise<void> => {
    const stopped = AbortSignal.any([signal, closing.signal]);
    const name = domainName(domain);
    const bells = rings.get(name) ?? new Set();
    rings.set(name, bells);
    let rung = () => {};
    let isRung = false;
    const bell = () => {
      isRung = true;
      rung();
    };
    bells.add(bell);
    stopped.addEventListener('abort', bell);
    const stop = doorbell?.(domain, bell);
    try {
      for (let pause = 25; !stopped.aborted; pause = Math.min(pollMsMax, pause * 1.5)) {
        isRung = false;
        const head = await heads.readOrStart(domain);
        const revision = 'revision' in head ? head.revision : head.base;
        if (revision > after || stopped.aborted) return;
        if (isRung) continue;
        await new Promise<void>((resolve) => {
          const cancel = clock.after(pause, resolve);
          rung = () => {
            cancel();
            resolve();
          };
        });
      }
    } finally {
      stop?.();
      stopped.removeEventListener('abort', bell);
      bells.delete(bell);
      if (bells.size === 0) rings.delete(name);
    }
  };

  return {
    get: async (domain, key) => (await readKnown(dynamo, domain, [key])).get(key)?.stored,
    scan: async (domain, after, limit) => {
      const items: Stored[] = [];
      let start: Item | undefined;
      do {
        const some = await page(domain, after, limit + 1 - items.length, start);
        items.push(...some.items);
        start = some.more;
      } while (start && items.length <= limit);
      const kept = items.slice(0, limit);
      const last = kept.at(-1);
      return last && items.length > limit ? { items: kept, next: last.key } : { items: kept };
    },
    commit: (domain, writes) => {
      if (writes.length === 0) return Promise.resolve([]);
      return new Promise((resolve, reject) => {
        const name = domainName(domain);
        const lane = lanes.get(name) ?? { domain, calls: [], busy: new Set(), batches: 0, beganAt: 0 };
        lanes.set(name, lane);
        const outcomes = writes.map(() => undefined);
        lane.calls.push({ writes: [...writes], outcomes, next: 0, running: false, resolve, reject });
        pump(name, lane);
      });
    },
    head: log.head,
    heads: async (domains) => {
      const found: Revision[] = [];
      for (let at = 0; at < domains.length; at += headsAtOnce)
        found.push(...(await heads.readTogether(domains.slice(at, at + headsAtOnce))));
      return found;
    },
    changes: log.changes,
    wake,
    compact: log.compact,
    domains: (cluster) => listDomains(dynamo, cluster),
    drop: (cluster) => dropCluster({ dynamo, heads, log, ttl: voidUntil }, cluster),
    close: async () => {
      closing.abort();
      await writer.close();
      if (owned) client.destroy?.();
    },
  };
};

/** Makes the table where it does not exist, with its stream and expiry: for local use, the stack makes its own. */
export const ensureTable = async (config: DynamoDBClientConfig, table: string): Promise<void> => {
  const client = new DynamoDBClient(config);
  try {
    await client.send(
      new CreateTableCommand({
        TableName: table,
        BillingMode: 'PAY_PER_REQUEST',
        AttributeDefinitions: [
          { AttributeName: 'pk', AttributeType: 'S' },
          { AttributeName: 'sk', AttributeType: 'S' },
        ],
        KeySchema: [
          { AttributeName: 'pk', KeyType: 'HASH' },
          { AttributeName: 'sk', KeyType: 'RANGE' },
        ],
        StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_IMAGE' },
      }),
    );
    await waitUntilTableExists({ client, maxWaitTime: 60, minDelay: 1 }, { TableName: table });
    await client.send(
      new UpdateTimeToLiveCommand({
        TableName: table,
        TimeToLiveSpecification: { Enabled: true, AttributeName: 'ttl' },
      }),
    );
  } catch (error) {
    if ((error as Error).name !== 'ResourceInUseException') throw error;
  } finally {
    client.destroy();
  }
};
