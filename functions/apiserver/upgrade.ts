import { type IncomingMessage, request as requestHttp } from 'node:http';
import type { Duplex } from 'node:stream';
import {
  forbidden,
  genericFailure,
  notFound,
  type Status,
  StatusError,
  serviceUnavailable,
} from '../machinery/status.ts';
import { aggregatorOf } from './aggregation/aggregator.ts';
import { dialRemote, hostOf } from './aggregation/ask.ts';
import { remoteHeaders } from './aggregation/pass.ts';
import type { Remote } from './aggregation/remotes.ts';
import type { AuditTrail } from './audit/trail.ts';
import { callerOf } from './authn/caller.ts';
import { otherProtocols } from './authn/credentials.ts';
import { impersonate } from './authn/impersonation.ts';
import { refusal } from './authz/authorizer.ts';
import type { Call, ConnectionInfo, Server } from './context.ts';
import { parseStatusError } from './faults.ts';
import type { UserInfo } from './registry.ts';
import { type RequestInfo, requestInfo } from './request-info.ts';
import { dialNode, podAndContainer } from './subresources/node-request.ts';
import { admitConnect, connects, forwardedHeaders, splitPath, streamOptions } from './subresources/proxy.ts';
import { proxyTarget } from './subresources/proxy-target.ts';
import type { Tunnel } from './tunnel.ts';

/**
 * Requests that leave HTTP: exec, attach and port-forward go to the pod's node, those of a proxy to its backend, byte for
 * byte in both directions; agents open their tunnels. They pass the same authentication, impersonation, authorization and
 * admission as every other request.
 */
export interface Upgrades {
  handle(request: IncomingMessage, socket: Duplex, head: Buffer, connection: ConnectionInfo): Promise<void>;
}

/** One upgrade on its way. */
interface Upgrade {
  info: RequestInfo;
  request: IncomingMessage;
  socket: Duplex;
  head: Buffer;
  connection: ConnectionInfo;
  /** Tells whom it concerns that the client is answered, and when the connection ends. */
  began(code: number): void;
}

const STREAMS: Record<string, string> = { exec: 'exec', attach: 'attach', portforward: 'portForward' };

const headersOf = (request: IncomingMessage): Headers => {
  const out = new Headers();
  for (let i = 0; i < request.rawHeaders.length; i += 2)
    out.append(request.rawHeaders[i] ?? '', request.rawHeaders[i + 1] ?? '');
  return out;
};

const refuse = (socket: Duplex, status: Status, requestId: string): void => {
  const body = JSON.stringify(status);
  const head = `HTTP/1.1 ${status.code ?? 500} ${status.reason ?? 'Error'}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nAudit-Id: ${requestId}\r\nConnection: close\r\n\r\n`;
  socket.end(head + body);
};

