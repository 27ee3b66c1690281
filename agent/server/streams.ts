import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { currentSandbox, specContainers } from '../observed.ts';
import type { StreamRequest } from '../runtime/runtime.ts';
import { acceptWebSocket } from '../streams/channels.ts';
import { acceptSpdy, spdyCommand, spdyProtocols } from '../streams/exec-spdy.ts';
import { type Wanted, websocketCommand } from '../streams/exec-websocket.ts';
import { spdyPortForward, websocketPortForward } from '../streams/port-forward.ts';
import { serveRemoteCommand } from '../streams/remote-command.ts';
import { findRunning, KubeletError, type ServerOptions } from './server.ts';

const flag = (query: URLSearchParams, ...names: string[]): boolean =>
  names.some((name) => ['1', 'true'].includes(query.get(name) ?? ''));

const remoteCommand = async (
  options: ServerOptions,
  want: StreamRequest,
  id: string,
  wanted: Wanted,
  req: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<void> => {
  if (String(req.headers.upgrade).toLowerCase() === 'websocket') {
    const ws = await acceptWebSocket(req, socket, head);
    await serveRemoteCommand(options.runtime, id, want, websocketCommand(ws, wanted));
    return;
  }
  if (!acceptSpdy(req, socket, spdyProtocols)) return;
  const command = await spdyCommand(socket, head, wanted).catch(() => undefined);
  if (command) await serveRemoteCommand(options.runtime, id, want, command);
};

const portForward = async (
  options: ServerOptions,
  parts: string[],
  query: URLSearchParams,
  req: IncomingMessage,
  socket: Duplex,
  head: Buffer,
) => {
  const pod = options.pods.get(parts[0] ?? '', parts[1] ?? '');
  const sandbox = pod && currentSandbox(options.sandboxes(pod.metadata.uid ?? ''));
  if (!pod) throw new KubeletError(404, `pod "${parts[1]}" not found`);
  if (!sandbox?.ready) throw new KubeletError(400, `pod "${parts[1]}" is not running`);
  const open = (port: number, signal: AbortSignal) => options.runtime.portForward(sandbox.id, port, signal);
  if (String(req.headers.upgrade).toLowerCase() === 'websocket') {
    const ports = query
      .getAll('port')
      .concat(query.getAll('ports'))
      .flatMap((text) => text.split(','))
      .map(Number);
    if (ports.length === 0 || ports.some((p) => !Number.isInteger(p) || p < 1 || p > 65_535))
      throw new KubeletError(400, 'query parameter "port" is required');
    await websocketPortForward(await acceptWebSocket(req, socket, head), ports, open);
  } else if (acceptSpdy(req, socket, ['portforward.k8s.io'])) await spdyPortForward(socket, head, open);
};

/** exec, attach and portForward: `/exec/{namespace}/{pod}/{container}?command=...&input=1&output=1&error=1&tty=1`. */
export const handleStream = async (
  options: ServerOptions,
  req: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<void> => {
  const url = new URL(req.url ?? '/', 'http://node');
  const [, verb = '', ...parts] = url.pathname.split('/').map(decodeURIComponent);
  const query = url.searchParams;
  if (verb === 'portForward') {
    await portForward(options, parts, query, req, socket, head);
    return;
  }
  if (verb !== 'exec' && verb !== 'attach') throw new KubeletError(404, '404 page not found');
  const { pod, run } = findRunning(options, parts[0] ?? '', parts[1] ?? '', parts.at(-1) ?? '');
  const wanted: Wanted = {
    stdin: flag(query, 'input', 'stdin'),
    stdout: flag(query, 'output', 'stdout'),
    stderr: flag(query, 'error', 'stderr'),
    tty: flag(query, 'tty'),
  };
  if (!wanted.stdin && !wanted.stdout && !wanted.stderr)
    throw new KubeletError(400, 'you must specify at least 1 of stdin, stdout, stderr');
  const container = specContainers(pod).find((s) => s.container.name === run.name)?.container;
  const want: StreamRequest =
    verb === 'exec'
      ? { exec: query.getAll('command'), tty: wanted.tty }
      : { attach: true, tty: container?.tty ?? wanted.tty };
  await remoteCommand(options, want, run.id, wanted, req, socket, head);
};
