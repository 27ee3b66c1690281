import { Duplex } from 'node:stream';
import { createHeaderCodec, type SpdyHeaders } from './spdy-headers.ts';

/**
 * SPDY/3.1 framing as Kubernetes streaming uses it (exec, attach, port-forward between kubectl, kubelet and containerd).
 * Go's peers neither send nor heed WINDOW_UPDATE, so no window is enforced: the TCP connection carries the pressure back.
 */
export interface SpdyStream extends Duplex {
  readonly id: number;
  readonly headers: SpdyHeaders;
  /** Ends both directions at once (RST_STREAM, CANCEL). */
  reset(): void;
}
export interface SpdySession {
  /** Opens a stream; resolves when SYN_STREAM is on its way. The peer's SYN_REPLY is not awaited. */
  open(headers: SpdyHeaders): Promise<SpdyStream>;
  /** Sends GOAWAY, then ends the connection. */
  close(): void;
  /** Resolves when the connection has ended, for whatever reason. */
  readonly closed: Promise<void>;
}
export interface SpdyOptions {
  side: 'client' | 'server';
  /** Bytes that came with the upgrade. */
  head?: Buffer;
  /** The peer opened a stream; it has been accepted with SYN_REPLY. */
  onStream?(stream: SpdyStream): void;
}

const synStream = 1;
const synReply = 2;
const rstStream = 3;
const ping = 6;
const goAway = 7;
const finFlag = 1;
const cancelled = 5;
const maxFrameBytes = 16 * 1024 * 1024;
const maxBufferedBytes = 1024 * 1024;
const maxStreams = 4096;

const controlFrame = (type: number, flags: number, body: Buffer): Buffer => {
  const head = Buffer.alloc(8);
  head.writeUInt16BE(0x8003, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt32BE(((flags << 24) | body.length) >>> 0, 4);
  return Buffer.concat([head, body]);
};
const dataHead = (id: number, flags: number, length: number): Buffer => {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(id, 0);
  head.writeUInt32BE(((flags << 24) | length) >>> 0, 4);
  return head;
};
const words = (...values: number[]): Buffer => {
  const out = Buffer.alloc(4 * values.length);
  for (const [at, value] of values.entries()) out.writeUInt32BE(value >>> 0, at * 4);
  return out;
};

interface Opened {
  stream: SpdyStream;
  /** The peer has finished its half. */
  ended: boolean;
  drained?: (() => void) | undefined;
}

const makeStream = (
  id: number,
  headers: SpdyHeaders,
  socket: Duplex,
  opened: Map<number, Opened>,
  fin: boolean,
): SpdyStream => {
  const stream: SpdyStream = Object.assign(
    new Duplex({
      allowHalfOpen: true,
      read: () => {
        const entry = opened.get(id);
        entry?.drained?.();
      },
      write: (chunk: Buffer, _encoding, done) => {
        if (!socket.writable) return done(new Error('spdy: the connection has ended'));
        socket.cork();
        socket.write(dataHead(id, 0, chunk.length));
        socket.write(chunk, done);
        socket.uncork();
      },
      final: (done) => {
        if (!socket.writable) return done();
        socket.write(dataHead(id, finFlag, 0), () => done());
      },
      destroy: (error, done) => {
        const entry = opened.get(id);
        opened.delete(id);
        entry?.drained?.();
        const unfinished = entry !== undefined && (!entry.ended || !stream.writableFinished);
        if (unfinished && socket.writable) socket.write(controlFrame(rstStream, 0, words(id, cancelled)));
        done(error);
      },
    }),
    { id, headers, reset: () => void stream.destroy() },
  );
  opened.set(id, { stream, ended: fin });
  if (fin) stream.push(null);
  return stream;
};

/** Cuts whole frames off a byte stream. */
async function* frames(socket: Duplex, first: Buffer): AsyncGenerator<{ head: Buffer; body: Buffer }> {
  let pending = first;
  const cut = (): { head: Buffer; body: Buffer } | undefined => {
    if (pending.length < 8) return undefined;
    const length = pending.readUInt32BE(4) & 0xffffff;
    if (length > maxFrameBytes) throw new Error('spdy: frame too large');
    if (pending.length < 8 + length) return undefined;
    const frame = { head: pending.subarray(0, 8), body: pending.subarray(8, 8 + length) };
    pending = pending.subarray(8 + length);
    return frame;
  };
  for (let frame = cut(); frame; frame = cut()) yield frame;
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    for (let frame = cut(); frame; frame = cut()) yield frame;
  }
}

