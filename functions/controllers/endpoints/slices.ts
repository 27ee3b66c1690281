import type { Endpoint, EndpointSlice, Node, Pod, Service } from '../../machinery/kinds.d.ts';
import type { Controller, Plan, PlannedWrite } from '../controller.ts';
import { isControlledBy, ownerReference, ownKey } from '../owners.ts';
import { isReady, isTerminating } from '../pods.ts';
import { endpointSlices, nodes, pods, services } from '../resources.ts';
import { sameJson } from '../status-patch.ts';
import {
  type BackendPort,
  hasSelector,
  hostnameOf,
  isBackend,
  isHeadless,
  portsOf,
  readService,
  selectedPods,
  servicesOfPod,
  triggerOf,
} from './backends.ts';
import { managedBy, serviceName, sliceKeysOf, withoutSlices } from './slice-objects.ts';

export interface SlicesObserved {
  service: Service;
  pods: readonly Pod[];
  zones: Record<string, string>;
  current: readonly EndpointSlice[];
}

const manager = 'endpointslice-controller.k8s.io';
const headless = 'service.kubernetes.io/headless';
const trigger = 'endpoints.kubernetes.io/last-change-trigger-time';
const perSlice = 100;

/** Endpoints of one address family that offer the same ports. */
interface Group {
  addressType: string;
  ports: BackendPort[];
  endpoints: Map<string, Endpoint>;
}

const addressOf = (pod: Pod, family: string): string | undefined => {
  const all = pod.status?.podIPs?.map(({ ip }) => ip) ?? (pod.status?.podIP ? [pod.status.podIP] : []);
  return all.find((ip) => ip !== undefined && ip.includes(':') === (family === 'IPv6'));
};

const endpointOf = (service: Service, pod: Pod, address: string, zones: Record<string, string>): Endpoint => {
  const serving = isReady(pod);
  const terminating = isTerminating(pod);
  const publish = service.spec?.publishNotReadyAddresses === true;
  const nodeName = pod.spec?.nodeName;
  const zone = nodeName ? zones[nodeName] : undefined;
  const hostname = hostnameOf(service, pod);
  return {
    addresses: [address],
    conditions: { ready: publish || (serving && !terminating), serving, terminating },
    ...(hostname !== undefined && { hostname }),
    targetRef: {
      kind: 'Pod',
      namespace: pod.metadata.namespace ?? '',
      name: pod.metadata.name ?? '',
      uid: pod.metadata.uid ?? '',
    },
    ...(nodeName && { nodeName }),
    ...(zone && { zone }),
  };
};

const groupsOf = ({ service, pods: list, zones }: SlicesObserved, family: string): Group[] => {
  const groups = new Map<string, Group>();
  for (const pod of list) {
    const address = addressOf(pod, family);
    if (!address || !isBackend(pod)) continue;
    const ports = portsOf(service, pod);
    const id = JSON.stringify(ports);
    let group = groups.get(id);
    if (!group) {
      group = { addressType: family, ports, endpoints: new Map() };
      groups.set(id, group);
    }
    group.endpoints.set(pod.metadata.uid ?? '', endpointOf(service, pod, address, zones));
  }
  return [...groups.values()];
};

/** A slice as it should be; `from` is the one it replaces. */
interface Draft {
  from: EndpointSlice | undefined;
  addressType: string;
  ports: BackendPort[];
  endpoints: Endpoint[];
}

const samePorts = (slice: EndpointSlice, ports: BackendPort[]): boolean => {
  const known = (slice.ports ?? []).map((port) => ({ ...port, name: port.name ?? '' }));
  return sameJson(known, ports);
};

/** Endpoints stay in the slice they are in; new ones fill slices that change anyway, then those with room. */
const fill = (group: Group, slices: EndpointSlice[]): Draft[] => {
  const left = new Map(group.endpoints);
  const { addressType, ports } = group;
  const drafts: Draft[] = slices.map((from) => {
    const kept: Endpoint[] = [];
    for (const endpoint of from.endpoints ?? []) {
      const uid = endpoint.targetRef?.uid ?? '';
      const next = left.get(uid);
      if (next) kept.push(next);
      left.delete(uid);
    }
    return { from, addressType, ports, endpoints: kept };
  });
  const fresh = [...left.values()];
  const changed = (draft: Draft) => !sameJson(draft.from?.endpoints ?? [], draft.endpoints);
  for (const draft of [...drafts].sort((a, b) => Number(changed(b)) - Number(changed(a)))) {
    draft.endpoints.push(...fresh.splice(0, perSlice - draft.endpoints.length));
  }
  while (fresh.length > 0) drafts.push({ from: undefined, addressType, ports, endpoints: fresh.splice(0, perSlice) });
  return drafts;
};

