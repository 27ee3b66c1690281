import type {
  Endpoint,
  EndpointAddress,
  EndpointSlice,
  EndpointSubset,
  Endpoints,
  Service,
} from '../../machinery/kinds.d.ts';
import type { Controller, Plan, PlannedWrite } from '../controller.ts';
import { ownerReference, ownKey } from '../owners.ts';
import { endpointSlices, endpoints, services } from '../resources.ts';
import { sameJson } from '../status-patch.ts';
import { hasSelector, readService } from './backends.ts';
import { managedBy, serviceName, sliceKeysOf, withoutSlices } from './slice-objects.ts';

/**
 * Mirrors Endpoints that somebody keeps by hand, for a Service without a selector, into EndpointSlices. KEP-752; the
 * limits of the reference: 1,000 addresses of a subset, slices of one address family and one set of ports.
 */
export interface MirroringObserved {
  service: Service | undefined;
  endpoints: Endpoints;
  current: readonly EndpointSlice[];
}

const manager = 'endpointslicemirroring-controller.k8s.io';
const skip = 'endpointslice.kubernetes.io/skip-mirror';
const leader = 'control-plane.alpha.kubernetes.io/leader';
const ownLabels = new Set([managedBy, serviceName, skip]);
const ownAnnotations = new Set([
  'endpoints.kubernetes.io/last-change-trigger-time',
  'kubectl.kubernetes.io/last-applied-configuration',
]);
const addressesMax = 1000;

interface Group {
  addressType: string;
  ports: NonNullable<EndpointSlice['ports']>;
  endpoints: Endpoint[];
}

const isMirrored = ({ metadata }: Endpoints): boolean =>
  metadata.labels?.[skip] !== 'true' && metadata.annotations?.[leader] === undefined && !metadata.deletionTimestamp;

const without = (map: Record<string, string> | undefined, left: ReadonlySet<string>): Record<string, string> =>
  Object.fromEntries(Object.entries(map ?? {}).filter(([key]) => !left.has(key)));

const portsOf = (subset: EndpointSubset): Group['ports'] =>
  (subset.ports ?? []).map((port) => ({
    name: port.name ?? '',
    protocol: port.protocol ?? 'TCP',
    port: port.port,
    ...(port.appProtocol !== undefined && { appProtocol: port.appProtocol }),
  }));

const endpointOf = ({ ip, hostname, nodeName, targetRef }: EndpointAddress, ready: boolean): Endpoint => ({
  addresses: [ip],
  conditions: { ready },
  ...(hostname && { hostname }),
  ...(targetRef && { targetRef }),
  ...(nodeName && { nodeName }),
});

/** What the subsets hold, by address family and ports; an address stands once in each. */
const groupsOf = ({ subsets }: Endpoints): Group[] => {
  const groups = new Map<string, Group>();
  const seen = new Set<string>();
  for (const subset of subsets ?? []) {
    const ports = portsOf(subset);
    let room = addressesMax;
    const all = [
      ...(subset.addresses ?? []).map((address) => ({ address, ready: true })),
      ...(subset.notReadyAddresses ?? []).map((address) => ({ address, ready: false })),
    ];
    for (const { address, ready } of all) {
      const addressType = address.ip.includes(':') ? 'IPv6' : 'IPv4';
      const id = `${addressType} ${JSON.stringify(ports)}`;
      if (room === 0 || seen.has(`${id} ${address.ip}`)) continue;
      seen.add(`${id} ${address.ip}`);
      room--;
      const group = groups.get(id) ?? { addressType, ports, endpoints: [] };
      groups.set(id, group);
      group.endpoints.push(endpointOf(address, ready));
    }
  }
  return [...groups.values()];
};

const written = (from: EndpointSlice | undefined, group: Group, source: Endpoints): PlannedWrite[] => {
  const { namespace = '', name = '' } = source.metadata;
  const labels = { ...without(source.metadata.labels, ownLabels), [serviceName]: name, [managedBy]: manager };
  const annotations = without(source.metadata.annotations, ownAnnotations);
  const same =
    from &&
    sameJson(from.endpoints ?? [], group.endpoints) &&
    sameJson(from.ports ?? [], group.ports) &&
    sameJson(from.metadata.labels ?? {}, labels) &&
    sameJson(from.metadata.annotations ?? {}, annotations);
  if (same) return [];
  const made = {
    generateName: `${name}-`,
    namespace,
    ownerReferences: [ownerReference(source, 'v1', 'Endpoints')],
  };
  const object: EndpointSlice = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      ...(from ? from.metadata : made),
      labels,
      annotations,
    },
    addressType: group.addressType,
    endpoints: group.endpoints,
    ports: group.ports,
  };
  return [{ op: from ? 'update' : 'create', resource: endpointSlices, object }];
};

const decide = ({ service, endpoints: source, current }: MirroringObserved): Plan => {
  const wanted = service && !hasSelector(service) && isMirrored(source) ? groupsOf(source) : [];
  const spare = new Set(current);
  const writes: PlannedWrite[] = [];
  const taken = wanted.map((group) => {
    const exact = [...spare].find((s) => s.addressType === group.addressType && sameJson(s.ports ?? [], group.ports));
    if (exact) spare.delete(exact);
    return { group, from: exact };
  });
  for (const one of taken) {
    // A slice that would go takes the place of one that would be made.
    one.from ??= [...spare].find((slice) => slice.addressType === one.group.addressType);
    if (one.from) spare.delete(one.from);
    writes.push(...written(one.from, one.group, source));
  }
  return { writes: [...writes, ...withoutSlices(spare)] };
};

export const endpointSliceMirroringController: Controller<MirroringObserved> = {
  name: 'endpointslicemirroring',
  component: 'endpoint-slice-mirroring-controller',
  watches: [
    { resource: endpoints, keys: ownKey },
    { resource: services, keys: ownKey },
    { resource: endpointSlices, keys: sliceKeysOf(manager) },
  ],
  async observe(read, key) {
    const service = await readService(read, key);
    const source = await read.get<Endpoints>(endpoints, key.namespace, key.name);
    // Without its Endpoints a mirror goes by its owner reference.
    if (!source) return undefined;
    const owned = await read.ownedBy<EndpointSlice>(endpointSlices, source.metadata.uid ?? '');
    const current = owned.filter((slice) => slice.metadata.labels?.[managedBy] === manager);
    return { service, endpoints: source, current: current.filter((slice) => !slice.metadata.deletionTimestamp) };
  },
  decide,
};
