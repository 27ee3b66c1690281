import { type ClientHttp2Session, connect } from 'node:http2';
import { performance } from 'node:perf_hooks';

export interface Target {
  origin: string;
  ca: string;
  token: string;
}
export interface Call {
  method: string;
  path: string;
  body?: string | Uint8Array;
  contentType?: string;
}
export interface Measured {
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
}

export const open = (target: Target): Promise<ClientHttp2Session> =>
  new Promise((resolve, reject) => {
    const session = connect(target.origin, { ca: target.ca, settings: { initialWindowSize: 16 << 20 } });
    session.on('error', reject);
    session.on('connect', () => {
      session.setLocalWindowSize(64 << 20);
      resolve(session);
    });
  });

/** One request; resolves with the number of body bytes. Throws on a status of 400 and more. */
export const send = (session: ClientHttp2Session, token: string, call: Call): Promise<number> =>
  new Promise((resolve, reject) => {
    const stream = session.request(
      {
        ':method': call.method,
        ':path': call.path,
        ...(token && { authorization: `Bearer ${token}` }),
        ...(call.body !== undefined && { 'content-type': call.contentType ?? 'application/json' }),
      },
      { endStream: call.body === undefined },
    );
    let status = 0;
    let bytes = 0;
    let text = '';
    stream.on('response', (headers) => {
      status = headers[':status'] ?? 0;
    });
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (status >= 400) text += chunk.toString();
    });
    stream.on('error', reject);
    stream.on('end', () => (status < 400 ? resolve(bytes) : reject(new Error(`${call.path}: ${status} ${text}`))));
    if (call.body !== undefined) stream.end(call.body);
  });

/** Runs `count` calls from `workers` workers that share one connection, as Go clients do. */
export const run = async (
  target: Target,
  workers: number,
  count: number,
  next: (i: number) => Call,
): Promise<Measured> => {
  const session = await open(target);
  const times: number[] = [];
  let at = 0;
  const work = async () => {
    for (let i = at++; i < count; i = at++) {
      const began = performance.now();
      await send(session, target.token, next(i));
      times.push(performance.now() - began);
    }
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: workers }, work));
  const elapsed = performance.now() - began;
  session.close();
  times.sort((a, b) => a - b);
  const quantile = (q: number): number => times[Math.min(times.length - 1, Math.floor(times.length * q))] ?? 0;
  return { perSecond: (count / elapsed) * 1000, p50Ms: quantile(0.5), p99Ms: quantile(0.99) };
};

export const median = (values: number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
