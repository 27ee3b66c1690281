import { request } from 'node:http';
import { type AddressInfo, createServer as createTcp } from 'node:net';
import { type Duplex, PassThrough } from 'node:stream';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { createSystemClock } from '../../functions/clock/system.ts';
import type { Pod } from '../../functions/machinery/kinds.d.ts';
import type { Runtime, Sandbox } from '../runtime/runtime.ts';
import { createSpdySession } from '../streams/spdy.ts';
import { createScriptedRuntime } from '../test-node.ts';
import { createKubeletServer } from './server.ts';

const clock = createSystemClock();
const run = {
  id: 'c1',
  name: 'app',
  attempt: 0,
  state: 'running' as const,
  image: 'i',
  imageId: 'i',
  createdAt: 0,
  labels: {},
  logPath: '',
};
const sandbox: Sandbox = {
  id: 's1',
  namespace: 'ns',
  name: 'p',
  uid: 'u',
  attempt: 0,
  ready: true,
  createdAt: 0,
  ips: [],
  labels: {},
  containers: [run],
};
const pod: Pod = { metadata: { name: 'p', namespace: 'ns', uid: 'u' }, spec: { containers: [{ name: 'app' }] } };
const sizesSeen: unknown[] = [];

/** Echoes stdin to stdout with the command before it, `err` to stderr, and exits with the number of bytes it read. */
const stream: Runtime['stream'] = async (_id, want, io) => {
  const words = 'exec' in want ? want.exec.join(' ') : 'attach';
  io.stdout?.write(`${words}:`);
  io.stderr?.write('err');
  if (io.resize)
    for await (const size of io.resize) {
      sizesSeen.push(size);
      break;
    }
  let count = 0;
  for await (const part of io.stdin ?? []) {
    count += (part as Buffer).length;
    io.stdout?.write(part);
  }
  return { exitCode: count };
};
const portForward: Runtime['portForward'] = async (_id, port) => {
  if (port !== 80) throw new Error('connection refused');
  return new PassThrough();
};

let port = 0;
let close = () => {};
beforeEach(async () => {
  const runtime = { ...createScriptedRuntime(clock).runtime, stream, portForward };
  const pods = { get: (ns: string, name: string) => (ns === 'ns' && name === 'p' ? pod : undefined), all: () => [pod] };
  const kubelet = createKubeletServer({
    runtime,
    clock,
    nodeName: 'n',
    pods,
    sandboxes: () => [sandbox],
    logFile: () => undefined,
  });
  const sockets = new Set<Duplex>();
  const tcp = createTcp((socket) => {
    sockets.add(socket);
    kubelet.emit('connection', socket);
  });
  await new Promise<void>((resolve) => tcp.listen(0, '127.0.0.1', resolve));
  port = (tcp.address() as AddressInfo).port;
  close = () => {
    for (const socket of sockets) socket.destroy();
    tcp.close();
  };
});
afterEach(() => close());

const spdy = (path: string, protocol: string): Promise<Duplex> =>
  new Promise((resolve, reject) => {
    const headers = { connection: 'Upgrade', upgrade: 'SPDY/3.1', 'x-stream-protocol-version': protocol };
    const req = request({ host: '127.0.0.1', port, path, method: 'POST', headers });
    req.on('upgrade', (_res, socket) => resolve(socket));
    req.on('response', (res) => reject(new Error(`HTTP ${res.statusCode}`)));
    req.on('error', reject);
    req.end();
  });
const collect = async (source: AsyncIterable<Buffer>): Promise<string> => {
  const parts: Buffer[] = [];
  for await (const part of source) parts.push(part);
  return Buffer.concat(parts).toString('utf8');
};

test('exec over SPDY: channels, end of stdin, exit code on the error channel', async () => {
  const socket = await spdy('/exec/ns/p/app?command=cat&command=-n&input=1&output=1&error=1', 'v4.channel.k8s.io');
  const session = createSpdySession(socket, { side: 'client' });
  const error = await session.open({ streamtype: 'error' });
  const stdin = await session.open({ streamtype: 'stdin' });
  const stdout = await session.open({ streamtype: 'stdout' });
  const stderr = await session.open({ streamtype: 'stderr' });
  stdin.end('hello');
  const [out, err, status] = await Promise.all([collect(stdout), collect(stderr), collect(error)]);
  expect([out, err]).toEqual(['cat -n:hello', 'err']);
  expect(JSON.parse(status)).toMatchObject({
    status: 'Failure',
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: '5' }] },
  });
  session.close();
});

test('exec over WebSocket v5: stdin half-closed by 255, resize for a tty, Success when it exits with 0', async () => {
  const ws = new WebSocket(
    `ws://127.0.0.1:${port}/exec/ns/p/app?command=sh&stdin=1&stdout=1&tty=1`,
    'v5.channel.k8s.io',
  );
  const got = new Map<number, string>();
  ws.on('message', (data: Buffer) =>
    got.set(data[0] ?? -1, (got.get(data[0] ?? -1) ?? '') + data.subarray(1).toString()),
  );
  await new Promise((resolve) => ws.on('open', resolve));
  expect(ws.protocol).toBe('v5.channel.k8s.io');
  ws.send(Buffer.concat([Buffer.from([4]), Buffer.from('{"Width":120,"Height":40}')]));
  ws.send(Buffer.from([255, 0]));
  await new Promise((resolve) => ws.on('close', resolve));
  expect(got.get(1)).toBe('sh:');
  expect(JSON.parse(got.get(3) ?? '{}')).toEqual({ metadata: {}, status: 'Success' });
  expect(sizesSeen).toContainEqual({ width: 120, height: 40 });
});

