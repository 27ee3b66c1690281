import { mkdtempSync, rmSync } from 'node:fs';
import { type ClientHttp2Session, connect as connectHttp2, type OutgoingHttpHeaders } from 'node:http2';
import { request as request1 } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ConnectionInfo } from '../apiserver/context.ts';
import { plainResponse, type Sink } from '../apiserver/plain-response.ts';
import { bodyBytesMax, readBody } from '../apiserver/request-body.ts';
import { StatusError } from '../machinery/status.ts';
import { loadPki, type Pki } from './pki.ts';
import { createListener, type Listener, type ListenerOptions } from './server.ts';

let directory = '';
let pki: Pki;
let listener: Listener | undefined;
const sessions: ClientHttp2Session[] = [];

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'skiff-listener-'));
  pki = await loadPki(directory);
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));
afterEach(async () => {
  for (const session of sessions.splice(0)) session.destroy();
  await listener?.close();
  listener = undefined;
});

type Handler = (request: Request, connection?: ConnectionInfo) => Promise<Response> | Response;

const listen = async (handler: Handler, onUpgrade?: ListenerOptions['onUpgrade']): Promise<number> => {
  listener = await createListener({
    app: {
      fetch: async (request, connection) => {
        try {
          return await handler(request, connection);
        } catch (error) {
          if (!(error instanceof StatusError)) throw error;
          return plainResponse({ status: error.code, headers: {}, body: JSON.stringify(error.status) });
        }
      },
    },
    tls: { cert: pki.serverCert, key: pki.serverKey, clientCa: pki.caCert },
    host: '127.0.0.1',
    port: 0,
    ...(onUpgrade && { onUpgrade }),
  });
  return listener.port;
};

const open = (port: number): ClientHttp2Session => {
  const session = connectHttp2(`https://127.0.0.1:${port}`, { ca: pki.caCert });
  session.on('error', () => undefined);
  sessions.push(session);
  return session;
};

interface Answered {
  status: number;
  headers: OutgoingHttpHeaders;
  text: string;
}
const send = (session: ClientHttp2Session, headers: OutgoingHttpHeaders, body?: string | Buffer): Promise<Answered> =>
  new Promise((resolve, reject) => {
    const stream = session.request(headers, { endStream: body === undefined });
    const answer: Answered = { status: 0, headers: {}, text: '' };
    stream.on('response', (h) => {
      answer.status = h[':status'] ?? 0;
      answer.headers = h;
    });
    stream.setEncoding('utf8');
    stream.on('data', (chunk: string) => {
      answer.text += chunk;
    });
    stream.on('error', reject);
    stream.on('end', () => resolve(answer));
    if (body !== undefined) stream.end(body);
  });

const send1 = (port: number, method: string, path: string, body?: string | Buffer): Promise<Answered> =>
  new Promise((resolve, reject) => {
    const sent = request1({ host: '127.0.0.1', port, method, path, ca: pki.caCert, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
    });
    sent.on('error', reject);
    sent.end(body);
  });

const echo: Handler = async (request) => {
  const body = Buffer.from(await readBody(request)).toString();
  const seen = { method: request.method, url: request.url, type: request.headers.get('Content-Type'), body };
  return plainResponse({ status: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify(seen) });
};
/** Streams what the test sends. */
const streaming = () => {
  const sinks: Sink[] = [];
  const signals: AbortSignal[] = [];
  const handler: Handler = () =>
    plainResponse({
      status: 200,
      headers: {},
      body: (sink, signal) => {
        sinks.push(sink);
        signals.push(signal);
        sink.send(Buffer.from('open\n'));
      },
    });
  return { sinks, signals, handler };
};
const until = async (isTrue: () => boolean): Promise<void> => {
  for (let i = 0; i < 500 && !isTrue(); i++) await new Promise((resolve) => setTimeout(resolve, 10));
  expect(isTrue()).toBe(true);
};

