import type {
  ComponentStatus,
  ConfigMap,
  EndpointSlice,
  Endpoints,
  Event,
  EventsEvent,
  Namespace,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  PodTemplate,
  ResourceQuota,
  Secret,
  Service,
  ServiceAccount,
} from '../../machinery/kinds.d.ts';
import {
  accessModes,
  age,
  containerImages,
  containerNames,
  firstThree,
  humanDuration,
  joined,
  labelsOf,
  NONE,
  UNSET,
} from './format.ts';
import { type Printer, printer } from './printer.ts';

const nodeStatus = (node: Node): string => {
  const ready = node.status?.conditions?.find((c) => c.type === 'Ready');
  const words = [ready ? (ready.status === 'True' ? 'Ready' : 'NotReady') : 'Unknown'];
  if (node.spec?.unschedulable) words.push('SchedulingDisabled');
  return words.join(',');
};

const nodeRoles = (node: Node): string => {
  const roles = new Set<string>();
  for (const [k, v] of Object.entries(node.metadata.labels ?? {})) {
    if (k.startsWith('node-role.kubernetes.io/') && k.length > 24) roles.add(k.slice(24));
    else if (k === 'kubernetes.io/role' && v) roles.add(v);
  }
  return joined([...roles].sort());
};

const nodeAddress = (node: Node, type: string): string =>
  node.status?.addresses?.find((a) => a.type === type)?.address ?? NONE;

const servicePorts = (service: Service): string =>
  joined(
    (service.spec?.ports ?? []).map((p) => `${p.port}${p.nodePort ? `:${p.nodePort}` : ''}/${p.protocol ?? 'TCP'}`),
  );

const externalIp = (service: Service): string => {
  const ips = service.spec?.externalIPs ?? [];
  const ingress = (service.status?.loadBalancer?.ingress ?? []).map((i) => i.ip || i.hostname || '').filter(Boolean);
  switch (service.spec?.type) {
    case 'ExternalName':
      return service.spec.externalName ?? '';
    case 'LoadBalancer':
      return ips.length > 0 || ingress.length > 0 ? [...ingress, ...ips].join(',') : '<pending>';
    default:
      return joined(ips);
  }
};

const endpointAddresses = (endpoints: Endpoints): string => {
  const all = (endpoints.subsets ?? []).flatMap((s) =>
    s.ports?.length
      ? s.ports.flatMap((p) => (s.addresses ?? []).map((a) => `${a.ip.includes(':') ? `[${a.ip}]` : a.ip}:${p.port}`))
      : (s.addresses ?? []).map((a) => a.ip),
  );
  return firstThree(all);
};

/** Both groups' events as one: events.k8s.io names the same things differently. */
const coreEvent = (event: Event & Omit<Partial<EventsEvent>, keyof Event>): Event => ({
  ...event,
  involvedObject: event.involvedObject ?? event.regarding ?? {},
  ...((event.source ?? event.deprecatedSource) && { source: event.source ?? event.deprecatedSource ?? {} }),
  reportingComponent: event.reportingComponent ?? event.reportingController ?? '',
  message: event.message ?? event.note ?? '',
  ...(event.deprecatedFirstTimestamp && { firstTimestamp: event.deprecatedFirstTimestamp }),
  ...(event.deprecatedLastTimestamp && { lastTimestamp: event.deprecatedLastTimestamp }),
  ...(event.deprecatedCount !== undefined && { count: event.deprecatedCount }),
});

const eventSource = (event: Event): string => {
  const component = event.source?.component || event.reportingComponent || '';
  const host = event.source?.host || event.reportingInstance || '';
  return host ? `${component}, ${host}` : component;
};

const since = (time: string | undefined, now: number): string =>
  time ? humanDuration(now - Date.parse(time)) : '<unknown>';

const eventCells = (shown: Event, now: number) => {
  const event = coreEvent(shown);
  const first = event.firstTimestamp ?? event.eventTime;
  const last = event.series?.lastObservedTime ?? event.lastTimestamp ?? first;
  const object = event.involvedObject ?? {};
  return [
    since(last, now),
    event.type ?? '',
    event.reason ?? '',
    `${(object.kind ?? '').toLowerCase()}${object.name ? `/${object.name}` : ''}`,
    object.fieldPath ?? '',
    eventSource(event),
    (event.message ?? '').trim(),
    since(first, now),
    event.series?.count ?? (event.count || 1),
    event.metadata.name ?? '',
  ];
};

const quotaLines = (quota: ResourceQuota, limits: boolean): string =>
  Object.keys(quota.status?.hard ?? {})
    .sort()
    .filter((name) => name.startsWith('limits') === limits)
    .map((name) => `${name}: ${quota.status?.used?.[name] ?? '0'}/${quota.status?.hard?.[name] ?? '0'}`)
    .join(', ');

const slicePorts = (slice: EndpointSlice): string =>
  slice.ports?.length ? firstThree(slice.ports.map((p) => (p.port === undefined ? '*' : String(p.port)))) : UNSET;

