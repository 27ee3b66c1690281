import type { ClientHttp2Session } from 'node:http2';
import { performance } from 'node:perf_hooks';

export interface Seen {
  ms: number;
  status: number;
  retryAfter: string;
}

/** One GET, whatever its status. */
export const get = (session: ClientHttp2Session, path: string, headers: Record<string, string>): Promise<Seen> =>
  new Promise((resolve, reject) => {
    const began = performance.now();
    const stream = session.request({ ':method': 'GET', ':path': path, ...headers });
    const seen: Seen = { ms: 0, status: 0, retryAfter: '' };
    stream.on('response', (given) => {
      seen.status = given[':status'] ?? 0;
      seen.retryAfter = String(given['retry-after'] ?? '');
    });
    stream.on('data', () => undefined);
    stream.on('error', reject);
    stream.on('end', () => resolve({ ...seen, ms: performance.now() - began }));
  });

/** Milliseconds with two decimals. */
export const quantile = (values: readonly number[], q: number): number =>
  Number(
    ([...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * q))] ?? 0).toFixed(2),
  );
