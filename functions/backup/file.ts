import { createReadStream, createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { SnapshotRefused } from './format.ts';

/** Writes lines to a compressed file; a file of that name is replaced only by a whole one. Returns its size in bytes. */
export const writeSnapshot = async (path: string, lines: AsyncIterable<string>): Promise<number> => {
  const partial = `${path}.partial`;
  try {
    const out = createWriteStream(partial, { mode: 0o600 });
    await pipeline(Readable.from(lines), createGzip(), out);
    await rename(partial, path);
    return out.bytesWritten;
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
};

/** The lines of a compressed file. A file that does not unpack throws SnapshotRefused. */
export async function* readSnapshot(path: string): AsyncGenerator<string> {
  const unpacked = createGunzip();
  const failure: { error?: Error } = {};
  const source = createReadStream(path);
  const fail = (error: Error): void => {
    failure.error ??= error;
    unpacked.destroy();
  };
  source.on('error', fail);
  unpacked.on('error', fail);
  const lines = createInterface({ input: source.pipe(unpacked), crlfDelay: Infinity });
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
