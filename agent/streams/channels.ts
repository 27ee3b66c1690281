import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';

/** The subprotocols of exec, attach and port-forward over WebSocket: v1 is what clients before v4 speak, and by no name. */
const PROTOCOLS: Record<string, { version: 1 | 4 | 5; base64: boolean }> = {
  'v5.channel.k8s.io': { version: 5, base64: false },
  'v4.channel.k8s.io': { version: 4, base64: false },
  'v4.base64.channel.k8s.io': { version: 4, base64: true },
  'channel.k8s.io': { version: 1, base64: false },
  'base64.channel.k8s.io': { version: 1, base64: true },
};
const DIGIT_0 = 48;

const server = new WebSocketServer({
  noServer: true,
  handleProtocols: (offered) =>
    Object.keys(PROTOCOLS).find((p) => offered.has(p)) ??
    ['v2.portforward.k8s.io', 'portforward.k8s.io'].find((p) => offered.has(p)) ??
    false,
});

/** Completes the upgrade. */
export const acceptWebSocket = (req: IncomingMessage, socket: Duplex, head: Buffer): Promise<WebSocket> =>
  new Promise((resolve) => server.handleUpgrade(req, socket, head, (ws) => resolve(ws)));

/** Numbered channels on one WebSocket, whatever its subprotocol writes them as. */
export interface Channels {
  version: 1 | 4 | 5;
  /** Calls back when the message is on its way; at once when the socket is closed. */
  send(channel: number, data: Uint8Array, done?: () => void): void;
  onMessage(take: (channel: number, body: Buffer) => void): void;
}

/** The channel is the first byte of a message; in base64 a digit before text, which fits ten channels. */
export const channelsOf = (ws: WebSocket): Channels => {
  const { version, base64 } = PROTOCOLS[ws.protocol] ?? { version: 1, base64: false };
  const messageOf = (channel: number, data: Uint8Array): Buffer | string =>
    base64 ? `${channel}${Buffer.from(data).toString('base64')}` : Buffer.concat([Buffer.from([channel]), data]);
  return {
    version,
    send(channel, data, done = () => {}) {
      if (ws.readyState !== ws.OPEN) done();
      else ws.send(messageOf(channel, data), () => done());
    },
    onMessage(take) {
      ws.on('message', (data: Buffer) => {
        const [first] = data;
        if (first === undefined) return;
        const body = data.subarray(1);
        if (base64) take(first - DIGIT_0, Buffer.from(body.toString('latin1'), 'base64'));
        else take(first, body);
      });
    },
  };
};
