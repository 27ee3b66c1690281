import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Service } from '../../machinery/kinds.d.ts';
import { notFound, serviceUnavailable } from '../../machinery/status.ts';
import { decode } from '../../store/decoded.ts';
import type { Server } from '../context.ts';
import { proxyTarget } from '../subresources/proxy-target.ts';
import { checkHost, lookupFor } from './addresses.ts';
import { faultText } from './faults.ts';

/** A Service as webhooks and APIServices name it; the port is 443 where absent. */
export interface ServiceReference {
  namespace: string;
  name: string;
  port?: number;
}

const dialMs = 30_000;

/** A service that stands for a name outside the cluster is reached from here. */
const dialExternal = (cluster: string, host: string, port: number): Promise<Duplex> =>
  new Promise((resolve, reject) => {
    checkHost(cluster, host);
    const socket = connect({ host, port, timeout: dialMs, lookup: lookupFor(cluster) });
    const refuse = (error: Error) => {
      socket.destroy();
      reject(serviceUnavailable(faultText(error)));
    };
    socket.once('error', refuse);
    socket.once('timeout', () => refuse(new Error(`dial tcp ${host}:${port}: i/o timeout`)));
    socket.once('connect', () => {
      socket.removeListener('error', refuse);
      socket.setTimeout(0);
      resolve(socket);
    });
  });

/**
 * A connection to a ready pod behind a service, through the node that runs it, or to an ExternalName. Throws a 404 Status
 * where there is no such service, and a 503 one where it has no such port, no ready endpoint, or none that answers.
 */
export const dialService = async (
  server: Server,
  cluster: string,
  { namespace, name, port = 443 }: ServiceReference,
): Promise<Duplex> => {
  const stored = await server.store.get({ cluster, group: '', resource: 'services' }, `${namespace}/${name}`);
  if (!stored) throw notFound({ group: '', kind: 'services', name });
  const { spec } = decode(stored) as Service;
  if (spec?.type === 'ExternalName') return dialExternal(cluster, spec.externalName ?? '', port);
  const target = await proxyTarget(server, {
    cluster,
    method: 'POST',
    path: '',
    query: new URLSearchParams(),
    isResource: true,
    verb: 'create',
    group: '',
    version: 'v1',
    namespace,
    resource: 'services',
    subresource: 'proxy',
    name: `${name}:${port}`,
    rest: '',
  });
  return target.connect();
};
