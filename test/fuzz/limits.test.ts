import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openSocket, readAnswer } from './http1.ts';
import { type Place, startPlace } from './place.ts';
import { overHttp1, overHttp2 } from './transports.ts';

// What a client may ask of the server at most, over real sockets, and that the server serves on afterwards.

let place: Place;
beforeAll(async () => {
  place = await startPlace({ headMs: 300, bodyMs: 300 });
});
afterAll(() => place.close());

const path = '/api/v1/namespaces/default/configmaps';
const admin = () => ({ authorization: `Bearer ${place.token}` });
const head = (...lines: string[]): string =>
  [
    `POST ${path} HTTP/1.1`,
    'host: a',
    `authorization: Bearer ${place.token}`,
    'content-type: application/json',
    ...lines,
  ].join('\r\n');

/** The answer to bytes written to a connection of their own. */
const answerTo = async (...parts: (string | Buffer)[]) => {
  const { socket, intake } = await openSocket(place);
  for (const part of parts) socket.write(part);
  const answer = await readAnswer(intake, 'POST');
  socket.destroy();
  return answer;
};

const transports = { 'HTTP/2': overHttp2, 'HTTP/1.1': overHttp1 };

it.each(Object.keys(transports) as (keyof typeof transports)[])(
  'a body over 3 MiB is a 413 over %s, one just under it is not',
  async (name) => {
    const client = transports[name](place);
    const send = (bytes: number) => {
      const text = (length: number) => JSON.stringify({ metadata: { name: 'a' }, data: { a: 'x'.repeat(length) } });
      const body = Buffer.from(text(bytes - text(0).length));
      return client.send({ method: 'POST', path, headers: { ...admin(), 'content-type': 'application/json' }, body });
    };
    const over = await send(3 * 1024 * 1024 + 1);
    expect(over.status).toBe(413);
    expect(JSON.parse(over.body.toString())).toMatchObject({
      kind: 'Status',
      code: 413,
      reason: 'RequestEntityTooLarge',
    });
    expect((await send(3 * 1024 * 1024)).status).toBe(422);
    expect((await send(200)).status).not.toBe(413);
    client.close();
  },
);

it('a declared length over the limit is a 413 before anything has come', async () => {
  const answer = await answerTo(`${head('content-length: 99999999999')}\r\n\r\n`);
  expect(answer.status).toBe(413);
});

it('a body that does not come ends as a 504 Timeout, and the connection with it', async () => {
  const answer = await answerTo(`${head('content-length: 100')}\r\n\r\n{"meta`);
  expect(answer.status).toBe(504);
  expect(answer.headers.connection).toBe('close');
  expect(JSON.parse(answer.body.toString())).toMatchObject({ kind: 'Status', code: 504, reason: 'Timeout' });
});

it('a head that does not come ends the connection', async () => {
  const answer = await answerTo('GET / HTTP/1.1\r\nhost: a\r\nx');
  expect([0, 408]).toContain(answer.status);
});

it.each([
  ['both a length and chunks', `${'content-length: 5\r\ntransfer-encoding: chunked'}`, '0\r\n\r\n'],
  ['two lengths', 'content-length: 2\r\ncontent-length: 3', '{}x'],
  ['a negative length', 'content-length: -1', ''],
  ['a length that is no number', 'content-length: x', ''],
  ['a chunk of no size', 'transfer-encoding: chunked', 'zz\r\n{}\r\n'],
  ['an endless chunk', 'transfer-encoding: chunked', 'fffffffffffffffff\r\n'],
  ['an unknown transfer encoding', 'transfer-encoding: x', '{}'],
  ['a header without a name', ': x\r\ncontent-length: 2', '{}'],
  ['a NUL in a header', 'x: \0\r\ncontent-length: 2', '{}'],
])('%s is refused or ends the connection', async (_, lines, body) => {
  const answer = await answerTo(`${head(lines)}\r\n\r\n${body}`);
  expect(answer.status === 0 || (answer.status >= 400 && answer.status < 500) || answer.status === 504).toBe(true);
});

it('heads of 120 kB are served, those over a megabyte are not, over both protocols', async () => {
  // nghttp2 takes no header over 64 kB and no head over nine frames of 16 KiB.
  const lines = (count: number, length: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`x-${i}`, 'y'.repeat(length)]));
  for (const open of Object.values(transports)) {
    const ask = async (headers: Record<string, string>) => {
      const client = open(place);
      const answer = await client.send({
        method: 'GET',
        path: '/version',
        headers: { ...admin(), ...headers },
        body: undefined,
      });
      client.close();
      return answer.status;
    };
    expect(await ask(lines(4, 30_000))).toBe(200);
    expect([0, 431]).toContain(await ask(lines(50, 30_000)));
    expect([0, 431]).toContain(await ask(lines(10_000, 1)));
    expect(await ask({})).toBe(200);
  }
});

it('a request that is cut off half-way leaves nothing behind', async () => {
  const { socket } = await openSocket(place);
  socket.write(`${head('content-length: 100')}\r\n\r\n{"metadata":{"name":"half"}`);
  await delay(50);
  socket.destroy();
  const client = overHttp2(place);
  const got = await client.send({ method: 'GET', path: `${path}/half`, headers: admin(), body: undefined });
  expect(got.status).toBe(404);
  client.close();
  expect(place.faults()).toEqual([]);
});
