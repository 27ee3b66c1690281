import type { IncomingMessage } from 'node:http';
import type { Server } from '../context.ts';
import { faultText } from '../outgoing/faults.ts';
import { type PlainParts, plainResponse } from '../plain-response.ts';
import { forwardedHeaders } from '../subresources/proxy.ts';
import type { PassedRequest } from './aggregator.ts';
import { ask, hostOf } from './ask.ts';
import { identityHeaders, isIdentity } from './identity.ts';
import type { Remote } from './remotes.ts';

/** Headers of one connection only (RFC 9110, 7.6.1). */
const HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** The path and query of a request, below the cluster's prefix, as it was written. */
const pathOf = ({ info, request }: PassedRequest): string => {
  const mark = request.url.indexOf('?');
  const start = request.url.startsWith('/') ? 0 : request.url.indexOf('/', request.url.indexOf('://') + 3);
  const raw = mark < 0 ? request.url.slice(start) : request.url.slice(start, mark);
  const prefix = `/clusters/${info.cluster}`;
  const path = raw.startsWith(`${prefix}/`) ? raw.slice(prefix.length) : raw;
  return mark < 0 ? path : path + request.url.slice(mark);
};

/** The client's headers for another API server, with who asks in place of how that was shown to us. */
export const remoteHeaders = (
  headers: Headers,
  remote: Remote,
  { user, connection, path }: Pick<PassedRequest, 'user' | 'connection'> & { path: string },
): Record<string, string | string[]> => {
  const given = forwardedHeaders(headers, { host: hostOf(remote), remoteAddress: connection.remoteAddress });
  const own = Object.entries(given).filter(([name]) => !isIdentity(name) && name !== 'content-length');
  const host = `${hostOf(remote)}:${remote.service.port}`;
  const forwarded = { 'x-forwarded-host': host, 'x-forwarded-proto': 'https', 'x-forwarded-uri': path };
  return { ...Object.fromEntries(own), ...forwarded, ...identityHeaders(user) };
};

const headersBack = ({ headers }: IncomingMessage): PlainParts['headers'] => {
  const out: PlainParts['headers'] = {};
  for (const [name, value] of Object.entries(headers)) if (value !== undefined && !HOP.has(name)) out[name] = value;
  return out;
};

const unavailable = (text: string): Response =>
  plainResponse({
    status: 503,
    headers: { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' },
    body: `${text}\n`,
  });

/** Passes a request on and its answer back, streamed. 503 in plain text where the server is not there, as upstream. */
export const passToRemote = async (
  server: Server,
  remote: Remote | undefined,
  asked: PassedRequest,
): Promise<Response> => {
  if (!remote) return unavailable('service unavailable');
  const { info, request } = asked;
  const body = request.method === 'GET' || request.method === 'HEAD' ? undefined : await request.bytes();
  try {
    const answer = await ask(server, info.cluster, remote, {
      method: request.method,
      path: pathOf(asked),
      headers: remoteHeaders(request.headers, remote, { ...asked, path: info.path }),
      ...(body && body.byteLength > 0 && { body }),
      signal: request.signal,
    });
    const status = answer.statusCode ?? 502;
    if (status < 300 || status > 399 || answer.headers.location === undefined)
      return plainResponse({ status, headers: headersBack(answer), body: answer });
    // Where it sends clients could be anywhere, with their credentials.
    answer.destroy();
    const text = 'the backend attempted to redirect this request, which is not permitted';
    return plainResponse({ status: 502, headers: { 'content-type': 'text/plain; charset=utf-8' }, body: text });
  } catch (error) {
    return unavailable(`error trying to reach service: ${faultText(error)}`);
  }
};
