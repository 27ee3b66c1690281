/**
 * Cluster IPs and node ports of services. A number is given out by creating a reservation in a store domain of its own
 * (`skiff.dev/serviceips`, `skiff.dev/nodeports`, key = the address or port): of two processes that want the same one,
 * exactly one create succeeds. A verb calls
 *
 *   create: prepareForCreate, allocate, validate, store; `undo()` when anything after allocate fails
 *   update: prepareForUpdate, reallocate, validate, store; then `done()` (frees what is no longer used) or `undo()`
 *   delete: store, then release
 *
 * A process that dies between reserving and storing leaves a reservation without a service; `repair` frees those.
 * Services are single-stack IPv4 unless the ranges name an IPv6 one as well.
 */
import type { Service, ServiceSpec } from '../../machinery/kinds.d.ts';
import { keyOf } from '../../machinery/object.ts';
import { type Cause, cause } from '../../machinery/status.ts';
import type { Domain, Store } from '../../store/store.ts';
import { at } from './checks.ts';
import { addressNumber, canonicalAddress, familyOf, parseCidr } from './ip.ts';
import { initFamilies } from './service-families.ts';
import { hasNodePorts, needsClusterIP, needsHealthPort, needsNodePorts } from './service-needs.ts';

export interface ServiceRanges {
  /** CIDR of cluster IPs; its first and last address are never given out. */
  ipv4: string;
  /** First and last node port, inclusive. */
  nodePorts: readonly [number, number];
}
export const DEFAULT_RANGES: ServiceRanges = { ipv4: '10.96.0.0/16', nodePorts: [30000, 32767] };

/** What came of an allocation. Numbers are written into the service; refused ones are causes of an Invalid status. */
export type Allocation = { ok: true; undo(): Promise<void>; done(): Promise<void> } | { ok: false; causes: Cause[] };

export interface ServiceAllocator {
  allocate(cluster: string, service: Service, dryRun: boolean): Promise<Allocation>;
  reallocate(cluster: string, next: Service, old: Service, dryRun: boolean): Promise<Allocation>;
  release(cluster: string, service: Service): Promise<void>;
  /** Frees reservations whose service is gone, and reserves what stored services hold. Run it when a process starts. */
  repair(cluster: string): Promise<{ freed: number; restored: number }>;
}

export interface AllocatorOptions {
  store: Store;
  ranges?: ServiceRanges;
  /** 0 <= n < 1; tests replay with a seeded one. */
  random?: () => number;
}

type Pool = 'serviceips' | 'nodeports';
interface Held {
  pool: Pool;
  key: string;
}
interface Reservation {
  uid: string;
  service: string;
}
const ATTEMPTS = 64;
const encoder = new TextEncoder();
const decoder = new TextDecoder();
const NO_INDEX = { labels: {}, fields: {}, owners: [] };

const domainOf = (cluster: string, pool: Pool): Domain => ({ cluster, group: 'skiff.dev', resource: pool });
const parse = (bytes: Uint8Array): Reservation => JSON.parse(decoder.decode(bytes)) as Reservation;

const addressAt = (first: bigint, offset: number): string => {
  const value = Number(first) + offset;
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
};

/** The numbers a service holds: its cluster IPs, node ports and health check port. */
const heldBy = (service: Service): Held[] => {
  const { spec } = service;
  if (!spec) return [];
  const out: Held[] = [];
  if (needsClusterIP(spec)) {
    for (const ip of spec.clusterIPs ?? []) out.push({ pool: 'serviceips', key: canonicalAddress(ip) });
  }
  // One port may serve two protocols of the same service.
  const ports = new Set((spec.ports ?? []).map((port) => port.nodePort ?? 0));
  ports.add(spec.healthCheckNodePort ?? 0);
  for (const port of ports) if (port) out.push({ pool: 'nodeports', key: String(port) });
  return out;
};

/** Reservations made or found on behalf of one request. */
const createHold = (store: Store, cluster: string, service: Service, dryRun: boolean) => {
  const owner: Reservation = {
    uid: service.metadata.uid ?? '',
    service: keyOf(service.metadata.namespace, service.metadata.name ?? ''),
  };
  const taken: Held[] = [];
  const take = async (held: Held): Promise<boolean> => {
    const domain = domainOf(cluster, held.pool);
    if (dryRun) {
      const found = await store.get(domain, held.key);
      return !found || parse(found.bytes).uid === owner.uid;
    }
    const bytes = encoder.encode(JSON.stringify(owner));
    const [outcome] = await store.commit(domain, [
      { op: 'create', key: held.key, index: NO_INDEX, bytes: () => bytes },
    ]);
    if (outcome?.ok) {
      taken.push(held);
      return true;
    }
    if (outcome?.reason !== 'exists') throw new Error(`cannot reserve ${held.key}: ${outcome?.reason ?? 'no outcome'}`);
    const current = outcome.current ?? (await store.get(domain, held.key));
    return current !== undefined && parse(current.bytes).uid === owner.uid;
  };
  return { take, taken, owner, dryRun };
};
type Hold = ReturnType<typeof createHold>;

