import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { channelsOf } from './channels.ts';
import { createSpdySession, type SpdyStream } from './spdy.ts';

/** Opens one connection into the pod. */
export type OpenPort = (port: number, signal: AbortSignal) => Promise<NodeJS.ReadWriteStream>;

const text = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/**
 * Port forward over SPDY/3.1 (`portforward.k8s.io`): for every connection the client opens an error and a data stream
 * with the same `requestid`; the error stream tells why a connection could not be had.
 */
export const spdyPortForward = (socket: Duplex, head: Buffer, open: OpenPort): Promise<void> => {
  const abort = new AbortController();
  const pairs = new Map<string, { error?: SpdyStream; data?: SpdyStream }>();
  const connect = async (port: number, error: SpdyStream, data: SpdyStream): Promise<void> => {
    try {
      const remote = await open(port, abort.signal);
      remote.on('error', (failure: Error) => {
        if (!error.writableEnded) error.end(text(failure));
        data.destroy();
      });
      data.on('close', () => remote.end());
      remote.pipe(data);
      data.pipe(remote);
      remote.on('end', () => {
        if (!error.writableEnded) error.end();
      });
    } catch (failure) {
      error.end(`error forwarding port ${port} to pod: ${text(failure)}`);
      data.end();
    }
  };
  const session = createSpdySession(socket, {
    side: 'server',
    head,
    onStream(stream) {
      stream.on('error', () => stream.destroy());
      const id = stream.headers.requestid ?? stream.headers.port ?? '';
      const pair = pairs.get(id) ?? {};
      if (stream.headers.streamtype === 'error') pair.error = stream;
      else pair.data = stream;
      pairs.set(id, pair);
      if (!pair.error || !pair.data) return;
      pairs.delete(id);
      void connect(Number(pair.data.headers.port), pair.error, pair.data);
    },
  });
  return session.closed.then(() => abort.abort());
};

/**
 * Port forward over WebSocket (`v4.channel.k8s.io`, ports in the query): channels 2i and 2i+1 are data and error of the
 * i-th port; each begins with its port number in two little-endian bytes.
 */
export const websocketPortForward = async (ws: WebSocket, ports: number[], open: OpenPort): Promise<void> => {
  const abort = new AbortController();
  const closed = new Promise<void>((resolve) => ws.on('close', () => resolve()));
  void closed.then(() => abort.abort());
  ws.on('error', () => ws.terminate());
  const { send, onMessage } = channelsOf(ws);
  const early = ports.map((): Buffer[] => []);
  const remotes: (NodeJS.ReadWriteStream | undefined)[] = ports.map(() => undefined);
  onMessage((channel, body) => {
    const remote = remotes[channel / 2];
    if (remote) remote.write(body);
    else early[channel / 2]?.push(body);
  });
  for (const [index, port] of ports.entries()) {
    const prefix = Buffer.from([port & 255, port >> 8]);
    send(index * 2, prefix);
    send(index * 2 + 1, prefix);
    try {
      const remote = await open(port, abort.signal);
      remotes[index] = remote;
      remote.on('data', (data: Buffer) => send(index * 2, data));
      remote.on('end', () => ws.close(1000));
      remote.on('error', (error: Error) => send(index * 2 + 1, Buffer.from(error.message)));
      for (const data of early[index] ?? []) remote.write(data);
    } catch (error) {
      send(index * 2 + 1, Buffer.from(`error forwarding port ${port} to pod: ${text(error)}`));
    }
  }
  await closed;
  for (const remote of remotes) remote?.end();
};
