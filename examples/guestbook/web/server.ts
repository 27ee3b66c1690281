// The guestbook's web front end: entries live in Redis, reached by the DNS name of its Service.
//   GET /         -> {"version","replica","entries"}     POST /entries (text) -> 201     GET /healthz -> 200
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { hostname } from 'node:os';

const version = process.env.VERSION ?? '1';
const redisHost = process.env.REDIS_HOST ?? 'redis';
const title = process.env.TITLE ?? 'Guestbook';

/** Sends one command in RESP and returns the reply's strings. */
const redis = (...words: string[]): Promise<string[]> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host: redisHost, port: 6379, timeout: 3000 });
    const fail = (e: Error) => {
      socket.destroy();
      reject(e);
    };
    let text = '';
    socket.on('timeout', () => fail(new Error('redis timed out')));
    socket.on('error', fail);
    socket.on('connect', () => {
      socket.write(`*${words.length}\r\n${words.map((w) => `$${Buffer.byteLength(w)}\r\n${w}\r\n`).join('')}`);
    });
    socket.on('data', (chunk) => {
      text += chunk.toString();
      if (text.startsWith('-')) return fail(new Error(text.trim()));
      const lines = text.split('\r\n');
      const count = text.startsWith('*') ? Number(lines[0]?.slice(1)) : 0;
      const strings = lines.filter((_, i) => i >= 2 && i % 2 === 0).slice(0, count);
      if (text.startsWith('*') ? text.endsWith('\r\n') && lines.length > count * 2 + 1 : text.endsWith('\r\n')) {
        socket.end();
        resolve(text.startsWith('*') ? strings : [lines[0] ?? '']);
      }
    });
  });

const server = createServer(async (request, response) => {
  const json = (code: number, body: unknown) => {
    response.writeHead(code, { 'content-type': 'application/json', connection: 'close' });
    response.end(`${JSON.stringify(body)}\n`);
  };
  try {
    if (request.url === '/healthz') return json(200, { ok: true });
    if (request.method === 'POST' && request.url === '/entries') {
      let body = '';
      for await (const chunk of request) body += chunk;
      await redis('RPUSH', 'entries', body);
      return json(201, { added: body, replica: hostname() });
    }
    if (request.url !== '/') return json(404, { error: 'not found' });
    json(200, { title, version, replica: hostname(), entries: await redis('LRANGE', 'entries', '0', '-1') });
  } catch (error) {
    json(503, { error: error instanceof Error ? error.message : String(error) });
  }
});

server.listen(8080, () => console.log(`guestbook ${version} on ${hostname()} listens on 8080`));
process.on('SIGTERM', () => server.close(() => process.exit(0)));
