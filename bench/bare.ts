// The floor: a Node HTTP/2+TLS server that reads the body and returns a constant one. Parameters: certificate and key as
// JSON on standard input; prints its port.
import { createSecureServer } from 'node:http2';

const { cert, key, sizes } = JSON.parse(await new Response(process.stdin as unknown as ReadableStream).text()) as {
  cert: string;
  key: string;
  /** Bytes of the answer by path. */
  sizes: Record<string, number>;
};
const bodies = new Map(Object.entries(sizes).map(([path, size]) => [path, Buffer.alloc(size, 'x')]));
const server = createSecureServer({ cert, key, settings: { maxConcurrentStreams: 1000 } });
server.on('stream', (stream, headers) => {
  const body = bodies.get(headers[':path'] ?? '') ?? Buffer.alloc(0);
  stream.on('data', () => {});
  stream.on('end', () => {
    stream.respond({ ':status': 200, 'content-type': 'application/json', 'content-length': body.length });
    stream.end(body);
  });
  stream.resume();
});
server.listen(0, '127.0.0.1', () => console.log((server.address() as { port: number }).port));
process.on('disconnect', () => process.exit());
