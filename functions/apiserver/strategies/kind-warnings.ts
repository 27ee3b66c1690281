// What a client is told about an object that is accepted, for the kinds that have anything to tell.
import type {
  CronJob,
  CSIDriver,
  EndpointSlice,
  Ingress,
  Job,
  JobSpec,
  NetworkPolicy,
  NetworkPolicyPeer,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  PersistentVolumeClaimSpec,
  Pod,
  PodTemplate,
  PodTemplateSpec,
  ResourceQuota,
  Service,
  StatefulSet,
  StorageClass,
} from '../../machinery/kinds.d.ts';
import type { KubeObject } from '../../machinery/object.ts';
import { compareQuantity } from '../../machinery/quantity.ts';
import { at, same } from './checks.ts';
import { cidrWarnings, ipWarnings } from './ip-warnings.ts';
import { dnsLabel } from './names.ts';
import { annotationWarnings } from './pod/annotations.ts';
import { fractionWarnings, nodeTermWarnings, oldLabel, podWarnings } from './pod/warnings.ts';
import { serviceWarnings } from './service-warnings.ts';

type Warnings = (object: KubeObject, old: KubeObject | undefined) => string[];

const named = (object: KubeObject, what: string): string[] =>
  dnsLabel(object.metadata.name ?? '').length === 0
    ? []
    : [`metadata.name: this is used in ${what}, which can result in surprising behavior; a DNS label is recommended`];
const NAMES = 'Pod names and hostnames';

const aboutTemplate = (template: PodTemplateSpec | undefined, path: string): string[] =>
  template
    ? [...podWarnings(template.spec ?? { containers: [] }, `${path}.spec`), ...annotationWarnings(template, path)]
    : [];

/** A template is looked at again only where the update changed the spec. */
const changed = (object: KubeObject, old: KubeObject | undefined): boolean =>
  !old || object.metadata.generation !== old.metadata.generation;

const workload =
  (what?: string): Warnings =>
  (object, old) => {
    const { spec } = object as { spec?: { template?: PodTemplateSpec } };
    const name = old || !what ? [] : named(object, what);
    return [...name, ...(changed(object, old) ? aboutTemplate(spec?.template, 'spec.template') : [])];
  };

const aboutJob = (spec: JobSpec | undefined, path: string): string[] => {
  const out: string[] = [];
  if (spec?.completionMode === 'Indexed' && (spec.completions ?? 0) > 100_000 && (spec.parallelism ?? 0) > 10_000)
    out.push(`${path}: completed indexes of so many completions and pods may be lost when many of them fail`);
  return [...out, ...aboutTemplate(spec?.template, `${path}.template`)];
};

const aboutClaim = (spec: PersistentVolumeClaimSpec | undefined, path: string): string[] =>
  (['requests', 'limits'] as const).flatMap((part) =>
    fractionWarnings(`${path}.resources.${part}`, spec?.resources?.[part], ['storage']),
  );

const STORAGE_CLASS = 'volume.beta.kubernetes.io/storage-class';
const OLD_ANNOTATIONS: Record<string, string> = {
  [STORAGE_CLASS]: 'deprecated since v1.8; use "storageClassName" attribute instead',
  'volume.beta.kubernetes.io/mount-options': 'deprecated since v1.31; use "mountOptions" attribute instead',
};
const OLD_SOURCES: Record<string, string> = {
  cephfs: 'deprecated in v1.28, non-functional in v1.31+',
  photonPersistentDisk: 'deprecated in v1.11, non-functional in v1.16+',
  scaleIO: 'deprecated in v1.16, non-functional in v1.22+',
  storageos: 'deprecated in v1.22, non-functional in v1.25+',
  glusterfs: 'deprecated in v1.25, non-functional in v1.26+',
  rbd: 'deprecated in v1.28, non-functional in v1.31+',
};

const oldAnnotations = (object: KubeObject, keys: readonly string[]): string[] =>
  keys
    .filter((key) => object.metadata.annotations?.[key] !== undefined)
    .map((key) => `${at('metadata.annotations', key)}: ${OLD_ANNOTATIONS[key]}`);

