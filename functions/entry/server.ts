import type { IncomingMessage } from 'node:http';
import {
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { ConnectionInfo } from '../apiserver/context.ts';

export interface ListenerOptions {
  app: { fetch(request: Request, connection?: ConnectionInfo): Promise<Response> };
  /** PEM; with clientCa, certificates that it signed identify their holders. */
  tls: { cert: string | Buffer; key: string | Buffer; clientCa?: string | Buffer };
  host: string;
  /** 0: chosen by the system. */
  port: number;
  /** Takes HTTP/1.1 requests that leave HTTP (exec, attach, port-forward, tunnels). */
  onUpgrade?(request: IncomingMessage, socket: Duplex, head: Buffer, connection: ConnectionInfo): void | Promise<void>;
}

export interface Listener {
  server: Http2SecureServer;
  port: number;
  close(): Promise<void>;
}

const connectionOf = (socket: TLSSocket): ConnectionInfo => {
  const remote = socket.remoteAddress === undefined ? {} : { remoteAddress: socket.remoteAddress };
  if (!socket.authorized) return remote;
  const { subject, fingerprint256 } = socket.getPeerCertificate();
  if (!subject?.CN) return remote;
  const organizations = subject.O === undefined ? [] : Array.isArray(subject.O) ? subject.O : [subject.O];
  const fingerprint = fingerprint256.replaceAll(':', '').toLowerCase();
  return { ...remote, clientCertificate: { commonName: String(subject.CN), organizations, fingerprint } };
};

const requestOf = (req: Http2ServerRequest, signal: AbortSignal): Request => {
  const headers = new Headers();
  for (const [name, value] of Object.entries(req.headers)) {
    if (name.startsWith(':') || value === undefined) continue;
    headers.set(name, Array.isArray(value) ? value.join(', ') : value);
  }
  const hasBody = req.method !== 'GET' && req.method !== 'HEAD';
  const body = hasBody ? new ReadableStream({ start: (c) => bodyInto(req, c) }) : null;
  return new Request(`https://server${req.url}`, {
    method: req.method,
    headers,
    signal,
    ...(body && { body, duplex: 'half' }),
  } as RequestInit);
};

const bodyInto = (req: Http2ServerRequest, controller: ReadableStreamDefaultController): void => {
  let ended = false;
  req.on('data', (chunk: Buffer) => controller.enqueue(new Uint8Array(chunk)));
  req.on('end', () => {
    ended = true;
    controller.close();
  });
  req.on('close', () => {
    if (!ended) controller.error(new Error('the request was cut off'));
  });
};

const answer = async (response: Response, res: Http2ServerResponse): Promise<void> => {
  const headers: Record<string, string | string[]> = {};
  response.headers.forEach((value, name) => {
    headers[name] = value;
  });
  if (!response.body) {
    res.writeHead(response.status, headers);
    res.end();
    return;
  }
  res.writeHead(response.status, headers);
  const reader = response.body.getReader();
  res.on('close', () => void reader.cancel().catch(() => {}));
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    if (!res.write(value))
      await new Promise<void>((resolve) => {
        const go = () => {
          res.off('drain', go);
          res.off('close', go);
          resolve();
        };
        res.on('drain', go);
        res.on('close', go);
      });
    if (res.destroyed) return;
  }
  res.end();
};

/** Serves an app over HTTP/2 and HTTP/1.1 with TLS. Go clients put every request and watch on one connection. */
export const createListener = async ({ app, tls, host, port, onUpgrade }: ListenerOptions): Promise<Listener> => {
  const server = createSecureServer({
    cert: tls.cert,
    key: tls.key,
    ...(tls.clientCa && { ca: tls.clientCa, requestCert: true, rejectUnauthorized: false }),
    allowHTTP1: true,
    settings: { maxConcurrentStreams: 10_000, initialWindowSize: 1 << 20 },
  });
  server.on('request', (req, res) => {
    const abort = new AbortController();
    res.on('close', () => abort.abort());
    const socket = (req.stream?.session?.socket ?? req.socket) as TLSSocket;
    app
      .fetch(requestOf(req, abort.signal), connectionOf(socket))
      .then((response) => answer(response, res))
      .catch(() => res.destroy());
  });
  server.on('upgrade', (req: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (onUpgrade) void onUpgrade(req, socket, head, connectionOf(req.socket as TLSSocket));
    else socket.destroy();
  });
  server.on('sessionError', () => {});
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => resolve());
  });
  const sessions = new Set<{ destroy(): void }>();
  server.on('session', (session) => {
    sessions.add(session);
    session.on('close', () => sessions.delete(session));
  });
  return {
    server,
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        for (const session of sessions) session.destroy();
        server.close(() => resolve());
      }),
  };
};
