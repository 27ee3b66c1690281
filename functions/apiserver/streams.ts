import type { Duplex, Readable } from 'node:stream';

/**
 * How the apiserver reaches a node's agent: a raw connection on which the agent's HTTP/1.1 server (the kubelet API:
 * /containerLogs, /exec, /attach, /portForward, /metrics) answers. Adapter: tunnel.ts, where the agent dials out and the
 * server hands it connections back, so that a node behind NAT is reached the same way.
 */
export interface NodeDialer {
  /** Throws StatusError 503 when the node has no agent connected. */
  dial(cluster: string, node: string): Promise<Duplex>;
}

/** What a listener knows of a request that is passed on as it is. */
export interface PassedOn {
  /** The body, not read by anybody yet; undefined when there is none. */
  body: Readable | undefined;
  /** As the client wrote it: Host, or HTTP/2's `:authority`. */
  host: string | undefined;
  remoteAddress: string | undefined;
}

const PROXIED = /^[^?]*\/(?:pods|services|nodes)\/[^/?]+\/proxy(?:[/?]|$)/;
const passedOn = new WeakMap<Request, PassedOn>();

/** True for the paths whose requests are passed on: their bodies may be larger than any object, and are not collected. */
export const isPassedOn = (path: string): boolean => path.includes('/proxy') && PROXIED.test(path);

/** Called by a listener, once, for a request that `isPassedOn`. */
export const passOn = (request: Request, what: PassedOn): void => {
  passedOn.set(request, what);
};

/** What the listener told of a request; undefined for one made in process. */
export const passedOnOf = (request: Request): PassedOn | undefined => passedOn.get(request);
