/** Signed tokens (RFC 7515, RFC 7519) of issuers that we know by their keys (RFC 7517). */
import { constants, createPublicKey, type JsonWebKey, type KeyObject, verify } from 'node:crypto';

export type Claims = Record<string, unknown>;

/** A token taken apart; nothing of it is believed yet. */
export interface ParsedToken {
  algorithm: string;
  /** '' where the token names no key. */
  keyId: string;
  claims: Claims;
  /** What was signed. */
  signed: Buffer;
  signature: Buffer;
}

interface Algorithm {
  hash: 'sha256' | 'sha384' | 'sha512';
  kind: 'rsa' | 'pss' | 'ec';
  curve?: string;
  /** Bytes of a signature of a curve. */
  bytes?: number;
}

/** The algorithms that upstream takes where issuers come from a document: no shared secrets, and never none. */
const algorithms: ReadonlyMap<string, Algorithm> = new Map<string, Algorithm>([
  ['RS256', { hash: 'sha256', kind: 'rsa' }],
  ['RS384', { hash: 'sha384', kind: 'rsa' }],
  ['RS512', { hash: 'sha512', kind: 'rsa' }],
  ['PS256', { hash: 'sha256', kind: 'pss' }],
  ['PS384', { hash: 'sha384', kind: 'pss' }],
  ['PS512', { hash: 'sha512', kind: 'pss' }],
  ['ES256', { hash: 'sha256', kind: 'ec', curve: 'prime256v1', bytes: 64 }],
  ['ES384', { hash: 'sha384', kind: 'ec', curve: 'secp384r1', bytes: 96 }],
  ['ES512', { hash: 'sha512', kind: 'ec', curve: 'secp521r1', bytes: 132 }],
]);

const RSA_BITS_MIN = 1024;
const KEYS_MAX = 100;

const decoded = (part: string): Buffer | undefined => {
  const bytes = Buffer.from(part, 'base64url');
  return bytes.length > 0 && bytes.toString('base64url') === part ? bytes : undefined;
};

const objectOf = (bytes: Buffer | undefined): Claims | undefined => {
  if (!bytes) return undefined;
  try {
    const value: unknown = JSON.parse(bytes.toString());
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Claims) : undefined;
  } catch {
    return undefined;
  }
};

/** The claims of what may be a token, of which nothing is checked: for choosing whose it would be. */
export const unverifiedClaims = (token: string): Claims | undefined => {
  const parts = token.split('.', 4);
  return parts.length === 3 ? objectOf(decoded(parts[1] ?? '')) : undefined;
};

/**
 * Takes a compact token apart; undefined where it is none, has headers that must be understood (RFC 7515, 4.1.11), or a
 * payload that is not encoded (RFC 7797).
 */
export const parseToken = (token: string): ParsedToken | undefined => {
  const [head = '', body = '', last = '', more] = token.split('.', 4);
  const header = objectOf(decoded(head));
  const claims = objectOf(decoded(body));
  const signature = decoded(last);
  if (!header || !claims || !signature || more !== undefined || header.crit !== undefined) return undefined;
  if (header.b64 === false) return undefined;
  const { alg, kid = '' } = header;
  if (typeof alg !== 'string' || typeof kid !== 'string') return undefined;
  return { algorithm: alg, keyId: kid, claims, signed: Buffer.from(`${head}.${body}`), signature };
};

export interface IssuerKey {
  id: string;
  key: KeyObject;
}

const readKey = (jwk: unknown): IssuerKey | undefined => {
  const { kty, kid = '' } = (jwk ?? {}) as { kty?: unknown; kid?: unknown };
  if ((kty !== 'RSA' && kty !== 'EC') || typeof kid !== 'string') return undefined;
  try {
    const key = createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' });
    const { modulusLength = RSA_BITS_MIN } = key.asymmetricKeyDetails ?? {};
    return modulusLength < RSA_BITS_MIN ? undefined : { id: kid, key };
  } catch {
    return undefined;
  }
};

/** The keys of a JSON Web Key Set that can sign here; others are passed over. Throws where it is no set at all. */
export const readKeys = (text: string): IssuerKey[] => {
  const set = JSON.parse(text) as { keys?: unknown } | null;
  if (!Array.isArray(set?.keys)) throw new Error('there is no list of keys');
  return set.keys.slice(0, KEYS_MAX).flatMap((jwk) => readKey(jwk) ?? []);
};

const signedBy = (
  { signed, signature }: ParsedToken,
  { hash, kind, curve, bytes }: Algorithm,
  key: KeyObject,
): boolean => {
  if (kind === 'ec') {
    if (key.asymmetricKeyDetails?.namedCurve !== curve || signature.length !== bytes) return false;
    return verify(hash, signed, { key, dsaEncoding: 'ieee-p1363' }, signature);
  }
  if (key.asymmetricKeyType !== 'rsa') return false;
  if (kind === 'rsa') return verify(hash, signed, { key, padding: constants.RSA_PKCS1_PADDING }, signature);
  const pss = { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
  return verify(hash, signed, pss, signature);
};

export const isKnownAlgorithm = (name: string): boolean => algorithms.has(name);

/** Whether one of the keys that the token may mean signed it. */
export const isSigned = (token: ParsedToken, keys: readonly IssuerKey[]): boolean => {
  const algorithm = algorithms.get(token.algorithm);
  if (!algorithm) return false;
  return keys.some(({ id, key }) => (token.keyId === '' || id === token.keyId) && signedBy(token, algorithm, key));
};
