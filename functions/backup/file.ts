import { createReadStream, createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { SnapshotRefused } from './format.ts';
import { opened, type SnapshotKey, sealed } from './sealed.ts';

/** Writes bytes to a file, encrypted where a key is given; readable by its owner only. Returns its size in bytes. */
export const writeSealed = async (
  path: string,
  source: AsyncIterable<Uint8Array>,
  key: SnapshotKey | undefined,
): Promise<number> => {
  const out = createWriteStream(path, { mode: 0o600 });
  await pipeline(Readable.from(key ? sealed(source, key) : source), out);
  return out.bytesWritten;
};

/**
 * Writes lines to a compressed file, encrypted where a key is given; a file of that name is replaced only by a whole one.
 * Returns its size in bytes.
 */
export const writeSnapshot = async (path: string, lines: AsyncIterable<string>, key?: SnapshotKey): Promise<number> => {
  const partial = `${path}.partial`;
  try {
    const packed = createGzip();
    const packing = pipeline(Readable.from(lines), packed);
    const [size] = await Promise.all([writeSealed(partial, packed, key), packing]);
    await rename(partial, path);
    return size;
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
};

/** The bytes of a file, decrypted where it is encrypted. Throws SnapshotRefused. */
export const readSealed = (path: string, key?: SnapshotKey): Readable =>
  Readable.from(opened(createReadStream(path), key), { objectMode: false });

/** The lines of a compressed file. A file that does not unpack, or needs another key, throws SnapshotRefused. */
export async function* readSnapshot(path: string, key?: SnapshotKey): AsyncGenerator<string> {
  const unpacked = createGunzip();
  const failure: { error?: Error } = {};
  const source = readSealed(path, key);
  const fail = (error: Error): void => {
    failure.error ??= error;
    unpacked.destroy();
    // Whoever waits for a line would wait on: nothing ends what was destroyed.
    lines.close();
  };
  const lines = createInterface({ input: unpacked, crlfDelay: Infinity });
  source.on('error', fail);
  unpacked.on('error', fail);
  source.pipe(unpacked);
  try {
    for await (const line of lines) yield line;
  } finally {
    source.destroy();
  }
  if (!failure.error) return;
  if ((failure.error as NodeJS.ErrnoException).code?.startsWith('Z_')) {
    throw new SnapshotRefused(`the snapshot is damaged: ${failure.error.message}`);
  }
  throw failure.error;
}
