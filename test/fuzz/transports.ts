import { type ClientHttp2Session, connect } from 'node:http2';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { plainRequest } from '../../functions/entry/plain-request.ts';
import { createRawClient } from './http1.ts';
import type { Place } from './place.ts';
import type { FuzzRequest } from './requests.ts';

/** What came back; `closed` where the server ended the exchange without an answer. */
export interface Answer {
  status: number;
  headers: Record<string, string>;
  body: Buffer;
  closed?: boolean;
}

export interface Transport {
  send(request: FuzzRequest): Promise<Answer>;
  close(): void;
}

/** Every answer must have come by then. */
export const DEADLINE_MS = 20_000;

/** The answer, or undefined when the deadline passes first. */
export const within = async (sent: Promise<Answer>): Promise<Answer | undefined> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), DEADLINE_MS);
  });
  try {
    return await Promise.race([sent, late]);
  } finally {
    clearTimeout(timer);
  }
};

const readFor = async (response: Response, watchMs: number | undefined): Promise<Buffer> => {
  if (!response.body) return Buffer.alloc(0);
  if (watchMs === undefined) return Buffer.from(await response.arrayBuffer());
  const reader = response.body.getReader();
  const parts: Uint8Array[] = [];
  const over = delay(watchMs).then(() => undefined);
  for (;;) {
    const next = await Promise.race([reader.read(), over]);
    if (!next || next.done) break;
    parts.push(next.value);
  }
  await reader.cancel();
  return Buffer.concat(parts);
};

/** Straight into the handler, as the listener would call it. */
export const inProcess = ({ api }: Place): Transport => ({
  send: async ({ method, path, headers, body, watchMs }) => {
    const closers: (() => void)[] = [];
    const all: Record<string, string> = { ...headers };
    if (body) all['content-length'] ??= String(body.length);
    const source = body && Readable.from(body.length > 0 ? [body] : [], { objectMode: false });
    const request = plainRequest({ method, path, headers: all, body: source, onClose: (f) => void closers.push(f) });
    const response = await api.fetch(request);
    const bytes = await readFor(response, response.status === 200 ? watchMs : undefined);
    for (const close of closers) close();
    return { status: response.status, headers: Object.fromEntries(response.headers), body: bytes };
  },
  close: () => undefined,
});

const exchange2 = (
  session: ClientHttp2Session,
  { method, path, headers, body, watchMs }: FuzzRequest,
): Promise<Answer> =>
  new Promise((resolve) => {
    const parts: Buffer[] = [];
    let status = 0;
    let got: Record<string, string> = {};
    const stream = session.request({ ':method': method, ':path': path, ...headers }, { endStream: !body });
    stream.on('response', (fields) => {
      status = fields[':status'] ?? 0;
      got = Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, String(value)]));
      if (watchMs !== undefined && status === 200) setTimeout(() => stream.close(), watchMs);
    });
    stream.on('data', (chunk: Buffer) => parts.push(chunk));
    stream.on('error', () => undefined);
    stream.on('close', () => resolve({ status, headers: got, body: Buffer.concat(parts), closed: status === 0 }));
    if (body) stream.end(body);
  });

/**
 * What Go's clients let a server send unasked, on a stream and on the connection. With HTTP/2's own 64 kB a long answer
 * takes a turn of this process' busy event loop for every 64 kB, and megabytes of it longer than the deadline.
 */
const STREAM_WINDOW_BYTES = 4 << 20;
const CONNECTION_WINDOW_BYTES = 1 << 30;

/** Over HTTP/2 on one connection. */
export const overHttp2 = ({ port, ca }: Place): Transport => {
  let session: ClientHttp2Session | undefined;
  const opened = (): ClientHttp2Session => {
    if (session && !session.closed && !session.destroyed) return session;
    const made = connect(`https://127.0.0.1:${port}`, {
      ca,
      maxSendHeaderBlockLength: 4 << 20,
      settings: { initialWindowSize: STREAM_WINDOW_BYTES },
    });
    made.on('error', () => undefined);
    made.on('connect', () => made.setLocalWindowSize(CONNECTION_WINDOW_BYTES));
    session = made;
    return made;
  };
  return {
    send: async (request) => {
      try {
        return await exchange2(opened(), request);
      } catch (error) {
        // Node's client refuses what it will not send: that is no answer of the server.
        if ((error as { code?: string }).code?.startsWith('ERR_'))
          return { status: 0, headers: {}, body: Buffer.alloc(0), closed: true };
        throw error;
      }
    },
    close: () => session?.destroy(),
  };
};

/** Over HTTP/1.1 on a kept connection. */
export const overHttp1 = (place: Place): Transport => createRawClient(place);
