import type { IncomingMessage } from 'node:http';
import { type Duplex, PassThrough, type Readable, Writable } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { type RemoteCommand, sizes } from './remote-command.ts';

export interface Wanted {
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
  tty: boolean;
}

export const websocketProtocols = ['v5.channel.k8s.io', 'v4.channel.k8s.io'];
const closeChannel = 255;
const server = new WebSocketServer({
  noServer: true,
  handleProtocols: (offered) =>
    [...websocketProtocols, 'v2.portforward.k8s.io', 'portforward.k8s.io', 'v4.base64.channel.k8s.io'].find((p) =>
      offered.has(p),
    ) ?? false,
});

/** Completes the upgrade. */
export const acceptWebSocket = (req: IncomingMessage, socket: Duplex, head: Buffer): Promise<WebSocket> =>
  new Promise((resolve) => server.handleUpgrade(req, socket, head, (ws) => resolve(ws)));

const frame = (channel: number, data: Uint8Array): Buffer => Buffer.concat([Buffer.from([channel]), data]);

/** A writable end that puts its bytes on one channel of the socket, waiting while the client is slow. */
export const channelWriter = (ws: WebSocket, channel: number): Writable =>
  new Writable({
    write(chunk: Buffer, _encoding, done) {
      if (ws.readyState !== ws.OPEN) done();
      else ws.send(frame(channel, chunk), () => done());
    },
  });

/**
 * exec and attach over WebSocket (KEP-4006): the first byte of a message is the channel (0 stdin, 1 stdout, 2 stderr,
 * 3 error, 4 resize); in v5, `255 CHANNEL` half-closes a channel, which is how stdin ends.
 */
export const websocketCommand = (ws: WebSocket, wanted: Wanted): RemoteCommand => {
  const abort = new AbortController();
  const stdin = new PassThrough();
  const resize = new PassThrough();
  ws.on('message', (data: Buffer) => {
    const channel = data[0];
    const body = data.subarray(1);
    if (channel === 0) {
      if (!stdin.write(body)) {
        ws.pause();
        stdin.once('drain', () => ws.resume());
      }
    } else if (channel === 4) resize.write(body);
    else if (channel === closeChannel && body[0] === 0) stdin.end();
  });
  ws.on('error', () => ws.terminate());
  ws.on('close', () => {
    stdin.end();
    resize.end();
    abort.abort();
  });
  return {
    ...(wanted.stdin && { stdin: stdin as Readable }),
    ...(wanted.stdout && { stdout: channelWriter(ws, 1) }),
    ...(wanted.stderr && !wanted.tty && { stderr: channelWriter(ws, 2) }),
    ...(wanted.tty && { resize: sizes(resize) }),
    signal: abort.signal,
    finish(status) {
      if (ws.readyState !== ws.OPEN) return;
      ws.send(frame(3, Buffer.from(JSON.stringify(status))), () => ws.close(1000));
    },
  };
};
