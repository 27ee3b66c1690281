import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hash,
  type KeyObject,
  randomBytes,
  randomFillSync,
  timingSafeEqual,
} from 'node:crypto';

/**
 * Seals values under one key. `context` names the place of a value (cluster, group, resource, key): a value that was moved
 * elsewhere does not open. `open` throws an Error whose message may be shown to clients.
 */
export interface Cipher {
  /** The sealed form, behind `prefix`, in an array of its own size. */
  seal(prefix: Uint8Array, context: string, plain: Uint8Array): Uint8Array;
  /** What `seal` was given; `sealed` begins behind the prefix. */
  open(context: string, sealed: Uint8Array): Uint8Array;
}

const SALT_BYTES = 32;
const TAG_BYTES = 16;
const tampered = (): Error => new Error('cipher: message authentication failed');
const tooShort = (): Error => new Error('the stored data was shorter than the required size');

/** Random bytes in blocks: a system call per write costs more than the cipher. */
const pool = Buffer.alloc(8192);
let poolAt = pool.length;
const randomInto = (target: Uint8Array, at: number, length: number): void => {
  if (poolAt + length > pool.length) {
    randomFillSync(pool);
    poolAt = 0;
  }
  target.set(pool.subarray(poolAt, poolAt + length), at);
  // What was used is nobody's to read again.
  pool.fill(0, poolAt, poolAt + length);
  poolAt += length;
};

const deriveInfo = Buffer.from('skiff aes-256-gcm v2');
const one = Buffer.from([1]);

/**
 * HKDF-Expand (RFC 5869) with SHA-512, whose one block is a key of 256 bits and a nonce of 96: each value has a key of its
 * own, so that GCM's limit on messages under one key is that of values whose random salts of 256 bits meet.
 */
const derive = (key: KeyObject, salt: Uint8Array): Buffer =>
  createHmac('sha512', key).update(deriveInfo).update(salt).update(one).digest();

/** AES-256-GCM under a key derived for each value: salt (32), ciphertext, tag (16). */
export const gcmCipher = (secret: Uint8Array): Cipher => {
  const key = createSecretKey(secret);
  return {
    seal: (prefix, context, plain) => {
      const start = prefix.byteLength;
      const sealed = Buffer.from(new ArrayBuffer(start + SALT_BYTES + plain.byteLength + TAG_BYTES));
      sealed.set(prefix);
      randomInto(sealed, start, SALT_BYTES);
      const derived = derive(key, sealed.subarray(start, start + SALT_BYTES));
      const gcm = createCipheriv('aes-256-gcm', derived.subarray(0, 32), derived.subarray(32, 44));
      gcm.setAAD(Buffer.from(context));
      sealed.set(gcm.update(plain), start + SALT_BYTES);
      gcm.final();
      sealed.set(gcm.getAuthTag(), sealed.length - TAG_BYTES);
      return sealed;
    },
    open: (context, sealed) => {
      if (sealed.byteLength < SALT_BYTES + TAG_BYTES) throw tooShort();
      const derived = derive(key, sealed.subarray(0, SALT_BYTES));
      const gcm = createDecipheriv('aes-256-gcm', derived.subarray(0, 32), derived.subarray(32, 44), {
        authTagLength: TAG_BYTES,
      });
      gcm.setAAD(Buffer.from(context));
      gcm.setAuthTag(sealed.subarray(-TAG_BYTES));
      const plain = gcm.update(sealed.subarray(SALT_BYTES, -TAG_BYTES));
      try {
        gcm.final();
      } catch {
        throw tampered();
      }
      return plain;
    },
  };
};

const IV_BYTES = 16;
const MAC_BYTES = 32;

/**
 * AES-CBC with HMAC-SHA-256 over place, vector and ciphertext (encrypt, then authenticate): vector (16), ciphertext, code
 * (32). CBC by itself would let values be moved and bits be flipped.
 */
export const cbcCipher = (secret: Uint8Array): Cipher => {
  const algorithm = `aes-${secret.byteLength * 8}-cbc`;
  const key = createSecretKey(secret);
  const macKey = createSecretKey(createHmac('sha256', key).update('skiff aes-cbc v2 code').digest());
  const codeOf = (context: string, body: Uint8Array): Buffer =>
    createHmac('sha256', macKey)
      .update(hash('sha256', context, 'buffer'))
      .update(body)
      .digest();
  return {
    seal: (prefix, context, plain) => {
      const iv = randomBytes(IV_BYTES);
      const cbc = createCipheriv(algorithm, key, iv);
      const body = Buffer.concat([iv, cbc.update(plain), cbc.final()]);
      return new Uint8Array(Buffer.concat([prefix, body, codeOf(context, body)]));
    },
    open: (context, sealed) => {
      if (sealed.byteLength < IV_BYTES + MAC_BYTES) throw tooShort();
      const body = sealed.subarray(0, -MAC_BYTES);
      if (!timingSafeEqual(codeOf(context, body), sealed.subarray(-MAC_BYTES))) throw tampered();
      const cbc = createDecipheriv(algorithm, key, body.subarray(0, IV_BYTES));
      return Buffer.concat([cbc.update(body.subarray(IV_BYTES)), cbc.final()]);
    },
  };
};

const BOX_NONCE_BYTES = 24;
const PLACE_BYTES = 32;

/**
 * XSalsa20 and Poly1305 as in NaCl's secretbox, which authenticates no place: nonce (24), box of the place's digest (32) and
 * the value.
 */
export const boxCipher = async (secret: Uint8Array): Promise<Cipher> => {
  const { xsalsa20poly1305 } = await import('@noble/ciphers/salsa.js');
  return {
    seal: (prefix, context, plain) => {
      const nonce = randomBytes(BOX_NONCE_BYTES);
      const placed = Buffer.concat([hash('sha256', context, 'buffer'), plain]);
      return new Uint8Array(Buffer.concat([prefix, nonce, xsalsa20poly1305(secret, nonce).encrypt(placed)]));
    },
    open: (context, sealed) => {
      if (sealed.byteLength < BOX_NONCE_BYTES + TAG_BYTES + PLACE_BYTES) throw tooShort();
      let placed: Uint8Array;
      try {
        placed = xsalsa20poly1305(secret, sealed.subarray(0, BOX_NONCE_BYTES)).decrypt(
          sealed.subarray(BOX_NONCE_BYTES),
        );
      } catch {
        throw tampered();
      }
      if (!timingSafeEqual(placed.subarray(0, PLACE_BYTES), hash('sha256', context, 'buffer'))) throw tampered();
      return placed.subarray(PLACE_BYTES);
    },
  };
};
