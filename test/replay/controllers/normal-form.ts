import type { KubeObject } from '../../../functions/machinery/object.ts';
import { certificateForm } from './certificates.ts';

type Loose = Record<string, unknown>;
export type Normal = Loose & { kind: string; name: string };

const specFields: Record<string, string[]> = {
  CronJob: ['suspend'],
  Deployment: ['paused', 'replicas'],
  Job: [
    'backoffLimit',
    'backoffLimitPerIndex',
    'completionMode',
    'completions',
    'managedBy',
    'manualSelector',
    'maxFailedIndexes',
    'parallelism',
    'podFailurePolicy',
    'podReplacementPolicy',
    'selector',
    'suspend',
    'ttlSecondsAfterFinished',
  ],
  Node: ['podCIDR', 'podCIDRs', 'taints', 'unschedulable'],
  ReplicaSet: ['minReadySeconds', 'replicas', 'selector'],
  ReplicationController: ['replicas', 'selector'],
  StatefulSet: ['replicas'],
  PersistentVolumeClaim: ['storageClassName', 'volumeName'],
  Service: ['type'],
};
const statusKinds = new Set([
  'CronJob',
  'DaemonSet',
  'Deployment',
  'HorizontalPodAutoscaler',
  'Job',
  'PodDisruptionBudget',
  'ReplicaSet',
  'ReplicationController',
  'ResourceQuota',
  'StatefulSet',
]);
const templated = new Set(['Job', 'ReplicaSet', 'ReplicationController']);
const noGeneration = new Set([
  'ResourceQuota',
  'Pod',
  'Node',
  'Namespace',
  'Service',
  'Secret',
  'ConfigMap',
  'HorizontalPodAutoscaler',
]);

const isEmpty = (value: unknown): boolean =>
  value === undefined || value === null || (typeof value === 'object' && Object.keys(value).length === 0);

/** Fields with a value, times as `<time>`. */
const clean = (value: unknown): unknown => {
  if (typeof value === 'string') return /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(value) ? '<time>' : value;
  if (Array.isArray(value)) return value.map(clean);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, v]) => v !== undefined && v !== null)
      .map(([k, v]) => [k, clean(v)]),
  );
};

const conditions = (list: { type: string; status: string; reason?: string }[] | undefined): string[] | undefined =>
  list?.map(({ type, status, reason }) => `${type}=${status}${reason ? `/${reason}` : ''}`).sort();

const target = (ref: { kind?: string; name?: string } | undefined) => (ref ? `${ref.kind}/${ref.name}` : undefined);

/** An empty `resources` is how the engine writes Go's struct; the recordings leave it out. */
const podSpec = (spec: Loose): Loose => ({
  ...spec,
  containers: (spec.containers as Loose[]).map(({ resources, ...rest }) =>
    isEmpty(resources) ? rest : { ...rest, resources },
  ),
});

const parts: Record<string, (object: Loose, ipNames: Map<string, string>) => Loose> = {
  Pod: ({ spec, status }) => {
    const s = spec as Loose;
    const st = (status ?? {}) as Loose;
    return {
      nodeName: s.nodeName,
      phase: st.phase,
      reason: st.reason,
      hostname: s.hostname,
      subdomain: s.subdomain,
      spec: podSpec(s),
      conditions: conditions(st.conditions as never),
    };
  },
  Node: ({ status }) => ({ conditions: conditions((status as Loose | undefined)?.conditions as never) }),
  Namespace: ({ spec, status }) => ({
    specFinalizers: (spec as Loose).finalizers,
    status: { phase: (status as Loose).phase },
  }),
  CertificateSigningRequest: ({ status }) => {
    const { conditions: list, certificate } = (status ?? {}) as Loose;
    return {
      conditions: conditions(list as never),
      certificate: certificate ? certificateForm(certificate as string) : undefined,
    };
  },
  ConfigMap: ({ data }) => ({ dataKeys: Object.keys(data ?? {}).sort() }),
  Secret: ({ data, type }) => ({ dataKeys: data ? Object.keys(data).sort() : undefined, type }),
  ClusterRole: ({ aggregationRule, rules }) => ({ aggregationRule, rules }),
  PersistentVolumeClaim: ({ status }) => {
    const { phase, accessModes, capacity } = (status ?? {}) as Loose;
    return { status: { phase, accessModes, capacity } };
  },
  PersistentVolume: ({ spec, status }) => {
    const { claimRef, persistentVolumeReclaimPolicy: reclaim } = spec as Loose;
    const { namespace, name, uid } = (claimRef ?? {}) as Loose;
    return {
      spec: { ...(claimRef !== undefined && { claimRef: { namespace, name, uid } }), reclaim },
      phase: (status as Loose | undefined)?.phase,
    };
  },
  ControllerRevision: ({ revision }) => ({ revision }),
  ServiceAccount: () => ({}),
  Service: ({ spec }) => ({
    status: {},
    spec: { type: (spec as Loose).type, ...((spec as Loose).clusterIP === 'None' && { headless: true }) },
  }),
  Endpoints: ({ subsets }, ips) => ({ subsets: (subsets as Loose[] | undefined)?.map((s) => subset(s, ips)) }),
  EndpointSlice: ({ addressType, ports, endpoints }, ips) => ({
    addressType,
    ports,
    endpoints: ((endpoints ?? []) as Loose[]).map((endpoint) => ({
      ...endpoint,
      addresses: (endpoint.addresses as string[]).map((ip) => ips.get(ip) ?? ip),
      targetRef: target(endpoint.targetRef as never),
    })),
  }),
};

