import { BlockList, isIP, isIPv6 } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import type { EndpointSlice, Node, Pod, Service } from '../../machinery/kinds.d.ts';
import type { KubeObject } from '../../machinery/object.ts';
import { badRequest, notFound, serviceUnavailable } from '../../machinery/status.ts';
import type { Server } from '../context.ts';
import type { RequestInfo } from '../request-info.ts';
import { parseStored } from '../stored-object.ts';
import { dialAddress, dialNode } from './node-request.ts';

/** Where a proxied request goes. */
export interface ProxyTarget {
  /** `host:port` as it stands in addresses of the backend's own. */
  host: string;
  /** A connection for one request, with TLS where the name began with `https:`. Throws a 503 Status. */
  connect(): Promise<Duplex>;
}

const KUBELET_PORT = '10250';

interface Parts {
  scheme: string;
  name: string;
  port: string;
}

/** `name`, `name:port` or `scheme:name:port`; undefined where it is none of these. */
export const splitName = (id: string): Parts | undefined => {
  const parts = id.split(':');
  const [scheme = '', name = '', port = ''] =
    parts.length === 3 ? parts : parts.length < 3 ? ['', ...parts] : ['', '', ''];
  return name && ['', 'http', 'https'].includes(scheme) ? { scheme, name, port } : undefined;
};

const special = new BlockList();
for (const [net, prefix] of [
  ['0.0.0.0', 8],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['224.0.0.0', 3],
] as const) {
  special.addSubnet(net, prefix, 'ipv4');
}
for (const [net, prefix] of [
  ['::', 96],
  ['fe80::', 10],
  ['ff00::', 8],
] as const) {
  special.addSubnet(net, prefix, 'ipv6');
}

/** What may be dialled at all: no loopback, link-local, multicast or unspecified address, however it is written. */
export const isGlobalUnicast = (ip: string): boolean => {
  const family = isIP(ip);
  return family !== 0 && !special.check(ip, family === 6 ? 'ipv6' : 'ipv4');
};

const joinHostPort = (ip: string, port: string | number): string => `${isIPv6(ip) ? `[${ip}]` : ip}:${port}`;

const secured = (connection: Duplex): Promise<Duplex> =>
  new Promise((resolve, reject) => {
    // Pods' certificates are their own affair, as upstream's proxy has it.
    const tls = connectTls({ socket: connection, rejectUnauthorized: false });
    tls.once('secureConnect', () => {
      tls.removeListener('error', reject);
      resolve(tls);
    });
    tls.once('error', reject);
  });

interface Place {
  cluster: string;
  node: string;
  ip: string;
  port: string;
  scheme: string;
}

const targetAt = (server: Server, { cluster, node, ip, port, scheme }: Place): ProxyTarget => ({
  host: joinHostPort(ip, port),
  connect: async () => {
    try {
      const raw = await dialAddress(server, cluster, node, ip, port);
      return scheme === 'https' ? await secured(raw) : raw;
    } catch (error) {
      throw serviceUnavailable(`error trying to reach service: ${error instanceof Error ? error.message : error}`);
    }
  },
});

const read = async <T>(server: Server, info: RequestInfo, resource: string, name: string): Promise<T> => {
  const domain = { cluster: info.cluster, group: '', resource };
  const stored = await server.store.get(domain, info.namespace ? `${info.namespace}/${name}` : name);
  const found = server.registry.find(info.cluster, '', 'v1', resource);
  if (!stored || !found) throw notFound({ group: '', kind: resource, name });
  return parseStored(found, stored.bytes) as KubeObject as T;
};

const podTarget = async (server: Server, info: RequestInfo): Promise<ProxyTarget> => {
  const parts = splitName(info.name);
  if (!parts) throw badRequest(`invalid pod request ${JSON.stringify(info.name)}`);
  const pod = await read<Pod>(server, info, 'pods', parts.name);
  const declared = pod.spec?.containers.find((c) => c.ports?.length)?.ports?.[0]?.containerPort;
  const fallback = parts.scheme === 'https' ? 443 : 80;
  const ip = pod.status?.podIPs?.[0]?.ip ?? '';
  if (!isGlobalUnicast(ip)) throw badRequest('address not allowed');
  const port = parts.port || String(declared ?? fallback);
  return targetAt(server, { cluster: info.cluster, node: pod.spec?.nodeName ?? '', ip, port, scheme: parts.scheme });
};

