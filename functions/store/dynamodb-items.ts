// How a domain lies in the table. Every partition key begins with the cluster.
//   c            #              floor of the cluster after a drop
//   c            g/r            directory: the domain exists
//   c/g/r/h      h              head: newest ticket, floor, marks, shards; closed while it is being dropped
//   c/g/r/o      <key>          object, or the tombstone of one
//   c/g/r/l/<i>  <revision>     log entry r, or a void, in shard i = r mod S
//   c/g/r/p/<r>  <i>            part i of a value too large for its item
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { domainName } from './domain.ts';
import type { Change, Domain, Indexed, Revision, Stored } from './store.ts';

export type Item = Record<string, AttributeValue>;
export interface Key {
  pk: { S: string };
  sk: { S: string };
}

/** Largest value kept inside its item, in bytes after compression; larger ones are split. */
const inlineBytesMax = 128 * 1024;
/** Bytes of one part; an item takes 400 KB, its keys included. */
const partBytesMax = 380 * 1024;
/** Largest index that a write may have, as JSON, in bytes: the next entry of the log carries it inside its item. */
export const indexBytesMax = 192 * 1024;
/** Values below this are not worth compressing. */
const compressBytesMin = 512;

const key = (pk: string, sk: string): Key => ({ pk: { S: pk }, sk: { S: sk } });
/** Sort keys are strings: 19 digits keep revisions in order and hold every 63-bit number. */
const digits = (revision: Revision): string => revision.toString().padStart(19, '0');

export const clusterKey = (cluster: string): Key => key(cluster, '#');
export const directoryKey = (domain: Domain): Key => key(domain.cluster, `${domain.group}/${domain.resource}`);
export const headKey = (domain: Domain): Key => key(`${domainName(domain)}/h`, 'h');
export const objectsPartition = (domain: Domain): string => `${domainName(domain)}/o`;
export const objectKey = (domain: Domain, name: string): Key => key(objectsPartition(domain), name);
export const logPartition = (domain: Domain, shard: number): string => `${domainName(domain)}/l/${shard}`;
export const logSort = digits;
export const partKey = (domain: Domain, revision: Revision, part: number): Key =>
  key(`${domainName(domain)}/p/${revision}`, `${part}`);

export const text = (item: Item | undefined, name: string): string | undefined => item?.[name]?.S;
export const number = (item: Item | undefined, name: string): bigint | undefined => {
  const value = item?.[name]?.N;
  return value === undefined ? undefined : BigInt(value);
};
const binary = (item: Item, name: string): Uint8Array | undefined => item[name]?.B;

/** What the head item says. */
export interface Head {
  revision: Revision;
  /** Nothing at or below it can be read from the log: set by compact(), and where a domain began. */
  floor: Revision;
  /** Where the domain began: differs after a drop. */
  base: Revision;
  /** [revision, milliseconds]: tickets above the revision were given out after that time. Oldest first. */
  marks: readonly (readonly [string, number])[];
  marksText: string;
  /** A drop has begun: it gives out no ticket any more, and its log cannot be read. */
  closed: boolean;
  /** Shards of the log, and from which revision on; ascending. */
  shards: readonly { from: Revision; count: number }[];
}

/** A log may have so many shards; the head item has one attribute for each doubling. */
export const shardsMax = 64;
export const shardsAttribute = (count: number): string => `s${count}`;

export const readHead = (item: Item): Head => {
  const shards: Head['shards'][number][] = [{ from: 0n, count: 1 }];
  for (let count = 2; count <= shardsMax; count *= 2) {
    const from = number(item, shardsAttribute(count));
    if (from !== undefined) shards.push({ from, count });
  }
  const marksText = text(item, 'm') ?? '[]';
  return {
    revision: number(item, 'h') ?? 0n,
    floor: number(item, 'f') ?? 0n,
    base: number(item, 'b') ?? 0n,
    marks: JSON.parse(marksText),
    marksText,
    closed: item.x !== undefined,
    shards,
  };
};

/** Shards in use at a revision: they only grow, each growth above every ticket given out before it. */
export const shardsAt = (head: Pick<Head, 'shards'>, revision: Revision): number => {
  let count = 1;
  for (const epoch of head.shards) if (epoch.from <= revision) count = epoch.count;
  return count;
};
export const logKey = (domain: Domain, head: Pick<Head, 'shards'>, revision: Revision): Key =>
  key(logPartition(domain, Number(revision % BigInt(shardsAt(head, revision)))), digits(revision));

