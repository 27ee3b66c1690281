import type { KubeObject } from '../machinery/object.ts';
import type { Stored } from './store.ts';

// Decoded forms of stored states, for readers in the process. Those that are read again and again stay within a bound on
// the JSON they stand for (a decoded object takes about three times its JSON), the oldest go first. What a writer gives
// along stays for a moment only: long enough for those who hear of the change, short enough to die young.

const jsonBytesMax = 16 << 20;
const writtenMax = 512;
/** Larger ones are parsed again by those who want them: so many would fill the memory. */
const writtenBytesMax = 32 << 10;

/** Tests set this: then whoever mutates what all readers share throws a TypeError where it does. */
const isFrozen = process.env.SKIFF_FREEZE === '1';
const freezeDeep = (value: unknown): void => {
  if (value === null || typeof value !== 'object' || Object.isFrozen(value)) return;
  Object.freeze(value);
  for (const child of Object.values(value)) freezeDeep(child);
};
const shared = <T>(object: T): T => {
  if (isFrozen) freezeDeep(object);
  return object;
};

const read = new WeakMap<Stored, KubeObject>();
let queue: Stored[] = [];
let first = 0;
let bytes = 0;

const written = new WeakMap<Stored, KubeObject>();
const lastWritten: (Stored | undefined)[] = new Array(writtenMax).fill(undefined);
let next = 0;

/** Notes what a writer serialised. From then on the object belongs to its readers: nobody may mutate it. */
export const keepWritten = (stored: Stored, object: KubeObject): void => {
  if (stored.bytes.byteLength > writtenBytesMax) return;
  const oldest = lastWritten[next];
  if (oldest) written.delete(oldest);
  lastWritten[next] = stored;
  next = (next + 1) % writtenMax;
  written.set(stored, shared(object));
};

const keepRead = (stored: Stored, object: KubeObject): void => {
  read.set(stored, object);
  queue.push(stored);
  bytes += stored.bytes.byteLength;
  while (bytes > jsonBytesMax) {
    const oldest = queue[first++];
    if (!oldest) break;
    bytes -= oldest.bytes.byteLength;
    read.delete(oldest);
  }
  if (first > 4096 && first > queue.length / 2) {
    queue = queue.slice(first);
    first = 0;
  }
};

const parse = ({ bytes: json }: Stored): KubeObject =>
  shared(JSON.parse(Buffer.from(json.buffer, json.byteOffset, json.byteLength).toString()) as KubeObject);

/** The object in a stored state; shared by everyone who reads it, so never to be mutated. */
export const decode = (stored: Stored): KubeObject => {
  const known = read.get(stored);
  if (known) return known;
  const object = written.get(stored) ?? parse(stored);
  keepRead(stored, object);
  return object;
};

/** The same for a look that is not expected to come again: nothing new is kept for it. */
export const decodeOnce = (stored: Stored): KubeObject => read.get(stored) ?? written.get(stored) ?? parse(stored);