/** Every message of an exec over WebSocket, as text, with this subprotocol or none. */
const messagesOf = async (query: string, protocol?: string): Promise<string[]> => {
  const ws = new WebSocket(`ws://127.0.0.1:${port}/exec/ns/p/app?${query}`, protocol ? [protocol] : []);
  const got: string[] = [];
  ws.on('message', (data: Buffer) => got.push(data.toString('latin1')));
  await new Promise((resolve) => ws.on('close', resolve));
  expect(ws.protocol).toBe(protocol ?? '');
  return got;
};

test('exec over the older WebSocket protocols: binary and base64, with a status only from v4 on', async () => {
  const out = 'command=sh&stdout=1';
  for (const protocol of ['channel.k8s.io', undefined])
    expect(await messagesOf(out, protocol)).toEqual(['\x01', '\x01sh:']);
  const text = Buffer.from('sh:').toString('base64');
  expect(await messagesOf(out, 'base64.channel.k8s.io')).toEqual(['1', `1${text}`]);
  const [, , status = ''] = await messagesOf(out, 'v4.base64.channel.k8s.io');
  expect(status[0]).toBe('3');
  expect(JSON.parse(Buffer.from(status.slice(1), 'base64').toString())).toEqual({ metadata: {}, status: 'Success' });
  expect(await messagesOf('command=sh&stderr=1', 'channel.k8s.io')).toEqual(['\x02', '\x02err']);
});

test('input and sizes in base64', async () => {
  const ws = new WebSocket(
    `ws://127.0.0.1:${port}/exec/ns/p/app?command=sh&stdin=1&stdout=1&tty=1`,
    'base64.channel.k8s.io',
  );
  const got: string[] = [];
  ws.on('message', (data: Buffer) => got.push(data.toString()));
  await new Promise((resolve) => ws.on('open', resolve));
  ws.send(`4${Buffer.from('{"Width":81,"Height":41}').toString('base64')}`);
  ws.send(`0${Buffer.from('ab').toString('base64')}`);
  await vi.waitFor(() => expect(got).toContain(`1${Buffer.from('ab').toString('base64')}`));
  expect(sizesSeen).toContainEqual({ width: 81, height: 41 });
  ws.close();
});

test('port forward over SPDY: bytes both ways; a port that refuses says so on its error stream', async () => {
  const session = createSpdySession(await spdy('/portForward/ns/p', 'portforward.k8s.io'), { side: 'client' });
  const open = async (to: string, requestid: string) => ({
    error: await session.open({ streamtype: 'error', port: to, requestid }),
    data: await session.open({ streamtype: 'data', port: to, requestid }),
  });
  const good = await open('80', '0');
  good.data.end('ping');
  expect(await collect(good.data)).toBe('ping');
  const bad = await open('81', '1');
  expect(await collect(bad.error)).toBe('error forwarding port 81 to pod: connection refused');
  session.close();
});

test('what is not there is told before any upgrade', async () => {
  await expect(spdy('/exec/ns/p/none?command=x&output=1', 'v4.channel.k8s.io')).rejects.toThrow('HTTP 404');
  await expect(spdy('/exec/ns/other/app?command=x&output=1', 'v4.channel.k8s.io')).rejects.toThrow('HTTP 404');
  await expect(spdy('/exec/ns/p/app?command=x', 'v4.channel.k8s.io')).rejects.toThrow('HTTP 400');
  await expect(spdy('/exec/ns/p/app?command=x&output=1', 'v9')).rejects.toThrow('HTTP 403');
});

test('dials only addresses of its own', async () => {
  const echo = createTcp((socket) => socket.pipe(socket));
  await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
  const target = (echo.address() as AddressInfo).port;
  const dial = (path: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const req = request({ host: '127.0.0.1', port, path, headers: { connection: 'Upgrade', upgrade: 'tcp' } });
      req.on('upgrade', (_res, socket) => {
        socket.write('hello');
        socket.once('data', (data: Buffer) => {
          socket.destroy();
          resolve(data.toString());
        });
      });
      req.on('response', (res) => {
        res.resume();
        resolve(`HTTP ${res.statusCode}`);
      });
      req.on('error', reject);
      req.end();
    });
  expect(await dial(`/dial/127.0.0.1/${target}`)).toBe('HTTP 403');
  pod.status = { podIPs: [{ ip: '127.0.0.1' }] };
  expect(await dial(`/dial/127.0.0.1/${target}`)).toBe('hello');
  expect(await dial('/dial/127.0.0.1/0')).toBe('HTTP 400');
  echo.close();
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(await dial(`/dial/127.0.0.1/${target}`)).toBe('HTTP 502');
  delete pod.status;
});
