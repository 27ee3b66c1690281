import type { IncomingMessage } from 'node:http';
import { connect as connectTcp, isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { createFront } from './front.ts';

/** Where a gateway is. */
export interface GatewayTarget {
  /** Its URL: `https://gateway.example:443`. */
  server: string;
  /** PEM of the authority that signed its certificate; the system's authorities where absent. */
  ca?: string;
}

const NODE_PATH = new RegExp(
  [
    '/api/v1/namespaces/[^/]+/pods/[^/]+/(log|exec|attach|portforward)/?$',
    '/api/v1/(namespaces/[^/]+/(pods|services)|nodes)/[^/]+/proxy(/|$)',
  ].join('|'),
);

/** True for paths whose answers come from a node. */
export const reachesNode = (pathname: string): boolean => NODE_PATH.test(pathname);

const CONNECT_MS = 15_000;

const open = ({ server, ca }: GatewayTarget): Duplex => {
  const url = new URL(server);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = Number(url.port) || (url.protocol === 'https:' ? 443 : 80);
  if (url.protocol !== 'https:') return connectTcp({ host, port });
  return connectTls({
    host,
    port,
    ALPNProtocols: ['http/1.1'],
    ...(isIP(host) === 0 && { servername: host }),
    ...(ca && { ca }),
  });
};

/** The request's head as the gateway gets it: as it came, but for the host. */
const headOf = (request: IncomingMessage, server: string): string => {
  const url = new URL(server);
  const lines = [`${request.method} ${url.pathname.replace(/\/$/, '')}${request.url} HTTP/1.1`, `Host: ${url.host}`];
  for (let i = 0; i < request.rawHeaders.length; i += 2) {
    if (request.rawHeaders[i]?.toLowerCase() !== 'host')
      lines.push(`${request.rawHeaders[i]}: ${request.rawHeaders[i + 1]}`);
  }
  return `${lines.join('\r\n')}\r\n\r\n`;
};

/**
 * Passes requests that leave HTTP (exec, attach, port-forward, an agent's tunnel) to a gateway, byte for byte in both
 * directions; who may do what is decided there. The client is answered 502 where the gateway cannot be reached.
 */
export const passUpgrades =
  (target: GatewayTarget) =>
  (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const other = open(target);
    let connected = false;
    const end = (): void => {
      clearTimeout(timer);
      if (!connected && !socket.destroyed && socket.writable)
        socket.end('HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      else socket.destroy();
      other.destroy();
    };
    const timer = setTimeout(end, CONNECT_MS);
    for (const side of [socket, other]) {
      side.on('error', end);
      side.on('close', end);
    }
    other.once(new URL(target.server).protocol === 'https:' ? 'secureConnect' : 'connect', () => {
      connected = true;
      clearTimeout(timer);
      other.write(Buffer.concat([Buffer.from(headOf(request, target.server), 'latin1'), head]));
      socket.pipe(other).pipe(socket);
    });
  };

interface App {
  fetch(request: Request): Promise<Response>;
}

/** An app whose requests for nodes go to a gateway, over `send`; all others go to `app`. */
export const withGateway = (
  app: App,
  { server }: GatewayTarget,
  send: (request: Request) => Promise<Response>,
): App => {
  const gateway = createFront({ server, fetch: send });
  return {
    fetch: (request) => (reachesNode(new URL(request.url).pathname) ? gateway.fetch(request) : app.fetch(request)),
  };
};
