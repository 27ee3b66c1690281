import type { KubeObject } from '../machinery/object.ts';
import type { Stored } from './store.ts';

/**
 * Decoded forms of stored states, for readers in the process that wrote or read them lately. A writer gives along what it
 * serialised, so that controllers and scheduler need not parse it again. Bounded by the JSON they stand for: the oldest
 * go first. A decoded object takes about three times its JSON.
 */
const jsonBytesMax = 16 << 20;

const objects = new WeakMap<Stored, KubeObject>();
let queue: Stored[] = [];
let first = 0;
let bytes = 0;

/** Notes the decoded form of a state. From then on the object belongs to its readers: nobody may mutate it. */
export const keepDecoded = (stored: Stored, object: KubeObject): void => {
  objects.set(stored, object);
  queue.push(stored);
  bytes += stored.bytes.byteLength;
  while (bytes > jsonBytesMax) {
    const oldest = queue[first++];
    if (!oldest) break;
    bytes -= oldest.bytes.byteLength;
    objects.delete(oldest);
  }
  if (first > 4096 && first > queue.length / 2) {
    queue = queue.slice(first);
    first = 0;
  }
};

/** The object in a stored state; shared by everyone who reads it, so never to be mutated. */
export const decode = (stored: Stored): KubeObject => {
  const known = objects.get(stored);
  if (known) return known;
  const { buffer, byteOffset, byteLength } = stored.bytes;
  const object = JSON.parse(Buffer.from(buffer, byteOffset, byteLength).toString()) as KubeObject;
  keepDecoded(stored, object);
  return object;
};
