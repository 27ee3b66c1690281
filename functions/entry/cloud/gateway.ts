import { isIP } from 'node:net';
import { createTunnel } from '../../apiserver/tunnel.ts';
import { createUpgrades } from '../../apiserver/upgrade.ts';
import { withWebSocketReads } from '../../apiserver/websocket-reads.ts';
import type { Clock } from '../../clock/clock.ts';
import type { Store } from '../../store/store.ts';
import { issueServing } from '../issue.ts';
import { createListener } from '../server.ts';
import { loadAuthority } from './authority.ts';
import { type CloudPlaneOptions, createCloudPlane } from './plane.ts';
import { joinable } from './trust.ts';

export interface GatewayOptions extends Pick<CloudPlaneOptions, 'configured' | 'fresh' | 'kms'> {
  /** The store of the deployment; closed with the gateway. */
  store: Store;
  clock: Clock;
  host: string;
  /** 0: chosen by the system. */
  port: number;
  /** DNS names and addresses by which agents and clients reach the gateway, beside localhost. */
  names: readonly string[];
  /** PEM of the gateway's own certificate and key; issued by the deployment's authority where absent. */
  certificate?: { cert: string; key: string };
  log(line: string): void;
}

export interface Gateway {
  port: number;
  /** PEM of the authority that vouches for the certificate, where the gateway issued it. */
  caCert: string;
  close(): Promise<void>;
}

const LOOPBACK = ['127.0.0.1', '::1'];

/**
 * The part of the control plane that functions cannot play: a long-lived process over the deployment's own table, to
 * which agents keep their tunnels open, so that exec, attach, port-forward, logs and proxies reach nodes behind NAT. It
 * serves the whole API, with the same credentials and rules. Nothing is kept in it: when it is replaced, agents connect
 * anew. Rejects with EADDRINUSE and the like.
 */
export const startGateway = async (options: GatewayOptions): Promise<Gateway> => {
  const { store, clock, log, names, configured, fresh, kms } = options;
  const closing = { begun: false };
  const tunnel = createTunnel();
  const plane = await createCloudPlane({
    store,
    clock,
    log: (line) => {
      if (!closing.begun) log(line);
    },
    dialer: tunnel,
    closing: () => closing.begun,
    ...(configured && { configured }),
    ...(fresh && { fresh }),
    ...(kms && { kms }),
  });
  const authority = await loadAuthority(store);
  const issue = () =>
    issueServing(
      authority,
      ['localhost', ...names.filter((name) => isIP(name) === 0)],
      [...LOOPBACK, ...names.filter((name) => isIP(name) !== 0)],
    );
  const upgrades = createUpgrades(plane.api.server, tunnel);
  const upgrade: typeof upgrades.handle = async (...upgrading) => {
    await fresh?.();
    return upgrades.handle(...upgrading);
  };
  const end = async (): Promise<void> => {
    await plane.replicas.close();
    await store.close();
  };
  const listener = await createListener({
    app: joinable(plane, ''),
    tls: { ...(options.certificate ?? (await issue())), clientCa: authority.caCert },
    host: options.host,
    port: options.port,
    onUpgrade: withWebSocketReads(plane.api.fetch, upgrade),
  }).catch(async (error) => {
    await end();
    throw error;
  });
  return {
    port: listener.port,
    caCert: authority.caCert,
    close: async () => {
      closing.begun = true;
      tunnel.close();
      await listener.close();
      await end();
    },
  };
};
