import type { EndpointAddress, EndpointSubset, Endpoints, Pod, Service } from '../../machinery/kinds.d.ts';
import type { KubeObject } from '../../machinery/object.ts';
import type { Controller, Plan, WatchedChange } from '../controller.ts';
import { expectsOf, ownKey, targetOf } from '../owners.ts';
import { isReady, isTerminating } from '../pods.ts';
import { endpoints, pods, services } from '../resources.ts';
import { mergeDifference, sameJson } from '../status-patch.ts';
import {
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

export interface EndpointsObserved {
  service: Service | undefined;
  pods: readonly Pod[];
  current: Endpoints | undefined;
}

const trigger = 'endpoints.kubernetes.io/last-change-trigger-time';
const overCapacity = 'endpoints.kubernetes.io/over-capacity';
const managedBy = 'endpoints.kubernetes.io/managed-by';
const headless = 'service.kubernetes.io/headless';
const capacity = 1000;

const addressOf = (service: Service, pod: Pod): EndpointAddress => {
  const hostname = hostnameOf(service, pod);
  return {
    ip: pod.status?.podIP ?? '',
    ...(hostname !== undefined && { hostname }),
    ...(pod.spec?.nodeName && { nodeName: pod.spec.nodeName }),
    targetRef: {
      kind: 'Pod',
      namespace: pod.metadata.namespace ?? '',
      name: pod.metadata.name ?? '',
      uid: pod.metadata.uid ?? '',
    },
  };
};

/** One subset for each set of ports that pods offer, addresses in order of IP. */
const subsetsOf = (service: Service, list: readonly Pod[]): EndpointSubset[] => {
  const groups = new Map<string, Required<EndpointSubset>>();
  const sorted = [...list].sort((a, b) => (a.status?.podIP ?? '').localeCompare(b.status?.podIP ?? ''));
  for (const pod of sorted) {
    if (!isBackend(pod) || (isTerminating(pod) && !service.spec?.publishNotReadyAddresses)) continue;
    const ports = portsOf(service, pod);
    if (ports.length === 0 && !(isHeadless(service) && !service.spec?.ports?.length)) continue;
    const id = JSON.stringify(ports);
    let group = groups.get(id);
    if (!group) {
      group = {
        addresses: [],
        notReadyAddresses: [],
        ports: ports.map(({ name, ...port }) => (name ? { name, ...port } : port)),
      };
      groups.set(id, group);
    }
    const ready = service.spec?.publishNotReadyAddresses || isReady(pod);
    (ready ? group.addresses : group.notReadyAddresses).push(addressOf(service, pod));
  }
  return [...groups.values()].map(({ addresses, notReadyAddresses, ports }) => ({
    ...(addresses.length > 0 && { addresses }),
    ...(notReadyAddresses.length > 0 && { notReadyAddresses }),
    ...(ports.length > 0 && { ports }),
  }));
};

/** At most 1,000 addresses, ready ones first. */
const cut = (subsets: EndpointSubset[]): { subsets: EndpointSubset[]; truncated: boolean } => {
  const count = (field: 'addresses' | 'notReadyAddresses') =>
    subsets.reduce((sum, subset) => sum + (subset[field]?.length ?? 0), 0);
  if (count('addresses') + count('notReadyAddresses') <= capacity) return { subsets, truncated: false };
  let room = capacity;
  const take = (list: EndpointAddress[] | undefined): EndpointAddress[] => {
    const kept = (list ?? []).slice(0, room);
    room -= kept.length;
    return kept;
  };
  const ready = subsets.map((subset) => take(subset.addresses));
  const kept = subsets.map((subset, i) => {
    const addresses = ready[i] ?? [];
    const notReadyAddresses = take(subset.notReadyAddresses);
    return {
      ...(addresses.length > 0 && { addresses }),
      ...(notReadyAddresses.length > 0 && { notReadyAddresses }),
      ...(subset.ports && { ports: subset.ports }),
    };
  });
  return { subsets: kept.filter((subset) => subset.addresses || subset.notReadyAddresses), truncated: true };
};

const changedSince = (service: Service, list: readonly Pod[], current: Endpoints | undefined): string | undefined => {
  if (!current) return service.metadata.creationTimestamp;
  const known = new Map<string, string>();
  for (const subset of current.subsets ?? []) {
    for (const a of subset.addresses ?? []) known.set(a.targetRef?.uid ?? '', 'ready');
    for (const a of subset.notReadyAddresses ?? []) known.set(a.targetRef?.uid ?? '', 'not');
  }
  const times = list
    .filter((pod) => {
      if (isTerminating(pod)) return false;
      const state = isBackend(pod) ? (isReady(pod) ? 'ready' : 'not') : undefined;
      return known.get(pod.metadata.uid ?? '') !== state;
    })
    .flatMap((pod) => triggerOf(pod) ?? []);
  return times.sort()[0];
};

const decide = ({ service, pods: list, current }: EndpointsObserved): Plan => {
  if (!service) {
    if (!current) return { writes: [] };
    const uid = current.metadata.uid ?? '';
    return { writes: [{ op: 'delete', resource: endpoints, target: targetOf(current), expects: { uid } }] };
  }
  const { subsets, truncated } = cut(subsetsOf(service, list));
  const labels: Record<string, string> = {
    ...service.metadata.labels,
    [managedBy]: 'endpoint-controller',
    ...(isHeadless(service) && { [headless]: '' }),
  };
  const same = sameJson(current?.subsets ?? [], subsets) && sameJson(current?.metadata.labels ?? {}, labels);
  if (current && same) return { writes: [] };
  const time = changedSince(service, list, current);
  const { [trigger]: _, [overCapacity]: __, ...others } = current?.metadata.annotations ?? {};
  const annotations: Record<string, string> = {
    ...others,
    ...(time !== undefined && { [trigger]: time }),
    ...(truncated && { [overCapacity]: 'truncated' }),
  };
  const next = { metadata: { labels, annotations }, subsets: subsets.length > 0 ? subsets : undefined };
  if (!current) {
    const { namespace = '', name = '' } = service.metadata;
    const object: Endpoints = {
      apiVersion: 'v1',
      kind: 'Endpoints',
      metadata: { name, namespace, labels, annotations },
      ...(subsets.length > 0 && { subsets }),
    };
    return { writes: [{ op: 'create', resource: endpoints, object, onExists: 'ignore' }] };
  }
  const { metadata } = current;
  const before = {
    metadata: { labels: metadata.labels ?? {}, annotations: metadata.annotations ?? {} },
    subsets: current.subsets,
  };
  const merge = mergeDifference(before, next);
  if (!merge) return { writes: [] };
  return {
    writes: [{ op: 'patch', resource: endpoints, target: targetOf(current), merge, expects: expectsOf(current) }],
  };
};

const ofThisController = (object: KubeObject): boolean => object.metadata.labels?.[managedBy] === 'endpoint-controller';

/** Mirrors the pods that a Service selects into the Endpoints of its name (core/v1, deprecated but still read). */
export const endpointsController: Controller<EndpointsObserved> = {
  name: 'endpoint',
  watches: [
    { resource: services, keys: ownKey },
    { resource: pods, keys: servicesOfPod },
    {
      resource: endpoints,
      keys: (change: WatchedChange) => (ofThisController(change.object) ? ownKey(change) : []),
    },
  ],
  async observe(read, key) {
    const service = await readService(read, key);
    const current = await read.get<Endpoints>(endpoints, key.namespace, key.name);
    if (service) {
      const skip = !hasSelector(service) || service.spec?.type === 'ExternalName' || service.metadata.deletionTimestamp;
      return skip ? undefined : { service, pods: await selectedPods(read, service), current };
    }
    // Endpoints without a service of this controller's making are gone with it; others are somebody's own.
    return current && ofThisController(current) ? { service: undefined, pods: [], current } : undefined;
  },
  decide,
};
