import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import { plainResponse, type Sink } from './plain-response.ts';
import { withWebSocketReads } from './websocket-reads.ts';

const asked: Request[] = [];
let sink: Sink | undefined;
let aborted = false;
let contentType = 'application/json';

/** Streams what a test sends, to whoever says the word; anyone else is refused. */
const fetch = async (request: Request): Promise<Response> => {
  asked.push(request);
  if (request.headers.get('authorization') !== 'Bearer word')
    return plainResponse({ status: 401, headers: { 'content-type': 'application/json' }, body: '{"code":401}' });
  return plainResponse({
    status: 200,
    headers: { 'content-type': contentType },
    body: (to, signal) => {
      sink = to;
      signal.addEventListener('abort', () => {
        aborted = true;
      });
    },
  });
};

const server = createServer();
const passed: string[] = [];
server.on(
  'upgrade',
  (request, socket, head) =>
    void withWebSocketReads(fetch, async (other, to) => {
      passed.push(other.url ?? '');
      to.destroy();
    })(request, socket, head, {}),
);
beforeAll(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve())));
afterAll(() => server.close());

const token = `base64url.bearer.authorization.k8s.io.${Buffer.from('word').toString('base64url')}`;
const open = (path: string, protocols: string[]) => {
  const ws = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}${path}`, protocols);
  const got: (string | Buffer)[] = [];
  const closed = new Promise<number>((resolve) => ws.on('close', resolve));
  ws.on('error', () => {});
  ws.on('message', (data: Buffer, binary) => got.push(binary ? data : data.toString()));
  return { ws, got, closed };
};
const started = () => vi.waitUntil(() => sink);
const send = async (...chunks: (string | Uint8Array)[]) => {
  const to = await started();
  for (const chunk of chunks) to?.send(Buffer.from(chunk as string));
  to?.end();
  sink = undefined;
};

it('makes every line of a watch a message, and ends with it', async () => {
  const { ws, got, closed } = open('/api/v1/pods?watch=true', [token, 'x']);
  await send('{"type":"ADD', 'ED"}\n{"type":"DELETED"}\n{"type":"BOOK', 'MARK"}\n');
  expect(await closed).toBe(1000);
  expect(got).toEqual(['{"type":"ADDED"}', '{"type":"DELETED"}', '{"type":"BOOKMARK"}']);
  const request = asked.at(-1);
  expect([request?.headers.get('upgrade'), request?.headers.get('sec-websocket-protocol')]).toEqual([null, null]);
  expect(ws.protocol).toBe('x');
});

it('makes every frame of a protobuf watch a message', async () => {
  contentType = 'application/vnd.kubernetes.protobuf;stream=watch';
  const { got, closed } = open('/api/v1/watch/pods', [token, 'x']);
  await send(Buffer.from([0, 0, 0, 2, 7]), Buffer.from([8, 0, 0, 0, 1, 9]));
  await closed;
  expect(got).toEqual([Buffer.from([7, 8]), Buffer.from([9])]);
  contentType = 'application/json';
});

it('sends a log as bytes, or as base64 where that is asked for', async () => {
  const path = '/api/v1/namespaces/a/pods/p/log?follow=true';
  const bytes = open(path, [token, 'binary.k8s.io']);
  await send('one\n', 'two');
  await bytes.closed;
  expect([bytes.ws.protocol, Buffer.concat(bytes.got as Buffer[]).toString()]).toEqual(['binary.k8s.io', 'one\ntwo']);
  const text = open(path, [token, 'base64.binary.k8s.io']);
  await send('one\n');
  await text.closed;
  expect(text.got).toEqual([Buffer.from('one\n').toString('base64')]);
});

it('stops reading when the client goes', async () => {
  const { ws } = open('/api/v1/pods?watch=true', [token, 'x']);
  await new Promise((resolve) => ws.on('open', resolve));
  await started();
  aborted = false;
  ws.terminate();
  await vi.waitUntil(() => aborted);
  sink = undefined;
});

it('reads nothing for a client that has left before there was an answer', async () => {
  const socket = new PassThrough();
  const headers = { authorization: 'Bearer word', upgrade: 'websocket' };
  const rawHeaders = Object.entries(headers).flat();
  const request = { method: 'GET', url: '/api/v1/pods?watch=true', headers, rawHeaders } as unknown as IncomingMessage;
  const left = (asking: Request): Promise<Response> => {
    socket.destroy();
    return new Promise((resolve) => socket.once('close', () => resolve(fetch(asking))));
  };
  aborted = false;
  await withWebSocketReads(left, async () => undefined)(request, socket, Buffer.alloc(0), {});
  expect(aborted).toBe(true);
  sink = undefined;
});

it('answers a refusal as it is, before any upgrade', async () => {
  const { ws, closed } = open('/api/v1/pods?watch=true', []);
  const status = await new Promise((resolve) =>
    ws.on('unexpected-response', (_, response) => resolve(response.statusCode)),
  );
  expect(status).toBe(401);
  ws.terminate();
  await closed;
});

it.each([
  '/api/v1/namespaces/a/pods/p/exec?command=x',
  '/api/v1/pods',
  '/api/v1/namespaces/a/services/s/proxy/?watch=true',
  '/healthz',
])('leaves %s to the others', async (path) => {
  await open(path, [token]).closed;
  expect(passed.at(-1)).toBe(path);
});
