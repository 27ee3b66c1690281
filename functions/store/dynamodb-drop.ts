import type { Dynamo } from './dynamodb-client.ts';
import type { Heads } from './dynamodb-head.ts';
import {
  clusterKey,
  emptiedEntry,
  type Head,
  type Item,
  isVoid,
  type Key,
  logPartition,
  number,
  objectsPartition,
  partKey,
  partsOf,
  shardsAt,
} from './dynamodb-items.ts';
import type { Log } from './dynamodb-log.ts';
import type { Domain, Revision } from './store.ts';

/** The directory of a cluster. */
export const listDomains = async (dynamo: Dynamo, cluster: string): Promise<Domain[]> => {
  const domains: Domain[] = [];
  let start: Item | undefined;
  do {
    const page = await dynamo.query({
      KeyConditionExpression: 'pk = :p',
      ExpressionAttributeValues: { ':p': clusterKey(cluster).pk },
      ...(start ? { ExclusiveStartKey: start } : {}),
    });
    for (const item of page.items) {
      const [group, resource] = (item.sk?.S ?? '').split('/');
      if (group !== undefined && resource) domains.push({ cluster, group, resource });
    }
    start = page.more;
  } while (start);
  return domains;
};

/**
 * Removes every key of a cluster; may be begun again after a crash, and by several at once. The order matters. A closed
 * head gives out no ticket; then every ticket that is open gets a void, so that no late writer puts an object back; then
 * the objects go, each on condition that it is still the one that was read; then the entries become voids, so that the
 * request of a writer who was not answered finds its revision taken for as long as it can be under way. The floor of the
 * cluster rises above the head before the head goes, in one step with the domain's place in the directory: whoever begins
 * the domain again begins above, and until then the drop can be found and finished.
 */
export const dropCluster = async (drop: Drop, cluster: string): Promise<void> => {
  const { dynamo, heads, log } = drop;
  const raise = async (to: Revision): Promise<void> => {
    await dynamo.update({
      Key: { ...clusterKey(cluster) },
      UpdateExpression: 'SET f = :f',
      ConditionExpression: 'attribute_not_exists(f) OR f < :f',
      ExpressionAttributeValues: { ':f': { N: `${to}` } },
    });
  };
  for (const domain of await listDomains(dynamo, cluster)) {
    const head = await heads.close(domain);
    if (!head) continue;
    await raise(head.revision + 1n);
    await log.settle(domain, head);
    await removeObjects(drop, domain, head);
    for (let i = 0; i < shardsAt(head, head.revision); i++) await voidEntries(drop, domain, head, i);
    await heads.remove(domain, head);
  }
};

export interface Drop {
  dynamo: Dynamo;
  heads: Heads;
  log: Log;
  /** When a void put now may expire, in seconds since the epoch. */
  ttl: () => number;
}

const pagesOf = async function* (dynamo: Dynamo, partition: string): AsyncGenerator<Item[]> {
  let start: Item | undefined;
  do {
    const page = await dynamo.query({
      KeyConditionExpression: 'pk = :p',
      ExpressionAttributeValues: { ':p': { S: partition } },
      ...(start ? { ExclusiveStartKey: start } : {}),
    });
    yield page.items;
    start = page.more;
  } while (start);
};
const keyOf = (item: Item): Key => ({ pk: { S: item.pk?.S ?? '' }, sk: { S: item.sk?.S ?? '' } });
/** Parts go before what names them, so that a drop that is begun again finds them. */
const partsKeys = (domain: Domain, item: Item): { remove: Key }[] =>
  Array.from({ length: partsOf(item) }, (_, i) => ({ remove: partKey(domain, number(item, 'r') ?? 0n, i) }));

/** Objects at once; each is a request of its own for its condition. */
const atOnce = 16;

/** A domain begun since lies above the old head and is left alone. */
const removeObjects = async ({ dynamo }: Drop, domain: Domain, head: Head): Promise<void> => {
  for await (const page of pagesOf(dynamo, objectsPartition(domain))) {
    const items = page.filter((item) => (number(item, 'r') ?? 0n) <= head.revision);
    await dynamo.writeAll(items.flatMap((item) => partsKeys(domain, item)));
    for (let at = 0; at < items.length; at += atOnce)
      await Promise.all(
        items
          .slice(at, at + atOnce)
          .map((item) => dynamo.removeIf(keyOf(item), 'r = :r', { ':r': { N: `${number(item, 'r') ?? 0n}` } })),
      );
  }
};

/** Revisions are never given out twice, so that nothing here needs a condition. */
const voidEntries = async ({ dynamo, ttl }: Drop, domain: Domain, head: Head, shard: number): Promise<void> => {
  for await (const page of pagesOf(dynamo, logPartition(domain, shard))) {
    const old = page.filter((item) => !isVoid(item) && (number(item, 'r') ?? 0n) <= head.revision);
    await dynamo.writeAll(old.flatMap((item) => partsKeys(domain, item)));
    await dynamo.writeAll(old.map((item) => ({ put: emptiedEntry(item, ttl()) })));
  }
};
