import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Wanted } from './exec-websocket.ts';
import { type RemoteCommand, sizes } from './remote-command.ts';
import { createSpdySession, type SpdyStream } from './spdy.ts';

export const spdyProtocols = ['v5.channel.k8s.io', 'v4.channel.k8s.io'];

/** Answers 101 for SPDY/3.1 with the stream protocol that both know; undefined (and 403) when there is none. */
export const acceptSpdy = (req: IncomingMessage, socket: Duplex, supported: string[]): string | undefined => {
  const offered = String(req.headers['x-stream-protocol-version'] ?? '')
    .split(',')
    .map((p) => p.trim());
  const protocol = supported.find((p) => offered.includes(p));
  if (!protocol) {
    socket.end(
      `HTTP/1.1 403 Forbidden\r\nConnection: close\r\nX-Accepted-Stream-Protocol-Versions: ${supported.join(', ')}\r\nContent-Length: 0\r\n\r\n`,
    );
    return undefined;
  }
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: ${protocol}\r\n\r\n`,
  );
  return protocol;
};

const expected = (wanted: Wanted): string[] => [
  'error',
  ...(wanted.stdin ? ['stdin'] : []),
  ...(wanted.stdout ? ['stdout'] : []),
  ...(wanted.stderr && !wanted.tty ? ['stderr'] : []),
  ...(wanted.tty ? ['resize'] : []),
];

/**
 * exec and attach over SPDY/3.1: the client opens a stream for each channel, named by its `streamtype` header. Resolves
 * when all are there; rejects after 30 s.
 */
export const spdyCommand = (socket: Duplex, head: Buffer, wanted: Wanted): Promise<RemoteCommand> =>
  new Promise((resolve, reject) => {
    const abort = new AbortController();
    const streams = new Map<string, SpdyStream>();
    const names = expected(wanted);
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error('timed out waiting for client to create streams'));
    }, 30_000);
    const session = createSpdySession(socket, {
      side: 'server',
      head,
      onStream(stream) {
        stream.on('error', () => stream.destroy());
        streams.set(String(stream.headers.streamtype ?? ''), stream);
        if (!names.every((name) => streams.has(name))) return;
        clearTimeout(timer);
        const [stdin, stdout, stderr, resize, error] = ['stdin', 'stdout', 'stderr', 'resize', 'error'].map((name) =>
          streams.get(name),
        );
        resolve({
          ...(stdin && { stdin }),
          ...(stdout && { stdout }),
          ...(stderr && { stderr }),
          ...(resize && { resize: sizes(resize) }),
          signal: abort.signal,
          finish(status) {
            for (const channel of [stdout, stderr]) if (channel && !channel.writableEnded) channel.end();
            // A client that gets GOAWAY before the last bytes drops them: wait until the Status is on its way.
            if (!error) session.close();
            else error.end(JSON.stringify(status), () => setTimeout(() => session.close(), 100));
          },
        });
      },
    });
    session.closed.then(() => {
      clearTimeout(timer);
      abort.abort();
    });
  });
