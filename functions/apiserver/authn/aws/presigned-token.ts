import { stsHost } from './sts-hosts.ts';

/**
 * The tokens that `aws eks get-token`, aws-iam-authenticator and `skiff token` make: a GetCallerIdentity request of AWS STS,
 * signed by its caller's own keys (Signature Version 4, in the query), as base64url behind a prefix. The cluster that it is
 * for stands in the signed header `x-k8s-aws-id`, which is not part of the token: whoever sends the request adds its own.
 */
export const TOKEN_PREFIX = 'k8s-aws-v1.';
export const CLUSTER_HEADER = 'x-k8s-aws-id';

/** STS takes a signed request for so long after its X-Amz-Date, whatever its X-Amz-Expires. */
export const SIGNED_MS = 15 * 60_000;
/** How far ahead the clock of a caller may be. */
const SKEW_MS = 5 * 60_000;
const TOKEN_CHARACTERS_MAX = 4096;
const EXPIRES_SECONDS_MAX = 900;

/** Which STS a token may lead to. */
export interface StsPlaces {
  /** Instead of AWS' own hosts, a stand-in: `http://127.0.0.1:4566`, an origin as WHATWG URLs print it. */
  endpoint?: string;
  /** Only hosts of this partition; of all where absent. */
  partition?: string;
  /** Only hosts of these regions, and the global one where it says `aws-global`; all where absent. */
  regions?: readonly string[];
}

/** A request that may be sent: nothing in it leads anywhere but to GetCallerIdentity of a known STS. */
export interface PresignedToken {
  /** `https://sts.eu-north-1.amazonaws.com` */
  origin: string;
  /** `/?Action=...`, as the caller signed it. */
  path: string;
  /** Of the host; undefined for a stand-in, which answers for any. */
  partition: string | undefined;
  accessKeyId: string;
  /** When STS takes it no more, in milliseconds since the epoch. */
  expiresAt: number;
}

export type Checked = { presigned: PresignedToken } | { refused: string };

/** Parameters by name, exactly: in another case STS would not know them, and other readers might. */
const PARAMETERS: Readonly<Record<string, { required: boolean; form: RegExp }>> = {
  Action: { required: true, form: /^GetCallerIdentity$/ },
  Version: { required: true, form: /^2011-06-15$/ },
  'X-Amz-Algorithm': { required: true, form: /^AWS4-HMAC-SHA256$/ },
  'X-Amz-Credential': { required: true, form: /^\w{1,128}\/\d{8}\/[a-z0-9-]{1,32}\/sts\/aws4_request$/ },
  'X-Amz-Date': { required: true, form: /^\d{8}T\d{6}Z$/ },
  // STS does not heed it: clients write 0, 60 or 900.
  'X-Amz-Expires': { required: true, form: /^(0|[1-9]\d{0,2})$/ },
  'X-Amz-Security-Token': { required: false, form: /^[\x21-\x7e]+$/ },
  // Any other header would have to be sent to hold, and none is.
  'X-Amz-SignedHeaders': { required: true, form: /^host;x-k8s-aws-id$/ },
  'X-Amz-Signature': { required: true, form: /^[0-9a-f]{64}$/ },
};

const ENCODED = /^(?:[A-Za-z0-9\-._~]|%[0-9A-Fa-f]{2})+$/;

const decodeValue = (raw: string): string | undefined => {
  if (!ENCODED.test(raw)) return undefined;
  try {
    return decodeURIComponent(raw);
  } catch {
    return undefined;
  }
};

