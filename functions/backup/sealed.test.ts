import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readSnapshot, writeSnapshot } from './file.ts';
import { newSnapshotKey, opened, parseSnapshotKey, sealed, snapshotKeyId } from './sealed.ts';

const directory = mkdtempSync(join(tmpdir(), 'skiff-sealed-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const key = newSnapshotKey();
const PIECE = 64 * 1024;
const source = async function* (...parts: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* parts;
};
const all = async (from: AsyncIterable<Uint8Array>): Promise<Buffer> => {
  const parts: Uint8Array[] = [];
  for await (const part of from) parts.push(part);
  return Buffer.concat(parts);
};
const filled = (size: number) => Buffer.alloc(size, 'canary ');

describe('encrypted snapshots', () => {
  it.each([0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 3 * PIECE + 17])(
    'of %i bytes open as they were',
    async (size) => {
      const plain = filled(size);
      const file = await all(sealed(source(plain.subarray(0, size / 3), plain.subarray(size / 3)), key));
      expect(file.includes('canary')).toBe(false);
      expect((await all(opened(source(file), key))).equals(plain)).toBe(true);
      const bytewise = Array.from({ length: Math.min(200, file.length) }, (_, i) => file.subarray(i, i + 1));
      const rest = file.subarray(bytewise.length);
      expect((await all(opened(source(...bytewise, rest), key))).equals(plain)).toBe(true);
    },
  );

  const refused = (file: Buffer, by = key): Promise<string> =>
    all(opened(source(file), by)).then(
      () => 'opened',
      (error: Error) => error.message,
    );
  it('do not open cut, lengthened, changed, or with pieces left out, moved or twice', async () => {
    const file = await all(sealed(source(filled(3 * PIECE)), key));
    const head = 28 + 16 + 1 + 32;
    const piece = PIECE + 16;
    const at = (n: number) => file.subarray(head + n * piece, head + (n + 1) * piece);
    const start = file.subarray(0, head);
    const changed = (offset: number) => {
      const copy = Buffer.from(file);
      copy[offset] = (copy[offset] ?? 0) ^ 1;
      return copy;
    };
    for (const bad of [
      file.subarray(0, -1),
      file.subarray(0, head),
      file.subarray(0, head + 5),
      file.subarray(0, head + piece),
      file.subarray(0, head + 2 * piece),
      Buffer.concat([file, Buffer.alloc(1)]),
      Buffer.concat([start, at(1), at(0), at(2)]),
      Buffer.concat([start, at(0), at(0), at(1), at(2)]),
      Buffer.concat([start, at(0), at(2)]),
      changed(head - 1),
      changed(head),
      changed(head + piece),
      changed(file.length - 1),
    ])
      expect(await refused(bad)).toContain('the snapshot is damaged');
  });

  it('name the key that they need', async () => {
    const file = await all(sealed(source(filled(10)), key));
    expect(await refused(file, newSnapshotKey())).toBe(`it is encrypted under the key ${snapshotKeyId(key)}`);
    expect(file.includes(Buffer.from(key))).toBe(false);
  });

  it('are files like others, for their owner alone; plain ones are read too', async () => {
    const lines = async function* () {
      yield '{"a":"canary"}\n';
      yield '{"b":2}\n';
    };
    const path = join(directory, 'snapshot');
    for (const under of [key, undefined]) {
      const size = await writeSnapshot(path, lines(), under);
      expect(statSync(path)).toMatchObject({ size });
      expect(statSync(path).mode & 0o777).toBe(0o600);
      const read: string[] = [];
      for await (const line of readSnapshot(path, key)) read.push(line);
      expect(read).toEqual(['{"a":"canary"}', '{"b":2}']);
    }
    await writeSnapshot(path, lines(), key);
    writeFileSync(path, readFileSync(path).subarray(0, -3));
    const reading = async () => {
      for await (const _ of readSnapshot(path, key));
    };
    await expect(reading()).rejects.toThrow('damaged');
  });

  it('take keys of 32 bytes', () => {
    expect(Buffer.from(parseSnapshotKey(`${Buffer.from(key).toString('base64')}\n`)).equals(Buffer.from(key))).toBe(
      true,
    );
    expect(() => parseSnapshotKey('short')).toThrow('32 bytes in base64');
  });
});
