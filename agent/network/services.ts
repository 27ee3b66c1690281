import { createHash } from 'node:crypto';
import type { EndpointSlice, Service } from '../../functions/machinery/kinds.d.ts';

const SERVICE_LABEL = 'kubernetes.io/service-name';

export const slicesByService = (slices: Iterable<EndpointSlice>): Map<string, EndpointSlice[]> => {
  const map = new Map<string, EndpointSlice[]>();
  for (const slice of slices) {
    const key = `${slice.metadata.namespace}/${slice.metadata.labels?.[SERVICE_LABEL]}`;
    map.set(key, [...(map.get(key) ?? []), slice]);
  }
  return map;
};

export interface Target {
  ip: string;
  port: number;
}

/** One port of one service as the proxy of one node sees it. */
export interface ServiceRule {
  /** Names its chains: a stable hash of namespace, name, port name and protocol. */
  id: string;
  /** `namespace/name:port`, for people who read the rules. */
  label: string;
  protocol: 'tcp' | 'udp' | 'sctp';
  port: number;
  /** Cluster IPs and, with the same port, external and load balancer addresses. IPv4. */
  ips: string[];
  nodePort: number;
  /** Where cluster-internal traffic goes (internalTrafficPolicy applied). */
  internal: Target[];
  /** Where traffic from outside goes (externalTrafficPolicy applied). */
  external: Target[];
  /** 0 without ClientIP affinity. */
  affinitySeconds: number;
  /** Traffic from outside keeps its source address (externalTrafficPolicy Local). */
  preserveSource: boolean;
}

const hash = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 12);
const isIpv4 = (ip: string): boolean => /^\d+\.\d+\.\d+\.\d+$/.test(ip);
const byAddress = (a: Target, b: Target): number => (a.ip < b.ip ? -1 : a.ip > b.ip ? 1 : a.port - b.port);

interface Endpoint extends Target {
  local: boolean;
  ready: boolean;
  /** Serving while it terminates: used when nothing is ready (KEP-1669). */
  serving: boolean;
}

const endpointsOf = (
  slices: readonly EndpointSlice[],
  portName: string,
  protocol: string,
  node: string,
): Endpoint[] => {
  const found = new Map<string, Endpoint>();
  for (const slice of slices) {
    if (slice.addressType !== 'IPv4') continue;
    const port = slice.ports?.find((p) => (p.name ?? '') === portName && (p.protocol ?? 'TCP') === protocol)?.port;
    if (port === undefined) continue;
    for (const e of slice.endpoints ?? []) {
      const ip = e.addresses[0];
      if (!ip) continue;
      const ready = e.conditions?.ready !== false;
      const serving = e.conditions?.serving ?? ready;
      found.set(`${ip}:${port}`, { ip, port, local: e.nodeName === node, ready, serving });
    }
  }
  return [...found.values()];
};

const usable = (endpoints: Endpoint[]): Target[] => {
  const ready = endpoints.filter((e) => e.ready);
  const chosen = ready.length > 0 ? ready : endpoints.filter((e) => e.serving);
  return chosen.map(({ ip, port }) => ({ ip, port })).sort(byAddress);
};

const addressesOf = (service: Service, own: ReadonlySet<string>): string[] => {
  const spec = service.spec ?? {};
  const balancer = (service.status?.loadBalancer?.ingress ?? []).flatMap((i) => i.ip ?? []);
  const all = [...(spec.clusterIPs ?? [spec.clusterIP ?? '']), ...(spec.externalIPs ?? []), ...balancer];
  return all.filter((ip) => isIpv4(ip) && !own.has(ip));
};

/**
 * The rules of one node. `slices` by `namespace/service`. Addresses in `own` are answered by the node itself (cluster DNS,
 * the apiserver's relay) and get no rule. Source: "Virtual IPs and Service Proxies" of the Kubernetes documentation.
 */
export const rulesOf = (
  services: Iterable<Service>,
  slices: ReadonlyMap<string, readonly EndpointSlice[]>,
  node: string,
  own: ReadonlySet<string>,
): ServiceRule[] => {
  const rules: ServiceRule[] = [];
  for (const service of services) {
    const spec = service.spec;
    const key = `${service.metadata.namespace}/${service.metadata.name}`;
    if (!spec || spec.type === 'ExternalName' || spec.clusterIP === 'None' || !spec.clusterIP) continue;
    const ips = addressesOf(service, own);
    for (const p of spec.ports ?? []) {
      const protocol = p.protocol ?? 'TCP';
      const endpoints = endpointsOf(slices.get(key) ?? [], p.name ?? '', protocol, node);
      const local = endpoints.filter((e) => e.local);
      if (ips.length === 0 && !p.nodePort) continue;
      rules.push({
        id: hash(`${key}:${p.name ?? ''}/${protocol}`),
        label: `${key}:${p.name || p.port}`,
        protocol: protocol.toLowerCase() as ServiceRule['protocol'],
        port: p.port,
        ips,
        nodePort: p.nodePort ?? 0,
        internal: usable(spec.internalTrafficPolicy === 'Local' ? local : endpoints),
        external: usable(spec.externalTrafficPolicy === 'Local' ? local : endpoints),
        affinitySeconds:
          spec.sessionAffinity === 'ClientIP' ? (spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? 10_800) : 0,
        preserveSource: spec.externalTrafficPolicy === 'Local',
      });
    }
  }
  return rules.sort((a, b) => (a.id < b.id ? -1 : 1));
};
