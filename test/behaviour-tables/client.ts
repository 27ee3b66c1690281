// Sends the tables' requests: one HTTP request in, status, headers and body out.
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';

export interface Sent {
  method: string;
  /** With its query. */
  path: string;
  headers: Record<string, string>;
  body?: string;
}
export interface Answer {
  status: number;
  headers: Record<string, string>;
  text: string;
  /** The parsed text, where it is JSON; of a watch `{watch: [event...]}`. */
  body: unknown;
}
export type Send = (request: Sent) => Promise<Answer>;

export interface Target {
  url: string;
  token?: string;
  /** PEM files of a client certificate, for a server that knows the identity by it. */
  cert?: string;
  key?: string;
}

const REQUEST_MS_MAX = 40_000;

const parsed = (request: Sent, type: string, text: string): unknown => {
  if (!type.includes('json') && !text.startsWith('{')) return undefined;
  try {
    if (!/[?&]watch=(true|1)/.test(request.path)) return JSON.parse(text);
    const lines = text.split('\n').filter((line) => line !== '');
    const events = lines.map((line) => JSON.parse(line) as { kind?: string });
    return events.length === 1 && events[0]?.kind === 'Status' ? events[0] : { watch: events };
  } catch {
    return undefined;
  }
};

/** What is escaped already stays as it is. */
const escaped = (path: string): string => encodeURI(path).replaceAll('%25', '%');

/** A sender to one server, over connections that are kept; the server's certificate is not checked. */
export const createSender = ({ url, token, cert, key }: Target): Send => {
  const secure = url.startsWith('https:');
  const pem = cert && key ? { cert: readFileSync(cert), key: readFileSync(key) } : {};
  const agent = secure
    ? new https.Agent({ keepAlive: true, rejectUnauthorized: false, ...pem })
    : new http.Agent({ keepAlive: true });
  return (request) =>
    new Promise((resolve, reject) => {
      const { authorization = token ? `Bearer ${token}` : undefined, ...given } = request.headers;
      const headers = {
        accept: 'application/json',
        'user-agent': 'tables',
        ...given,
        ...(authorization && { authorization }),
        ...(request.body !== undefined && {
          'content-length': String(Buffer.byteLength(request.body)),
        }),
      };
      const options = { method: request.method, headers, agent };
      const sending = (secure ? https : http).request(`${url}${escaped(request.path)}`, options, (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(parts).toString();
          const answered = Object.fromEntries(
            Object.entries(response.headers).map(([name, value]) => [name, String(value)]),
          );
          const body = parsed(request, answered['content-type'] ?? '', text);
          resolve({
            status: response.statusCode ?? 0,
            headers: answered,
            text,
            body,
          });
        });
      });
      sending.setTimeout(REQUEST_MS_MAX, () => sending.destroy(new Error('no answer')));
      sending.on('error', reject);
      sending.end(request.body);
    });
};
