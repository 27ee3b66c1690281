import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';

/** A key that signs tokens, or did: what it signed counts for as long as it is in the list. */
export interface SigningKey {
  /** PKCS#8 PEM of a P-256 private key. */
  pem: string;
  /** Milliseconds since the epoch; 0 where nobody wrote it down. */
  createdAt: number;
  /** Milliseconds since the epoch: it is published before it signs, so that every process knows it by then. */
  signsFrom: number;
}

/** Processes that share keys look for new ones at least this often, in milliseconds. */
export const KEYS_MS = 60_000;
/** So long is a new key known before it signs, where several processes share it: in milliseconds. */
export const PUBLISHED_MS = 120_000;
/** So many keys are kept: each is tried by its id, and shown to whoever verifies tokens. */
export const KEYS_MAX = 16;

const MADE_BEFORE = { createdAt: 0, signsFrom: 0 };

/** The `kid` of a public key: the SHA-256 of its DER form (SubjectPublicKeyInfo), as upstream has it. */
export const keyId = (publicKey: KeyObject): string =>
  createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64url');
export const keyIdOf = ({ pem }: Pick<SigningKey, 'pem'>): string => keyId(createPublicKey(createPrivateKey(pem)));

/** The keys of a record that has them, or the one key of an older record. Newest first. */
export const signingKeysOf = (record: { tokenKey: string; tokenKeys?: readonly SigningKey[] }): SigningKey[] =>
  record.tokenKeys ? [...record.tokenKeys] : [{ pem: record.tokenKey, ...MADE_BEFORE }];

/** The newest key that signs by now; the oldest where none does yet. Throws where there is none. */
export const signerAt = <K extends Pick<SigningKey, 'signsFrom'>>(keys: readonly K[], now: number): K => {
  const signer = keys.find(({ signsFrom }) => signsFrom <= now) ?? keys.at(-1);
  if (!signer) throw new Error('there is no key that signs tokens');
  return signer;
};

/** A list with a new key in front; it signs after `publishedMs`. Throws where the list is full. */
export const withNewKey = (keys: readonly SigningKey[], now: number, publishedMs: number): SigningKey[] => {
  if (keys.length >= KEYS_MAX) throw new Error(`there are ${keys.length} signing keys: retire one first`);
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return [{ pem, createdAt: now, signsFrom: now + publishedMs }, ...keys];
};

/** A list without a key, from whose tokens everybody is logged out; or why it cannot go. */
export const withoutKey = (keys: readonly SigningKey[], kid: string, now: number): SigningKey[] | string => {
  const key = keys.find((one) => keyIdOf(one) === kid);
  if (!key) return `there is no signing key ${kid}`;
  if (signerAt(keys, now) === key) return `${kid} signs tokens now: rotate first`;
  return keys.filter((one) => one !== key);
};

/** What may be told of a key. */
export interface SigningKeyStatus {
  kid: string;
  /** RFC 3339; absent where nobody wrote it down. */
  createdAt?: string;
  state: 'signs' | 'published' | 'verifies';
  /** RFC 3339: when it begins to sign, of one that is published. */
  signsFrom?: string;
  /** RFC 3339: by then every token that it signed has ended, but for those in Secrets of service accounts. */
  tokensEndBy?: string;
}

const YEAR_MS = 365 * 86_400_000;

export const statusOfKeys = (keys: readonly SigningKey[], now: number): SigningKeyStatus[] => {
  const signer = signerAt(keys, now);
  return keys.map((key, at) => {
    const successor = keys[at - 1];
    const state = key === signer ? 'signs' : key.signsFrom > now ? 'published' : 'verifies';
    return {
      kid: keyIdOf(key),
      ...(key.createdAt && { createdAt: new Date(key.createdAt).toISOString() }),
      state,
      ...(state === 'published' && { signsFrom: new Date(key.signsFrom).toISOString() }),
      ...(state === 'verifies' && successor && { tokensEndBy: new Date(successor.signsFrom + YEAR_MS).toISOString() }),
    };
  });
};
