import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { boxCipher, type Cipher, cbcCipher, gcmCipher } from './cipher.ts';

const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
/** A small generator (mulberry32), so that a failure can be made again. */
const randomFrom = (start: number) => {
  let state = start;
  return (below: number): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4_294_967_296) * below);
  };
};

const prefix = Buffer.from('k8s:enc:x:v2:key1:');
const place = 'one//secrets/default/a';
const ciphers: [string, (secret: Uint8Array) => Cipher | Promise<Cipher>, number[]][] = [
  ['AES-GCM', gcmCipher, [16, 24, 32]],
  ['AES-CBC with HMAC', cbcCipher, [16, 24, 32]],
  ['secretbox', boxCipher, [32]],
];

describe.each(ciphers)(`%s (SEED=${seed})`, (_, make, sizes) => {
  it('opens what it sealed, of every length, and shows nothing of it', async () => {
    for (const size of sizes) {
      const cipher = await make(randomBytes(size));
      for (const length of [0, 1, 15, 16, 17, 31, 1000, 1_572_864]) {
        const plain = Buffer.alloc(length, 'canary');
        const sealed = cipher.seal(prefix, place, plain);
        expect(Buffer.from(sealed).subarray(0, prefix.length).equals(prefix)).toBe(true);
        expect(Buffer.from(sealed).includes('canary')).toBe(false);
        expect(sealed.buffer.byteLength).toBe(sealed.byteLength);
        expect(Buffer.from(cipher.open(place, sealed.subarray(prefix.length))).equals(plain)).toBe(true);
      }
    }
  });

  it('seals the same value differently each time', async () => {
    const cipher = await make(randomBytes(32));
    const all = new Set(
      Array.from({ length: 2000 }, () => Buffer.from(cipher.seal(prefix, place, Buffer.from('x'))).toString('hex')),
    );
    expect(all.size).toBe(2000);
  });

  it('refuses every flipped bit, every cut and what was put on', async () => {
    const random = randomFrom(seed);
    const cipher = await make(randomBytes(32));
    const sealed = Buffer.from(cipher.seal(prefix, place, randomBytes(random(200)))).subarray(prefix.length);
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const changed = Buffer.from(sealed);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(() => cipher.open(place, changed), `bit ${bit}`).toThrow('message authentication failed');
    }
    for (let length = 0; length < sealed.length; length++)
      expect(() => cipher.open(place, sealed.subarray(0, length)), `length ${length}`).toThrow(
        /authentication|shorter/,
      );
    expect(() => cipher.open(place, Buffer.concat([sealed, Buffer.alloc(1)]))).toThrow('authentication');
  });

  it.each([
    'one//secrets/default/b',
    'two//secrets/default/a',
    'one//configmaps/default/a',
    'one/x/secrets/default/a',
    '',
  ])('refuses a value that was moved to %j', async (other) => {
    const cipher = await make(randomBytes(32));
    const sealed = cipher.seal(prefix, place, Buffer.from('value')).subarray(prefix.length);
    expect(() => cipher.open(other, sealed)).toThrow('message authentication failed');
  });

  it('refuses what another key sealed', async () => {
    const sealed = (await make(randomBytes(32))).seal(prefix, place, Buffer.from('value')).subarray(prefix.length);
    const other = await make(randomBytes(32));
    expect(() => other.open(place, sealed)).toThrow('message authentication failed');
  });
});
