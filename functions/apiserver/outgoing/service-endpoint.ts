import type { Duplex } from 'node:stream';
import type { Server } from '../context.ts';
import { proxyTarget } from '../subresources/proxy-target.ts';

/** A Service as webhooks and APIServices name it; the port is 443 where absent. */
export interface ServiceReference {
  namespace: string;
  name: string;
  port?: number;
}

/**
 * A connection to a ready pod behind a service, through the node that runs it. Throws a 404 Status where there is no such
 * service, and a 503 one where it has no such port, no ready endpoint, or none that answers.
 */
export const dialService = async (
  server: Server,
  cluster: string,
  { namespace, name, port = 443 }: ServiceReference,
): Promise<Duplex> => {
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
