import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { badRequest, forbidden, notFound, StatusError, unauthorized } from '../machinery/status.ts';
import { refusal } from './authz/authorizer.ts';
import type { ConnectionInfo, Server } from './context.ts';
import { parseStatusError } from './faults.ts';
import type { UserInfo } from './registry.ts';
import { type RequestInfo, requestInfo } from './request-info.ts';
import { dialNode, podAndContainer } from './subresources/node-request.ts';
import type { Tunnel } from './tunnel.ts';

/**
 * Requests that leave HTTP: exec, attach and port-forward go to the pod's node, byte for byte in both directions; agents
 * open their tunnels. They pass the same authentication and authorization as every other request.
 */
export interface Upgrades {
  handle(request: IncomingMessage, socket: Duplex, head: Buffer, connection: ConnectionInfo): Promise<void>;
}

const STREAMS: Record<string, string> = { exec: 'exec', attach: 'attach', portforward: 'portForward' };
/** Of the client's headers these do not travel: they identify the user to us, or belong to the one connection. */
const OWN = new Set(['authorization', 'cookie', 'host']);

const bearer = (request: IncomingMessage): string | undefined => {
  const header = request.headers.authorization;
  if (header && /^bearer /i.test(header)) return header.slice(7).trim();
  const protocols = String(request.headers['sec-websocket-protocol'] ?? '').split(',');
  const encoded = protocols.map((p) => p.trim()).find((p) => p.startsWith('base64url.bearer.authorization.k8s.io.'));
  return encoded && Buffer.from(encoded.slice(38), 'base64url').toString();
};

const refuse = (socket: Duplex, error: unknown, requestId: string): void => {
  const { status } = parseStatusError(error, requestId);
  const body = JSON.stringify(status);
  const head = `HTTP/1.1 ${status.code ?? 500} ${status.reason ?? 'Error'}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n`;
  socket.end(head + body);
};

/** The request as the agent gets it: the same upgrade, to the kubelet API's path. */
const forwarded = (request: IncomingMessage, path: string): string => {
  const lines = [`${request.method} ${path} HTTP/1.1`, 'host: node'];
  for (let i = 0; i < request.rawHeaders.length; i += 2) {
    const name = request.rawHeaders[i] ?? '';
    if (!OWN.has(name.toLowerCase())) lines.push(`${name}: ${request.rawHeaders[i + 1] ?? ''}`);
  }
  return `${lines.join('\r\n')}\r\n\r\n`;
};

const join = (a: Duplex, b: Duplex): void => {
  const end = () => {
    a.destroy();
    b.destroy();
  };
  for (const side of [a, b]) {
    side.on('error', end);
    side.on('close', end);
  }
  a.pipe(b);
  b.pipe(a);
};

export const createUpgrades = (server: Server, tunnel: Tunnel | undefined): Upgrades => {
  const identified = async (
    info: RequestInfo,
    request: IncomingMessage,
    connection: ConnectionInfo,
  ): Promise<UserInfo> => {
    const user = await server.authenticator.authenticate(info.cluster, bearer(request), connection);
    if (!user) throw unauthorized();
    return user;
  };

  const allowed = async (info: RequestInfo, user: UserInfo): Promise<void> => {
    const attributes = { ...info, user, verb: info.verb === 'get' ? 'get' : 'create' };
    const decision = await server.authorizer.authorize(attributes);
    if (!decision.allowed)
      throw forbidden(
        { group: info.group, kind: info.resource, name: info.name },
        refusal(attributes, decision.reason),
      );
  };

  const mayServe =
    (user: UserInfo) =>
    (node: string): boolean =>
      user.groups.includes('system:masters') ||
      (user.groups.includes('system:nodes') && user.username === `system:node:${node}`);

  const stream = async (info: RequestInfo, request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> => {
    const verb = STREAMS[info.subresource];
    if (info.resource !== 'pods' || !verb) throw badRequest('Upgrade request required');
    const { container, node } = await podAndContainer(server, info);
    const target = info.subresource === 'portforward' ? '' : `/${container}`;
    const query = info.query.toString();
    const connection = await dialNode(server, info.cluster, node);
    const path = `/${verb}/${info.namespace}/${info.name}${target}${query ? `?${query}` : ''}`;
    connection.write(forwarded(request, path));
    if (head.length > 0) connection.write(head);
    join(socket, connection);
  };

  return {
    handle: async (request, socket, head, connection) => {
      socket.on('error', () => socket.destroy());
      const requestId = server.clock.uuid();
      try {
        const info = requestInfo(request.method ?? 'GET', request.url ?? '/');
        const user = await identified(info, request, connection);
        if (tunnel?.handleUpgrade({ cluster: info.cluster, path: info.path, mayServe: mayServe(user) }, socket, head))
          return;
        if (!info.isResource) throw notFound({ group: '', kind: 'paths', name: info.path });
        await allowed(info, user);
        await stream(info, request, socket, head);
      } catch (error) {
        if (!(error instanceof StatusError)) server.onFault?.(error, requestId, undefined);
        refuse(socket, error, requestId);
      }
    },
  };
};
