import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Clock } from '../../functions/clock/clock.ts';
import type { Pod } from '../../functions/machinery/kinds.d.ts';
import { type LogOptions, readLog } from '../logs.ts';
import { isRunning, runsOf, specContainers } from '../observed.ts';
import type { Container, Runtime, Sandbox } from '../runtime/runtime.ts';
import { handleDial } from './dial.ts';
import { resourceMetrics, summary } from './metrics.ts';
import { handleStream } from './streams.ts';

/** What the kubelet API answers from. */
export interface ServerOptions {
  runtime: Runtime;
  clock: Clock;
  nodeName: string;
  pods: { get(namespace: string, name: string): Pod | undefined; all(): Pod[] };
  sandboxes(uid: string): Sandbox[];
  /** The log file of a run; undefined where nothing is written (hollow). */
  logFile(pod: Pod, run: Container): string | undefined;
  /** The node's own addresses: with those of its pods, what the apiserver's proxy may reach through it. */
  addresses?(): readonly string[];
  /** Connects inside the node's network; plain TCP where absent. */
  dial?(host: string, port: number): Promise<Duplex>;
}

/** A failure of the kubelet API: status code and plain text, as kubelet answers. */
export class KubeletError extends Error {
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** The pod and the newest (or the one before, with `previous`) run of one of its containers. */
export const findRun = (
  options: ServerOptions,
  namespace: string,
  podName: string,
  container: string,
  previous = false,
) => {
  const pod = options.pods.get(namespace, podName);
  if (!pod) throw new KubeletError(404, `pod "${podName}" not found`);
  if (!specContainers(pod).some((s) => s.container.name === container)) {
    throw new KubeletError(404, `container ${container} not found in pod ${podName}`);
  }
  const runs = runsOf(options.sandboxes(pod.metadata.uid ?? ''), container);
  return { pod, run: runs[previous ? 1 : 0] };
};

/** The running container a stream is for. */
export const findRunning = (options: ServerOptions, namespace: string, podName: string, container: string) => {
  const { pod, run } = findRun(options, namespace, podName, container);
  if (!run || !isRunning(run)) throw new KubeletError(400, `container not found ("${container}")`);
  return { pod, run };
};

const logOptions = (query: URLSearchParams, now: number): LogOptions => {
  const number = (name: string): number | undefined => {
    const text = query.get(name);
    if (text === null || text === '') return undefined;
    if (!/^\d+$/.test(text)) throw new KubeletError(400, `Invalid value for ${name}: "${text}"`);
    return Number(text);
  };
  const tailLines = number('tailLines');
  const limitBytes = number('limitBytes');
  const sinceSeconds = number('sinceSeconds');
  const sinceTime = query.get('sinceTime');
  const sinceMs =
    sinceSeconds !== undefined ? now - sinceSeconds * 1000 : sinceTime ? Date.parse(sinceTime) : undefined;
  return {
    follow: query.get('follow') === 'true',
    timestamps: query.get('timestamps') === 'true',
    ...(tailLines !== undefined && { tailLines }),
    ...(limitBytes !== undefined && { limitBytes }),
    ...(sinceMs !== undefined && { sinceMs }),
  };
};

const sendLogs = async (
  options: ServerOptions,
  parts: string[],
  query: URLSearchParams,
  req: IncomingMessage,
  res: ServerResponse,
) => {
  const [namespace = '', podName = '', container = ''] = parts;
  const previous = query.get('previous') === 'true';
  const { pod, run } = findRun(options, namespace, podName, container, previous);
  if (!run) {
    const message = previous
      ? `previous terminated container "${container}" in pod "${podName}" not found`
      : `container "${container}" in pod "${podName}" is waiting to start: ContainerCreating`;
    throw new KubeletError(400, message);
  }
  const settings = logOptions(query, options.clock.now());
  const abort = new AbortController();
  req.on('close', () => abort.abort());
  res.on('close', () => abort.abort());
  const done = () =>
    !runsOf(options.sandboxes(pod.metadata.uid ?? ''), container).some((r) => r.id === run.id && isRunning(r));
  res.writeHead(200, { 'content-type': 'text/plain' });
  res.flushHeaders();
  const file = options.logFile(pod, run);
  if (file === undefined) {
    res.end();
    return;
  }
  for await (const part of readLog(file, settings, options.clock, done, abort.signal)) {
    if (!res.write(part))
      await new Promise<void>((resolve) => {
        res.once('drain', resolve);
        res.once('close', resolve);
      });
    if (abort.signal.aborted) return;
  }
  res.end();
};

const json = (res: ServerResponse, body: unknown): void => {
  res.writeHead(200, { 'content-type': 'application/json' });
  res.end(JSON.stringify(body));
};

const route = async (options: ServerOptions, req: IncomingMessage, res: ServerResponse): Promise<void> => {
  const url = new URL(req.url ?? '/', 'http://node');
  const [, verb = '', ...parts] = url.pathname.split('/').map(decodeURIComponent);
  if (req.method === 'GET' && verb === 'containerLogs') return sendLogs(options, parts, url.searchParams, req, res);
  if (url.pathname === '/healthz') {
    res.end('ok');
  } else if (url.pathname === '/pods')
    json(res, { kind: 'PodList', apiVersion: 'v1', metadata: {}, items: options.pods.all() });
  else if (url.pathname === '/stats/summary') json(res, await summary(options));
  else if (url.pathname === '/metrics/resource') {
    const body = await resourceMetrics(options);
    res.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' });
    res.end(body);
  } else if (['exec', 'attach', 'portForward'].includes(verb)) throw new KubeletError(400, 'Upgrade request required');
  else throw new KubeletError(404, '404 page not found');
};

const refuse = (res: ServerResponse, error: unknown): void => {
  const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
  const code = error instanceof KubeletError ? error.code : missing ? 404 : 500;
  if (res.headersSent) {
    res.end(`${error instanceof Error ? error.message : String(error)}\n`);
    return;
  }
  res.writeHead(code, { 'content-type': 'text/plain' });
  res.end(`${error instanceof Error ? error.message : String(error)}\n`);
};

const upgraded = async (options: ServerOptions, req: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> => {
  const [, verb = '', ...parts] = new URL(req.url ?? '/', 'http://node').pathname.split('/').map(decodeURIComponent);
  if (verb === 'dial') await handleDial(options, parts, socket, head);
  else await handleStream(options, req, socket, head);
};

/**
 * The kubelet HTTP API on connections that are given to it: `server.emit('connection', duplex)`. It never listens; the
 * tunnel is its only way in, and who may ask was settled by the apiserver.
 */
export const createKubeletServer = (options: ServerOptions): Server => {
  const server = createServer((req, res) => {
    route(options, req, res).catch((error: unknown) => refuse(res, error));
  });
  server.on('upgrade', (req: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    upgraded(options, req, socket, head).catch((error: unknown) => {
      const code = error instanceof KubeletError ? error.code : 500;
      const body = error instanceof Error ? error.message : String(error);
      socket.end(
        `HTTP/1.1 ${code} ${code === 404 ? 'Not Found' : 'Error'}\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
      );
    });
  });
  return server;
};
