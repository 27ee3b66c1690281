import type { TransactWriteItem } from '@aws-sdk/client-dynamodb';
import type { Clock } from '../clock/clock.ts';
import { type Dynamo, Throttled } from './dynamodb-client.ts';
import {
  clusterKey,
  directoryKey,
  type Head,
  headKey,
  number,
  readHead,
  shardsAt,
  shardsAttribute,
  shardsMax,
} from './dynamodb-items.ts';
import { type Domain, firstHead, type Revision } from './store.ts';

export interface HeadsOptions {
  dynamo: Dynamo;
  clock: Clock;
  retentionMs: number;
  /** A domain whose tickets come faster than this, per second and shard, gets twice the shards. */
  shardTicketsPerSecond: number;
}

/** Where a domain begins that has no head yet: above the cluster's floor. */
export interface Start {
  /** The cluster's floor; 0 where none was dropped. */
  dropped: Revision;
  base: Revision;
  /** From where on its log can be read: 0 means from the start. */
  readableFrom: Revision;
}

/** Head items: the tickets of a domain, where its log begins, how it is spread. */
export interface Heads {
  /** Takes `count` tickets at once; the first of them, and the head as it is with them. Begins the domain when new. */
  take(domain: Domain, count: number, deadline: number): Promise<{ head: Head; first: Revision }>;
  /** Revisions of up to 99 domains of one cluster at one moment. */
  readTogether(domains: readonly Domain[]): Promise<Revision[]>;
  /** Undefined: the domain has not begun. */
  read(domain: Domain): Promise<Head | undefined>;
  /** As read(); where the domain has not begun, where it would begin at that same moment. */
  readOrStart(domain: Domain): Promise<Head | Start>;
  /** Closes a domain for a drop: its last head. Undefined where it has none. */
  close(domain: Domain): Promise<Head | undefined>;
  /** Removes a closed head, and the domain from the directory. */
  remove(domain: Domain, head: Head): Promise<void>;
  /** The highest revision that a drop removed; 0 when none did. */
  clusterFloor(cluster: string): Promise<Revision>;
  /** No change at or below it can be read from the log any more. */
  floor(head: Head): Revision;
  /** Every ticket at or below it was given out so long ago that no request of its writer is under way. */
  openAbove(head: Head): Revision;
}

/** A mark is set so many times within the retention. */
const marksPerRetention = 16;
/** Part of the retention that is not relied upon: clocks differ, and expiry goes by the table's clock. */
const marginPart = 1 / 8;
/** Pause between two looks at a domain that is being dropped, and how long the end of a drop is tried. */
const closedPauseMs = 100;
const removeMsMax = 10_000;