/** Speaks SPDY/3.1 on a connection that has already been upgraded. */
export const createSpdySession = (socket: Duplex, options: SpdyOptions): SpdySession => {
  const codec = createHeaderCodec();
  const opened = new Map<number, Opened>();
  const isClient = options.side === 'client';
  let nextId = isClient ? 1 : 2;
  let lastPeerId = 0;
  let headerQueue: Promise<unknown> = Promise.resolve();

  /** Header blocks share one compression state: they are made and sent in one order. */
  const sendHeaders = (type: number, fixed: Buffer, headers: SpdyHeaders): Promise<void> => {
    const sent = headerQueue.then(async () => {
      const block = await codec.deflate(headers);
      if (socket.writable) socket.write(controlFrame(type, 0, Buffer.concat([fixed, block])));
    });
    headerQueue = sent.catch(() => undefined);
    return sent;
  };

  const onSynStream = async (flags: number, body: Buffer): Promise<void> => {
    const id = body.readUInt32BE(0) & 0x7fffffff;
    const headers = await codec.inflate(body.subarray(10));
    const wrongSide = (id % 2 === 1) === isClient;
    if (wrongSide || id <= lastPeerId || opened.size >= maxStreams || !options.onStream) {
      socket.write(controlFrame(rstStream, 0, words(id, 3)));
      return;
    }
    lastPeerId = id;
    const stream = makeStream(id, headers, socket, opened, (flags & finFlag) !== 0);
    stream.on('error', () => undefined);
    await sendHeaders(synReply, words(id), {});
    options.onStream(stream);
  };

  const finish = (entry: Opened): void => {
    if (entry.ended) return;
    entry.ended = true;
    entry.stream.push(null);
  };

  const onControl = async (type: number, flags: number, body: Buffer): Promise<void> => {
    if (type === synStream) return onSynStream(flags, body);
    if (type === synReply) {
      await codec.inflate(body.subarray(4));
      const entry = opened.get(body.readUInt32BE(0) & 0x7fffffff);
      if (entry && flags & finFlag) finish(entry);
    } else if (type === 8) {
      await codec.inflate(body.subarray(4));
    } else if (type === rstStream) {
      const id = body.readUInt32BE(0) & 0x7fffffff;
      const entry = opened.get(id);
      opened.delete(id);
      if (entry) {
        // What has already come is still to be read.
        entry.stream.once('end', () => entry.stream.destroy());
        finish(entry);
      }
    } else if (type === ping) {
      const fromPeer = (body.readUInt32BE(0) % 2 === 1) !== isClient;
      if (fromPeer && socket.writable) socket.write(controlFrame(ping, 0, body));
    }
  };

  const onData = async (id: number, flags: number, body: Buffer): Promise<void> => {
    const entry = opened.get(id);
    if (!entry || entry.ended) return;
    if (body.length > 0) entry.stream.push(body);
    if (flags & finFlag) finish(entry);
    else if (entry.stream.readableLength > maxBufferedBytes) {
      await new Promise<void>((resolve) => {
        entry.drained = resolve;
      });
      entry.drained = undefined;
    }
  };

  const run = async (): Promise<void> => {
    try {
      for await (const { head, body } of frames(socket, options.head ?? Buffer.alloc(0))) {
        const flags = head[4] ?? 0;
        if (head.readUInt16BE(0) === 0x8003) await onControl(head.readUInt16BE(2), flags, body);
        else if ((head[0] ?? 0) & 0x80) throw new Error('spdy: unknown version');
        else await onData(head.readUInt32BE(0), flags, body);
      }
    } catch {
      socket.destroy();
    }
    for (const entry of [...opened.values()]) {
      finish(entry);
      entry.stream.end();
    }
    await headerQueue;
    codec.close();
  };

  const closed = run();
  socket.on('error', () => undefined);
  return {
    open: async (headers) => {
      const id = nextId;
      nextId += 2;
      const stream = makeStream(id, headers, socket, opened, false);
      await sendHeaders(synStream, Buffer.concat([words(id, 0), Buffer.alloc(2)]), headers);
      return stream;
    },
    close: () => {
      if (socket.writable) socket.end(controlFrame(goAway, 0, words(lastPeerId, 0)));
      const timer = setTimeout(() => socket.destroy(), 1000);
      timer.unref();
      void closed.then(() => clearTimeout(timer));
    },
    closed,
  };
};
