import type { IncomingMessage } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import type { Json } from '../../machinery/object.ts';
import type { Server } from '../context.ts';
import { proxyTarget } from '../subresources/proxy-target.ts';

/** Where a webhook is, as WebhookClientConfig of apiextensions.k8s.io and admissionregistration.k8s.io have it. */
export interface WebhookConfig {
  url?: string;
  service?: { namespace: string; name: string; path?: string; port?: number };
  /** PEM of the authorities that signed its certificate, in base64; the system's where absent. */
  caBundle?: string;
}

/** One answer at most; larger ones are cut off with an error. */
const answerBytesMax = 64 << 20;

/** A connection to a pod behind a service, through the node that runs it. */
const dialService = async (server: Server, cluster: string, config: WebhookConfig): Promise<Duplex> => {
  const { namespace = '', name = '', port = 443 } = config.service ?? {};
  const target = await proxyTarget(server, {
    cluster,
    method: 'POST',
    path: '',
    query: new URLSearchParams(),
    isResource: true,
    verb: 'create',
    group: '',
    version: 'v1',
    namespace,
    resource: 'services',
    subresource: 'proxy',
    name: `${name}:${port}`,
    rest: '',
  });
  return target.connect();
};

const read = async (answer: IncomingMessage): Promise<string> => {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of answer) {
    size += (part as Buffer).length;
    if (size > answerBytesMax) throw new Error('the answer is too large');
    parts.push(part as Buffer);
  }
  return Buffer.concat(parts).toString();
};

/** The URL of a webhook, as errors name it. */
export const webhookUrl = ({ url, service }: WebhookConfig): string => {
  if (url) return url;
  const { name, namespace, port = 443, path = '/' } = service ?? {};
  return `https://${name}.${namespace}.svc:${port}${path}`;
};

const send = (
  config: WebhookConfig,
  text: string,
  signal: AbortSignal,
  connection: Duplex | undefined,
): Promise<IncomingMessage> => {
  const url = new URL(webhookUrl(config));
  const ca = config.caBundle ? Buffer.from(config.caBundle, 'base64').toString() : undefined;
  const { service } = config;
  const servername = service ? `${service.name}.${service.namespace}.svc` : undefined;
  const secure = { ...(ca && { ca }), ...(servername && { servername }) };
  return new Promise((resolve, reject) => {
    const sent = requestHttps(url, {
      method: 'POST',
      signal,
      agent: false,
      headers: {
        'content-type': 'application/json',
        accept: 'application/json',
        'content-length': Buffer.byteLength(text),
        'user-agent': 'skiff-apiserver',
      },
      ...secure,
      ...(connection && { createConnection: () => connectTls({ socket: connection, ...secure }) }),
    });
    sent.on('response', resolve);
    sent.on('error', reject);
    sent.end(text);
  });
};

/**
 * Posts a review to a webhook and returns the answer's JSON. Rejects with a plain Error in words for whoever asked: no
 * connection, a certificate that is not trusted, no answer within `timeoutMs`, a status other than 2xx, no JSON.
 */
export const callWebhook = async (
  server: Server,
  cluster: string,
  config: WebhookConfig,
  review: object,
  timeoutMs: number,
): Promise<Json> => {
  const signal = AbortSignal.timeout(timeoutMs);
  const start = `Post "${webhookUrl(config)}?timeout=${Math.round(timeoutMs / 1000)}s"`;
  let connection: Duplex | undefined;
  try {
    connection = config.service && (await dialService(server, cluster, config));
    const answer = await send(config, JSON.stringify(review), signal, connection);
    const text = await read(answer);
    const code = answer.statusCode ?? 0;
    if (code < 200 || code > 299) throw new Error(`the server answered ${code}`);
    return JSON.parse(text) as Json;
  } catch (error) {
    if (signal.aborted) throw new Error(`${start}: context deadline exceeded`);
    throw new Error(`${start}: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    connection?.destroy();
  }
};
