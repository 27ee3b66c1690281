import type { IncomingMessage } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { Server } from '../context.ts';
import { agentOf, connectService, type Destination } from '../outgoing/agents.ts';
import type { ServiceReference } from '../outgoing/service-endpoint.ts';
import type { FrontIdentity } from './identity.ts';
import type { Remote } from './remotes.ts';

export interface Asked {
  method: string;
  /** With the query. */
  path: string;
  headers: Record<string, string | string[]>;
  body?: Uint8Array;
  signal: AbortSignal;
}

const identityOf = async ({ frontProxy }: Server, cluster: string): Promise<FrontIdentity | undefined> => {
  if (!frontProxy) return undefined;
  const { cert, key } = (await frontProxy.identityOf?.(cluster)) ?? frontProxy;
  return { cert, key };
};

const destinationOf = async (
  server: Server,
  cluster: string,
  remote: Remote,
): Promise<Destination & { service: ServiceReference }> => {
  const identity = await identityOf(server, cluster);
  return {
    cluster,
    service: remote.service,
    ...(remote.ca && { ca: remote.ca }),
    ...(identity && { identity }),
    ...(remote.insecure && { insecure: true }),
  };
};

export const hostOf = ({ service }: Remote): string => `${service.name}.${service.namespace}.svc`;

/** Sends one request to another API server; resolves with its answer's head, and rejects where none comes. */
export const ask = async (server: Server, cluster: string, remote: Remote, asked: Asked): Promise<IncomingMessage> => {
  const agent = agentOf(server, await destinationOf(server, cluster, remote));
  return new Promise((resolve, reject) => {
    const { method, path, headers, body, signal } = asked;
    const sent = requestHttps({
      agent,
      host: hostOf(remote),
      port: remote.service.port,
      method,
      path,
      headers: { host: hostOf(remote), ...headers, ...(body && { 'content-length': String(body.byteLength) }) },
      signal,
    });
    sent.on('response', resolve);
    sent.on('error', (error: NodeJS.ErrnoException) => {
      // The other side closed an idle connection just now: it has not seen this request.
      const stale = sent.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
      if (stale && !signal.aborted) ask(server, cluster, remote, asked).then(resolve, reject);
      else reject(error);
    });
    sent.end(body);
  });
};

/** A connection of its own, for a request that leaves HTTP. */
export const dialRemote = async (server: Server, cluster: string, remote: Remote) =>
  connectService(server, await destinationOf(server, cluster, remote));

const documentBytesMax = 32 << 20;

/** A document of another API server as JSON. Rejects for a status other than 200, and for no JSON. */
export const askDocument = async (
  server: Server,
  cluster: string,
  remote: Remote,
  path: string,
  timeoutMs: number,
): Promise<{ body: unknown; headers: IncomingMessage['headers'] }> => {
  const headers = {
    accept: 'application/json',
    'x-remote-user': 'system:kube-aggregator',
    'x-remote-group': 'system:masters',
  };
  const signal = AbortSignal.timeout(timeoutMs);
  const answer = await ask(server, cluster, remote, { method: 'GET', path, headers, signal });
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of answer) {
    size += (part as Buffer).length;
    if (size > documentBytesMax) throw new Error(`the document at ${path} is too large`);
    parts.push(part as Buffer);
  }
  const code = answer.statusCode ?? 0;
  const url = `https://${hostOf(remote)}:${remote.service.port}${path}`;
  if (code !== 200) throw new Error(`bad status from ${url}: ${code}`);
  return { body: JSON.parse(Buffer.concat(parts).toString()), headers: answer.headers };
};
