import http2 from 'node:http2';
import type { SecureContextOptions } from 'node:tls';

export interface Http2FetchOptions {
  /** PEM of the authority that signed the server's certificate; the system's authorities where absent. */
  ca?: string;
  /** PEM of a client certificate and its key. */
  cert?: string;
  key?: string;
  /** Added as a bearer token where a request has no authorization of its own. */
  token?: string;
  /** False accepts any server certificate. */
  verify?: boolean;
  /** Server name to verify where it differs from the URL's host. */
  servername?: string;
  /** A connection that is silent this long is asked whether it lives. */
  pingMs?: number;
}

export interface Http2Fetch {
  (request: Request): Promise<Response>;
  close(): void;
}

type Headers2 = http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader;

/**
 * fetch over HTTP/2 and TLS, one connection for everything, made anew when it is lost or the server says goodbye. Bodies
 * stream with back-pressure, so a watch costs one stream. Throws the connection's error, or the signal's reason.
 */
export const createHttp2Fetch = (options: Http2FetchOptions = {}): Http2Fetch => {
  const sessions = new Map<string, http2.ClientHttp2Session>();
  const tls: SecureContextOptions & http2.SecureClientSessionOptions = {
    ...(options.ca !== undefined && { ca: options.ca }),
    ...(options.cert !== undefined && { cert: options.cert }),
    ...(options.key !== undefined && { key: options.key }),
    ...(options.servername !== undefined && { servername: options.servername }),
    ...(options.verify === false && { rejectUnauthorized: false }),
  };

  const connect = (origin: string): http2.ClientHttp2Session => {
    const session = http2.connect(origin, { ...tls, settings: { initialWindowSize: 4 << 20, enablePush: false } });
    sessions.set(origin, session);
    const forget = () => {
      if (sessions.get(origin) === session) sessions.delete(origin);
    };
    session.once('connect', () => session.setLocalWindowSize(16 << 20));
    session.on('close', forget);
    session.on('error', forget);
    session.on('goaway', forget);
    session.setTimeout(options.pingMs ?? 30_000, () => {
      const dead = setTimeout(() => session.destroy(new Error('the server does not answer')), 15_000);
      dead.unref();
      if (!session.ping(() => clearTimeout(dead))) clearTimeout(dead);
    });
    return session;
  };
  const sessionOf = (origin: string): http2.ClientHttp2Session => {
    const session = sessions.get(origin);
    return session && !session.closed && !session.destroyed ? session : connect(origin);
  };

  const headersOf = (request: Request, url: URL, body: Buffer | undefined): http2.OutgoingHttpHeaders => {
    const headers: http2.OutgoingHttpHeaders = { ':method': request.method, ':path': `${url.pathname}${url.search}` };
    request.headers.forEach((value, name) => {
      if (name !== 'host' && name !== 'connection') headers[name] = value;
    });
    if (options.token && headers.authorization === undefined) headers.authorization = `Bearer ${options.token}`;
    if (body) headers['content-length'] = body.length;
    return headers;
  };

  const fetch = async (request: Request): Promise<Response> => {
    const url = new URL(request.url);
    const body = request.body ? Buffer.from(await request.arrayBuffer()) : undefined;
    const headers = headersOf(request, url, body);
    const session = sessionOf(url.origin);
    try {
      return await exchange(session, headers, body, request.signal);
    } catch (error) {
      // A refused stream was never looked at; a GET may be asked twice. Both go once more, on a new connection.
      const again = isRefused(error) || (request.method === 'GET' && isLostConnection(error));
      if (!again || request.signal.aborted) throw error;
      if (sessions.get(url.origin) === session) sessions.delete(url.origin);
      return exchange(sessionOf(url.origin), headers, body, request.signal);
    }
  };
  return Object.assign(fetch, {
    close() {
      for (const session of sessions.values()) session.destroy();
      sessions.clear();
    },
  });
};

const lostCodes = new Set([
  'ECONNRESET',
  'EPIPE',
  'ERR_HTTP2_GOAWAY_SESSION',
  'ERR_HTTP2_INVALID_SESSION',
  'ERR_HTTP2_STREAM_CANCEL',
]);
const isLostConnection = (error: unknown): boolean =>
  error instanceof Error && lostCodes.has((error as NodeJS.ErrnoException).code ?? '');

const isRefused = (error: unknown): boolean =>
  error instanceof Error && error.message.includes('NGHTTP2_REFUSED_STREAM');

const exchange = (
  session: http2.ClientHttp2Session,
  headers: http2.OutgoingHttpHeaders,
  body: Buffer | undefined,
  signal: AbortSignal,
): Promise<Response> =>
  new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const stream = session.request(headers, { endStream: body === undefined });
    const abort = () => stream.close(http2.constants.NGHTTP2_CANCEL);
    signal.addEventListener('abort', abort, { once: true });
    stream.once('close', () => {
      signal.removeEventListener('abort', abort);
      reject(signal.aborted ? signal.reason : new Error('the connection was lost before an answer came'));
    });
    stream.on('error', (error) => reject(signal.aborted ? signal.reason : error));
    stream.once('response', (received) => resolve(responseOf(received, stream)));
    if (body) stream.end(body);
  });

const responseOf = (received: Headers2, stream: http2.ClientHttp2Stream): Response => {
  const headers = new Headers();
  for (const [name, value] of Object.entries(received)) {
    if (name.startsWith(':') || value === undefined) continue;
    for (const one of Array.isArray(value) ? value : [String(value)]) headers.append(name, one);
  }
  const status = received[':status'] ?? 500;
  const empty = status === 204 || status === 304 || status === 101;
  if (empty) stream.resume();
  return new Response(empty ? null : bodyOf(stream), { status, headers });
};

const bodyOf = (stream: http2.ClientHttp2Stream): ReadableStream<Uint8Array> => {
  let over = false;
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const finish = (error?: Error) => {
          if (over) return;
          over = true;
          if (error) controller.error(error);
          else controller.close();
        };
        stream.on('data', (chunk: Buffer) => {
          if (over) return;
          controller.enqueue(chunk);
          if ((controller.desiredSize ?? 1) <= 0) stream.pause();
        });
        stream.once('end', () => finish());
        stream.once('error', finish);
        stream.once('close', () => finish(stream.readableEnded ? undefined : new Error('the stream was cut off')));
      },
      pull: () => void stream.resume(),
      cancel() {
        over = true;
        stream.close(http2.constants.NGHTTP2_CANCEL);
      },
    },
    { highWaterMark: 1 << 20, size: (chunk) => chunk.byteLength },
  );
};
