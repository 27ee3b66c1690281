import { connect, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { createSpdySession, type SpdySession, type SpdyStream } from './spdy.ts';
import { createHeaderCodec, spdyDictionary } from './spdy-headers.ts';

const adler32 = (bytes: Buffer): number => {
  let low = 1;
  let high = 0;
  for (const byte of bytes) {
    low = (low + byte) % 65521;
    high = (high + low) % 65521;
  }
  return ((high << 16) | low) >>> 0;
};

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

const pair = async (
  onStream: (stream: SpdyStream) => void,
): Promise<{ client: SpdySession; server: SpdySession; raw: Socket }> => {
  const accepted = Promise.withResolvers<SpdySession>();
  const listener = createServer({ allowHalfOpen: true }, (socket) =>
    accepted.resolve(createSpdySession(socket, { side: 'server', onStream })),
  );
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const address = listener.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const raw = connect({ port: address.port, host: '127.0.0.1', allowHalfOpen: true });
  const client = createSpdySession(raw, { side: 'client' });
  const server = await accepted.promise;
  cleanups.push(() => {
    client.close();
    server.close();
    raw.destroy();
    listener.close();
  });
  return { client, server, raw };
};

const collect = async (stream: SpdyStream): Promise<Buffer> => Buffer.concat(await stream.toArray());

describe('spdy headers', () => {
  it('uses the dictionary of SPDY/3', () => {
    expect(spdyDictionary.length).toBe(1423);
    expect(adler32(spdyDictionary)).toBe(0xe3c6a7c2);
  });

  it('keeps one compression state over many blocks', async () => {
    const one = createHeaderCodec();
    const other = createHeaderCodec();
    for (let i = 0; i < 50; i++) {
      const headers = { streamtype: 'stdout', port: String(i), odd: 'ä\u0000b' };
      expect(await other.inflate(await one.deflate(headers))).toEqual(headers);
    }
    await expect(createHeaderCodec().inflate(Buffer.from('nonsense'))).rejects.toThrow();
  });
});

describe('spdy session', () => {
  it('echoes 8 MB on three streams at once, with half closes', async () => {
    const { client } = await pair((stream) => void stream.pipe(stream));
    const payload = Buffer.alloc(8 * 1024 * 1024, 'skiff');
    const echoed = await Promise.all(
      ['a', 'b', 'c'].map(async (name) => {
        const stream = await client.open({ streamType: name });
        stream.end(payload);
        return collect(stream);
      }),
    );
    for (const bytes of echoed) expect(bytes.equals(payload)).toBe(true);
  });

  it('hands the headers to the acceptor in lower case and in order', async () => {
    const seen: string[] = [];
    const { client, server } = await pair((stream) => {
      seen.push(`${stream.id} ${stream.headers.streamtype}`);
      stream.end();
    });
    const streams = await Promise.all(['error', 'stdin', 'stdout'].map((streamType) => client.open({ streamType })));
    await Promise.all(streams.map(collect));
    expect(seen).toEqual(['1 error', '3 stdin', '5 stdout']);
    server.close();
    await client.closed;
  });

  it('lets a reader take what came before a reset', async () => {
    const { client } = await pair((stream) => {
      stream.write('last words', () => stream.reset());
    });
    const stream = await client.open({});
    expect((await collect(stream)).toString()).toBe('last words');
  });

  it('answers a ping with the same ping', async () => {
    const { raw } = await pair(() => undefined);
    const answer = new Promise<Buffer>((resolve) => raw.prependOnceListener('data', resolve));
    const frame = Buffer.from([0x80, 3, 0, 6, 0, 0, 0, 4, 0, 0, 0, 1]);
    raw.write(frame);
    expect((await answer).equals(frame)).toBe(true);
  });

  it('ends every stream when the connection breaks', async () => {
    const { client, raw } = await pair(() => undefined);
    const stream = await client.open({});
    stream.on('error', () => undefined);
    const ended = new Promise((resolve) => stream.resume().once('end', resolve));
    raw.destroy();
    await client.closed;
    await ended;
  });

  it('gives up on bytes that are not SPDY', async () => {
    const { raw, server } = await pair(() => undefined);
    raw.end('\xffGET / HTTP/1.1\r\n\r\n', 'latin1');
    await server.closed;
  });
});
