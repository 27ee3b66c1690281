import { type IncomingHttpHeaders, type IncomingMessage, request as requestHttp } from 'node:http';
import { type Duplex, Readable } from 'node:stream';
import { promisify } from 'node:util';
import { deflateRaw, gunzip, gzip, inflateRaw } from 'node:zlib';
import { badRequest, serviceUnavailable } from '../../machinery/status.ts';
import { admit, validate } from '../admission/admission.ts';
import type { AnyObject, Call } from '../context.ts';
import { type PlainParts, plainResponse } from '../plain-response.ts';
import type { RequestInfo } from '../request-info.ts';
import { passedOnOf } from '../streams.ts';
import { podAndContainer } from './node-request.ts';
import { joinPaths, type Rewriting, rewriteAddress, rewriteHtml } from './proxy-rewrite.ts';
import { proxyTarget } from './proxy-target.ts';

/** Headers of one connection only (RFC 9110, 7.6.1), and those that say to us alone who asks. */
const HOP = ['connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade'];
const OWN = new Set([...HOP, 'proxy-authenticate', 'proxy-authorization', 'authorization', 'host', 'http2-settings']);
const NOT_BACK = new Set([
  ...HOP,
  'proxy-authenticate',
  'proxy-authorization',
  'access-control-allow-credentials',
  'access-control-allow-headers',
  'access-control-allow-methods',
  'access-control-allow-origin',
]);

const rawPath = (url: string): string => {
  const start = url.startsWith('/') ? 0 : url.indexOf('/', url.indexOf('://') + 3);
  const mark = url.indexOf('?', start);
  return mark < 0 ? url.slice(start) : url.slice(start, mark);
};

const rawQuery = (url: string): string => {
  const mark = url.indexOf('?');
  return mark < 0 ? '' : url.slice(mark);
};

const decoded = (path: string): string => {
  try {
    return decodeURIComponent(path);
  } catch {
    throw badRequest(`invalid URL escape in ${JSON.stringify(path)}`);
  }
};

/** Escapes what a path may not hold, and no more (RFC 3986, 3.3; as Go's EscapedPath). */
const escapedPath = (path: string): string =>
  encodeURIComponent(path)
    .replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
    .replace(/%(2F|24|26|2B|2C|3A|3B|3D|40)/g, (one) => decodeURIComponent(one));

/** Both halves of a proxy request's path: its own, and the backend's, which is '' where nothing follows `proxy`. */
export const splitPath = (info: RequestInfo, url: string): { prefix: string; path: string } => {
  const raw = rawPath(url);
  const slash = raw.endsWith('/');
  const whole = slash ? raw.slice(0, -1) : raw;
  const prefix = info.rest ? whole.slice(0, -(info.rest.length + 1)) : whole;
  if (!info.rest) return { prefix, path: slash ? '/' : '' };
  return { prefix, path: escapedPath(joinPaths('/', `${decoded(info.rest)}${slash ? '/' : ''}`)) };
};

/** The client's headers as the backend gets them; the values of `X-Forwarded-For` end with the client's address. */
export const forwardedHeaders = (
  headers: Iterable<[string, string]>,
  from: { host: string; remoteAddress: string | undefined; forwardedUri?: string },
): Record<string, string> => {
  const all = [...headers].map(([name, value]) => [name.toLowerCase(), value] as const);
  const named = (all.find(([name]) => name === 'connection')?.[1] ?? '').toLowerCase().split(',');
  const dropped = new Set(named.map((name) => name.trim()).filter(Boolean));
  const out: Record<string, string> = { host: from.host };
  for (const [name, value] of all) {
    if (OWN.has(name) || dropped.has(name) || name.startsWith('impersonate-') || name.startsWith(':')) continue;
    out[name] = value;
  }
  if (from.remoteAddress) {
    const before = out['x-forwarded-for'];
    const address = from.remoteAddress.replace(/^::ffff:/, '');
    out['x-forwarded-for'] = before ? `${before}, ${address}` : address;
  }
  if (from.forwardedUri) out['x-forwarded-uri'] = from.forwardedUri;
  return out;
};

interface Sent {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: Readable | undefined;
  signal: AbortSignal;
}

/** Sends one request over a connection of its own. Resolves with the answer's head, rejects where none comes. */
const exchange = (connection: Duplex, { method, path, headers, body, signal }: Sent): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    // Node frames no body of a GET or DELETE by itself: its bytes would be the backend's next request.
    const framed =
      body && headers['content-length'] === undefined ? { ...headers, 'transfer-encoding': 'chunked' } : headers;
    const sent = requestHttp({ method, path, headers: framed, createConnection: () => connection, setHost: false });
    const abort = () => sent.destroy(new Error('the client went away'));
    signal.addEventListener('abort', abort, { once: true });
    sent.on('response', (answer) => {
      answer.on('close', () => signal.removeEventListener('abort', abort));
      resolve(answer);
    });
    sent.on('error', (error) => {
      signal.removeEventListener('abort', abort);
      reject(error);
    });
    if (!body) sent.end();
    else body.on('error', (error) => sent.destroy(error)).pipe(sent);
  });

/** A page whose addresses are rewritten is held in memory, packed and unpacked: larger ones are refused. */
const pageBytesMax = 16 << 20;
const unpacked = { maxOutputLength: pageBytesMax };
const [gunzipped, inflated] = [promisify(gunzip), promisify(inflateRaw)];

const coders: Record<string, [(data: Buffer) => Promise<Buffer>, (data: Buffer) => Promise<Buffer>]> = {
  gzip: [(data) => gunzipped(data, unpacked), promisify(gzip)],
  deflate: [(data) => inflated(data, unpacked), promisify(deflateRaw)],
  '': [async (data) => data, async (data) => data],
};