const slicesOf = async (server: Server, info: RequestInfo, service: string): Promise<EndpointSlice[]> => {
  const domain = { cluster: info.cluster, group: 'discovery.k8s.io', resource: 'endpointslices' };
  const replica = await server.replicas.of(domain);
  await replica.fresh();
  const { namespace } = info;
  const resource = server.registry.find(info.cluster, domain.group, 'v1', domain.resource);
  if (!resource) return [];
  return replica
    .list({ namespace, matches: (_key, index) => index.labels['kubernetes.io/service-name'] === service })
    .map((stored) => parseStored(resource, stored.bytes) as KubeObject as EndpointSlice);
};

/** Ready endpoints that serve the named port, in random order. */
const readyEndpoints = (slices: readonly EndpointSlice[], portName: string) => {
  const all = slices.flatMap((slice) => {
    const port = slice.ports?.find((p) => (p.name ?? '') === portName)?.port;
    if (port === undefined) return [];
    return (slice.endpoints ?? [])
      .filter((one) => one.conditions?.ready !== false && one.targetRef?.kind === 'Pod')
      .map((one) => ({ port: String(port), pod: one.targetRef?.name ?? '', addresses: one.addresses }));
  });
  return all.map((one) => ({ one, order: Math.random() })).sort((a, b) => a.order - b.order);
};

const serviceTarget = async (server: Server, info: RequestInfo): Promise<ProxyTarget> => {
  const parts = splitName(info.name);
  if (!parts) throw badRequest(`invalid service request ${JSON.stringify(info.name)}`);
  const { scheme, name } = parts;
  const service = await read<Service>(server, info, 'services', name);
  let portName = parts.port;
  if (/^[+-]?\d+$/.test(portName)) {
    const declared = service.spec?.ports?.find((p) => p.port === Number(portName));
    if (!declared) throw serviceUnavailable(`no service port ${Number(portName)} found for service "${name}"`);
    portName = declared.name ?? '';
  }
  for (const { one } of readyEndpoints(await slicesOf(server, info, name), portName)) {
    // An address counts only while it is a pod's, or whoever writes slices could reach anything.
    const pod = await read<Pod>(server, info, 'pods', one.pod).catch(() => undefined);
    const ip = pod?.status?.podIPs?.find((p) => one.addresses.includes(p.ip))?.ip;
    if (pod && ip && isGlobalUnicast(ip))
      return targetAt(server, { cluster: info.cluster, node: pod.spec?.nodeName ?? '', ip, port: one.port, scheme });
  }
  throw serviceUnavailable(`no endpoints available for service "${info.name}"`);
};

const nodeTarget = async (server: Server, info: RequestInfo): Promise<ProxyTarget> => {
  const parts = splitName(info.name);
  if (!parts) throw badRequest(`invalid node request ${JSON.stringify(info.name)}`);
  const { cluster } = info;
  const node = await read<Node>(server, { ...info, namespace: '' }, 'nodes', parts.name);
  const addresses = node.status?.addresses ?? [];
  const ip = (addresses.find((a) => a.type === 'InternalIP') ?? addresses[0])?.address ?? '';
  if (parts.port && parts.port !== KUBELET_PORT) {
    if (!isGlobalUnicast(ip)) throw badRequest('address not allowed');
    return targetAt(server, { cluster, node: parts.name, ip, port: parts.port, scheme: parts.scheme });
  }
  return {
    host: joinHostPort(ip || parts.name, KUBELET_PORT),
    connect: () => dialNode(server, cluster, parts.name),
  };
};

/** The backend that a proxy path names. Throws 400, 404 and 503 Statuses as upstream's ResourceLocation does. */
export const proxyTarget = (server: Server, info: RequestInfo): Promise<ProxyTarget> => {
  if (info.resource === 'nodes') return nodeTarget(server, info);
  return info.resource === 'services' ? serviceTarget(server, info) : podTarget(server, info);
};
