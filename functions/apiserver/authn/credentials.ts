/** Where requests carry bearer tokens, in upstream's reading of the headers. */

const PROTOCOL = 'base64url.bearer.authorization.k8s.io.';

/**
 * The token of an `Authorization` header: the second word where the first is Bearer, in any case. Undefined where it has
 * none, as with two blanks between them: then the request brought no credential at all.
 */
export const bearerToken = (header: string | null | undefined): string | undefined => {
  if (!header) return undefined;
  const [scheme = '', token = ''] = header.trim().split(' ', 2);
  return scheme.toLowerCase() === 'bearer' && token !== '' ? token : undefined;
};

/** What a WebSocket's subprotocols bring: a token, nothing, or something that is refused. */
export type ProtocolToken = { token: string } | { fault: string } | undefined;

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const decoded = (encoded: string): string | undefined => {
  const bytes = Buffer.from(encoded, 'base64url');
  if (bytes.toString('base64url') !== encoded) return undefined;
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
};

/**
 * Browsers cannot set headers on a WebSocket: they may bring the token as a subprotocol, beside at least one that can be
 * answered. `protocols` is the header `Sec-WebSocket-Protocol`.
 */
export const protocolToken = (protocols: string | null | undefined): ProtocolToken => {
  const all = (protocols ?? '').split(',').map((one) => one.trim());
  const [first, second] = all.filter((one) => one.startsWith(PROTOCOL));
  if (first === undefined) return undefined;
  if (second !== undefined) return { fault: 'multiple base64.bearer.authorization tokens specified' };
  const token = decoded(first.slice(PROTOCOL.length));
  if (token === undefined) return { fault: 'invalid base64.bearer.authorization token encoding' };
  if (token === '') return undefined;
  return all.some((one) => one && !one.startsWith(PROTOCOL)) ? { token } : { fault: 'missing additional subprotocol' };
};

/** The subprotocols that are none of ours: the other side never sees a token. */
export const otherProtocols = (protocols: string | null | undefined): string[] =>
  (protocols ?? '')
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one && !one.startsWith(PROTOCOL));