const compress = (bytes: Uint8Array): { bytes: Uint8Array; packed: boolean } => {
  if (bytes.byteLength < compressBytesMin) return { bytes, packed: false };
  const level = bytes.byteLength > 65_536 ? 1 : 3;
  const packed = zstdCompressSync(bytes, { params: { [constants.ZSTD_c_compressionLevel]: level } });
  return packed.byteLength < bytes.byteLength ? { bytes: packed, packed: true } : { bytes, packed: false };
};

/** The state of an object as attributes: `v` inline or `n` parts, `z` when compressed. */
export interface Packed {
  attributes: Item;
  parts: Uint8Array[];
  bytes: number;
}

/** Index and bytes as one value: 4 bytes of length, the index as JSON, the object. */
export const pack = (index: Indexed, bytes: Uint8Array): Packed => {
  const json = Buffer.from(JSON.stringify(index));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(json.byteLength);
  const value = compress(Buffer.concat([length, json, bytes]));
  const attributes: Item = value.packed ? { z: { BOOL: true } } : {};
  const parts: Uint8Array[] = [];
  if (value.bytes.byteLength <= inlineBytesMax) attributes.v = { B: value.bytes };
  else {
    for (let at = 0; at < value.bytes.byteLength; at += partBytesMax)
      parts.push(value.bytes.subarray(at, at + partBytesMax));
    attributes.n = { N: `${parts.length}` };
  }
  return { attributes, parts, bytes: value.bytes.byteLength };
};

export const partsOf = (item: Item): number => Number(item.n?.N ?? 0);

/** `parts` are those of the value, in order; not looked at where the value is inline. */
export const unpack = (item: Item, parts: readonly Uint8Array[]): { index: Indexed; bytes: Uint8Array } => {
  const raw = binary(item, 'v') ?? Buffer.concat(parts);
  const value = item.z?.BOOL ? zstdDecompressSync(raw) : raw;
  const buffer = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  const end = 4 + buffer.readUInt32BE(0);
  return { index: JSON.parse(buffer.toString('utf8', 4, end)), bytes: buffer.subarray(end) };
};

/** An index by itself, as a log entry carries that of the state it replaced. */
export const packIndex = (index: Indexed): Item => {
  const { bytes, packed } = compress(Buffer.from(JSON.stringify(index)));
  return packed ? { i: { B: bytes }, j: { BOOL: true } } : { i: { B: bytes } };
};
const unpackIndex = (item: Item): Indexed | undefined => {
  const bytes = binary(item, 'i');
  if (!bytes) return undefined;
  return JSON.parse(Buffer.from(item.j?.BOOL ? zstdDecompressSync(bytes) : bytes).toString());
};

export const isVoid = (entry: Item): boolean => entry.t?.S === 'void';
export const isTombstone = (item: Item): boolean => item.d !== undefined;

/** An object's item; its revision says where its parts are. */
export const readObject = (item: Item, parts: readonly Uint8Array[]): Stored => ({
  key: item.sk?.S ?? '',
  revision: number(item, 'r') ?? 0n,
  ...unpack(item, parts),
});

/** A log entry that is not a void. */
export const readEntry = (item: Item, parts: readonly Uint8Array[]): Change => {
  const previousIndex = unpackIndex(item);
  return {
    type: item.t?.S === 'delete' ? 'delete' : 'put',
    stored: { key: item.k?.S ?? '', revision: number(item, 'r') ?? 0n, ...unpack(item, parts) },
    ...(previousIndex ? { previousIndex } : {}),
  };
};

/** A void where an entry was: it keeps the entry's writer, who may not have been answered yet. */
export const emptiedEntry = (entry: Item, ttl: number): Item => ({
  ...voidEntry(
    { pk: { S: text(entry, 'pk') ?? '' }, sk: { S: text(entry, 'sk') ?? '' } },
    number(entry, 'r') ?? 0n,
    text(entry, 'w') ?? '',
    ttl,
  ),
  c: { BOOL: true },
});
/** Whether an entry, or what a drop left of it, says that a transaction of this writer happened. */
export const isOf = (entry: Item, writer: string): boolean =>
  entry.w?.S === writer && (entry.t?.S !== 'void' || entry.c !== undefined);

export const voidEntry = (at: Key, revision: Revision, writer: string, ttl: number): Item => ({
  ...at,
  t: { S: 'void' },
  r: { N: `${revision}` },
  w: { S: writer },
  ttl: { N: `${ttl}` },
});
