import type { Duplex } from 'node:stream';

/**
 * How the apiserver reaches a node's agent: a raw connection on which the agent's HTTP/1.1 server (the kubelet API:
 * /containerLogs, /exec, /attach, /portForward, /metrics) answers. Adapter: tunnel.ts, where the agent dials out and the
 * server hands it connections back, so that a node behind NAT is reached the same way.
 */
export interface NodeDialer {
  /** Throws StatusError 503 when the node has no agent connected. */
  dial(cluster: string, node: string): Promise<Duplex>;
}