const aboutVolume: Warnings = (object) => {
  const { spec } = object as PersistentVolume;
  const out = oldAnnotations(object, Object.keys(OLD_ANNOTATIONS));
  if (spec?.persistentVolumeReclaimPolicy === 'Recycle')
    out.push('spec.persistentVolumeReclaimPolicy: the Recycle reclaim policy is deprecated; use dynamic provisioning');
  const path = 'spec.nodeAffinity.required.nodeSelectorTerms';
  spec?.nodeAffinity?.required?.nodeSelectorTerms?.forEach((term, i) => {
    out.push(...nodeTermWarnings(at(path, i), term));
  });
  for (const [source, text] of Object.entries(OLD_SOURCES))
    if (spec && (spec as Record<string, unknown>)[source]) out.push(`spec.${source}: ${text}`);
  return out;
};

const aboutPeers = (path: string, peers: readonly NetworkPolicyPeer[] | undefined): string[] =>
  (peers ?? []).flatMap(({ ipBlock }, i) => {
    if (!ipBlock) return [];
    const where = `${at(path, i)}.ipBlock`;
    const except = (ipBlock.except ?? []).flatMap((cidr, n) => cidrWarnings(at(`${where}.except`, n), cidr));
    return [...cidrWarnings(`${where}.cidr`, ipBlock.cidr), ...except];
  });

const aboutPolicy: Warnings = (object) => {
  const { spec } = object as NetworkPolicy;
  return [
    ...(spec?.ingress ?? []).flatMap((rule, i) => aboutPeers(`${at('spec.ingress', i)}.from`, rule.from)),
    ...(spec?.egress ?? []).flatMap((rule, i) => aboutPeers(`${at('spec.egress', i)}.to`, rule.to)),
  ];
};

const aboutNode: Warnings = (object) => {
  const { spec } = object as Node;
  const out: string[] = [];
  if (spec?.externalID) out.push('spec.externalID: this field is deprecated, and is unused by Kubernetes');
  spec?.podCIDRs?.forEach((cidr, i) => {
    out.push(...cidrWarnings(at('spec.podCIDRs', i), cidr));
  });
  return out;
};

const MANAGED_BY = 'endpointslice.kubernetes.io/managed-by';
const CONTROLLERS = ['endpointslice-controller.k8s.io', 'endpointslicemirroring-controller.k8s.io'];

const aboutSlice: Warnings = (object, old) => {
  const { addressType, endpoints, metadata } = object as EndpointSlice;
  const out = !old && addressType === 'FQDN' ? ['spec.addressType: FQDN endpoints are deprecated'] : [];
  if (CONTROLLERS.includes(metadata.labels?.[MANAGED_BY] ?? '')) return out;
  (endpoints ?? []).forEach((endpoint, i) => {
    endpoint.addresses?.forEach((address, n) => {
      out.push(...ipWarnings(at(`${at('endpoints', i)}.addresses`, n), address));
    });
  });
  return out;
};

/** A quota that lets pods ask for more than they may use. */
const aboutQuota: Warnings = (object, old) => {
  const hard = (object as ResourceQuota).spec?.hard ?? {};
  if (old) return [];
  return ['cpu', 'memory', 'storage', 'ephemeral-storage'].flatMap((name) => {
    const bare = name === 'cpu' || name === 'memory';
    const asked = hard[`requests.${name}`] === undefined && bare ? name : `requests.${name}`;
    const request = hard[asked];
    const limit = hard[`limits.${name}`];
    if (request === undefined || limit === undefined || compareQuantity(request, limit) <= 0) return [];
    return [`ResourceQuota ${asked} (${request}) should be less than limits.${name} (${limit})`];
  });
};

const aboutClass: Warnings = (object) =>
  ((object as StorageClass).allowedTopologies ?? []).flatMap((topology, i) =>
    (topology.matchLabelExpressions ?? []).flatMap(({ key }, n) => {
      const old = oldLabel(key);
      return old ? [`${at(`${at('allowedTopologies', i)}.matchLabelExpressions`, n)}.key: ${old}`] : [];
    }),
  );

