import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto';
import { SnapshotRefused } from './format.ts';

// An encrypted snapshot: a line that says what it is and under which key, a salt, and the compressed snapshot in pieces of
// 64 KiB, each sealed with AES-256-GCM under a key that HKDF makes of the salt. A piece's nonce is its number, and whether it
// is the last (the STREAM construction: Hoang, Reyhanitabar, Rogaway, Vizár, 2015), so that none can be left out, moved or
// cut off.

const MAGIC = 'skiff-snapshot-encrypted v1 ';
const SALT_BYTES = 32;
const PIECE_BYTES = 64 * 1024;
const TAG_BYTES = 16;
const KEY_BYTES = 32;
const HEAD_BYTES = MAGIC.length + 16 + 1 + SALT_BYTES;

/** A key of snapshots: 32 bytes. */
export type SnapshotKey = Uint8Array;

export const newSnapshotKey = (): SnapshotKey => randomBytes(KEY_BYTES);

/** How a file names the key that it needs. */
export const snapshotKeyId = (key: SnapshotKey): string =>
  createHash('sha256').update('skiff snapshot key').update(key).digest('hex').slice(0, 16);

/** Reads a key as it stands in a file: base64. Throws SnapshotRefused. */
export const parseSnapshotKey = (text: string): SnapshotKey => {
  const key = Buffer.from(text.trim(), 'base64');
  if (key.length !== KEY_BYTES) throw new SnapshotRefused('the file of the key holds none: 32 bytes in base64');
  return key;
};

const derive = (key: SnapshotKey, salt: Uint8Array): Buffer =>
  Buffer.from(hkdfSync('sha256', key, salt, 'skiff snapshot v1', KEY_BYTES));
const nonceOf = (piece: number, last: boolean): Buffer => {
  const nonce = Buffer.alloc(12);
  nonce.writeUIntBE(piece, 5, 6);
  nonce[11] = last ? 1 : 0;
  return nonce;
};

/** Bytes in pieces of one size, the last of which may be shorter; each with whether it is the last. */
async function* pieces(
  source: AsyncIterable<Uint8Array>,
  size: number,
): AsyncGenerator<{ bytes: Buffer; last: boolean }> {
  let waiting: Buffer = Buffer.alloc(0);
  for await (const bytes of source) {
    waiting = Buffer.concat([waiting, bytes]);
    let at = 0;
    for (; waiting.length - at > size; at += size) yield { bytes: waiting.subarray(at, at + size), last: false };
    waiting = waiting.subarray(at);
  }
  yield { bytes: waiting, last: true };
}

/** Encrypts what a file is to hold. */
export async function* sealed(source: AsyncIterable<Uint8Array>, key: SnapshotKey): AsyncGenerator<Buffer> {
  const salt = randomBytes(SALT_BYTES);
  const own = derive(key, salt);
  yield Buffer.concat([Buffer.from(`${MAGIC}${snapshotKeyId(key)}\n`), salt]);
  let number = 0;
  for await (const { bytes, last } of pieces(source, PIECE_BYTES)) {
    const gcm = createCipheriv('aes-256-gcm', own, nonceOf(number++, last));
    yield Buffer.concat([gcm.update(bytes), gcm.final(), gcm.getAuthTag()]);
  }
}

/** The first bytes of a source, and all of it. */
const begun = async (source: AsyncIterable<Uint8Array>, size: number) => {
  const iterator = source[Symbol.asyncIterator]();
  let head: Buffer = Buffer.alloc(0);
  let ended = false;
  while (head.length < size && !ended) {
    const { value, done } = await iterator.next();
    if (done) ended = true;
    else head = Buffer.concat([head, value]);
  }
  const rest = async function* (from: number): AsyncGenerator<Uint8Array> {
    try {
      if (head.length > from) yield head.subarray(from);
      for (let next = ended ? undefined : await iterator.next(); next && !next.done; next = await iterator.next())
        yield next.value;
    } finally {
      await iterator.return?.();
    }
  };
  return { head, rest };
};

/**
 * What a file held before it was encrypted; a file that is not encrypted comes as it is. Throws SnapshotRefused where the
 * key is not the right one, or the file was changed or cut.
 */
export async function* opened(
  source: AsyncIterable<Uint8Array>,
  key: SnapshotKey | undefined,
): AsyncGenerator<Uint8Array> {
  const { head, rest } = await begun(source, HEAD_BYTES);
  const text = head.toString('latin1');
  if (!text.startsWith(MAGIC)) {
    yield* rest(0);
    return;
  }
  const id = text.slice(MAGIC.length, MAGIC.length + 16);
  if (!key || snapshotKeyId(key) !== id) throw new SnapshotRefused(`it is encrypted under the key ${id}`);
  const own = derive(key, head.subarray(HEAD_BYTES - SALT_BYTES, HEAD_BYTES));
  let number = 0;
  for await (const { bytes, last } of pieces(rest(HEAD_BYTES), PIECE_BYTES + TAG_BYTES)) {
    if (bytes.length < TAG_BYTES) throw new SnapshotRefused('the snapshot is damaged: it has no end');
    const gcm = createDecipheriv('aes-256-gcm', own, nonceOf(number++, last), { authTagLength: TAG_BYTES });
    gcm.setAuthTag(bytes.subarray(-TAG_BYTES));
    const plain = gcm.update(bytes.subarray(0, -TAG_BYTES));
    try {
      gcm.final();
    } catch {
      throw new SnapshotRefused('the snapshot is damaged: it was changed or cut after it was encrypted');
    }
    yield plain;
  }
}
