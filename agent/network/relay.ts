import { existsSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/**
 * Connections between the host and a node's network namespace. Unix sockets cross namespaces, because the file system is
 * shared: so nothing of the host's network has to change.
 */

const FIRST_LINE_BYTES_MAX = 256;

/** Pipes both ways and ends both when either ends or fails. */
export const join = (a: Duplex, b: Duplex): void => {
  const end = () => {
    a.destroy();
    b.destroy();
  };
  a.on('error', end);
  b.on('error', end);
  a.on('close', () => b.destroy());
  b.on('close', () => a.destroy());
  a.pipe(b);
  b.pipe(a);
};

const listen = (server: Server, where: { path: string } | { host: string; port: number }): Promise<Server> =>
  new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, () => {
      server.off('error', reject);
      resolve(server);
    });
  });

/** Reads up to the first newline and gives back what came after it. */
const firstLine = (socket: Socket): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = Buffer.alloc(0);
    const onData = (chunk: Buffer) => {
      text = Buffer.concat([text, chunk]);
      const end = text.indexOf(0x0a);
      if (end < 0 && text.length <= FIRST_LINE_BYTES_MAX) return;
      socket.off('data', onData);
      socket.pause();
      if (end < 0) return reject(new Error('the first line is too long'));
      socket.unshift(text.subarray(end + 1));
      resolve(text.subarray(0, end).toString());
    };
    socket.on('data', onData);
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed before the first line')));
  });

/**
 * Inside the namespace: whoever connects to the Unix socket names `host port` in one line, and is joined to it. Answers
 * `ok` or `error ...` in one line first.
 */
export const serveDialer = (path: string): Promise<Server> => {
  if (existsSync(path)) rmSync(path);
  const server = createServer({ allowHalfOpen: true }, async (socket) => {
    try {
      const [host = '', port = ''] = (await firstLine(socket)).split(' ');
      const target = connect({ host, port: Number(port), allowHalfOpen: true });
      target.once('connect', () => {
        socket.write('ok\n');
        join(socket, target);
      });
      target.once('error', (error) => socket.end(`error ${error.message}\n`));
    } catch {
      socket.destroy();
    }
  });
  return listen(server, { path });
};

/** Outside: a connection to `host:port` as seen from inside the namespace. Throws what the other side said. */
export const dialThrough = async (path: string, host: string, port: number): Promise<Socket> => {
  const socket = connect({ path, allowHalfOpen: true });
  socket.write(`${host} ${port}\n`);
  const answer = await firstLine(socket);
  if (answer === 'ok') return socket;
  socket.destroy();
  throw new Error(answer.replace(/^error /, ''));
};

/** Listens and joins every connection to a new one of `dial`. A failed dial resets the caller. */
export const forwardTo = (
  where: { path: string } | { host: string; port: number },
  dial: () => Promise<Duplex>,
): Promise<Server> => {
  if ('path' in where && existsSync(where.path)) rmSync(where.path);
  const server = createServer({ allowHalfOpen: true }, async (socket) => {
    socket.on('error', () => socket.destroy());
    try {
      join(socket, await dial());
    } catch {
      socket.resetAndDestroy();
    }
  });
  return listen(server, where);
};

/** A connection to a Unix socket, once it stands. */
export const dialUnix = (path: string): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = connect({ path, allowHalfOpen: true });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(socket);
    });
  });
