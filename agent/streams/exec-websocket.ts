import { PassThrough, type Readable, Writable } from 'node:stream';
import type { WebSocket } from 'ws';
import { type Channels, channelsOf } from './channels.ts';
import { type RemoteCommand, sizes } from './remote-command.ts';

export interface Wanted {
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
  tty: boolean;
}

const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
const ERROR = 3;
const RESIZE = 4;
const CLOSE = 255;

/** A writable end that puts its bytes on one channel of the socket, waiting while the client is slow. */
const channelWriter = (channels: Channels, channel: number): Writable =>
  new Writable({
    write(chunk: Buffer, _encoding, done) {
      channels.send(channel, chunk, done);
    },
  });

/** Before v4 the error channel has plain text, and nothing after a success. */
const errorText = (version: Channels['version'], status: Record<string, unknown>): Buffer | undefined => {
  if (version >= 4) return Buffer.from(JSON.stringify(status));
  return status.status === 'Success' ? undefined : Buffer.from(String(status.message));
};

/**
 * exec and attach over WebSocket (KEP-4006): channel 0 is stdin, 1 stdout, 2 stderr, 3 error, 4 resize; in v5, a message on
 * 255 half-closes the channel that it names, which is how stdin ends. The first message, empty, says that it has begun.
 */
export const websocketCommand = (ws: WebSocket, wanted: Wanted): RemoteCommand => {
  const abort = new AbortController();
  const stdin = new PassThrough();
  const resize = new PassThrough();
  const channels = channelsOf(ws);
  channels.onMessage((channel, body) => {
    if (channel === STDIN) {
      if (!stdin.write(body)) {
        ws.pause();
        stdin.once('drain', () => ws.resume());
      }
    } else if (channel === RESIZE) resize.write(body);
    else if (channel === CLOSE && body[0] === STDIN) stdin.end();
  });
  ws.on('error', () => ws.terminate());
  ws.on('close', () => {
    stdin.end();
    resize.end();
    abort.abort();
  });
  const stderr = wanted.stderr && !wanted.tty;
  channels.send(wanted.stdout ? STDOUT : stderr ? STDERR : ERROR, Buffer.alloc(0));
  return {
    ...(wanted.stdin && { stdin: stdin as Readable }),
    ...(wanted.stdout && { stdout: channelWriter(channels, STDOUT) }),
    ...(stderr && { stderr: channelWriter(channels, STDERR) }),
    ...(wanted.tty && { resize: sizes(resize) }),
    signal: abort.signal,
    finish(status) {
      if (ws.readyState !== ws.OPEN) return;
      const text = errorText(channels.version, status);
      if (text) channels.send(ERROR, text, () => ws.close(1000));
      else ws.close(1000);
    },
  };
};
