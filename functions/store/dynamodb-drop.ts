import { type Dynamo, nameOf } from './dynamodb-client.ts';
import type { Heads } from './dynamodb-head.ts';
import {
  clusterKey,
  directoryKey,
  headKey,
  type Item,
  isVoid,
  type Key,
  logPartition,
  number,
  objectsPartition,
  partKey,
  partsOf,
  shardsMax,
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
 * Removes every key of a cluster; may be begun again after a crash. The order matters: first the cluster's floor, so that
 * a domain begun meanwhile begins above; then the heads, so that no ticket of the old history is given out; then a void
 * for every ticket that is still open, so that no late writer puts an object back; then the rest. Voids stay until they
 * expire.
 */
export const dropCluster = async (dynamo: Dynamo, heads: Heads, log: Log, cluster: string): Promise<void> => {
  const domains = await listDomains(dynamo, cluster);
  if (domains.length === 0) return;
  let floor = await heads.clusterFloor(cluster);
  const raise = async (to: Revision): Promise<void> => {
    if (to <= floor) return;
    floor = to;
    await dynamo.update({
      Key: { ...clusterKey(cluster) },
      UpdateExpression: 'SET f = :f',
      ConditionExpression: 'attribute_not_exists(f) OR f < :f',
      ExpressionAttributeValues: { ':f': { N: `${to}` } },
    });
  };
  const found = await Promise.all(domains.map((domain) => heads.read(domain)));
  await raise(found.reduce((max, head) => (head && head.revision > max ? head.revision : max), floor) + 1n);

  for (const domain of domains) {
    let head = await heads.read(domain);
    while (head) {
      await raise(head.revision + 1n);
      if (await dynamo.removeIf(headKey(domain), 'h = :h', { ':h': { N: `${head.revision}` } })) break;
      head = await heads.read(domain);
    }
    if (head) await log.settle(domain, head);
    await removeUpTo(dynamo, domain, objectsPartition(domain), floor);
    const shards = head?.shards.at(-1)?.count ?? shardsMax;
    for (let i = 0; i < shards; i++) await removeUpTo(dynamo, domain, logPartition(domain, i), floor);
    await dynamo.removeIf(directoryKey(domain), 'b < :f', { ':f': { N: `${floor}` } });
  }
};

/** A domain begun since lies above the floor and is left alone. */
const removeUpTo = async (dynamo: Dynamo, domain: Domain, partition: string, floor: Revision): Promise<void> => {
  let start: Item | undefined;
  do {
    const page = await dynamo.query({
      KeyConditionExpression: 'pk = :p',
      ExpressionAttributeValues: { ':p': { S: partition } },
      ...(start ? { ExclusiveStartKey: start } : {}),
    });
    const keys: Key[] = [];
    for (const item of page.items) {
      const revision = number(item, 'r') ?? 0n;
      if (isVoid(item) || revision > floor) continue;
      keys.push({ pk: { S: item.pk?.S ?? '' }, sk: { S: item.sk?.S ?? '' } });
      for (let part = 0; part < partsOf(item); part++) keys.push(partKey(domain, revision, part));
    }
    // An object and its log entry name the same parts; one request may name a key once.
    await dynamo.remove([...new Map(keys.map((key) => [nameOf(key), key])).values()]);
    start = page.more;
  } while (start);
};