/** The parameters of a query, each known, of its form and there once; or what is wrong with them. */
const readQuery = (query: string): Map<string, string> | string => {
  const found = new Map<string, string>();
  for (const pair of query.split('&')) {
    const at = pair.indexOf('=');
    const name = at < 0 ? pair : pair.slice(0, at);
    const known = Object.hasOwn(PARAMETERS, name) ? PARAMETERS[name] : undefined;
    if (!known) return 'a parameter that is not of GetCallerIdentity';
    if (found.has(name)) return `${name} is there twice`;
    const value = decodeValue(pair.slice(at + 1));
    if (at < 0 || value === undefined || !known.form.test(value)) return `${name} is not of its form`;
    found.set(name, value);
  }
  for (const [name, { required }] of Object.entries(PARAMETERS))
    if (required && !found.has(name)) return `${name} is missing`;
  return found;
};

/** The text within a token; undefined where it is not what an encoder makes of one line of printable characters. */
const decodeToken = (token: string): string | undefined => {
  const encoded = token.slice(TOKEN_PREFIX.length);
  if (!/^[A-Za-z0-9_-]+$/.test(encoded)) return undefined;
  const bytes = Buffer.from(encoded, 'base64url');
  if (bytes.toString('base64url') !== encoded) return undefined;
  const text = bytes.toString('latin1');
  return /^[\x21-\x7e]+$/.test(text) ? text : undefined;
};

interface Place {
  partition: string | undefined;
  region: string | undefined;
}

const placeOf = (origin: string, places: StsPlaces): Place | undefined => {
  if (places.endpoint !== undefined)
    return origin === places.endpoint ? { partition: undefined, region: undefined } : undefined;
  if (!origin.startsWith('https://')) return undefined;
  const host = stsHost(origin.slice('https://'.length));
  if (!host || (places.partition !== undefined && host.partition !== places.partition)) return undefined;
  if (places.regions && !places.regions.includes(host.region ?? 'aws-global')) return undefined;
  return host;
};

/** Milliseconds since the epoch of `20260102T030405Z`; NaN for a day or a time that there is not. */
const timeOf = (text: string): number => {
  const [, year, month, day, hours, minutes, seconds] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text) ?? [];
  const iso = `${year}-${month}-${day}T${hours}:${minutes}:${seconds}.000Z`;
  const time = Date.parse(iso);
  return Number.isNaN(time) || new Date(time).toISOString() !== iso ? Number.NaN : time;
};

/** Judges a token by itself, before anything is sent; `now` in milliseconds since the epoch. */
export const checkToken = (token: string, places: StsPlaces, now: number): Checked => {
  if (token.length > TOKEN_CHARACTERS_MAX) return { refused: 'the token is too long' };
  if (!token.startsWith(TOKEN_PREFIX)) return { refused: 'the token is of another kind' };
  const text = decodeToken(token);
  const slash = text?.indexOf('/?') ?? -1;
  if (text === undefined || slash < 0) return { refused: 'the token holds no URL' };
  const origin = text.slice(0, slash);
  const place = placeOf(origin, places);
  if (!place) return { refused: 'the token leads to another host' };
  const query = readQuery(text.slice(slash + 2));
  if (typeof query === 'string') return { refused: query };
  if (Number(query.get('X-Amz-Expires')) > EXPIRES_SECONDS_MAX) return { refused: 'X-Amz-Expires is too long' };
  const date = query.get('X-Amz-Date') ?? '';
  const signedAt = timeOf(date);
  if (Number.isNaN(signedAt)) return { refused: 'X-Amz-Date is not of its form' };
  if (now >= signedAt + SIGNED_MS) return { refused: 'the token has expired' };
  if (signedAt > now + SKEW_MS) return { refused: 'the token is of the future' };
  const [accessKeyId = '', day, region] = query.get('X-Amz-Credential')?.split('/') ?? [];
  if (day !== date.slice(0, 8)) return { refused: 'X-Amz-Credential is of another day' };
  if (place.region !== undefined && region !== place.region)
    return { refused: 'X-Amz-Credential is of another region' };
  const expiresAt = signedAt + SIGNED_MS;
  return { presigned: { origin, path: text.slice(slash), partition: place.partition, accessKeyId, expiresAt } };
};