const aboutDriver: Warnings = (object, old) => {
  const { spec } = object as CSIDriver;
  const before = (old as CSIDriver | undefined)?.spec?.tokenRequests;
  if (!spec?.tokenRequests?.length || spec.serviceAccountTokenInSecrets !== undefined) return [];
  if (old && same(spec.tokenRequests, before)) return [];
  return ['spec.serviceAccountTokenInSecrets: set it to true where the driver takes tokens from secrets'];
};

const INGRESS_CLASS = 'kubernetes.io/ingress.class';
const SECRETS = 'kubernetes.io/enforce-mountable-secrets';

const warnings: Readonly<Record<string, Warnings>> = {
  '/Pod': (object, old) => {
    const pod = object as Pod;
    if (old) return [];
    const spec = podWarnings(pod.spec ?? { containers: [] });
    return [...named(object, "the Pod's hostname"), ...spec, ...annotationWarnings(pod)];
  },
  '/PodTemplate': (object, old) =>
    changed(object, old) ? aboutTemplate((object as PodTemplate).template, 'template') : [],
  // Upstream looks at the template that was, on an update.
  '/ReplicationController': (object, old) =>
    old ? workload()({ ...old, metadata: object.metadata }, old) : workload(NAMES)(object, old),
  '/Node': aboutNode,
  '/PersistentVolume': aboutVolume,
  '/PersistentVolumeClaim': (object) => [
    ...oldAnnotations(object, [STORAGE_CLASS]),
    ...aboutClaim((object as PersistentVolumeClaim).spec, 'spec'),
  ],
  '/ResourceQuota': aboutQuota,
  '/Service': (object) => serviceWarnings(object as Service),
  '/ServiceAccount': (object) =>
    object.metadata.annotations?.[SECRETS] === 'true'
      ? [
          `${at('metadata.annotations', SECRETS)}: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets`,
        ]
      : [],
  'apps/DaemonSet': workload(),
  'apps/Deployment': workload(NAMES),
  'apps/ReplicaSet': workload(NAMES),
  'apps/StatefulSet': (object, old) => {
    const { spec } = object as StatefulSet;
    const claims = (spec?.volumeClaimTemplates ?? []).flatMap((claim, i) =>
      aboutClaim(claim.spec, `${at('spec.volumeClaimTemplates', i)}.spec`),
    );
    const history =
      (spec?.revisionHistoryLimit ?? 0) < 0
        ? ['spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended']
        : [];
    return [...workload()(object, old), ...claims, ...history];
  },
  'batch/Job': (object, old) => [
    ...(old ? [] : named(object, NAMES)),
    ...(changed(object, old) ? aboutJob((object as Job).spec, 'spec') : []),
  ],
  'batch/CronJob': (object, old) => {
    const { spec } = object as CronJob;
    const zone = old && spec?.schedule?.includes('TZ');
    return [
      ...(old ? [] : named(object, NAMES)),
      ...(changed(object, old) ? aboutJob(spec?.jobTemplate?.spec, 'spec.jobTemplate.spec') : []),
      ...(zone ? ['spec.schedule: TZ and CRON_TZ cannot be used, use timeZone instead'] : []),
    ];
  },
  'discovery.k8s.io/EndpointSlice': aboutSlice,
  'networking.k8s.io/Ingress': (object, old) =>
    !old && object.metadata.annotations?.[INGRESS_CLASS] !== undefined && !(object as Ingress).spec?.ingressClassName
      ? [`annotation "${INGRESS_CLASS}" is deprecated, please use 'spec.ingressClassName' instead`]
      : [],
  'networking.k8s.io/NetworkPolicy': aboutPolicy,
  'storage.k8s.io/CSIDriver': aboutDriver,
  'storage.k8s.io/StorageClass': aboutClass,
};

/** The warnings of the kind `group/Kind`; undefined where it has none. */
export const warningsOf = (key: string): Warnings | undefined => warnings[key];
