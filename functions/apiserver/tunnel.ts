import { randomUUID } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { serviceUnavailable } from '../machinery/status.ts';
import type { NodeDialer } from './streams.ts';

/**
 * The server half of the node tunnel (the agent's half is agent/tunnel.ts). An agent dials out and keeps one control
 * connection, `GET /skiff/v1/nodes/{name}/tunnel` upgraded to `skiff-tunnel`; for every connection that the apiserver
 * wants, one line `{"id":"..."}` goes down it, and the agent dials `GET /skiff/v1/tunnels/{id}` (upgraded too), whose
 * socket becomes the raw connection. `{}` lines are heartbeats; the agent echoes them.
 */
export interface Tunnel extends NodeDialer {
  /**
   * Takes an authenticated upgrade request. Returns false when the path is not the tunnel's (the socket is untouched);
   * otherwise it owns the socket, and answers 403 where the caller may not serve that node, 404 for an unknown id.
   */
  handleUpgrade(caller: TunnelCaller, socket: Duplex, head: Buffer): boolean;
  /** Whether the node's agent is connected. */
  connected(cluster: string, node: string): boolean;
  close(): void;
}

export interface TunnelCaller {
  cluster: string;
  /** Below the cluster's prefix, without the query: `/skiff/v1/nodes/worker-1/tunnel`. */
  path: string;
  /** Authorization: may this user act as that node? */
  mayServe(node: string): boolean;
}

export interface TunnelOptions {
  dialTimeoutMs?: number;
  heartbeatMs?: number;
}

interface Waiting {
  cluster: string;
  node: string;
  resolve(socket: Duplex): void;
  fail(error: Error): void;
}
interface Control {
  socket: Duplex;
  heardAt: number;
}

const switching = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: skiff-tunnel\r\n\r\n';
const refuse = (socket: Duplex, status: string): void => {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
};

/** Tunnels of every cluster that this process serves; the state is in memory, since connections are. */
export const createTunnel = (options: TunnelOptions = {}): Tunnel => {
  const { dialTimeoutMs = 10_000, heartbeatMs = 20_000 } = options;
  const controls = new Map<string, Control>();
  const waiting = new Map<string, Waiting>();
  const keyOf = (cluster: string, node: string) => `${cluster}/${node}`;

  const takeControl = (key: string, socket: Duplex): void => {
    controls.get(key)?.socket.destroy();
    const control: Control = { socket, heardAt: Date.now() };
    controls.set(key, control);
    const beat = setInterval(() => {
      if (Date.now() - control.heardAt > heartbeatMs * 3) socket.destroy();
      else socket.write('{}\n');
    }, heartbeatMs);
    socket.on('data', () => {
      control.heardAt = Date.now();
    });
    socket.on('error', () => socket.destroy());
    socket.on('end', () => socket.destroy());
    socket.on('close', () => {
      clearInterval(beat);
      if (controls.get(key) === control) controls.delete(key);
    });
    socket.write(switching);
  };

  const takeConnection = (caller: TunnelCaller, id: string, socket: Duplex, head: Buffer): void => {
    const wanted = waiting.get(id);
    if (!wanted || wanted.cluster !== caller.cluster) {
      refuse(socket, '404 Not Found');
      return;
    }
    if (!caller.mayServe(wanted.node)) {
      refuse(socket, '403 Forbidden');
      return;
    }
    waiting.delete(id);
    socket.write(switching);
    if (head.length) socket.unshift(head);
    wanted.resolve(socket);
  };

  return {
    handleUpgrade(caller, socket, head) {
      const control = /^\/skiff\/v1\/nodes\/([^/]+)\/tunnel$/.exec(caller.path)?.[1];
      const id = /^\/skiff\/v1\/tunnels\/([^/]+)$/.exec(caller.path)?.[1];
      if (control !== undefined) {
        if (caller.mayServe(control)) takeControl(keyOf(caller.cluster, control), socket);
        else refuse(socket, '403 Forbidden');
        return true;
      }
      if (id === undefined) return false;
      takeConnection(caller, id, socket, head);
      return true;
    },
    connected: (cluster, node) => controls.has(keyOf(cluster, node)),
    dial(cluster, node) {
      const control = controls.get(keyOf(cluster, node));
      if (!control) return Promise.reject(serviceUnavailable(`no agent of node ${node} is connected`));
      const id = randomUUID();
      return new Promise<Duplex>((resolve, reject) => {
        const timer = setTimeout(() => {
          waiting.delete(id);
          reject(serviceUnavailable(`the agent of node ${node} did not answer in ${dialTimeoutMs} ms`));
        }, dialTimeoutMs);
        const settle = <T>(then: (value: T) => void) => {
          return (value: T) => {
            clearTimeout(timer);
            then(value);
          };
        };
        waiting.set(id, { cluster, node, resolve: settle(resolve), fail: settle(reject) });
        control.socket.write(`${JSON.stringify({ id })}\n`);
      });
    },
    close() {
      for (const control of controls.values()) control.socket.destroy();
      for (const wanted of waiting.values()) wanted.fail(serviceUnavailable('the server is stopping'));
      waiting.clear();
    },
  };
};
