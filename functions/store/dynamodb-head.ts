import type { Clock } from '../clock/clock.ts';
import type { Dynamo } from './dynamodb-client.ts';
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

/** Head items: the tickets of a domain, where its log begins, how it is spread. */
export interface Heads {
  /** Takes `count` tickets at once; the first of them, and the head as it is with them. Begins the domain when new. */
  take(domain: Domain, count: number, deadline: number): Promise<{ head: Head; first: Revision }>;
  /** Revisions of up to 100 domains at one moment. */
  readTogether(domains: readonly Domain[]): Promise<Revision[]>;
  /** Undefined: the domain has not begun. */
  read(domain: Domain): Promise<Head | undefined>;
  /** Where a domain begins that has no head yet, and from where on its log can be read (0: from the start). */
  startOf(domain: Domain): Promise<{ base: Revision; readableFrom: Revision }>;
  /** The highest revision that a drop removed; 0 when none did. */
  clusterFloor(cluster: string): Promise<Revision>;
  /** No change at or below it can be read from the log any more. */
  floor(head: Head): Revision;
}

/** A mark is set so many times within the retention. */
const marksPerRetention = 16;
/** Part of the retention that is not relied upon: clocks differ, and expiry goes by the table's clock. */
const marginPart = 1 / 8;

export const createHeads = ({ dynamo, clock, retentionMs, shardTicketsPerSecond }: HeadsOptions): Heads => {
  const key = (domain: Domain) => ({ ...headKey(domain) });
  const rates = new Map<string, { at: number; revision: Revision }>();

  const clusterFloor = async (cluster: string): Promise<Revision> =>
    number(await dynamo.get(clusterKey(cluster)), 'f') ?? 0n;

  const startOf = async (domain: Domain): Promise<{ base: Revision; readableFrom: Revision }> => {
    const dropped = await clusterFloor(domain.cluster);
    const base = dropped + firstHead(domain);
    return { base, readableFrom: dropped === 0n ? 0n : base };
  };

  /** The directory entry comes before the head, so that no domain with a ticket is missing from it. */
  const begin = async (domain: Domain): Promise<void> => {
    const { base, readableFrom } = await startOf(domain);
    const floor = `${readableFrom}`;
    await dynamo.put({ Item: { ...directoryKey(domain), b: { N: `${base}` } } });
    await dynamo.put({
      Item: {
        ...key(domain),
        h: { N: `${base}` },
        f: { N: floor },
        b: { N: `${base}` },
        m: { S: JSON.stringify([[floor, clock.now()]]) },
      },
      ConditionExpression: 'attribute_not_exists(pk)',
    });
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

  return {
    take: async (domain, count, deadline) => {
      for (;;) {
        const at = clock.now();
        const item = await dynamo.update(
          {
            Key: key(domain),
            UpdateExpression: 'ADD h :n',
            ConditionExpression: 'attribute_exists(h)',
            ExpressionAttributeValues: { ':n': { N: `${count}` } },
          },
          deadline,
        );
        if (!item) {
          await begin(domain);
          continue;
        }
        const head = readHead(item);
        const first = head.revision - BigInt(count) + 1n;
        await Promise.all([mark(domain, head, first - 1n, at), spread(domain, head)]);
        return { head, first };
      }
    },
    readTogether: async (domains) => {
      const items = await dynamo.getTogether(domains.map(headKey));
      return Promise.all(
        domains.map(async (domain, i) => {
          const item = items[i];
          return item ? readHead(item).revision : (await startOf(domain)).base;
        }),
      );
    },
    read: async (domain) => {
      const item = await dynamo.get(headKey(domain));
      return item && readHead(item);
    },
    startOf,
    clusterFloor,
    floor: (head) => {
      const reliable = clock.now() - retentionMs * (1 - marginPart);
      const mark = head.marks.find(([, time]) => time > reliable);
      const reach = mark ? BigInt(mark[0]) : head.revision;
      return reach > head.floor ? reach : head.floor;
    },
  };
};
