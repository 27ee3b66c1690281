import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { join } from '../network/relay.ts';
import { KubeletError, type ServerOptions } from './server.ts';

const CONNECT_MS = 10_000;
const ACCEPTED = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n';

/** A TCP connection from inside the node's network. */
export const dialTcp = (host: string, port: number): Promise<Duplex> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host, port, allowHalfOpen: true });
    const timer = setTimeout(() => socket.destroy(new Error(`dial tcp ${host}:${port}: i/o timeout`)), CONNECT_MS);
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.removeListener('error', reject);
      resolve(socket);
    });
    socket.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
  });

/** Addresses of this node's pods, and its own: nothing else is dialled, whatever the status of a pod says elsewhere. */
const isOurs = (options: ServerOptions, host: string): boolean =>
  (options.addresses?.() ?? []).includes(host) ||
  options.pods
    .all()
    .some(
      (pod) =>
        pod.status?.podIPs?.some((one) => one.ip === host) ||
        options.sandboxes(pod.metadata.uid ?? '').some((sandbox) => sandbox.ips.includes(host)),
    );

/**
 * `GET /dial/{ip}/{port}` upgraded to `tcp`: the connection becomes one to a port of a pod on this node or of the node
 * itself. How the apiserver's proxy reaches pods, whose network it is not in. Throws KubeletError 403 for another
 * address, 502 where nothing answers.
 */
export const handleDial = async (
  options: ServerOptions,
  parts: readonly string[],
  socket: Duplex,
  head: Buffer,
): Promise<void> => {
  const [host = '', text = ''] = parts;
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new KubeletError(400, `invalid port ${text}`);
  if (!isOurs(options, host)) throw new KubeletError(403, `${host} is no address of this node or its pods`);
  const dial = options.dial ?? dialTcp;
  const target = await dial(host, port).catch((error: Error) => {
    throw new KubeletError(502, `dial tcp ${host}:${port}: ${error.message}`);
  });
  if (socket.destroyed) {
    target.destroy();
    return;
  }
  socket.write(ACCEPTED);
  if (head.length) target.write(head);
  join(socket, target);
};
