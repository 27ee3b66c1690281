import { connect } from 'node:http2';
import type { DialResult } from './dial.ts';

const varint = (bytes: Buffer, at: number): [number, number] => {
  let value = 0;
  for (let shift = 0; at < bytes.length; shift += 7) {
    const byte = bytes[at++] ?? 0;
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  return [value, at];
};

/** grpc.health.v1.Health/Check: SERVING (1) is well. The two messages are small enough to write by hand. */
export const probeGrpc = (host: string, port: number, service: string, timeoutMs: number): Promise<DialResult> =>
  new Promise((resolve) => {
    const session = connect(`http://${host.includes(':') ? `[${host}]` : host}:${port}`);
    const settle = (result: DialResult) => {
      clearTimeout(timer);
      session.destroy();
      resolve(result);
    };
    const failed = (message: string) => settle({ ok: false, message });
    const timer = setTimeout(() => failed(`timeout: health rpc did not complete within ${timeoutMs}ms`), timeoutMs);
    session.on('error', (error) => failed(`error: failed to connect service "${host}:${port}": ${error.message}`));
    const stream = session.request({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const name = Buffer.from(service);
    const message = service ? Buffer.concat([Buffer.from([0x0a, name.length]), name]) : Buffer.alloc(0);
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(message.length, 1);
    const parts: Buffer[] = [];
    let code = '';
    const note = (headers: Record<string, unknown>) => {
      if (headers['grpc-status'] !== undefined) code = String(headers['grpc-status']);
    };
    stream.on('response', note);
    stream.on('trailers', note);
    stream.on('data', (part: Buffer) => parts.push(part));
    stream.on('error', (error) => failed(error.message));
    stream.on('end', () => {
      const body = Buffer.concat(parts).subarray(5);
      const [tag, next] = varint(body, 0);
      const serving = tag === 8 ? varint(body, next)[0] : 0;
      if (code === '12')
        failed('error: this server does not implement the grpc health protocol (grpc.health.v1.Health)');
      else if (code !== '0') failed(`error: health rpc failed with code ${code || 'unknown'}`);
      else if (serving === 1) settle({ ok: true, message: '' });
      else
        failed(
          `service unhealthy (responded with "${['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'][serving] ?? serving}")`,
        );
    });
    stream.end(Buffer.concat([prefix, message]));
  });
