import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { afterEach, expect, test } from 'vitest';
import { createTunnel } from '../functions/apiserver/tunnel.ts';
import { createSystemClock } from '../functions/clock/system.ts';
import { StatusError } from '../functions/machinery/status.ts';
import { runTunnel } from './tunnel.ts';

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

const start = async (mayServe: (node: string) => boolean) => {
  const tunnel = createTunnel({ dialTimeoutMs: 2000 });
  const api = createServer((_req, res) => res.writeHead(404).end());
  const sockets = new Set<Duplex>();
  api.on('upgrade', (req, socket, head) => {
    sockets.add(socket);
    const path = (req.url ?? '').replace('/clusters/a', '');
    if (!tunnel.handleUpgrade({ cluster: 'a', path, mayServe }, socket, head)) socket.destroy();
  });
  await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve));
  const abort = new AbortController();
  stops.push(() => {
    abort.abort();
    tunnel.close();
    for (const socket of sockets) socket.destroy();
    api.close();
  });
  const server = `http://127.0.0.1:${(api.address() as AddressInfo).port}/clusters/a`;
  return { tunnel, server, signal: abort.signal };
};

test('the server reaches the HTTP server of an agent that dialled out', async () => {
  const { tunnel, server, signal } = await start(() => true);
  const kubelet = createServer((req, res) => res.end(`you asked ${req.url}`));
  const states: boolean[] = [];
  const ready = new Promise<void>((resolve) => {
    void runTunnel(
      { server, node: 'n1' },
      (socket) => kubelet.emit('connection', socket),
      createSystemClock(),
      signal,
      (up) => {
        states.push(up);
        if (up) resolve();
      },
    );
  });
  await ready;
  expect(tunnel.connected('a', 'n1')).toBe(true);
  expect(tunnel.connected('b', 'n1')).toBe(false);
  const bodies = await Promise.all(
    ['/healthz', '/pods', '/x'].map(async (path) => {
      const socket = await tunnel.dial('a', 'n1');
      return new Promise<string>((resolve, reject) => {
        const req = request({ createConnection: () => socket, path, headers: { host: 'n1' } }, (res) => {
          res.setEncoding('utf8');
          let body = '';
          res.on('data', (part) => {
            body += part;
          });
          res.on('end', () => resolve(body));
        });
        req.on('error', reject);
        req.end();
      });
    }),
  );
  expect(bodies).toEqual(['you asked /healthz', 'you asked /pods', 'you asked /x']);
});

test('a node without an agent, and one that may not serve, are unavailable', async () => {
  const { tunnel, server, signal } = await start((node) => node === 'mine');
  const failure = await tunnel.dial('a', 'other').catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(StatusError);
  expect((failure as StatusError).code).toBe(503);
  void runTunnel({ server, node: 'other' }, () => {}, createSystemClock(), signal);
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(tunnel.connected('a', 'other')).toBe(false);
});
