import type { Answer, Question } from 'dns-packet';
import type { EndpointSlice, Service } from '../../functions/machinery/kinds.d.ts';

/**
 * What the cluster's DNS answers, from services and endpoint slices. Pure. Source: "Kubernetes DNS-Based Service
 * Discovery" specification 1.1.0, and CoreDNS' `pods insecure` for pod names.
 */
export interface Zone {
  services: ReadonlyMap<string, Service>;
  /** By `namespace/service`. */
  slices: ReadonlyMap<string, readonly EndpointSlice[]>;
  domain: string;
}

export type Lookup =
  | { type: 'answers'; answers: Answer[]; additionals: Answer[] }
  /** The name exists, but has no record of this type. */
  | { type: 'empty' }
  | { type: 'missing' }
  /** Not a name of the cluster's: ask elsewhere. */
  | { type: 'foreign' };

export const TTL_SECONDS = 5;
const a = (name: string, data: string): Answer => ({ type: 'A', name, ttl: TTL_SECONDS, data });
const found = (answers: Answer[], additionals: Answer[] = []): Lookup =>
  answers.length > 0 ? { type: 'answers', answers, additionals } : { type: 'empty' };

interface Address {
  ip: string;
  /** The endpoint's hostname, or its address with dashes. */
  host: string;
}

const addressesOf = (zone: Zone, key: string, service: Service): Address[] => {
  const all = service.spec?.publishNotReadyAddresses === true;
  const seen = new Map<string, Address>();
  for (const slice of zone.slices.get(key) ?? []) {
    if (slice.addressType !== 'IPv4') continue;
    for (const e of slice.endpoints ?? []) {
      if (!all && e.conditions?.ready === false) continue;
      for (const ip of e.addresses) seen.set(ip, { ip, host: e.hostname || ip.replaceAll('.', '-') });
    }
  }
  return [...seen.values()].sort((x, y) => (x.ip < y.ip ? -1 : 1));
};

const isHeadless = (service: Service): boolean => service.spec?.clusterIP === 'None';

/** `_port._proto.svc.ns.svc.domain`: a record per matching port, and per endpoint where the service is headless. */
const serviceRecords = (
  zone: Zone,
  key: string,
  service: Service,
  full: string,
  port: string,
  proto: string,
): Lookup => {
  const [namespace, name] = key.split('/');
  const base = `${name}.${namespace}.svc.${zone.domain}`;
  const srv = (target: string, number: number): Answer => ({
    type: 'SRV',
    name: full,
    ttl: TTL_SECONDS,
    data: { priority: 0, weight: 100, port: number, target },
  });
  const wanted = (p: { name?: string; protocol?: string }): boolean =>
    (p.name ?? '').toLowerCase() === port && (p.protocol ?? 'TCP').toLowerCase() === proto;
  if (!isHeadless(service)) {
    const ports = (service.spec?.ports ?? []).filter(wanted);
    const ip = service.spec?.clusterIP ?? '';
    return ports.length > 0
      ? found(
          ports.map((p) => srv(base, p.port)),
          [a(base, ip)],
        )
      : { type: 'missing' };
  }
  const addresses = addressesOf(zone, key, service);
  const ports = (zone.slices.get(key) ?? []).flatMap((s) => s.ports ?? []).filter(wanted);
  const number = ports[0]?.port;
  if (number === undefined) return { type: 'missing' };
  const hosts = addresses.map((e) => ({ ...e, target: `${e.host}.${base}` }));
  return found(
    hosts.map((h) => srv(h.target, number)),
    hosts.map((h) => a(h.target, h.ip)),
  );
};

