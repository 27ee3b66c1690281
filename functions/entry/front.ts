import { Readable } from 'node:stream';
import type { ReadableStream as NodeReadableStream } from 'node:stream/web';
import { plainResponse } from '../apiserver/plain-response.ts';

/** Headers that belong to one connection (RFC 9110, 7.6.1), and those that fetch sets by itself. */
const ownHeaders = [
  'connection',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'host',
  'content-length',
];
const bodiless = new Set(['GET', 'HEAD']);

export interface FrontOptions {
  /** What every request goes to; its path comes before the request's. */
  server: string;
  /** fetch of the platform where absent. */
  fetch?: (request: Request) => Promise<Response>;
}

/**
 * An API server's app that passes each request on to another URL: what a node's TLS server on its own address serves, and
 * what gives kubectl the TLS that it wants before it sends credentials. Answers 502 when the other does not answer.
 */
export const createFront = ({ server, fetch: send = (request) => fetch(request) }: FrontOptions) => ({
  fetch: async (request: Request): Promise<Response> => {
    const url = new URL(request.url);
    const headers = new Headers(request.headers);
    for (const name of [...ownHeaders, 'accept-encoding']) headers.delete(name);
    for (const name of [...headers.keys()]) if (name.startsWith(':')) headers.delete(name);
    const body = bodiless.has(request.method) ? undefined : await request.arrayBuffer();
    let response: Response;
    try {
      const target = `${server.replace(/\/$/, '')}${url.pathname}${url.search}`;
      response = await send(
        new Request(target, {
          method: request.method,
          headers,
          signal: request.signal,
          ...(body?.byteLength && { body }),
        }),
      );
    } catch (error) {
      const message = `the server does not answer: ${error instanceof Error ? error.message : error}`;
      const status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, code: 502 };
      return new Response(JSON.stringify(status), { status: 502, headers: { 'content-type': 'application/json' } });
    }
    const answered: Record<string, string> = {};
    for (const [name, value] of response.headers) {
      if (!ownHeaders.includes(name) && name !== 'content-encoding') answered[name] = value;
    }
    const stream = response.body ? Readable.fromWeb(response.body as NodeReadableStream) : undefined;
    return plainResponse({ status: response.status, headers: answered, body: stream });
  },
});