const free = async (store: Store, cluster: string, held: readonly Held[], uid: string): Promise<number> => {
  let freed = 0;
  for (const { pool, key } of held) {
    const domain = domainOf(cluster, pool);
    const found = await store.get(domain, key);
    if (!found || parse(found.bytes).uid !== uid) continue;
    const [outcome] = await store.commit(domain, [{ op: 'delete', key, expected: found.revision }]);
    if (outcome?.ok) freed++;
  }
  return freed;
};

/** Takes a free number of a range: at random first, then the first free one in order from a random start. */
const pick = async (
  hold: Hold,
  range: { pool: Pool; size: number; keyAt(i: number): string },
  random: () => number,
): Promise<string | undefined> => {
  for (let n = 0; n < Math.min(ATTEMPTS, range.size); n++) {
    const key = range.keyAt(Math.floor(random() * range.size));
    if (await hold.take({ pool: range.pool, key })) return key;
  }
  const start = Math.floor(random() * range.size);
  for (let n = 0; n < range.size; n++) {
    const key = range.keyAt((start + n) % range.size);
    if (await hold.take({ pool: range.pool, key })) return key;
  }
  return undefined;
};

const assignAddress = async (hold: Hold, spec: ServiceSpec, ranges: ServiceRanges, random: () => number) => {
  const path = 'spec.clusterIPs';
  const cidr = parseCidr(ranges.ipv4);
  if (!cidr) throw new Error(`not a CIDR: ${ranges.ipv4}`);
  const size = 2 ** (cidr.bits - cidr.prefix);
  const wanted = spec.clusterIPs?.[0];
  if (wanted === undefined) {
    const keyAt = (i: number) => addressAt(cidr.network, i + 1);
    const ip = await pick(hold, { pool: 'serviceips', size: size - 2, keyAt }, random);
    if (ip === undefined) return [cause.invalid(path, [], 'failed to allocate IP: range is full')];
    spec.clusterIP = ip;
    spec.clusterIPs = [ip];
    return [];
  }
  const address = addressNumber(wanted);
  if (!address) return [];
  const offset = address.value - cidr.network;
  const detail = (why: string) => [cause.invalid(path, spec.clusterIPs, `failed to allocate IP ${wanted}: ${why}`)];
  const outside = `the provided IP (${wanted}) is not in the valid range. The range of valid IPs is ${ranges.ipv4}`;
  if (familyOf(wanted) !== 'IPv4' || offset <= 0n || offset >= BigInt(size) - 1n) return detail(outside);
  const free = await hold.take({ pool: 'serviceips', key: canonicalAddress(wanted) });
  return free ? [] : detail('provided IP is already allocated');
};

const takePort = async (hold: Hold, path: string, port: number, ranges: ServiceRanges): Promise<Cause[]> => {
  const [first, last] = ranges.nodePorts;
  // A dry run sees whether the port is free, and not whether it is one of the range, as upstream.
  if (!hold.dryRun && (port < first || port > last)) {
    return [
      cause.invalid(
        path,
        port,
        `provided port is not in the valid range. The range of valid ports is ${first}-${last}`,
      ),
    ];
  }
  const free = await hold.take({ pool: 'nodeports', key: String(port) });
  return free ? [] : [cause.invalid(path, port, 'provided port is already allocated')];
};

const assignPorts = async (hold: Hold, spec: ServiceSpec, ranges: ServiceRanges, random: () => number) => {
  const [first, last] = ranges.nodePorts;
  const wanted = needsNodePorts(spec);
  const range = { pool: 'nodeports' as const, size: last - first + 1, keyAt: (i: number) => String(first + i) };
  const full = (path: string) => [cause.invalid(path, 0, 'failed to allocate a nodePort: range is full')];
  // Ports that differ only in protocol share a node port where they share the port.
  const used = new Map<number, string>();
  for (const [i, port] of (spec.ports ?? []).entries()) {
    const path = `${at('spec.ports', i)}.nodePort`;
    const protocol = port.protocol ?? 'TCP';
    if (port.nodePort) {
      if (used.has(port.nodePort)) {
        if (used.get(port.nodePort) === protocol)
          return [cause.invalid(path, port.nodePort, 'provided port is already allocated')];
        continue;
      }
      const refused = await takePort(hold, path, port.nodePort, ranges);
      if (refused.length > 0) return refused;
      used.set(port.nodePort, protocol);
      continue;
    }
    if (!wanted) continue;
    const twin = spec.ports?.find((p) => p.port === port.port && p.protocol !== port.protocol)?.nodePort;
    const key = twin ? String(twin) : await pick(hold, range, random);
    if (key === undefined) return full(path);
    port.nodePort = Number(key);
    used.set(port.nodePort, protocol);
  }
  return [];
};