describe('HTTP/2', () => {
  it('gets and posts', async () => {
    const session = open(await listen(echo));
    const got = await send(session, { ':path': '/a?b=c' });
    expect(JSON.parse(got.text)).toEqual({ method: 'GET', url: 'https://server/a?b=c', type: null, body: '' });
    expect(got.headers['content-length']).toBe(String(got.text.length));
    const type = 'application/json';
    const posted = await send(session, { ':method': 'POST', ':path': '/a', 'content-type': type }, 'é'.repeat(100_000));
    expect(JSON.parse(posted.text)).toMatchObject({ method: 'POST', type, body: 'é'.repeat(100_000) });
  });

  it('writes a platform Response, a stream of one, several values of a header and no body for HEAD', async () => {
    const session = open(
      await listen((request) => {
        if (request.url.endsWith('/platform')) return new Response('whole', { status: 202, headers: { 'x-a': 'b' } });
        if (request.url.endsWith('/empty')) return new Response(null, { status: 304 });
        if (request.url.endsWith('/web'))
          return new Response(
            new ReadableStream({
              start: (controller) => {
                controller.enqueue(Buffer.from('one '));
                controller.enqueue(Buffer.from('two'));
                controller.close();
              },
            }),
          );
        return plainResponse({ status: 200, headers: { warning: ['a', 'b'] }, body: 'text' });
      }),
    );
    expect(await send(session, { ':path': '/platform' })).toMatchObject({ status: 202, text: 'whole' });
    expect(await send(session, { ':path': '/empty' })).toMatchObject({ status: 304, text: '' });
    expect(await send(session, { ':path': '/web' })).toMatchObject({ status: 200, text: 'one two' });
    expect((await send(session, { ':path': '/' })).headers.warning).toBe('a, b');
    const head = await send(session, { ':path': '/', ':method': 'HEAD' });
    expect(head).toMatchObject({ status: 200, text: '' });
    expect(head.headers['content-length']).toBe('4');
  });

  it('streams until the app ends the stream', async () => {
    const { sinks, handler } = streaming();
    const session = open(await listen(handler));
    const answer = send(session, { ':path': '/' });
    await until(() => sinks.length === 1);
    for (let i = 0; i < 1000; i++) sinks[0]?.send(Buffer.from(`${i}\n`));
    sinks[0]?.end();
    expect((await answer).text).toBe(`open\n${Array.from({ length: 1000 }, (_, i) => `${i}\n`).join('')}`);
  });

  it('tells the app when the client goes away, by a reset and by the end of its connection', async () => {
    const { sinks, signals, handler } = streaming();
    const port = await listen(handler);
    const session = open(port);
    const stream = session.request({ ':path': '/' });
    await until(() => sinks.length === 1);
    stream.close(8);
    await until(() => signals[0]?.aborted === true);
    session.request({ ':path': '/' });
    await until(() => sinks.length === 2);
    expect(signals[1]?.aborted).toBe(false);
    session.destroy();
    await until(() => signals[1]?.aborted === true);
    sinks[1]?.send(Buffer.from('nobody reads this'));
  });

  it('counts what a slow client leaves unread', async () => {
    const { sinks, handler } = streaming();
    const session = open(await listen(handler));
    const stream = session.request({ ':path': '/' });
    stream.pause();
    await until(() => sinks.length === 1);
    for (let i = 0; i < 100; i++) sinks[0]?.send(Buffer.alloc(100_000));
    await until(() => (sinks[0]?.unread ?? 0) > 9_000_000);
    stream.resume();
    await until(() => sinks[0]?.unread === 0);
  });

  it('refuses a body over the limit before it has all come, and serves on', async () => {
    const session = open(await listen(echo));
    const stream = session.request({ ':path': '/', ':method': 'POST' });
    let status = 0;
    let sent = 0;
    let closed = false;
    stream.on('response', (headers) => {
      status = headers[':status'] ?? 0;
    });
    stream.on('error', () => undefined);
    stream.on('close', () => {
      closed = true;
    });
    stream.resume();
    while (!closed && sent < 40) {
      stream.write(Buffer.alloc(1 << 20));
      sent++;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(status).toBe(413);
    expect(sent).toBeLessThan(20);
    expect((await send(session, { ':path': '/', ':method': 'POST' }, 'small')).status).toBe(200);
    const told = await send(
      session,
      { ':path': '/', ':method': 'POST', 'content-length': bodyBytesMax + 1 },
      Buffer.alloc(bodyBytesMax + 1),
    ).catch(() => ({ status: 413 }));
    expect(told.status).toBe(413);
    expect((await send(session, { ':path': '/', ':method': 'POST' }, 'small')).status).toBe(200);
  });

  it('holds 1,000 streams of one connection', async () => {
    const { sinks, signals, handler } = streaming();
    const session = open(await listen(handler));
    const answers = Array.from({ length: 1000 }, () => send(session, { ':path': '/' }));
    await until(() => sinks.length === 1000);
    const line = Buffer.from('event\n');
    for (const sink of sinks) sink.send(line);
    for (const sink of sinks) sink.end();
    const all = await Promise.all(answers);
    expect(new Set(all.map((a) => a.text))).toEqual(new Set(['open\nevent\n']));
    expect(signals).toHaveLength(1000);
  });

  it('survives 1,000 streams reset at once', async () => {
    const { sinks, signals, handler } = streaming();
    const session = open(await listen(handler));
    const streams = Array.from({ length: 1000 }, () => session.request({ ':path': '/' }));
    for (const stream of streams) stream.on('error', () => undefined);
    await until(() => sinks.length === 1000);
    for (const stream of streams) stream.close(8);
    await until(() => signals.every((signal) => signal.aborted));
    const last = session.request({ ':path': '/' });
    await new Promise((resolve) => last.once('data', resolve));
  });

  it('answers a fault of the app by resetting the stream alone', async () => {
    const session = open(
      await listen((request) => {
        if (request.url.endsWith('/fault')) throw new Error('a fault');
        return new Response('ok');
      }),
    );
    await expect(send(session, { ':path': '/fault' }).then(({ status }) => status || Promise.reject())).rejects.toBe(
      undefined,
    );
    expect((await send(session, { ':path': '/' })).text).toBe('ok');
  });

  it('closes with streams open', async () => {
    const { sinks, signals, handler } = streaming();
    const session = open(await listen(handler));
    session.request({ ':path': '/' }).on('error', () => undefined);
    await until(() => sinks.length === 1);
    await listener?.close();
    listener = undefined;
    await until(() => signals[0]?.aborted === true && session.destroyed);
  });
});

describe('HTTP/1.1', () => {
  it('gets, posts and answers HEAD', async () => {
    const port = await listen(echo);
    expect(JSON.parse((await send1(port, 'GET', '/a?b=c')).text)).toMatchObject({ method: 'GET', body: '' });
    expect(JSON.parse((await send1(port, 'POST', '/a', 'hello')).text)).toMatchObject({
      method: 'POST',
      body: 'hello',
    });
    expect(await send1(port, 'HEAD', '/a')).toMatchObject({ status: 200, text: '' });
  });

  it('sends the head of a stream before its first bytes come', async () => {
    const port = await listen(() => plainResponse({ status: 200, headers: {}, body: () => undefined }));
    const status = await new Promise((resolve, reject) => {
      const sent = request1({ host: '127.0.0.1', port, ca: pki.caCert, agent: false }, (res) => {
        resolve(res.statusCode);
        sent.destroy();
      });
      sent.on('error', reject);
      sent.end();
    });
    expect(status).toBe(200);
  });

  it('streams, and tells the app when the client goes away', async () => {
    const { sinks, signals, handler } = streaming();
    const port = await listen(handler);
    const answer = send1(port, 'GET', '/');
    await until(() => sinks.length === 1);
    sinks[0]?.end();
    expect((await answer).text).toBe('open\n');
    const sent = request1({ host: '127.0.0.1', port, ca: pki.caCert, agent: false }, () => undefined);
    sent.on('error', () => undefined);
    sent.end();
    await until(() => sinks.length === 2);
    sent.destroy();
    await until(() => signals[1]?.aborted === true);
  });

  it('refuses a body over the limit', async () => {
    const port = await listen(echo);
    const refused = await send1(port, 'POST', '/', Buffer.alloc(bodyBytesMax + 1)).catch(
      (error: NodeJS.ErrnoException) => ({ status: error.code === 'EPIPE' || error.code === 'ECONNRESET' ? 413 : 0 }),
    );
    expect(refused.status).toBe(413);
    expect((await send1(port, 'POST', '/', 'small')).status).toBe(200);
  });

  it('gives up a connection to an upgrade', async () => {
    const port = await listen(echo, (request, socket, head) => {
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${request.headers.upgrade}\r\n\r\n`,
      );
      socket.write(head);
      socket.pipe(socket);
    });
    const socket = connectTls({ host: '127.0.0.1', port, ca: pki.caCert, ALPNProtocols: ['http/1.1'] });
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    socket.write('GET /exec HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\nearly ');
    await until(() => text.includes('101 Switching'));
    socket.write('late');
    await until(() => text.endsWith('\r\n\r\nearly late'));
    socket.destroy();
  });
});

describe('closing', () => {
  it('says go away, lets an answer under way finish, and takes no new request', async () => {
    let arrived = (_answer: (response: Response) => void): void => {};
    const asked = new Promise<(response: Response) => void>((resolve) => {
      arrived = resolve;
    });
    const port = await listen(() => new Promise<Response>((resolve) => arrived(resolve)));
    const session = open(port);
    const sent = send(session, { ':path': '/slow' });
    const goaway = new Promise<void>((resolve) => session.once('goaway', () => resolve()));
    const answer = await asked;
    const closed = listener?.close(5000);
    await goaway;
    answer(plainResponse({ status: 200, headers: {}, body: 'done' }));
    expect((await sent).text).toBe('done');
    await closed;
    expect(session.destroyed || session.closed).toBe(true);
    listener = undefined;
  });

  it('does not wait for a watch', async () => {
    const port = await listen(() => plainResponse({ status: 200, headers: {}, body: () => {} }));
    const session = open(port);
    const ended = send(session, { ':path': '/watch' }).catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const began = Date.now();
    await listener?.close(100);
    listener = undefined;
    expect(Date.now() - began).toBeLessThan(2000);
    await ended;
  });
});

it('answers a thousand requests at once on one connection', async () => {
  let waiting: (() => void)[] = [];
  const port = await listen(
    () =>
      new Promise<Response>((resolve) => {
        waiting.push(() => resolve(plainResponse({ status: 200, headers: {}, body: 'ok' })));
        if (waiting.length === 1000) for (const go of waiting.splice(0)) go();
      }),
  );
  const session = open(port);
  const all = await Promise.all(Array.from({ length: 1000 }, (_, i) => send(session, { ':path': `/${i}` })));
  expect(all.every((one) => one.status === 200 && one.text === 'ok')).toBe(true);
  waiting = [];
});
