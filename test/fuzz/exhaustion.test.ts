import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { type Place, startPlace } from './place.ts';
import { overHttp2 } from './transports.ts';

// One client asks for as much as it can: the memory stays bounded, and others are served as before.

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;
const usedMb = (): number => {
  gc();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return (heapUsed + arrayBuffers) / 1e6;
};

const WATCHES = 10_000;
const path = '/api/v1/namespaces/default/configmaps';
let place: Place;
const sessions: ClientHttp2Session[] = [];
beforeAll(async () => {
  place = await startPlace();
});
afterEach(() => {
  for (const session of sessions.splice(0)) session.destroy();
});
afterAll(() => place.close());

const admin = () => ({ authorization: `Bearer ${place.token}` });
const open = (settings = {}): ClientHttp2Session => {
  const session = connect(`https://127.0.0.1:${place.port}`, { ca: place.ca, settings });
  session.on('error', () => undefined);
  sessions.push(session);
  return session;
};

const create = async (name: string, size = 1): Promise<number> => {
  const client = overHttp2(place);
  const body = Buffer.from(JSON.stringify({ metadata: { name }, data: { a: 'x'.repeat(size) } }));
  const answer = await client.send({
    method: 'POST',
    path,
    headers: { ...admin(), 'content-type': 'application/json' },
    body,
  });
  client.close();
  return answer.status;
};

const until = async (what: () => boolean, ms = 30_000): Promise<void> => {
  const end = Date.now() + ms;
  while (!what()) {
    if (Date.now() > end) throw new Error(`not in ${ms} ms: ${what}`);
    await delay(10);
  }
};

interface Watch {
  stream: ClientHttp2Stream;
  status: number;
  /** The first 10,000 characters. */
  text: string;
  events: number;
}

const watch = (session: ClientHttp2Session, from: string): Watch => {
  const stream = session.request({ ':path': `${path}?watch=1&resourceVersion=${from}`, ...admin() });
  const one: Watch = { stream, status: 0, text: '', events: 0 };
  stream.on('error', () => undefined);
  stream.on('response', (headers) => {
    one.status = headers[':status'] ?? 0;
  });
  stream.on('data', (chunk: Buffer) => {
    if (one.text.length < 10_000) one.text += chunk.toString('latin1', 0, 10_000);
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) one.events++;
  });
  return one;
};

const version = async (): Promise<string> => {
  const client = overHttp2(place);
  const answer = await client.send({ method: 'GET', path: `${path}?limit=1`, headers: admin(), body: undefined });
  client.close();
  return (JSON.parse(answer.body.toString()) as { metadata: { resourceVersion: string } }).metadata.resourceVersion;
};

it('10,000 watches of one client see every change, and cost what they must', async () => {
  const from = await version();
  const before = usedMb();
  const clients = [open(), open(), open(), open(), open(), open(), open(), open(), open(), open()];
  const all: Watch[] = [];
  for (let i = 0; i < WATCHES; i++) {
    const client = clients[i % clients.length];
    if (client) all.push(watch(client, from));
    if (i % 500 === 499) await until(() => all.every((w) => w.status !== 0));
  }
  expect(all.filter((w) => w.status !== 200)).toEqual([]);
  // Both ends live in this process: a stream of the server with its request, and one of the client.
  expect(usedMb() - before).toBeLessThan(WATCHES * 0.06);
  const began = Date.now();
  expect(await create('seen-by-all')).toBe(201);
  expect(Date.now() - began).toBeLessThan(5000);
  await until(() => all.every((w) => w.text.includes('seen-by-all')));
  for (const session of sessions.splice(0)) session.destroy();
  await delay(500);
  expect(usedMb() - before).toBeLessThan(60);
  expect(place.faults()).toEqual([]);
}, 120_000);

it('1,000 streams at once on one connection are all answered, another connection meanwhile', async () => {
  const session = open();
  const statuses = Array.from(
    { length: 1000 },
    (_, i) =>
      new Promise<number>((resolve) => {
        const method = i % 2 === 0 ? 'GET' : 'POST';
        const stream = session.request({
          ':method': method,
          ':path': path,
          'content-type': 'application/json',
          ...admin(),
        });
        stream.on('response', (headers) => resolve(headers[':status'] ?? 0));
        stream.on('error', () => resolve(0));
        stream.resume();
        stream.end(method === 'POST' ? JSON.stringify({ metadata: { name: `stream-${i}` } }) : undefined);
      }),
  );
  expect(await create('beside-a-thousand')).toBe(201);
  const got = await Promise.all(statuses);
  expect(got.filter((status) => status === 200)).toHaveLength(500);
  expect(got.filter((status) => status === 201)).toHaveLength(500);
}, 60_000);

it('a client that never reads its watch costs no more than its share, and others see every change', async () => {
  const from = await version();
  const deaf = open({ initialWindowSize: 1 });
  const stream = deaf.request({ ':path': `${path}?watch=1&resourceVersion=${from}`, ...admin() });
  stream.on('error', () => undefined);
  stream.pause();
  const reader = watch(open({ initialWindowSize: 8 << 20 }), from);
  await until(() => reader.status === 200);
  const before = usedMb();
  const SIZE = 500_000;
  const COUNT = 120;
  for (let i = 0; i < COUNT; i++) {
    expect(await create(`deaf-${i}`, SIZE)).toBe(201);
    const client = overHttp2(place);
    await client.send({ method: 'DELETE', path: `${path}/deaf-${i}`, headers: admin(), body: undefined });
    client.close();
  }
  await until(() => reader.events >= 2 * COUNT);
  // 120 MB of states and as much of events went by. What stays has bounds: the log's and the window's replaced states, the
  // frames that watches share, and what waits for the one that does not read.
  expect(usedMb() - before).toBeLessThan(170);
  deaf.destroy();
}, 120_000);

it('clients that open watches and go away at once leave nothing behind', async () => {
  const from = await version();
  const round = async (): Promise<void> => {
    const session = open();
    for (let i = 0; i < 500; i++) watch(session, from).stream.close();
    await delay(100);
    session.destroy();
  };
  for (let i = 0; i < 3; i++) await round();
  const before = usedMb();
  for (let i = 0; i < 10; i++) await round();
  await delay(300);
  expect(usedMb() - before).toBeLessThan(15);
  expect(await create('after-the-storm')).toBe(201);
}, 60_000);