/** The client's headers for the other side: without what identifies the user to us, the bearer protocol included. */
type Passed = Record<string, string | string[]>;
const passedHeaders = ({ request, connection }: Upgrade, host: string, made?: (headers: Headers) => Passed): Passed => {
  const given = headersOf(request);
  const headers: Passed = made
    ? made(given)
    : forwardedHeaders(given, { host, remoteAddress: connection.remoteAddress });
  const protocols = otherProtocols(request.headers['sec-websocket-protocol']);
  if (protocols.length > 0) headers['sec-websocket-protocol'] = protocols.join(', ');
  else delete headers['sec-websocket-protocol'];
  return { ...headers, connection: 'Upgrade', upgrade: request.headers.upgrade ?? '' };
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

const headText = (answer: IncomingMessage): string => {
  const lines = [`HTTP/1.1 ${answer.statusCode} ${answer.statusMessage ?? ''}`];
  for (let i = 0; i < answer.rawHeaders.length; i += 2)
    lines.push(`${answer.rawHeaders[i]}: ${answer.rawHeaders[i + 1]}`);
  return `${lines.join('\r\n')}\r\n\r\n`;
};

/**
 * Sends the upgrade on. Once the other side has agreed the two connections are one; a refusal (400 and above) goes to the
 * client as it is, anything else is a 502.
 */
const passOn = (
  upgrade: Upgrade,
  target: Duplex,
  path: string,
  host: string,
  made?: (headers: Headers) => Passed,
): Promise<void> =>
  new Promise((resolve, reject) => {
    const { request, socket, head } = upgrade;
    const sent = requestHttp({
      method: request.method ?? 'GET',
      path,
      headers: passedHeaders(upgrade, host, made),
      setHost: false,
      createConnection: () => target,
    });
    socket.once('close', () => target.destroy());
    sent.on('upgrade', (answer, connection, rest) => {
      upgrade.began(101);
      socket.write(headText(answer));
      if (rest.length > 0) socket.write(rest);
      if (head.length > 0) connection.write(head);
      join(socket, connection);
      resolve();
    });
    sent.on('response', (answer) => {
      const code = answer.statusCode ?? 0;
      if (code < 400) {
        answer.resume();
        reject(genericFailure(502, 'BadGateway', `invalid upgrade response: status code ${code}`));
        return;
      }
      upgrade.began(code);
      socket.write(headText(answer).replace(/\r\n(transfer-encoding|connection|keep-alive): [^\r]*/gi, ''));
      answer.pipe(socket);
      resolve();
    });
    sent.on('error', (error) => reject(genericFailure(502, 'BadGateway', `error dialing backend: ${error.message}`)));
    sent.end();
  });

export const createUpgrades = (server: Server, tunnel: Tunnel | undefined): Upgrades => {
  const identified = async ({ info, request, connection }: Upgrade): Promise<UserInfo> => {
    const isWebSocket = request.headers.upgrade?.toLowerCase() === 'websocket';
    const protocols = isWebSocket ? request.headers['sec-websocket-protocol'] : undefined;
    return callerOf(server, info, headersOf(request), connection, protocols);
  };

  const allowed = async (info: RequestInfo, user: UserInfo, verb: string, trail?: AuditTrail): Promise<void> => {
    const attributes = { ...info, user, verb };
    const decision = await server.authorizer.authorize(attributes);
    trail?.annotate('authorization.k8s.io/decision', decision.allowed ? 'allow' : 'forbid');
    trail?.annotate('authorization.k8s.io/reason', decision.reason ?? '');
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

  const callOf = ({ info, request }: Upgrade, requestId: string, user: UserInfo): Call => {
    const resource = server.registry.find(info.cluster, info.group, info.version, info.resource);
    const connect = connects[info.subresource];
    if (!resource?.subresources.has(info.subresource) || !connect)
      throw genericFailure(404, 'NotFound', 'the server could not find the requested resource', {});
    if (!connect.methods.has(info.method))
      throw genericFailure(
        405,
        'MethodNotAllowed',
        'the server does not allow this method on the requested resource',
        {},
      );
    const plain = new Request(`https://server${request.url}`, { headers: headersOf(request) });
    const accept = { media: 'json', as: '', version: '', pretty: false } as const;
    return {
      server,
      info,
      request: plain,
      requestId,
      user,
      resource,
      accept,
      warnings: [],
      dryRun: false,
      fieldManager: '',
    };
  };

  const stream = async (upgrade: Upgrade, call: Call): Promise<void> => {
    const { info } = upgrade;
    await allowed(info, call.user, 'create');
    await admitConnect(call, streamOptions(info));
    const { container, node } = await podAndContainer(server, info);
    const target = info.subresource === 'portforward' ? '' : `/${container}`;
    const query = info.query.toString();
    const path = `/${STREAMS[info.subresource]}/${info.namespace}/${info.name}${target}${query ? `?${query}` : ''}`;
    await passOn(upgrade, await dialNode(server, info.cluster, node), path, 'node');
  };

  const proxied = async (upgrade: Upgrade, call: Call): Promise<void> => {
    const { info, request } = upgrade;
    const { path } = splitPath(info, request.url ?? '/');
    await admitConnect(call, { path });
    const target = await proxyTarget(server, info);
    const query = (request.url ?? '').includes('?') ? `?${request.url?.split('?').slice(1).join('?')}` : '';
    await passOn(upgrade, await target.connect(), `${path || '/'}${query}`, request.headers.host ?? target.host);
  };

  const toRemote = async (upgrade: Upgrade, remote: Remote, user: UserInfo): Promise<void> => {
    const { info, request, connection } = upgrade;
    if (!remote.available) throw serviceUnavailable('service unavailable');
    const target = await dialRemote(server, info.cluster, remote).catch((error: Error) => {
      throw serviceUnavailable(`error trying to reach service: ${error.message}`);
    });
    const url = request.url ?? '/';
    const prefix = `/clusters/${info.cluster}`;
    const path = url.startsWith(`${prefix}/`) ? url.slice(prefix.length) : url;
    const made = (headers: Headers) => remoteHeaders(headers, remote, { user, connection, path: info.path });
    await passOn(upgrade, target, path, hostOf(remote), made);
  };

  const answer = async (upgrade: Upgrade, requestId: string, trail: AuditTrail | undefined): Promise<void> => {
    const { info, socket, head, request, connection } = upgrade;
    if (server.clusterExists && !(await server.clusterExists(info.cluster))) {
      // That it is not there is for those whose credentials are good for any cluster.
      await identified(upgrade);
      throw genericFailure(404, 'NotFound', 'the server could not find the requested resource', {});
    }
    const caller = await identified(upgrade).catch((error: unknown) => {
      trail?.unauthenticated(info);
      throw error;
    });
    if (trail) await trail.received(info, caller);
    server.admitRequest?.(info, connection);
    if (tunnel?.handleUpgrade({ cluster: info.cluster, path: info.path, mayServe: mayServe(caller) }, socket, head)) {
      upgrade.began(101);
      return;
    }
    const as = { headers: headersOf(request), rawHeaders: request.rawHeaders };
    const { user, constraint } = await impersonate(server.authorizer, caller, info, as);
    if (user !== caller) trail?.impersonated(user, constraint);
    if (!info.isResource) throw notFound({ group: '', kind: 'paths', name: info.path });
    await allowed(info, user, info.verb, trail);
    const remote = await aggregatorOf(server).at(info);
    if (remote) {
      await toRemote(upgrade, remote, user);
      return;
    }
    const call = callOf(upgrade, requestId, user);
    await (info.subresource === 'proxy' ? proxied(upgrade, call) : stream(upgrade, call));
    socket.once('close', server.metrics.streaming(info));
  };

  return {
    handle: async (request, socket, head, connection) => {
      socket.on('error', () => socket.destroy());
      const requestId = String(request.headers['audit-id'] ?? '') || server.clock.uuid();
      const { url = '/', method = 'GET' } = request;
      const asked = { headers: headersOf(request), url };
      const trail = server.audit?.current()?.trail({ request: asked, requestId, connection });
      const began = (code: number): void => {
        const end = trail?.began(code);
        if (!end) return;
        // Whoever left meanwhile is told of too.
        if (socket.closed) void end();
        else socket.once('close', () => void end());
      };
      try {
        const info = requestInfo(method, url);
        await answer({ info, request, socket, head, connection, began }, requestId, trail);
      } catch (error) {
        if (!(error instanceof StatusError)) server.onFault?.(error, requestId, undefined);
        const { status } = parseStatusError(error, requestId);
        trail?.failed(status);
        began(status.code ?? 500);
        refuse(socket, status, requestId);
      }
    },
  };
};