export const createHeads = ({ dynamo, clock, retentionMs, shardTicketsPerSecond }: HeadsOptions): Heads => {
  const key = (domain: Domain) => ({ ...headKey(domain) });
  const rates = new Map<string, { at: number; revision: Revision }>();

  const clusterFloor = async (cluster: string): Promise<Revision> =>
    number(await dynamo.get(clusterKey(cluster)), 'f') ?? 0n;

  const startAbove = (domain: Domain, dropped: Revision): Start => {
    const base = dropped + firstHead(domain);
    return { dropped, base, readableFrom: dropped === 0n ? 0n : base };
  };

  /**
   * Directory entry and head in one transaction, on condition that the cluster's floor is still the one that the base was
   * counted from: a drop that comes between, even long after, makes it fail. Another writer may have come first.
   */
  const begin = async (domain: Domain, deadline: number): Promise<void> => {
    const at = clock.now();
    const { dropped, base, readableFrom } = startAbove(domain, await clusterFloor(domain.cluster));
    const floor = `${readableFrom}`;
    const values = dropped === 0n ? {} : { ExpressionAttributeValues: { ':f': { N: `${dropped}` } } };
    const head = {
      ...key(domain),
      h: { N: `${base}` },
      f: { N: floor },
      b: { N: `${base}` },
      m: { S: JSON.stringify([[floor, at]]) },
    };
    const items: TransactWriteItem[] = [
      {
        ConditionCheck: {
          TableName: '',
          Key: { ...clusterKey(domain.cluster) },
          ConditionExpression: dropped === 0n ? 'attribute_not_exists(f)' : 'f = :f',
          ...values,
        },
      },
      { Put: { TableName: '', Item: head, ConditionExpression: 'attribute_not_exists(pk)' } },
      { Put: { TableName: '', Item: { ...directoryKey(domain), b: { N: `${base}` } } } },
    ];
    await dynamo.transact(items, deadline, () => true);
  };

  /** Notes when tickets after `before` were given out, now and then: it tells which entries cannot have expired. */
  const mark = async (domain: Domain, head: Head, before: Revision, at: number): Promise<void> => {
    const last = head.marks.at(-1)?.[1] ?? 0;
    if (at - last < retentionMs / marksPerRetention) return;
    const kept = head.marks.filter(([, time]) => at - time < retentionMs);
    await dynamo.update({
      Key: key(domain),
      UpdateExpression: 'SET m = :n',
      ConditionExpression: 'm = :o',
      ExpressionAttributeValues: {
        ':n': { S: JSON.stringify([...kept, [`${before}`, at]]) },
        ':o': { S: head.marksText },
      },
    });
  };

  /** Doubles the shards of a domain that is written fast. The new count holds above every ticket given out so far. */
  const spread = async (domain: Domain, head: Head): Promise<void> => {
    const name = headKey(domain).pk.S;
    const now = clock.now();
    const seen = rates.get(name);
    if (seen && now - seen.at < 1000) return;
    if (rates.size > 10_000) rates.clear();
    rates.set(name, { at: now, revision: head.revision });
    if (!seen || now - seen.at > 5000) return;
    const perSecond = (Number(head.revision - seen.revision) * 1000) / (now - seen.at);
    const count = shardsAt(head, head.revision);
    if (perSecond <= shardTicketsPerSecond * count || count >= shardsMax) return;
    const next = shardsAttribute(count * 2);
    await dynamo.update({
      Key: key(domain),
      UpdateExpression: `SET ${next} = h + :one`,
      ConditionExpression: `attribute_exists(h) AND attribute_not_exists(${next})`,
      ExpressionAttributeValues: { ':one': { N: '1' } },
    });
  };

  const reliable = (): number => clock.now() - retentionMs * (1 - marginPart);
  const unexpired = (head: Head): Revision => {
    const since = reliable();
    const mark = head.marks.find(([, time]) => time > since);
    const reach = mark ? BigInt(mark[0]) : head.revision;
    return reach > head.floor ? reach : head.floor;
  };
  const read = async (domain: Domain): Promise<Head | undefined> => {
    const item = await dynamo.get(headKey(domain));
    return item && readHead(item);
  };

  return {
    take: async (domain, count, deadline) => {
      for (;;) {
        const at = clock.now();
        const item = await dynamo.update(
          {
            Key: key(domain),
            UpdateExpression: 'ADD h :n',
            ConditionExpression: 'attribute_exists(h) AND attribute_not_exists(x)',
            ExpressionAttributeValues: { ':n': { N: `${count}` } },
          },
          deadline,
        );
        if (!item) {
          if (clock.now() >= deadline) throw new Throttled('the cluster is being removed');
          if (await read(domain)) await clock.sleep(closedPauseMs * (0.5 + clock.random()));
          else await begin(domain, deadline);
          continue;
        }
        const head = readHead(item);
        const first = head.revision - BigInt(count) + 1n;
        await Promise.all([mark(domain, head, first - 1n, at), spread(domain, head)]);
        return { head, first };
      }
    },
    readTogether: async (domains) => {
      const [one] = domains;
      if (!one) return [];
      const [cluster, ...items] = await dynamo.getTogether([clusterKey(one.cluster), ...domains.map(headKey)]);
      const dropped = number(cluster, 'f') ?? 0n;
      return domains.map((domain, i) => {
        const item = items[i];
        return item ? readHead(item).revision : startAbove(domain, dropped).base;
      });
    },
    read,
    readOrStart: async (domain) => {
      const head = await read(domain);
      if (head) return head;
      const [item, cluster] = await dynamo.getTogether([headKey(domain), clusterKey(domain.cluster)]);
      return item ? readHead(item) : startAbove(domain, number(cluster, 'f') ?? 0n);
    },
    close: async (domain) => {
      const item = await dynamo.update({
        Key: key(domain),
        UpdateExpression: 'SET x = :x',
        ConditionExpression: 'attribute_exists(h)',
        ExpressionAttributeValues: { ':x': { BOOL: true } },
      });
      return item && readHead(item);
    },
    remove: async (domain, head) => {
      const gone: TransactWriteItem = {
        Delete: {
          TableName: '',
          Key: key(domain),
          ConditionExpression: 'attribute_exists(x) AND h = :h',
          ExpressionAttributeValues: { ':h': { N: `${head.revision}` } },
        },
      };
      const listed: TransactWriteItem = { Delete: { TableName: '', Key: { ...directoryKey(domain) } } };
      // Where the condition fails, another drop came first.
      await dynamo.transact([gone, listed], clock.now() + removeMsMax, () => true);
    },
    clusterFloor,
    floor: (head) => (head.closed ? head.revision : unexpired(head)),
    openAbove: (head) => {
      const since = reliable();
      const mark = head.marks.findLast(([, time]) => time <= since);
      const above = mark ? BigInt(mark[0]) : head.base;
      return above > head.base ? above : head.base;
    },
  };
};
