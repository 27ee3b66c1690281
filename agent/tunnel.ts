import type { IncomingMessage } from 'node:http';
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { Duplex } from 'node:stream';
import type { Clock } from '../functions/clock/clock.ts';

/** Where the apiserver is, and who asks. `server` may carry a path (`https://host/clusters/team-a`). */
export interface TunnelTarget {
  server: string;
  node: string;
  /** PEM of the authority that signed the server's certificate. */
  ca?: string;
  /** A function is asked for each connection (tokens that are renewed). */
  token?: string | (() => string);
}

const dial = (target: TunnelTarget, path: string, signal: AbortSignal): Promise<Duplex> => {
  const base = new URL(target.server);
  const url = new URL(`${base.pathname.replace(/\/$/, '')}${path}`, base);
  const token = typeof target.token === 'function' ? target.token() : target.token;
  const headers = {
    connection: 'Upgrade',
    upgrade: 'skiff-tunnel',
    ...(token && { authorization: `Bearer ${token}` }),
  };
  return new Promise((resolve, reject) => {
    const secure = url.protocol === 'https:';
    const req = secure
      ? requestHttps(url, { headers, agent: false, ...(target.ca && { ca: target.ca }) })
      : requestHttp(url, { headers, agent: false });
    const abort = () => req.destroy(new Error('stopped'));
    signal.addEventListener('abort', abort, { once: true });
    const done = () => signal.removeEventListener('abort', abort);
    req.on('upgrade', (_res: IncomingMessage, socket: Duplex, head: Buffer) => {
      done();
      if (head.length) socket.unshift(head);
      resolve(socket);
    });
    req.on('response', (res: IncomingMessage) => {
      done();
      res.resume();
      reject(new Error(`tunnel ${url.pathname}: HTTP ${res.statusCode ?? 0}`));
    });
    req.on('error', (error) => {
      done();
      reject(error);
    });
    req.setTimeout(15_000, () => req.destroy(new Error('tunnel: connecting took over 15 s')));
    req.end();
  });
};

/** Reads lines of the control connection until it ends; silence of a minute ends it. */
const serveControl = (control: Duplex, onId: (id: string) => void, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    let rest = '';
    let silence: NodeJS.Timeout | undefined;
    const close = () => control.destroy();
    const heard = () => {
      clearTimeout(silence);
      silence = setTimeout(close, 60_000);
    };
    heard();
    signal.addEventListener('abort', close, { once: true });
    control.on('data', (chunk: Buffer) => {
      heard();
      const lines = (rest + chunk.toString('utf8')).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const id = (JSON.parse(line) as { id?: string }).id;
        if (id) onId(id);
        else control.write('{}\n');
      }
    });
    control.on('error', close);
    control.on('end', close);
    control.on('close', () => {
      clearTimeout(silence);
      signal.removeEventListener('abort', close);
      resolve();
    });
  });

/**
 * Keeps the node reachable: one control connection, reconnected with back-off (0.2 to 10 s) until aborted, and one more
 * connection for each that the apiserver asks for, given to `onConnection` (the agent's HTTP server). See
 * functions/apiserver/tunnel.ts for the protocol.
 */
export const runTunnel = async (
  target: TunnelTarget,
  onConnection: (socket: Duplex) => void,
  clock: Clock,
  signal: AbortSignal,
  onState: (connected: boolean) => void = () => {},
): Promise<void> => {
  let waitMs = 200;
  while (!signal.aborted) {
    try {
      const control = await dial(target, `/skiff/v1/nodes/${encodeURIComponent(target.node)}/tunnel`, signal);
      waitMs = 200;
      onState(true);
      const answer = (id: string) => {
        dial(target, `/skiff/v1/tunnels/${encodeURIComponent(id)}`, signal).then(
          (socket) => {
            socket.on('error', () => socket.destroy());
            onConnection(socket);
          },
          () => {},
        );
      };
      await serveControl(control, answer, signal);
      onState(false);
    } catch {
      if (signal.aborted) return;
    }
    await clock.sleep(waitMs, signal).catch(() => {});
    waitMs = Math.min(waitMs * 2, 10_000);
  }
};
