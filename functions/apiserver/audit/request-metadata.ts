import { isIP } from 'node:net';
import type { ConnectionInfo } from '../context.ts';

const USER_AGENT_MAX = 1024;

/** Upstream's length limit of userAgent, and how it marks what was cut. */
export const userAgentOf = (request: Request): string => {
  const given = request.headers.get('user-agent') ?? '';
  return given.length > USER_AGENT_MAX ? `${given.slice(0, USER_AGENT_MAX)}...TRUNCATED` : given;
};

const plain = (address: string): string =>
  address.startsWith('::ffff:') && isIP(address.slice(7)) === 4 ? address.slice(7) : address;
const parsed = (text: string | null): string | undefined => {
  const address = plain((text ?? '').trim());
  return isIP(address) ? address : undefined;
};

const LOOPBACK = '127.0.0.1';
/** Most requests come from few addresses: their lists are shared. */
const single = new Map<string, readonly string[]>();
const SINGLE_MAX = 1000;
const nowhere: readonly string[] = [];

const onlyRemote = (remote: string | undefined): readonly string[] => {
  if (remote === undefined) return nowhere;
  let list = single.get(remote);
  if (!list) {
    if (single.size >= SINGLE_MAX) single.clear();
    list = [remote];
    single.set(remote, list);
  }
  return list;
};

/**
 * Where a request came from, as upstream lists it: X-Forwarded-For, then X-Real-Ip where it is none of those, then the
 * connection's own address where it is not the last. All but the last are what the client says.
 */
export const sourceIpsOf = (request: Request, { remoteAddress, internal }: ConnectionInfo): readonly string[] => {
  const forwarded = request.headers.get('x-forwarded-for');
  const real = request.headers.get('x-real-ip');
  const remote = remoteAddress === undefined ? (internal ? LOOPBACK : undefined) : parsed(remoteAddress);
  if (!forwarded && !real) return onlyRemote(remote);
  const out: string[] = [];
  for (const part of (forwarded ?? '').split(',')) {
    const address = parsed(part);
    if (address) out.push(address);
  }
  const known = parsed(real);
  if (known && !out.includes(known)) out.push(known);
  if (remote && out.at(-1) !== remote) out.push(remote);
  return out;
};

/** Path and query of a request, as the client wrote them. */
export const requestUriOf = ({ url }: Request): string => {
  const start = url.startsWith('/') ? 0 : url.indexOf('/', url.indexOf('://') + 3);
  return start < 0 ? '/' : url.slice(start);
};

const LASTING_VERBS = new Set(['watch', 'proxy']);
const LASTING = new Set(['attach', 'exec', 'proxy', 'log', 'portforward']);

/** Whether the beginning of an answer is an event of its own, since its end may be long in coming: upstream's list. */
export const isLasting = (info: { isResource: boolean; verb: string; subresource: string }): boolean =>
  LASTING_VERBS.has(info.verb) || (info.isResource && LASTING.has(info.subresource));
