import type { Issuer } from './document.ts';
import { type Reading, readDocument } from './read-document.ts';
import { type Claims, type IssuerKey, isKnownAlgorithm, isSigned, parseToken, readKeys } from './signature.ts';

export interface ProviderOptions {
  issuer: Pick<Issuer, 'discoveryURL'> & { url: string; audiences: readonly string[] };
  reading: Reading;
  clock: { now(): number };
}

/** An issuer with its keys, which are read when they are first needed and kept fresh while they are used. */
export interface Provider {
  /** The claims of a token that the issuer signed, that is meant for one of the audiences and holds now. Throws otherwise. */
  verify(token: string): Promise<Claims>;
  /** Counts up whenever the keys change: what was verified by others is not known any more. */
  generation(): number;
}

/** An issuer that could not be read is asked again after this long; meanwhile its tokens are refused at once. */
const RETRY_MS = 10_000;
/** Keys that are in use are read again after this long, so that one that was taken back ends. */
const REFRESH_MS = 5 * 60_000;
/** Whoever has not looked for so long, as a function that was frozen, looks before it believes a token. */
const STALE_MS = 2 * REFRESH_MS;
/** Tokens that none of the keys signed make them be read again: this often at once, and then every RETRY_MS. */
const BURST = 5;
/** So many requests wait at once for an issuer that does not answer; more are refused. */
const WAITING_MAX = 200;
/** Clocks may differ by this much, for `nbf` only, as upstream has it. */
const LEEWAY_MS = 60_000;

const withoutSlash = (url: string): string => url.replace(/\/$/, '');

/** Where the keys are: the discovery document's `jwks_uri`, once its `issuer` is the one we expect. */
const discover = async ({ issuer, reading }: ProviderOptions): Promise<string> => {
  const at = issuer.discoveryURL || `${withoutSlash(issuer.url)}/.well-known/openid-configuration`;
  const text = await readDocument(at, reading);
  let document: { issuer?: unknown; jwks_uri?: unknown } | null;
  try {
    document = JSON.parse(text);
  } catch {
    throw new Error(`${at} is no JSON`);
  }
  if (document?.issuer !== issuer.url) {
    const told = JSON.stringify(document?.issuer ?? '');
    throw new Error(
      `issuer did not match the issuer returned by provider, expected ${JSON.stringify(issuer.url)} got ${told}`,
    );
  }
  if (typeof document.jwks_uri !== 'string' || !document.jwks_uri) throw new Error('provider did not return JWKS URL');
  return document.jwks_uri;
};

const audiencesOf = ({ aud }: Claims): string[] => {
  const all: unknown[] = Array.isArray(aud) ? aud : [aud];
  return all.every((one) => typeof one === 'string') ? all : [];
};

const quoted = (texts: readonly string[]): string => `[${texts.map((text) => JSON.stringify(text)).join(' ')}]`;

/** No date is later: what overflows is no time. */
const SECONDS_MAX = 8.64e12;

/** Seconds since the epoch. */
const secondsOf = (value: unknown): number | undefined => {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return typeof number === 'number' && Math.abs(number) <= SECONDS_MAX ? number : undefined;
};

/** Issuer, audience and times of claims whose signature is right. Throws where one does not hold. */
const checkClaims = (claims: Claims, { issuer, clock }: ProviderOptions): void => {
  const iss = claims.iss === GOOGLE ? `https://${GOOGLE}` : claims.iss;
  if (iss !== issuer.url)
    throw new Error(`oidc: id token issued by a different provider, expected ${JSON.stringify(issuer.url)}`);
  const audiences = audiencesOf(claims);
  if (!audiences.some((one) => issuer.audiences.includes(one))) {
    const [only = ''] = issuer.audiences;
    const wanted = issuer.audiences.length === 1 ? JSON.stringify(only) : `in ${quoted(issuer.audiences)}`;
    throw new Error(`oidc: expected audience ${wanted} got ${quoted(audiences)}`);
  }
  const now = clock.now();
  const expires = secondsOf(claims.exp);
  if (expires === undefined || expires * 1000 < now) throw new Error('oidc: token is expired');
  if (claims.nbf === undefined || claims.nbf === null) return;
  const from = secondsOf(claims.nbf);
  if (from === undefined || now + LEEWAY_MS < from * 1000)
    throw new Error('oidc: current time is before the nbf (not before) time');
};

