import { request } from 'node:https';
import { checkHost, lookupFor } from '../../outgoing/addresses.ts';
import { faultText } from '../../outgoing/faults.ts';

/** What may be read for a cluster, and whom is trusted to tell it. */
export interface Reading {
  cluster: string;
  /** PEM of authorities; the system's where absent. */
  ca?: string;
  timeoutMs?: number;
  bytesMax?: number;
}

const TIMEOUT_MS = 10_000;
const BYTES_MAX = 1 << 20;

/**
 * Reads a document of an issuer by GET over TLS. Nobody is followed elsewhere: a redirect is a failure like any status other
 * than 200. Rejects with an Error that names the URL; a server that hangs or sends too much is given up.
 */
export const readDocument = (url: string, reading: Reading, token?: string): Promise<string> => {
  const { cluster, ca, timeoutMs = TIMEOUT_MS, bytesMax = BYTES_MAX } = reading;
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(timeoutMs);
    const fail = (error: unknown): void => {
      const why = signal.aborted ? `no answer in ${timeoutMs} ms` : faultText(error);
      reject(new Error(`Get ${JSON.stringify(url)}: ${why}`));
    };
    try {
      const at = new URL(url);
      if (at.protocol !== 'https:') throw new Error(`unsupported protocol scheme "${at.protocol.slice(0, -1)}"`);
      checkHost(cluster, at.hostname);
      const headers = { accept: 'application/json', ...(token && { authorization: `Bearer ${token}` }) };
      const sent = request(at, { signal, agent: false, lookup: lookupFor(cluster), headers, ...(ca && { ca }) });
      sent.on('error', fail);
      sent.on('response', (answer) => {
        if (answer.statusCode !== 200) {
          sent.destroy(new Error(`status ${answer.statusCode}`));
          return;
        }
        const parts: Buffer[] = [];
        let size = 0;
        answer.on('data', (part: Buffer) => {
          size += part.length;
          if (size > bytesMax) sent.destroy(new Error(`the answer is longer than ${bytesMax} bytes`));
          else parts.push(part);
        });
        answer.on('error', fail);
        answer.on('end', () => resolve(Buffer.concat(parts).toString()));
      });
      sent.end();
    } catch (error) {
      fail(error);
    }
  });
};