const bytesOf = async (stream: Readable): Promise<Buffer> => {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of stream) {
    size += (part as Buffer).length;
    if (size > pageBytesMax) throw new Error(`the page is longer than ${pageBytesMax} bytes`);
    parts.push(part as Buffer);
  }
  return Buffer.concat(parts);
};

/** A backend's page with its addresses rewritten; undefined where its encoding is not known here. */
const rewritten = async (answer: IncomingMessage, rewriting: Rewriting): Promise<Uint8Array | undefined> => {
  const coder = coders[answer.headers['content-encoding'] ?? ''];
  if (!coder) return undefined;
  let page: string;
  try {
    page = (await coder[0](await bytesOf(answer))).toString();
  } catch (error) {
    answer.destroy();
    throw serviceUnavailable(`error trying to reach service: ${error instanceof Error ? error.message : error}`);
  }
  return coder[1](Buffer.from(rewriteHtml(page, rewriting)));
};

const headersBack = (given: IncomingHttpHeaders): PlainParts['headers'] => {
  const dropped = new Set((given.connection ?? '').toLowerCase().split(/\s*,\s*/));
  const out: PlainParts['headers'] = {};
  for (const [name, value] of Object.entries(given))
    if (value !== undefined && !NOT_BACK.has(name) && !dropped.has(name)) out[name] = value;
  out['cache-control'] ??= 'no-cache, private';
  return out;
};

const answered = async (answer: IncomingMessage, method: string, rewriting: Rewriting): Promise<Response> => {
  const status = answer.statusCode ?? 502;
  const headers = headersBack(answer.headers);
  const { location } = answer.headers;
  if (location !== undefined) headers.location = rewriteAddress(location, rewriting);
  const isPage = (answer.headers['content-type'] ?? '').split(';', 1)[0]?.trim() === 'text/html';
  if (location === undefined && isPage && method !== 'HEAD') {
    const body = await rewritten(answer, rewriting);
    if (body) {
      delete headers['content-length'];
      return plainResponse({ status, headers, body });
    }
  }
  return plainResponse({ status, headers, body: answer });
};

/** What admission sees of a request that is passed on: its options as an object. KEP-less; the CONNECT operation. */
export const admitConnect = async (call: Call, options: Record<string, unknown>): Promise<void> => {
  const { subresource } = call.info;
  const kind = call.resource.subresources.get(subresource)?.kind ?? '';
  const object = { kind, apiVersion: 'v1', metadata: {}, ...options } as unknown as AnyObject;
  await admit({ call, operation: 'CONNECT', subresource, object });
  await validate({ call, operation: 'CONNECT', subresource, object });
};

const list = (query: URLSearchParams, name: string) => query.getAll(name).filter((value) => value !== '');
const truthy = (query: URLSearchParams, name: string) =>
  list(query, name).some((value) => value !== '0' && value !== 'false');

/** The query of exec, attach and portforward as PodExecOptions and the like have it. */
export const streamOptions = ({ subresource, query }: RequestInfo): Record<string, unknown> => {
  if (subresource === 'portforward') return { ports: list(query, 'ports').map(Number) };
  const out: Record<string, unknown> = {};
  for (const name of ['stdin', 'stdout', 'stderr', 'tty']) if (truthy(query, name)) out[name] = true;
  const container = query.get('container');
  if (container) out.container = container;
  if (subresource === 'exec') out.command = query.getAll('command');
  return out;
};

/** exec, attach and portforward without leaving HTTP: refused once the pod and its container are known to be there. */
const needsUpgrade = async (call: Call): Promise<Response> => {
  await admitConnect(call, streamOptions(call.info));
  await podAndContainer(call.server, call.info);
  throw badRequest('Upgrade request required');
};

/**
 * pods, services and nodes `/{name}/proxy/{path}`, by any method: the request goes to the backend with its path, query
 * and body, and the answer comes back with its addresses rewritten. Throws 400, 404 and 503 Statuses.
 */
const proxy = async (call: Call): Promise<Response> => {
  const { server, info, request } = call;
  if (info.query.getAll('dryRun').some((value) => value !== '')) throw badRequest('dryRun is not supported');
  const { prefix, path } = splitPath(info, request.url);
  await admitConnect(call, { path });
  const target = await proxyTarget(server, info);
  if (path === '' && (info.method === 'GET' || info.method === 'HEAD'))
    return plainResponse({ status: 301, headers: { location: `${prefix}/${rawQuery(request.url)}` }, body: undefined });
  const given = passedOnOf(request);
  const host = given?.host ?? request.headers.get('host') ?? target.host;
  const headers = forwardedHeaders(request.headers, {
    host,
    remoteAddress: given?.remoteAddress,
    forwardedUri: joinPaths(prefix, path),
  });
  const body = given ? given.body : request.body ? Readable.fromWeb(request.body as never) : undefined;
  const connection = await target.connect();
  const sent = { method: info.method, path: `${path || '/'}${rawQuery(request.url)}`, headers, body };
  const answer = await exchange(connection, { ...sent, signal: request.signal }).catch((error: Error) => {
    connection.destroy();
    throw serviceUnavailable(`error trying to reach service: ${error.message}`);
  });
  return answered(answer, info.method, { prefix, backend: target.host, host });
};

const anyMethod = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
const streams = { methods: new Set(['GET', 'POST']), answer: needsUpgrade };

/** Subresources that lead out of the apiserver: by which methods, and who answers those that stay in HTTP. */
export const connects: Record<
  string,
  { methods: ReadonlySet<string>; answer(call: Call): Promise<Response> } | undefined
> = {
  proxy: { methods: anyMethod, answer: proxy },
  exec: streams,
  attach: streams,
  portforward: streams,
};