const volumeStatus = (phase: string | undefined, deleting: string | undefined): string =>
  deleting ? 'Terminating' : (phase ?? '');

export const corePrinters: Record<string, Printer> = {
  ComponentStatus: printer<ComponentStatus>((o) => {
    const healthy = o.conditions?.find((c) => c.type === 'Healthy');
    return [
      o.metadata.name ?? '',
      healthy ? (healthy.status === 'True' ? 'Healthy' : 'Unhealthy') : 'Unknown',
      healthy?.message ?? '',
      healthy?.error ?? '',
    ];
  }),
  ConfigMap: printer<ConfigMap>((o, now) => [
    o.metadata.name ?? '',
    Object.keys(o.data ?? {}).length + Object.keys(o.binaryData ?? {}).length,
    age(o.metadata.creationTimestamp, now),
  ]),
  Secret: printer<Secret>((o, now) => [
    o.metadata.name ?? '',
    o.type ?? '',
    Object.keys(o.data ?? {}).length,
    age(o.metadata.creationTimestamp, now),
  ]),
  ServiceAccount: printer<ServiceAccount>((o, now) => [o.metadata.name ?? '', age(o.metadata.creationTimestamp, now)]),
  Namespace: printer<Namespace>((o, now) => [
    o.metadata.name ?? '',
    o.status?.phase ?? '',
    age(o.metadata.creationTimestamp, now),
  ]),
  Node: printer<Node>((o, now) => [
    o.metadata.name ?? '',
    nodeStatus(o),
    nodeRoles(o),
    age(o.metadata.creationTimestamp, now),
    o.status?.nodeInfo?.kubeletVersion ?? '',
    nodeAddress(o, 'InternalIP'),
    nodeAddress(o, 'ExternalIP'),
    o.status?.nodeInfo?.osImage || '<unknown>',
    o.status?.nodeInfo?.kernelVersion || '<unknown>',
    o.status?.nodeInfo?.containerRuntimeVersion || '<unknown>',
  ]),
  Service: printer<Service>((o, now) => [
    o.metadata.name ?? '',
    o.spec?.type ?? '',
    o.spec?.clusterIPs?.[0] || o.spec?.clusterIP || NONE,
    externalIp(o),
    servicePorts(o),
    age(o.metadata.creationTimestamp, now),
    labelsOf(o.spec?.selector),
  ]),
  Endpoints: printer<Endpoints>((o, now) => [
    o.metadata.name ?? '',
    endpointAddresses(o),
    age(o.metadata.creationTimestamp, now),
  ]),
  'EndpointSlice.discovery.k8s.io': printer<EndpointSlice>((o, now) => [
    o.metadata.name ?? '',
    o.addressType,
    slicePorts(o),
    o.endpoints?.length ? firstThree(o.endpoints.flatMap((e) => e.addresses)) : UNSET,
    age(o.metadata.creationTimestamp, now),
  ]),
  Event: printer<Event>(eventCells),
  PersistentVolume: printer<PersistentVolume>((o, now) => [
    o.metadata.name ?? '',
    o.spec?.capacity?.storage ?? '0',
    accessModes(o.spec?.accessModes),
    o.spec?.persistentVolumeReclaimPolicy ?? '',
    volumeStatus(o.status?.phase, o.metadata.deletionTimestamp),
    o.spec?.claimRef ? `${o.spec.claimRef.namespace}/${o.spec.claimRef.name}` : '',
    o.spec?.storageClassName ?? o.metadata.annotations?.['volume.beta.kubernetes.io/storage-class'] ?? '',
    o.spec?.volumeAttributesClassName ?? UNSET,
    o.status?.reason ?? '',
    age(o.metadata.creationTimestamp, now),
    o.spec?.volumeMode ?? UNSET,
  ]),
  PersistentVolumeClaim: printer<PersistentVolumeClaim>((o, now) => [
    o.metadata.name ?? '',
    volumeStatus(o.status?.phase, o.metadata.deletionTimestamp),
    o.spec?.volumeName ?? '',
    o.spec?.volumeName ? (o.status?.capacity?.storage ?? '0') : '',
    o.spec?.volumeName ? accessModes(o.status?.accessModes) : '',
    o.spec?.storageClassName ?? o.metadata.annotations?.['volume.beta.kubernetes.io/storage-class'] ?? '',
    o.spec?.volumeAttributesClassName ?? UNSET,
    age(o.metadata.creationTimestamp, now),
    o.spec?.volumeMode ?? UNSET,
  ]),
  PodTemplate: printer<PodTemplate>((o) => [
    o.metadata.name ?? '',
    containerNames(o.template?.spec?.containers),
    containerImages(o.template?.spec?.containers),
    labelsOf(o.template?.metadata?.labels),
  ]),
  ResourceQuota: printer<ResourceQuota>((o, now) => [
    o.metadata.name ?? '',
    quotaLines(o, false),
    quotaLines(o, true),
    age(o.metadata.creationTimestamp, now),
  ]),
};