/** Only a service that has none yet is given an address: another one may not be asked for. */
const wantsAddress = (spec: ServiceSpec, old: ServiceSpec | undefined): boolean =>
  needsClusterIP(spec) && (!old || old.type === 'ExternalName');

const assign = async (
  hold: Hold,
  service: Service,
  ranges: ServiceRanges,
  random: () => number,
  old: Service | undefined,
): Promise<Cause[]> => {
  const { spec } = service;
  if (!spec) return [];
  if (wantsAddress(spec, old?.spec)) {
    const refused = await assignAddress(hold, spec, ranges, random);
    if (refused.length > 0) return refused;
  }
  if (hasNodePorts(spec)) {
    const refused = await assignPorts(hold, spec, ranges, random);
    if (refused.length > 0) return refused;
  }
  if (!needsHealthPort(spec)) return [];
  if (spec.healthCheckNodePort) return takePort(hold, 'spec.healthCheckNodePort', spec.healthCheckNodePort, ranges);
  const [first, last] = ranges.nodePorts;
  const range = { pool: 'nodeports' as const, size: last - first + 1, keyAt: (i: number) => String(first + i) };
  const key = await pick(hold, range, random);
  if (key === undefined) return [cause.invalid('spec.healthCheckNodePort', 0, 'range is full')];
  spec.healthCheckNodePort = Number(key);
  return [];
};

const scanAll = async (
  store: Store,
  domain: Domain,
  visit: (key: string, bytes: Uint8Array) => void,
): Promise<void> => {
  let after = '';
  for (;;) {
    const page = await store.scan(domain, after, 500);
    for (const item of page.items) visit(item.key, item.bytes);
    if (page.next === undefined) return;
    after = page.next;
  }
};

const repair = async (store: Store, cluster: string): Promise<{ freed: number; restored: number }> => {
  const services: Service[] = [];
  await scanAll(store, { cluster, group: '', resource: 'services' }, (_, bytes) => {
    services.push(JSON.parse(decoder.decode(bytes)) as Service);
  });
  const live = new Set(services.map((service) => service.metadata.uid));
  let freed = 0;
  for (const pool of ['serviceips', 'nodeports'] as const) {
    const stale: [string, string][] = [];
    await scanAll(store, domainOf(cluster, pool), (key, bytes) => {
      const { uid } = parse(bytes);
      if (!live.has(uid)) stale.push([key, uid]);
    });
    for (const [key, uid] of stale) freed += await free(store, cluster, [{ pool, key }], uid);
  }
  let restored = 0;
  for (const service of services) {
    const hold = createHold(store, cluster, service, false);
    for (const held of heldBy(service)) await hold.take(held);
    restored += hold.taken.length;
  }
  return { freed, restored };
};

/** An allocator over a store. It keeps nothing in memory, so any number of processes may have one each. */
export const createServiceAllocator = (options: AllocatorOptions): ServiceAllocator => {
  const { store, ranges = DEFAULT_RANGES, random = Math.random } = options;
  const nothing = async (): Promise<void> => undefined;
  const begin = async (cluster: string, service: Service, dryRun: boolean, old?: Service): Promise<Allocation> => {
    const refused = initFamilies(service, old);
    if (refused.length > 0) return { ok: false, causes: refused };
    const unused = old ? heldBy(old) : [];
    const hold = createHold(store, cluster, service, dryRun);
    const undo = async () => void (await free(store, cluster, hold.taken, hold.owner.uid));
    try {
      const causes = await assign(hold, service, ranges, random, old);
      if (causes.length > 0) {
        await undo();
        return { ok: false, causes };
      }
    } catch (error) {
      await undo();
      throw error;
    }
    const kept = new Set(heldBy(service).map((held) => `${held.pool}/${held.key}`));
    const gone = unused.filter((held) => !kept.has(`${held.pool}/${held.key}`));
    const done =
      dryRun || gone.length === 0 ? nothing : async () => void (await free(store, cluster, gone, hold.owner.uid));
    return { ok: true, undo, done };
  };
  return {
    allocate: (cluster, service, dryRun) => begin(cluster, service, dryRun),
    reallocate: (cluster, next, old, dryRun) => begin(cluster, next, dryRun, old),
    release: async (cluster, service) => void (await free(store, cluster, heldBy(service), service.metadata.uid ?? '')),
    repair: (cluster) => repair(store, cluster),
  };
};