const draftsOf = (observed: SlicesObserved, family: string): { drafts: Draft[]; spare: EndpointSlice[] } => {
  const mine = observed.current.filter((slice) => slice.addressType === family);
  const taken = new Set<EndpointSlice>();
  const drafts: Draft[] = [];
  for (const group of groupsOf(observed, family)) {
    const slices = mine.filter((slice) => samePorts(slice, group.ports));
    for (const slice of slices) taken.add(slice);
    drafts.push(...fill(group, slices));
  }
  const spare = mine.filter((slice) => !taken.has(slice));
  const full = drafts.filter((draft) => draft.endpoints.length > 0);
  for (const { from, endpoints } of drafts) if (from && endpoints.length === 0) spare.push(from);
  // A service that selects nobody still has one slice.
  if (full.length === 0) full.push({ from: undefined, addressType: family, ports: [], endpoints: [] });
  // A slice that would go takes the place of one that would be made.
  for (const draft of full) draft.from ??= spare.shift();
  return { drafts: full, spare };
};

const labelsOf = (service: Service): Record<string, string> => ({
  ...service.metadata.labels,
  ...(isHeadless(service) && { [headless]: '' }),
  [serviceName]: service.metadata.name ?? '',
  [managedBy]: manager,
});

const triggerTime = ({ service, pods: list }: SlicesObserved, draft: Draft): string | undefined => {
  const before = new Map((draft.from?.endpoints ?? []).map((endpoint) => [endpoint.targetRef?.uid ?? '', endpoint]));
  const after = new Map(draft.endpoints.map((endpoint) => [endpoint.targetRef?.uid ?? '', endpoint]));
  const times: string[] = [];
  for (const pod of list) {
    const uid = pod.metadata.uid ?? '';
    const next = after.get(uid);
    const time = triggerOf(pod);
    // A pod that starts to terminate keeps the time of its readiness, which is no new trigger; when it stops to serve, it is.
    const same = before.get(uid)?.conditions?.serving === next?.conditions?.serving;
    if (time && !same) times.push(time);
  }
  if (!draft.from && service.metadata.creationTimestamp) times.push(service.metadata.creationTimestamp);
  return times.sort()[0];
};

const writeOf = (observed: SlicesObserved, draft: Draft): PlannedWrite[] => {
  const { service } = observed;
  const { from } = draft;
  const labels = labelsOf(service);
  const ports = draft.ports;
  const same = from && sameJson(from.endpoints ?? [], draft.endpoints) && samePorts(from, ports);
  if (same && sameJson(from.metadata.labels ?? {}, labels)) return [];
  const time = triggerTime(observed, draft);
  const { [trigger]: _, ...others } = from?.metadata.annotations ?? {};
  const annotations: Record<string, string> = { ...others, ...(time !== undefined && { [trigger]: time }) };
  const { namespace = '', name = '' } = service.metadata;
  const object: EndpointSlice = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: from
      ? { ...from.metadata, labels, annotations }
      : {
          generateName: `${name}-`,
          namespace,
          labels,
          annotations,
          ownerReferences: [ownerReference(service, 'v1', 'Service')],
        },
    addressType: draft.addressType,
    endpoints: draft.endpoints,
    ...(ports.length > 0 && { ports: ports.map((port) => ({ ...port })) }),
  };
  return [{ op: from ? 'update' : 'create', resource: endpointSlices, object }];
};

const decide = (observed: SlicesObserved): Plan => {
  const families = observed.service.spec?.ipFamilies ?? ['IPv4'];
  const writes: PlannedWrite[] = [];
  const gone = observed.current.filter((slice) => !families.includes(slice.addressType));
  for (const family of families) {
    const { drafts, spare } = draftsOf(observed, family);
    for (const draft of drafts) writes.push(...writeOf(observed, draft));
    gone.push(...spare);
  }
  return { writes: [...writes, ...withoutSlices(gone)] };
};

/** Mirrors the pods that a Service selects into EndpointSlices of at most 100 endpoints. */
export const endpointSliceController: Controller<SlicesObserved> = {
  name: 'endpointslice',
  component: 'endpoint-slice-controller',
  watches: [
    { resource: services, keys: ownKey },
    { resource: pods, keys: servicesOfPod },
    { resource: endpointSlices, keys: sliceKeysOf(manager) },
  ],
  async observe(read, key) {
    const service = await readService(read, key);
    if (!service || !hasSelector(service) || service.spec?.type === 'ExternalName') return undefined;
    if (service.metadata.deletionTimestamp) return undefined;
    const owned = await read.ownedBy<EndpointSlice>(endpointSlices, service.metadata.uid ?? '');
    const current = owned.filter((s) => isControlledBy(s, service) && !s.metadata.deletionTimestamp);
    const list = await selectedPods(read, service);
    const zones: Record<string, string> = {};
    for (const name of new Set(list.flatMap((pod) => pod.spec?.nodeName ?? []))) {
      const zone = (await read.get<Node>(nodes, '', name))?.metadata.labels?.['topology.kubernetes.io/zone'];
      if (zone) zones[name] = zone;
    }
    return { service, pods: list, zones, current };
  },
  decide,
};