const subset = (value: Loose, ips: Map<string, string>): Loose => {
  const addresses = (list: unknown) =>
    (list as Loose[] | undefined)?.map(({ ip, targetRef, ...rest }) => ({
      ...rest,
      ip: ips.get(ip as string) ?? ip,
      target: target(targetRef as never),
    }));
  return { ...value, addresses: addresses(value.addresses), notReadyAddresses: addresses(value.notReadyAddresses) };
};

/** The form that the recordings have: chosen fields only, empty ones left out. */
export const normalForm = (object: KubeObject, ipNames: Map<string, string>): Normal => {
  const { metadata, kind = '' } = object;
  const loose = object as unknown as Loose;
  const spec = (loose.spec ?? {}) as Loose;
  const status = (loose.status ?? {}) as Loose;
  const form: Loose = {
    kind,
    name: metadata.name,
    labels: metadata.labels,
    annotations: metadata.annotations,
    finalizers: metadata.finalizers,
    ...(!noGeneration.has(kind) && statusKinds.has(kind) && { generation: metadata.generation }),
    deleting: metadata.deletionTimestamp ? (metadata.deletionGracePeriodSeconds ?? true) : undefined,
    owners: metadata.ownerReferences?.map(
      (o) => `${o.kind}/${o.name}${o.controller ? ' controller' : ''}${o.blockOwnerDeletion ? ' block' : ''}`,
    ),
  };
  const fields = specFields[kind];
  if (fields) {
    const chosen = Object.fromEntries(fields.map((field) => [field, spec[field]]).filter(([, v]) => v !== undefined));
    if (templated.has(kind)) {
      const labels = ((spec.template as Loose | undefined)?.metadata as Loose | undefined)?.labels;
      if (labels) chosen.templateLabels = labels;
    }
    if (kind === 'ReplicaSet' && !chosen.minReadySeconds) delete chosen.minReadySeconds;
    form.spec = chosen;
  }
  if (statusKinds.has(kind)) {
    const { conditions: list, uncountedTerminatedPods: _, ...rest } = status;
    if (kind === 'CronJob' && rest.active) rest.active = (rest.active as { name: string }[]).map(({ name }) => name);
    form.status = { ...rest, ...(list !== undefined && { conditions: conditions(list as never) }) };
  }
  Object.assign(form, parts[kind]?.(loose, ipNames));
  if (kind === 'Node' && form.spec) {
    const s = form.spec as Loose;
    if (s.podCIDR) Object.assign(s, { podCIDR: '<podCIDR>', podCIDRs: ['<podCIDR>'] });
  }
  const kept = new Set(['endpoints', 'status', 'dataKeys']);
  const full = Object.entries(form).filter(([key, value]) =>
    kept.has(key) && (key !== 'status' || kind === 'Service' || kind === 'CronJob')
      ? value !== undefined
      : !isEmpty(value) && value !== '',
  );
  return clean(Object.fromEntries(full)) as Normal;
};

/** Order that means nothing made the same on both sides. */
export const sorted = (form: Normal): Normal => {
  const copy = structuredClone(form) as Loose;
  const byText = (a: unknown, b: unknown) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);
  const canonical = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(canonical);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value)
        .filter(([, v]) => v !== undefined && v !== null)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([k, v]) => [k, canonical(v)]),
    );
  };
  const walk = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(walk).sort(byText);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, walk(v)]));
  };
  return walk(canonical(copy)) as Normal;
};