const serviceLookup = (zone: Zone, labels: string[], full: string, type: string): Lookup => {
  const [namespace = '', name = ''] = [labels.at(-1), labels.at(-2)];
  const key = `${namespace}/${name}`;
  const service = zone.services.get(key);
  if (labels.length < 2) return namespaceExists(zone, namespace) ? { type: 'empty' } : { type: 'missing' };
  if (!service) return { type: 'missing' };
  const rest = labels.slice(0, -2);
  if (rest.length === 0) {
    if (service.spec?.type === 'ExternalName') {
      const target = service.spec.externalName ?? '';
      return found([{ type: 'CNAME', name: full, ttl: TTL_SECONDS, data: target }]);
    }
    if (type !== 'A' && type !== 'ANY') return { type: 'empty' };
    if (isHeadless(service)) {
      const addresses = addressesOf(zone, key, service);
      return addresses.length > 0 ? found(addresses.map((e) => a(full, e.ip))) : { type: 'missing' };
    }
    return found([a(full, service.spec?.clusterIP ?? '')]);
  }
  if (rest.length === 2 && rest[0]?.startsWith('_') && rest[1]?.startsWith('_')) {
    const records = serviceRecords(zone, key, service, full, rest[0].slice(1), rest[1].slice(1));
    return records.type === 'answers' && type !== 'SRV' && type !== 'ANY' ? { type: 'empty' } : records;
  }
  if (rest.length !== 1) return { type: 'missing' };
  const hosts = addressesOf(zone, key, service).filter((e) => e.host === rest[0]);
  if (hosts.length === 0) return { type: 'missing' };
  return type === 'A' || type === 'ANY' ? found(hosts.map((e) => a(full, e.ip))) : { type: 'empty' };
};

const namespaceExists = (zone: Zone, namespace: string): boolean =>
  [...zone.services.keys()].some((key) => key.startsWith(`${namespace}/`));

/** `10-244-0-5.ns.pod.domain` -> 10.244.0.5: the name says its own address. */
const podLookup = (labels: string[], full: string, type: string): Lookup => {
  const ip = labels.length === 2 ? (labels[0] ?? '').replaceAll('-', '.') : '';
  const octets = ip.split('.');
  const valid = octets.length === 4 && octets.every((o) => /^\d{1,3}$/.test(o) && Number(o) < 256);
  if (!valid) return { type: 'missing' };
  return type === 'A' || type === 'ANY' ? found([a(full, ip)]) : { type: 'empty' };
};

/** PTR: the service with this cluster IP, or the endpoint's own name. */
const reverse = (zone: Zone, name: string, type: string): Lookup => {
  const ip = name.slice(0, -'.in-addr.arpa'.length).split('.').reverse().join('.');
  const ptr = (data: string): Lookup => found([{ type: 'PTR', name, ttl: TTL_SECONDS, data }]);
  for (const [key, service] of zone.services) {
    const [namespace, serviceName] = key.split('/');
    const base = `${serviceName}.${namespace}.svc.${zone.domain}`;
    if (service.spec?.clusterIP === ip) return type === 'PTR' ? ptr(base) : { type: 'empty' };
    if (!isHeadless(service)) continue;
    const host = addressesOf(zone, key, service).find((e) => e.ip === ip);
    if (host) return type === 'PTR' ? ptr(`${host.host}.${base}`) : { type: 'empty' };
  }
  return { type: 'foreign' };
};

/** Answers one question; names are matched without regard to case. */
export const lookup = (zone: Zone, question: Pick<Question, 'name' | 'type'>): Lookup => {
  const full = question.name.replace(/\.$/, '').toLowerCase();
  if (full.endsWith('.in-addr.arpa')) return reverse(zone, full, question.type);
  if (full === zone.domain) return { type: 'empty' };
  if (!full.endsWith(`.${zone.domain}`)) return { type: 'foreign' };
  const labels = full.slice(0, -zone.domain.length - 1).split('.');
  const kind = labels.pop();
  if (kind === 'svc') return labels.length === 0 ? { type: 'empty' } : serviceLookup(zone, labels, full, question.type);
  if (kind === 'pod') return labels.length === 0 ? { type: 'empty' } : podLookup(labels, full, question.type);
  return { type: 'missing' };
};
