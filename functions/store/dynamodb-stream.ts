import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { domainName, parseDomain } from './domain.ts';
import { type Item, isVoid, number, partsOf, readEntry } from './dynamodb-items.ts';
import type { Change, Domain, Revision } from './store.ts';

/** A record of the table's stream, as Lambda gets it (binary in base64) or as the stream's own client reads it. */
export interface StreamRecord {
  eventName?: string;
  dynamodb?: { NewImage?: Record<string, unknown> };
}
/** Reads the parts of a value too large for its item, in order. */
export type ReadParts = (domain: Domain, revision: Revision, count: number) => Promise<Uint8Array[]>;

const imageOf = (image: Record<string, unknown>): Item => {
  const item: Item = {};
  for (const [name, value] of Object.entries(image)) {
    const { B } = value as { B?: unknown };
    item[name] = typeof B === 'string' ? { B: Buffer.from(B, 'base64') } : (value as AttributeValue);
  }
  return item;
};

/** The committed changes among stream records, by domain, in revision order; everything but new log entries is passed over. */
export const changesOfRecords = async (
  records: readonly StreamRecord[],
  parts: ReadParts,
): Promise<{ domain: Domain; changes: Change[] }[]> => {
  const found = new Map<string, { domain: Domain; changes: Change[] }>();
  for (const { eventName, dynamodb } of records) {
    if (eventName !== 'INSERT' || !dynamodb?.NewImage) continue;
    const item = imageOf(dynamodb.NewImage);
    const partition = item.pk?.S ?? '';
    if (partition.split('/')[3] !== 'l' || isVoid(item)) continue;
    const domain = parseDomain(partition);
    const name = domainName(domain);
    const entry = found.get(name) ?? { domain, changes: [] };
    found.set(name, entry);
    entry.changes.push(readEntry(item, await parts(domain, number(item, 'r') ?? 0n, partsOf(item))));
  }
  for (const { changes } of found.values())
    changes.sort((a, b) =>
      a.stored.revision < b.stored.revision ? -1 : a.stored.revision > b.stored.revision ? 1 : 0,
    );
  return [...found.values()];
};
