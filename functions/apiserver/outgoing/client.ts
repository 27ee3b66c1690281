import type { IncomingMessage } from 'node:http';
import { type Agent, request as requestHttps } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseBody } from '../../machinery/body.ts';
import type { Json } from '../../machinery/object.ts';
import type { Server } from '../context.ts';
import { agentOf } from './agents.ts';
import { answerText, faultText } from './faults.ts';
import type { ServiceReference } from './service-endpoint.ts';

/** Where a webhook is, as WebhookClientConfig of apiextensions.k8s.io and admissionregistration.k8s.io have it. */
export interface WebhookConfig {
  url?: string;
  service?: ServiceReference & { path?: string };
  /** PEM of the authorities that signed its certificate, in base64; the system's where absent. */
  caBundle?: string;
}

/** One answer at most; larger ones are cut off with an error. */
const answerBytesMax = 16 << 20;
const redirectsMax = 10;
const retriesMax = 10;

/** The URL of a webhook, as errors name it. */
export const webhookUrl = ({ url, service }: WebhookConfig): string => {
  if (url) return url;
  const { name, namespace, port = 443, path = '/' } = service ?? {};
  return `https://${name}.${namespace}.svc:${port}${path.startsWith('/') ? path : `/${path}`}`;
};

interface Post {
  url: URL;
  method: string;
  text: string;
  agent: Agent;
  signal: AbortSignal;
}

const sendOnce = ({ url, method, text, agent, signal }: Post, again = true): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    const body = method === 'POST' ? text : '';
    const sent = requestHttps(url, {
      method,
      signal,
      agent,
      headers: {
        accept: 'application/json, */*',
        'user-agent': 'kube-apiserver-admission',
        ...(body && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
      },
    });
    sent.on('response', resolve);
    sent.on('error', (error: NodeJS.ErrnoException) => {
      // The other side closed an idle connection just now: it has not seen this request.
      const stale = sent.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
      if (again && stale && !signal.aborted)
        sendOnce({ url, method, text, agent, signal }, false).then(resolve, reject);
      else reject(error);
    });
    sent.end(body);
  });

/** Follows redirects as Go's client does: 307 and 308 send the body again, the others turn into a GET. */
const send = async (first: Post): Promise<{ answer: IncomingMessage; url: URL }> => {
  let post = first;
  for (let redirects = 0; ; redirects++) {
    let answer: IncomingMessage;
    try {
      answer = await sendOnce(post);
    } catch (error) {
      throw Object.assign(new Error(faultText(error)), { url: post.url });
    }
    const code = answer.statusCode ?? 0;
    const { location } = answer.headers;
    if (![301, 302, 303, 307, 308].includes(code) || location === undefined) return { answer, url: post.url };
    answer.resume();
    if (redirects >= redirectsMax) throw new Error(`stopped after ${redirectsMax} redirects`);
    const url = new URL(location, post.url);
    if (url.protocol !== 'https:') throw new Error(`unsupported protocol scheme "${url.protocol.slice(0, -1)}"`);
    post = { ...post, url, method: code === 307 || code === 308 ? post.method : 'GET' };
  }
};

const DEADLINE = 'context deadline exceeded';

/** The failure of a request that was answered: its words stand for themselves. */
class AnswerFault extends Error {}

const read = async (answer: IncomingMessage, signal: AbortSignal): Promise<Buffer> => {
  const parts: Buffer[] = [];
  let size = 0;
  try {
    for await (const part of answer) {
      size += (part as Buffer).length;
      if (size > answerBytesMax) break;
      parts.push(part as Buffer);
    }
  } catch (error) {
    const isCut = (error as NodeJS.ErrnoException).code === 'ECONNRESET';
    const said = signal.aborted ? DEADLINE : isCut ? 'unexpected EOF' : faultText(error);
    throw new AnswerFault(`unexpected error when reading response body. Please retry. Original error: ${said}`);
  }
  if (size <= answerBytesMax) return Buffer.concat(parts);
  answer.destroy();
  throw new AnswerFault(`the answer is longer than ${answerBytesMax} bytes`);
};

/** Whether a body is JSON by its first letter; upstream reads all else as YAML, whatever its content type. */
const isJson = (bytes: Buffer): boolean => bytes.find((byte) => ![9, 10, 13, 32].includes(byte)) === 0x7b;

const parsed = async (answer: IncomingMessage, signal: AbortSignal): Promise<Json> => {
  const bytes = await read(answer, signal);
  const code = answer.statusCode ?? 0;
  const type = answer.headers['content-type'] ?? 'application/json';
  if (code < 200 || code > 299) throw new AnswerFault(answerText(code, type, bytes.toString()));
  if (bytes.length === 0)
    throw new AnswerFault(`0-length response with status code: ${code} and content type: ${type}`);
  try {
    return parseBody(bytes, isJson(bytes) ? 'json' : 'yaml').value;
  } catch (error) {
    throw new AnswerFault(error instanceof Error ? error.message : String(error));
  }
};

/** In how many seconds one that cannot answer now wants to be asked again, where it says so. */
const retryAfter = ({ statusCode = 0, headers }: IncomingMessage): number | undefined => {
  const seconds = headers['retry-after'];
  if (seconds === undefined || !/^\d{1,5}$/.test(seconds)) return undefined;
  return statusCode === 429 || (statusCode >= 500 && statusCode < 600) ? Number(seconds) : undefined;
};

/**
 * Posts a review to a webhook and returns the answer's JSON. Rejects with a plain Error in upstream's words: no connection,
 * a certificate that is not trusted, no answer within `timeoutMs`, a status other than 2xx, no JSON, too much of it.
 */
export const callWebhook = async (
  server: Server,
  cluster: string,
  config: WebhookConfig,
  review: object,
  timeoutMs: number,
): Promise<Json> => {
  const signal = AbortSignal.timeout(timeoutMs);
  const url = new URL(webhookUrl(config));
  url.searchParams.set('timeout', `${Math.ceil(timeoutMs / 1000)}s`);
  const { service, caBundle } = config;
  const ca = caBundle && Buffer.from(caBundle, 'base64').toString();
  const agent = agentOf(server, { cluster, ...(service && { service }), ...(ca && { ca }) });
  let at = url;
  try {
    const post: Post = { url, method: 'POST', text: JSON.stringify(review), agent, signal };
    for (let tries = 0; ; tries++) {
      const sent = await send(post);
      at = sent.url;
      const seconds = retryAfter(sent.answer);
      if (seconds === undefined || tries >= retriesMax) return await parsed(sent.answer, signal);
      sent.answer.resume();
      await sleep(seconds * 1000, undefined, { signal });
    }
  } catch (error) {
    if (error instanceof AnswerFault) throw error;
    const failed = (error as { url?: URL }).url ?? at;
    const why = signal.aborted ? DEADLINE : faultText(error);
    throw new Error(`Post "${shown(failed)}": ${why}`);
  }
};

/** A service's port stands in the text even where it is the scheme's own, as upstream writes it. */
const shown = (url: URL): string =>
  url.hostname.endsWith('.svc') && url.port === '' ? url.href.replace(url.host, `${url.host}:443`) : url.href;
