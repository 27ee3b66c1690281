import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { StatusError } from '../machinery/status.ts';
import type { ConnectionInfo } from './context.ts';
import { requestInfo } from './request-info.ts';

type Fetch = (request: Request, connection: ConnectionInfo) => Promise<Response>;
type OnUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer, connection: ConnectionInfo) => Promise<void>;
/** Sends one message; resolves when the socket has taken it. */
type Send = (message: Buffer | string) => Promise<void>;

const BEARER = 'base64url.bearer.authorization.k8s.io.';
/** How a log's bytes are written, by subprotocol; without one they are binary. */
const LOG_PROTOCOLS = new Set(['binary.k8s.io', 'base64.binary.k8s.io']);
const FRAME_BYTES_MAX = 64 << 20;

const protocolsOf = (request: IncomingMessage): string[] =>
  String(request.headers['sec-websocket-protocol'] ?? '')
    .split(',')
    .map((p) => p.trim())
    .filter(Boolean);

type Kind = 'watch' | 'log';

/** What a WebSocket upgrade reads; undefined where it is something else, or no request that we know. */
const kindOf = (request: IncomingMessage): Kind | undefined => {
  if (request.method !== 'GET' || String(request.headers.upgrade).toLowerCase() !== 'websocket') return undefined;
  try {
    const info = requestInfo('GET', request.url ?? '/');
    if (!info.isResource) return undefined;
    if (info.resource === 'pods' && info.group === '' && info.subresource === 'log') return 'log';
    return info.verb === 'watch' && info.subresource === '' ? 'watch' : undefined;
  } catch (error) {
    if (error instanceof StatusError) return undefined;
    throw error;
  }
};

/** The same request without what asks for the upgrade; a token among the subprotocols becomes the header it stands for. */
const plainRequest = (request: IncomingMessage, signal: AbortSignal): Request => {
  const headers = new Headers();
  for (let i = 0; i < request.rawHeaders.length; i += 2) {
    const name = (request.rawHeaders[i] ?? '').toLowerCase();
    if (name !== 'upgrade' && name !== 'connection' && !name.startsWith('sec-websocket-'))
      headers.append(name, request.rawHeaders[i + 1] ?? '');
  }
  const token = protocolsOf(request).find((p) => p.startsWith(BEARER));
  if (token && !headers.has('authorization'))
    headers.set('authorization', `Bearer ${Buffer.from(token.slice(BEARER.length), 'base64url').toString()}`);
  return new Request(`https://${request.headers.host ?? 'server'}${request.url}`, { headers, signal });
};

const refuse = async (socket: Duplex, response: Response): Promise<void> => {
  const body = Buffer.from(await response.arrayBuffer());
  const type = response.headers.get('content-type') ?? 'application/json';
  const head = `HTTP/1.1 ${response.status} ${response.statusText || 'Error'}\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`;
  socket.end(Buffer.concat([Buffer.from(head), body]));
};

/** One message per JSON line. */
const linesTo = (send: Send) => {
  let rest = Buffer.alloc(0);
  return async (chunk: Uint8Array): Promise<void> => {
    rest = Buffer.concat([rest, chunk]);
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      await send(rest.toString('utf8', 0, end));
      rest = rest.subarray(end + 1);
    }
  };
};

/** One message per frame that begins with its length in four bytes, as protobuf watches are written. */
const framesTo = (send: Send) => {
  let rest = Buffer.alloc(0);
  return async (chunk: Uint8Array): Promise<void> => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 4) {
      const size = rest.readUInt32BE(0);
      if (size > FRAME_BYTES_MAX) throw new Error(`a frame of ${size} bytes`);
      if (rest.length < size + 4) return;
      await send(rest.subarray(4, size + 4));
      rest = rest.subarray(size + 4);
    }
  };
};

const writerFor = (kind: Kind, ws: WebSocket, response: Response): ((chunk: Uint8Array) => Promise<void>) => {
  const send: Send = (message) => new Promise((resolve) => ws.send(message, () => resolve()));
  if (kind === 'watch') {
    const isProtobuf = response.headers.get('content-type')?.includes('protobuf');
    return isProtobuf ? framesTo(send) : linesTo(send);
  }
  if (ws.protocol === 'base64.binary.k8s.io') return (chunk) => send(Buffer.from(chunk).toString('base64'));
  return (chunk) => send(Buffer.from(chunk));
};

/** A watch goes by any subprotocol that is no token, a log by those that say how its bytes are written. */
const accept = async (kind: Kind, request: IncomingMessage, socket: Duplex, head: Buffer): Promise<WebSocket> => {
  const { WebSocketServer } = await import('ws');
  const fits = (p: string): boolean => (kind === 'log' ? LOG_PROTOCOLS.has(p) : !p.startsWith(BEARER));
  const handleProtocols = (offered: Set<string>) => [...offered].find(fits) ?? false;
  const server = new WebSocketServer({ noServer: true, handleProtocols, maxPayload: 1024 });
  return new Promise((resolve) => server.handleUpgrade(request, socket, head, resolve));
};

const serve = async (
  kind: Kind,
  fetch: Fetch,
  [request, socket, head, connection]: Parameters<OnUpgrade>,
): Promise<void> => {
  const abort = new AbortController();
  socket.on('close', () => abort.abort());
  const response = await fetch(plainRequest(request, abort.signal), connection);
  if (response.status !== 200 || !response.body) {
    await refuse(socket, response);
    return;
  }
  const reader = response.body.getReader();
  const stop = () => reader.cancel().catch(() => {});
  abort.signal.addEventListener('abort', stop);
  // Whoever left meanwhile is not told of by an event any more.
  if (socket.destroyed) return void (await stop());
  const ws = await accept(kind, request, socket, head);
  ws.on('error', () => ws.terminate());
  ws.on('close', stop);
  const write = writerFor(kind, ws, response);
  for (;;) {
    const { done, value } = await reader.read();
    if (done || ws.readyState !== ws.OPEN) break;
    await write(value);
  }
  ws.close(1000);
};

/**
 * Watches and pod logs over WebSocket: an event, or a piece of the log, is a message. They go through `fetch` as any other
 * request does; every other upgrade goes on to `next`. API concepts, "Efficient detection of changes".
 */
export const withWebSocketReads =
  (fetch: Fetch, next: OnUpgrade): OnUpgrade =>
  async (request, socket, head, connection) => {
    const kind = kindOf(request);
    if (!kind) return next(request, socket, head, connection);
    socket.on('error', () => socket.destroy());
    await serve(kind, fetch, [request, socket, head, connection]).catch(() => socket.destroy());
  };
