import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { type Place, startPlace } from './place.ts';

// Exchanges given up in every way, all on one connection, which must then carry whole answers as if nothing had been:
// what an abandoned stream had of the connection's flow-control window is given back (RFC 9113, 5.2 and 6.9).

const path = '/api/v1/namespaces/default/configmaps';
const ROUNDS = 12;
/** Larger than the connection's window of 65,535 bytes many times over. */
const LARGE = 900_000;
let place: Place;
let session: ClientHttp2Session;
let admin: Record<string, string>;

interface Whole {
  status: number;
  bytes: number;
}
const whole = (method: string, where: string, body?: string): Promise<Whole> =>
  new Promise((resolve) => {
    const stream = session.request({
      ':method': method,
      ':path': where,
      'content-type': 'application/json',
      ...admin,
    });
    const got = { status: 0, bytes: 0 };
    stream.on('response', (headers) => {
      got.status = headers[':status'] ?? 0;
    });
    stream.on('data', (chunk: Buffer) => {
      got.bytes += chunk.length;
    });
    stream.on('error', () => undefined);
    stream.on('close', () => resolve(got));
    stream.end(body);
  });

const configMap = (name: string, bytes: number): string =>
  JSON.stringify({ metadata: { name }, data: { a: 'x'.repeat(bytes) } });

const open = (): void => {
  session = connect(`https://127.0.0.1:${place.port}`, { ca: place.ca, maxSessionMemory: 1000 });
  session.on('error', () => undefined);
};

beforeAll(async () => {
  place = await startPlace();
  admin = { authorization: `Bearer ${place.token}` };
  open();
  for (let i = 0; i < 4; i++) expect((await whole('POST', path, configMap(`large-${i}`, LARGE))).status).toBe(201);
});
afterAll(() => place.close());
beforeEach(() => open());
afterEach(() => session.destroy());

const begin = (method: string, where: string, headers: Record<string, string> = admin): ClientHttp2Stream => {
  const stream = session.request(
    { ':method': method, ':path': where, 'content-type': 'application/json', ...headers },
    { endStream: method === 'GET' },
  );
  stream.on('error', () => undefined);
  return stream;
};
const reset = (stream: ClientHttp2Stream): void => stream.close(constants.NGHTTP2_CANCEL);
const part = Buffer.alloc(200_000, 'x');
const over = Buffer.alloc(4 << 20, 'x');

const ways: Record<string, () => ClientHttp2Stream> = {
  'an upload reset at once': () => {
    const stream = begin('POST', path);
    stream.write(part);
    reset(stream);
    return stream;
  },
  'an upload reset half-way': () => {
    const stream = begin('POST', path);
    stream.write(part, () => reset(stream));
    return stream;
  },
  'an upload that never ends': () => {
    const stream = begin('POST', path);
    stream.write(part);
    return stream;
  },
  'an upload that is too large': () => {
    const stream = begin('POST', path);
    stream.end(over);
    return stream;
  },
  'an upload declared too large': () => {
    const stream = begin('POST', path, { ...admin, 'content-length': String(over.length) });
    stream.end(over);
    return stream;
  },
  'an upload of nobody who may': () => {
    const stream = begin('POST', path, { authorization: 'Bearer nobody' });
    stream.end(part);
    return stream;
  },
  'an upload to nowhere': () => {
    const stream = begin('PUT', '/nowhere/at/all');
    stream.end(part);
    return stream;
  },
  'an upload whose answer is not read': () => {
    const stream = begin('PATCH', `${path}/large-0`, { ...admin, 'content-type': 'application/merge-patch+json' });
    stream.pause();
    stream.end('{"data":{"b":"c"}}');
    return stream;
  },
  'a body of a GET': () => {
    const stream = session.request({ ':method': 'GET', ':path': path, ...admin }, { endStream: false });
    stream.on('error', () => undefined);
    stream.write(part);
    return stream;
  },
  'a download reset at once': () => {
    const stream = begin('GET', path);
    reset(stream);
    return stream;
  },
  'a download reset at its head': () => {
    const stream = begin('GET', path);
    stream.on('response', () => reset(stream));
    return stream;
  },
  'a download reset at its first bytes': () => {
    const stream = begin('GET', path);
    stream.once('data', () => reset(stream));
    return stream;
  },
  'a download destroyed half-way': () => {
    const stream = begin('GET', path);
    let seen = 0;
    stream.on('data', (chunk: Buffer) => {
      seen += chunk.length;
      if (seen > LARGE) stream.destroy();
    });
    return stream;
  },
  'a download that is not read': () => {
    const stream = begin('GET', path);
    stream.pause();
    return stream;
  },
  'a watch that is not read': () => {
    const stream = begin('GET', `${path}?watch=1&resourceVersion=0`);
    stream.pause();
    return stream;
  },
  'a watch reset at its first bytes': () => {
    const stream = begin('GET', `${path}?watch=1&resourceVersion=0`);
    stream.once('data', () => reset(stream));
    return stream;
  },
};

it.each(Object.keys(ways))(
  '%s leaves the connection as it was',
  async (name) => {
    const streams: ClientHttp2Stream[] = [];
    for (let i = 0; i < ROUNDS; i++) {
      const stream = ways[name]?.();
      if (stream) streams.push(stream);
      if (i % 3 === 0) await delay(5);
    }
    await delay(100);
    // While some are open still, and when all have ended.
    const list = await whole('GET', path);
    expect(list.status).toBe(200);
    expect(list.bytes).toBeGreaterThan(4 * LARGE);
    for (const stream of streams) reset(stream);
    const created = await whole('POST', path, configMap('after', LARGE));
    expect(created.status).toBe(201);
    expect(created.bytes).toBeGreaterThan(LARGE);
    expect((await whole('DELETE', `${path}/after`)).status).toBe(200);
    // The same connection, not one opened anew.
    expect(session.closed || session.destroyed).toBe(false);
  },
  20_000,
);

it('nothing of it was a fault of the server', () => {
  expect(place.faults()).toEqual([]);
});
