import { createServer as createHttp1Server, type IncomingMessage, type ServerResponse } from 'node:http';
import {
  constants,
  createServer as createHttp2Server,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { type Duplex, Readable, type Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { scopeOfSerial } from '../apiserver/authn/certificate-scope.ts';
import type { ConnectionInfo } from '../apiserver/context.ts';
import { type PlainParts, plainParts, type StreamedBody } from '../apiserver/plain-response.ts';
import { isPassedOn, passOn } from '../apiserver/streams.ts';
import { type Incoming, plainRequest } from './plain-request.ts';
import { createSink } from './sink.ts';

export interface ListenerOptions {
  app: { fetch(request: Request, connection?: ConnectionInfo): Promise<Response> };
  /** PEM; with clientCa, certificates that it signed identify their holders. */
  tls: { cert: string | Buffer; key: string | Buffer; clientCa?: string | Buffer };
  host: string;
  /** 0: chosen by the system. */
  port: number;
  /** How long a client may take to send a request's head (HTTP/1.1 only) and its body, in milliseconds: 32,000 and 60,000. */
  headMs?: number;
  bodyMs?: number;
  /** Takes HTTP/1.1 requests that leave HTTP (exec, attach, port-forward, tunnels). */
  onUpgrade?(request: IncomingMessage, socket: Duplex, head: Buffer, connection: ConnectionInfo): void | Promise<void>;
}

export interface Listener {
  port: number;
  /**
   * Takes no more connections, tells HTTP/2 clients to go away (GOAWAY), lets answers under way finish for up to
   * `drainMs` (200 where not said), and then ends every connection.
   */
  close(drainMs?: number): Promise<void>;
  /** PEM: what new connections see from now on. */
  useCertificate(renewed: { cert: string; key: string }): void;
}

/** Go clients put every request and watch on one connection. */
const STREAMS_MAX = 10_000;
/** What a client may send unasked on one stream, and on one connection: several large objects at once, as upstream. */
const WINDOW_BYTES = 1 << 20;
const CONNECTION_WINDOW_BYTES = 16 << 20;
const DRAIN_MS = 200;
/** Resets that a connection may send at once, and per second: a client that ends has a watch per informer. */
const RESETS = { streamResetBurst: STREAMS_MAX, streamResetRate: 1000 };
const SESSION_MEMORY_MB = 512;
/** Upstream takes heads of a megabyte: label selectors and impersonated groups are long. nghttp2 ends at 144 KiB. */
const HEAD_BYTES_MAX = 1 << 20;
const HEADERS_MAX = 2000;
const HEAD_MS = 32_000;

/** The attribute of a certificate's subject that holds the uid of its user. */
const UID = '1.3.6.1.4.1.57683.2';

const valuesOf = (given: string | string[] | undefined): string[] =>
  given === undefined ? [] : Array.isArray(given) ? given : [given];

const connectionOf = (socket: TLSSocket): ConnectionInfo => {
  const remote = socket.remoteAddress === undefined ? {} : { remoteAddress: socket.remoteAddress };
  const shown: Partial<ReturnType<TLSSocket['getPeerCertificate']>> | null = socket.getPeerCertificate();
  const { subject, fingerprint256, serialNumber = '' } = shown ?? {};
  if (!subject || !fingerprint256) return remote;
  // As upstream, a name that is said twice counts as it was said last, and a uid only once.
  const commonName = valuesOf(subject.CN).at(-1);
  const uids = valuesOf((subject as unknown as Record<string, string | string[] | undefined>)[UID]);
  if (!socket.authorized || uids.length > 1 || uids[0] === '') return { ...remote, untrustedCertificate: true };
  if (!commonName) return remote;
  const organizations = valuesOf(subject.O);
  const fingerprint = fingerprint256.replaceAll(':', '').toLowerCase();
  const scope = scopeOfSerial(serialNumber);
  const uid = uids[0];
  const clientCertificate = { commonName, organizations, fingerprint, ...(uid && { uid }), ...(scope && { scope }) };
  return { ...remote, clientCertificate };
};

/** What both protocols' answers are written to. */
interface Answer {
  out: Writable;
  /** `length`: the bytes that follow, where that is known. */
  head(status: number, headers: Record<string, string | string[]>, length?: number): void;
  /** Sends the head at once: the first bytes of a watch may be long in coming. */
  flush(): void;
  /** Nothing may follow the head: HEAD, 204, 304. */
  bodiless: boolean;
  onClose(callback: () => void): void;
}

const partsOf = (response: Response): PlainParts & { web?: ReadableStream<Uint8Array> } => {
  const plain = plainParts(response);
  if (plain) return plain;
  const headers: Record<string, string> = {};
  response.headers.forEach((value, name) => {
    headers[name] = value;
  });
  return { status: response.status, headers, body: undefined, ...(response.body && { web: response.body }) };
};

/** Copies a web stream at the client's pace. */
const copy = async (body: ReadableStream<Uint8Array>, { out, onClose }: Answer): Promise<void> => {
  const reader = body.getReader();
  let resume = (): void => {};
  onClose(() => {
    reader.cancel().catch(() => undefined);
    resume();
  });
  out.on('drain', () => resume());
  for (;;) {
    const { done, value } = await reader.read();
    if (out.destroyed) return;
    if (done) break;
    if (out.write(value)) continue;
    await new Promise<void>((resolve) => {
      resume = resolve;
    });
  }
  out.end();
};

const push = (run: StreamedBody, { out, onClose }: Answer): void => {
  const abort = new AbortController();
  onClose(() => abort.abort());
  run(createSink(out), abort.signal);
};

/** Copies another server's body at the client's pace; a body that breaks off breaks this one off too. */
const pass = (body: Readable, { out, onClose }: Answer): void => {
  onClose(() => body.destroy());
  body.on('error', () => out.destroy());
  body.pipe(out);
};

const ignore = (): void => {};

/** The request as the app sees it. */
const requestOf = (incoming: Incoming, connection: ConnectionInfo): Request => {
  if (!isPassedOn(incoming.path)) return plainRequest(incoming);
  const request = plainRequest({ ...incoming, uncollected: true });
  const authority = incoming.headers[':authority'];
  const host = typeof authority === 'string' ? authority : incoming.headers.host;
  passOn(request, { body: incoming.body, host, remoteAddress: connection.remoteAddress });
  return request;
};

/** The client left before its answer was there: what would have been passed on to it is not read from anybody. */
const drop = ({ body, web }: ReturnType<typeof partsOf>): void => {
  if (body instanceof Readable) body.on('error', ignore).destroy();
  else void web?.cancel().catch(ignore);
};

const write = (response: Response, answer: Answer): void | Promise<void> => {
  const { out } = answer;
  const parts = partsOf(response);
  if (out.destroyed) return drop(parts);
  const { status, headers, body, web } = parts;
  if (typeof body === 'string' || body instanceof Uint8Array) {
    const length = typeof body === 'string' ? Buffer.byteLength(body) : body.byteLength;
    answer.head(status, headers, length);
    if (answer.bodiless) out.end();
    // Node writes headers before a text in the text's encoding: those of warnings hold bytes of their own.
    else out.end(typeof body === 'string' && headers.warning ? Buffer.from(body) : body);
    return;
  }
  answer.head(status, headers);
  if (body instanceof Readable) {
    if (!answer.bodiless && status !== 204 && status !== 304) return pass(body, answer);
    body.resume();
    out.end();
    return;
  }
  if (answer.bodiless || (!body && !web)) {
    out.end();
    return;
  }
  answer.flush();
  if (body) push(body, answer);
  else if (web) return copy(web, answer);
};

const bodiless = (method: string | undefined): boolean => method === 'HEAD';

/** One HTTP/2 request. */
const exchange = (
  { app, bodyMs }: ListenerOptions,
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  rawHeaders: readonly string[],
  connection: ConnectionInfo,
): void => {
  stream.on('error', ignore);
  const onClose = (callback: () => void): void => {
    if (stream.destroyed) callback();
    else stream.once('close', callback);
  };
  const method = headers[':method'] ?? 'GET';
  const body = stream.endAfterHeaders ? undefined : stream;
  const request = requestOf(
    { method, path: headers[':path'] ?? '/', headers, rawHeaders, body, ...(bodyMs && { bodyMs }), onClose },
    connection,
  );
  const answer: Answer = {
    out: stream,
    bodiless: bodiless(method),
    onClose,
    flush: ignore,
    head: (status, fields, length) => {
      // A body that nobody wants any more must not hold the stream open (RFC 9113, 8.1).
      if (body && !body.readableEnded) stream.once('finish', () => stream.close(constants.NGHTTP2_NO_ERROR));
      const all: OutgoingHttpHeaders = { ':status': status, ...fields };
      if (length !== undefined) all['content-length'] = length;
      stream.respond(all);
    },
  };
  app
    .fetch(request, connection)
    .then((response) => write(response, answer))
    .catch(() => stream.destroy());
};

/** One HTTP/1.1 request. */
const exchange1 = (
  { app, bodyMs }: ListenerOptions,
  req: IncomingMessage,
  res: ServerResponse,
  connection: ConnectionInfo,
): void => {
  const onClose = (callback: () => void): void => {
    if (res.destroyed) callback();
    else res.once('close', callback);
  };
  const { method = 'GET', headers } = req;
  const hasBody = headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined;
  const incoming = {
    method,
    path: req.url ?? '/',
    headers,
    rawHeaders: req.rawHeaders,
    body: hasBody ? req : undefined,
    ...(bodyMs && { bodyMs }),
    onClose,
  };
  const request = requestOf(incoming, connection);
  const answer: Answer = {
    out: res,
    bodiless: bodiless(method),
    onClose,
    flush: () => res.flushHeaders(),
    head: (status, fields, length) => {
      // What is left of a refused body would be read as the next request.
      const rest = hasBody && !req.complete;
      const all: OutgoingHttpHeaders = length === undefined ? fields : { ...fields, 'content-length': length };
      res.writeHead(status, rest ? { ...all, connection: 'close' } : all);
    },
  };
  app
    .fetch(request, connection)
    .then((response) => write(response, answer))
    .catch(() => res.destroy());
};

const serveHttp2 = (options: ListenerOptions) => {
  const server = createHttp2Server({
    settings: {
      maxConcurrentStreams: STREAMS_MAX,
      initialWindowSize: WINDOW_BYTES,
      maxHeaderListSize: HEAD_BYTES_MAX,
    },
    maxHeaderListPairs: HEADERS_MAX,
    maxSessionMemory: SESSION_MEMORY_MB,
    ...RESETS,
  });
  const sessions = new Map<ServerHttp2Session, ConnectionInfo>();
  server.on('session', (session) => {
    sessions.set(session, connectionOf(session.socket as TLSSocket));
    session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
    session.on('close', () => sessions.delete(session));
  });
  server.on('stream', (stream, headers, _flags, raw) => {
    const session = stream.session as ServerHttp2Session | undefined;
    if (session) exchange(options, stream, headers, raw as unknown as string[], sessions.get(session) ?? {});
  });
  server.on('sessionError', ignore);
  return { server, sessions };
};

/** Tells a client to go elsewhere with new requests, and resolves when its streams have ended. */
const drain = (session: ServerHttp2Session): Promise<void> =>
  new Promise((resolve) => {
    session.once('close', () => resolve());
    if (session.destroyed) resolve();
    else session.close();
  });

const serveHttp1 = (options: ListenerOptions) => {
  const { onUpgrade, headMs = HEAD_MS } = options;
  const server = createHttp1Server({
    maxHeaderSize: HEAD_BYTES_MAX,
    headersTimeout: headMs,
    connectionsCheckingInterval: Math.min(headMs, 5000),
    // Bodies have a time of their own, which does not hold for what is passed on to a node.
    requestTimeout: 0,
  });
  // It looks for late heads from when it listens; it never does, since its connections come from the TLS server.
  server.emit('listening');
  server.on('request', (req, res) => exchange1(options, req, res, connectionOf(req.socket as TLSSocket)));
  server.on('upgrade', (req: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (onUpgrade) void onUpgrade(req, socket, head, connectionOf(req.socket as TLSSocket));
    else socket.destroy();
  });
  return server;
};

/**
 * Serves an app over TLS: HTTP/2, and HTTP/1.1 for those who do not speak it or leave HTTP. Responses made by
 * `plainResponse` are written without web streams. Rejects with EADDRINUSE and the like.
 */
export const createListener = async (options: ListenerOptions): Promise<Listener> => {
  const { tls, host, port } = options;
  const http2 = serveHttp2(options);
  const http1 = serveHttp1(options);
  const server = createTlsServer({
    cert: tls.cert,
    key: tls.key,
    ALPNProtocols: ['h2', 'http/1.1'],
    ...(tls.clientCa && { ca: tls.clientCa, requestCert: true, rejectUnauthorized: false }),
  });
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('secureConnection', (socket) => {
    socket.on('error', ignore);
    (socket.alpnProtocol === 'h2' ? http2.server : http1).emit('connection', socket);
  });
  server.on('tlsClientError', ignore);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => resolve());
  });
  return {
    port: (server.address() as AddressInfo).port,
    useCertificate: ({ cert, key }) =>
      server.setSecureContext({ cert, key, ...(tls.clientCa && { ca: tls.clientCa }) }),
    close: async (drainMs = DRAIN_MS) => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      const drained = [...http2.sessions.keys()].map(drain);
      http1.closeIdleConnections();
      // A watch would go on for ever.
      await Promise.race([Promise.all(drained), delay(drainMs, undefined, { ref: false })]);
      for (const session of http2.sessions.keys()) session.destroy();
      for (const socket of sockets) socket.destroy();
      http1.close();
      await closed;
    },
  };
};
