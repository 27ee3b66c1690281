// Reads tar archives as a stream: POSIX ustar with pax and GNU sizes; entries pass through untouched unless they are kept.
import { CommandError } from '../command.ts';

const BLOCK = 512;

/** A piece of an archive. `raw` is what stood there; `content` is the whole file where it was asked for. */
export interface TarPart {
  path: string;
  raw: Buffer;
  content?: Buffer;
}

interface Entry {
  path: string;
  size: number;
  type: string;
}

const textAt = (block: Buffer, from: number, length: number): string => {
  const text = block.toString('utf8', from, from + length);
  const end = text.indexOf('\0');
  return end < 0 ? text : text.slice(0, end);
};

/** Octal, or GNU's base 256 where the first bit is set. */
const sizeAt = (block: Buffer): number => {
  if ((block[124] ?? 0) & 0x80) return Number(block.readBigUInt64BE(128));
  return Number.parseInt(textAt(block, 124, 12).trim() || '0', 8);
};

const sumHolds = (block: Buffer): boolean => {
  let sum = 8 * 0x20;
  for (const [at, byte] of block.entries()) if (at < 148 || at >= 156) sum += byte;
  return sum === Number.parseInt(textAt(block, 148, 8).trim(), 8);
};

const entryOf = (block: Buffer): Entry => {
  const size = sizeAt(block);
  if (!sumHolds(block) || !Number.isSafeInteger(size) || size < 0) throw new CommandError('not a tar archive');
  const prefix = textAt(block, 257, 5) === 'ustar' && block[262] === 0 ? textAt(block, 345, 155) : '';
  const name = textAt(block, 0, 100);
  return { path: prefix ? `${prefix}/${name}` : name, size, type: textAt(block, 156, 1) };
};

/** `size` of a pax header, which counts for the next entry. */
const paxSize = (text: string): number | undefined => {
  const found = /(?:^|\n)\d+ size=(\d+)\n/.exec(text)?.[1];
  return found === undefined ? undefined : Number(found);
};

/** Takes exact lengths out of a stream of chunks. */
const takeFrom = (source: AsyncIterable<Buffer>) => {
  const chunks = source[Symbol.asyncIterator]();
  let held: Buffer = Buffer.alloc(0);
  const more = async (): Promise<boolean> => {
    const next = await chunks.next();
    if (next.done) return false;
    held = held.length === 0 ? next.value : Buffer.concat([held, next.value]);
    return true;
  };
  const cut = (length: number): Buffer => {
    const piece = held.subarray(0, length);
    held = held.subarray(piece.length);
    return piece;
  };
  return {
    /** Exactly so many bytes; undefined where the stream ends before. */
    exactly: async (length: number): Promise<Buffer | undefined> => {
      while (held.length < length) if (!(await more())) return undefined;
      return cut(length);
    },
    /** Some bytes, at most so many; undefined at the end. */
    some: async (length: number): Promise<Buffer | undefined> =>
      held.length > 0 || (await more()) ? cut(length) : undefined,
  };
};

/**
 * The parts of an archive in order, their `raw` bytes together the archive itself; files that `keep` names come whole, with
 * their content. CommandError where it is no tar archive or ends too early.
 */
export async function* readTar(
  source: AsyncIterable<Buffer>,
  keep: (entry: { path: string; size: number }) => boolean,
): AsyncGenerator<TarPart> {
  const from = takeFrom(source);
  const cutOff = () => new CommandError('the archive ends too early');
  let sizeOfNext: number | undefined;
  for (;;) {
    const block = await from.exactly(BLOCK);
    if (!block) return;
    if (block.every((byte) => byte === 0)) {
      yield { path: '', raw: block };
      continue;
    }
    const entry = entryOf(block);
    const size = sizeOfNext ?? entry.size;
    sizeOfNext = undefined;
    const whole = size + ((BLOCK - (size % BLOCK)) % BLOCK);
    const isPax = entry.type === 'x';
    if (isPax || ((entry.type === '0' || entry.type === '') && keep({ path: entry.path, size }))) {
      const body = await from.exactly(whole);
      if (!body) throw cutOff();
      const content = body.subarray(0, size);
      if (isPax) sizeOfNext = paxSize(content.toString('utf8'));
      yield { path: entry.path, raw: Buffer.concat([block, body]), ...(!isPax && { content }) };
      continue;
    }
    yield { path: entry.path, raw: block };
    for (let left = whole; left > 0; ) {
      const piece = await from.some(left);
      if (!piece) throw cutOff();
      left -= piece.length;
      yield { path: entry.path, raw: piece };
    }
  }
}
