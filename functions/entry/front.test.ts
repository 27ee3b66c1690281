import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createFront } from './front.ts';

const server = createServer((req, res) => {
  const chunks: Buffer[] = [];
  req.on('data', (chunk: Buffer) => chunks.push(chunk));
  req.on('end', () => {
    res.writeHead(201, { 'content-type': 'application/json', warning: '299 - "x"', connection: 'close' });
    const { method, url, headers } = req;
    res.end(JSON.stringify({ method, url, headers, body: Buffer.concat(chunks).toString() }));
  });
});
let port = 0;
beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
});
afterAll(() => void server.close());

it('passes requests on below the server’s own path, without the headers of the connection', async () => {
  const front = createFront({ server: `http://127.0.0.1:${port}/prefix/` });
  const answer = await front.fetch(
    new Request('https://10.96.0.1/api/v1/pods?limit=1', {
      method: 'POST',
      headers: { authorization: 'Bearer t', te: 'trailers', 'content-type': 'application/json' },
      body: '{"a":1}',
    }),
  );
  expect([answer.status, answer.headers.get('warning')]).toEqual([201, '299 - "x"']);
  const seen = (await answer.json()) as { method: string; url: string; headers: Record<string, string>; body: string };
  expect([seen.method, seen.url, seen.body]).toEqual(['POST', '/prefix/api/v1/pods?limit=1', '{"a":1}']);
  expect(seen.headers.authorization).toBe('Bearer t');
  expect(seen.headers.te).toBeUndefined();
});

it('answers 502 with a Status when nobody is there', async () => {
  const front = createFront({ server: 'http://127.0.0.1:1' });
  const answer = await front.fetch(new Request('https://x/api'));
  expect(answer.status).toBe(502);
  expect(await answer.json()).toMatchObject({ kind: 'Status', status: 'Failure', code: 502 });
});