/** This issuer writes its name without a scheme (OpenID Connect Core 1.0, 15.6.2). */
export const GOOGLE = 'accounts.google.com';

const sameKeys = (a: readonly IssuerKey[], b: readonly IssuerKey[]): boolean =>
  a.length === b.length && a.every(({ id, key }, i) => id === b[i]?.id && b[i]?.key.equals(key) === true);

/** Requests that wait for the same reading share it. */
export const createProvider = (options: ProviderOptions): Provider => {
  const { reading, clock } = options;
  let keysUrl: string | undefined;
  let keys: IssuerKey[] | undefined;
  let readAt = Number.NEGATIVE_INFINITY;
  let generation = 0;
  let failed: { error: Error; at: number } | undefined;
  let under: Promise<void> | undefined;
  let waiting = 0;
  let tokens = BURST;
  let tokensAt = clock.now();

  const read = async (): Promise<void> => {
    keysUrl ??= await discover(options);
    const text = await readDocument(keysUrl, reading);
    let found: IssuerKey[];
    try {
      found = readKeys(text);
    } catch (error) {
      throw new Error(`failed to decode keys of ${keysUrl}: ${error instanceof Error ? error.message : error}`);
    }
    if (!keys || !sameKeys(keys, found)) generation++;
    keys = found;
  };
  /** Reads the keys, unless that is under way. What went wrong is kept for a while; keys that were there stay. */
  const refresh = (): Promise<void> => {
    under ??= read()
      .then(
        () => {
          failed = undefined;
        },
        (error: Error) => {
          failed = { error, at: clock.now() };
          // The keys may have moved.
          if (keys) keysUrl = undefined;
        },
      )
      .finally(() => {
        readAt = clock.now();
        under = undefined;
      });
    return under;
  };
  /** As `refresh`, for somebody who waits for it. */
  const refreshed = async (): Promise<void> => {
    if (waiting >= WAITING_MAX) throw new Error('too many requests wait for the keys');
    waiting++;
    await refresh().finally(() => waiting--);
  };
  const mayAskAgain = (): boolean => {
    const now = clock.now();
    tokens = Math.min(BURST, tokens + (now - tokensAt) / RETRY_MS);
    tokensAt = now;
    if (tokens < 1) return false;
    tokens--;
    return true;
  };
  const ready = async (): Promise<readonly IssuerKey[]> => {
    if (keys) {
      const age = clock.now() - readAt;
      if (age > STALE_MS) await refreshed();
      // Whoever asks need not wait for it.
      else if (!under && age > REFRESH_MS) void refresh();
      return keys;
    }
    if (!failed || clock.now() - failed.at >= RETRY_MS) await refreshed();
    if (keys) return keys;
    throw new Error(`authenticator not initialized: ${failed?.error.message ?? 'no keys'}`);
  };

  return {
    generation: () => generation,
    verify: async (token) => {
      const parsed = parseToken(token);
      if (!parsed) throw new Error('oidc: malformed jwt');
      if (!isKnownAlgorithm(parsed.algorithm))
        throw new Error(`oidc: id token signed with unsupported algorithm, got ${JSON.stringify(parsed.algorithm)}`);
      let signed = isSigned(parsed, await ready());
      if (!signed && mayAskAgain()) {
        await refreshed();
        signed = isSigned(parsed, keys ?? []);
      }
      if (!signed) throw new Error('failed to verify signature: failed to verify id token signature');
      checkClaims(parsed.claims, options);
      return parsed.claims;
    },
  };
};
