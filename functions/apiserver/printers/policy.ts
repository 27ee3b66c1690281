import type {
  APIService,
  CertificateSigningRequest,
  ClusterRoleBinding,
  CSIDriver,
  CSINode,
  FlowSchema,
  Ingress,
  IngressClass,
  IPAddress,
  Lease,
  MutatingAdmissionPolicy,
  MutatingAdmissionPolicyBinding,
  MutatingWebhookConfiguration,
  NetworkPolicy,
  PodDisruptionBudget,
  PriorityClass,
  PriorityLevelConfiguration,
  ResourceResourceClaim,
  ResourceSlice,
  RuntimeClass,
  Scale,
  ServiceCIDR,
  StorageClass,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
  VolumeAttachment,
  VolumeAttributesClass,
} from '../../machinery/kinds.d.ts';
import type { KubeObject } from '../../machinery/object.ts';
import { age, humanDuration, joined, NONE, selectorOf, UNSET } from './format.ts';
import { type Printer, printer } from './printer.ts';
import type { Cell } from './table.ts';

/** Name, then the middle cells, then the age: most kinds. */
const aged = <T extends KubeObject>(middle: (o: T) => Cell[]): Printer =>
  printer<T>((o, now) => [o.metadata.name ?? '', ...middle(o), age(o.metadata.creationTimestamp, now)]);

const paramKind = (kind: { apiVersion?: string; kind?: string } | undefined): string =>
  kind ? `${kind.apiVersion ?? ''}/${kind.kind ?? ''}` : UNSET;
const paramRef = (ref: { name?: string; namespace?: string; selector?: unknown } | undefined): string => {
  if (!ref) return UNSET;
  if (ref.name) return ref.namespace ? `${ref.namespace}/${ref.name}` : `*/${ref.name}`;
  return ref.selector ? selectorOf(ref.selector) : UNSET;
};

const precedence = (o: KubeObject): number => (o as FlowSchema).spec?.matchingPrecedence ?? 0;

const binding = printer<ClusterRoleBinding>((o, now) => {
  const named = (kind: string) => (o.subjects ?? []).filter((s) => s.kind === kind);
  return [
    o.metadata.name ?? '',
    `${o.roleRef.kind}/${o.roleRef.name}`,
    age(o.metadata.creationTimestamp, now),
    named('User')
      .map((s) => s.name)
      .join(', '),
    named('Group')
      .map((s) => s.name)
      .join(', '),
    named('ServiceAccount')
      .map((s) => `${s.namespace ?? ''}/${s.name}`)
      .join(', '),
  ];
});

const ingressHosts = (o: Ingress): string => {
  const hosts = [...new Set((o.spec?.rules ?? []).map((r) => r.host || '*'))];
  if (hosts.length === 0) return '*';
  return hosts.length > 3 ? `${hosts.slice(0, 3).join(',')} + ${hosts.length - 3} more...` : hosts.join(',');
};

const csrCondition = (o: CertificateSigningRequest): string => {
  const has = (type: string) => o.status?.conditions?.some((c) => c.type === type);
  const words = [has('Denied') ? 'Denied' : has('Approved') ? 'Approved' : has('Failed') ? '' : 'Pending'].filter(
    Boolean,
  );
  if (has('Failed')) words.push('Failed');
  if (o.status?.certificate) words.push('Issued');
  return words.join(',');
};

const claimState = (o: ResourceResourceClaim): string => {
  const states = [
    o.metadata.deletionTimestamp && 'deleted',
    o.status?.allocation && 'allocated',
    o.status?.reservedFor?.length && 'reserved',
  ].filter(Boolean);
  return o.status?.allocation || o.metadata.deletionTimestamp ? states.join(',') : 'pending';
};

const accessKinds: Record<string, Printer> = {
  'RoleBinding.rbac.authorization.k8s.io': binding,
  'ClusterRoleBinding.rbac.authorization.k8s.io': binding,
  'CertificateSigningRequest.certificates.k8s.io': printer<CertificateSigningRequest>((o, now) => [
    o.metadata.name ?? '',
    age(o.metadata.creationTimestamp, now),
    o.spec.signerName ?? '',
    o.spec.username ?? '',
    o.spec.expirationSeconds !== undefined ? humanDuration(o.spec.expirationSeconds * 1000) : NONE,
    csrCondition(o),
  ]),
  'MutatingWebhookConfiguration.admissionregistration.k8s.io': aged<MutatingWebhookConfiguration>((o) => [
    o.webhooks?.length ?? 0,
  ]),
  'ValidatingWebhookConfiguration.admissionregistration.k8s.io': aged<MutatingWebhookConfiguration>((o) => [
    o.webhooks?.length ?? 0,
  ]),
  'ValidatingAdmissionPolicy.admissionregistration.k8s.io': aged<ValidatingAdmissionPolicy>((o) => [
    o.spec?.validations?.length ?? 0,
    paramKind(o.spec?.paramKind),
  ]),
  'ValidatingAdmissionPolicyBinding.admissionregistration.k8s.io': aged<ValidatingAdmissionPolicyBinding>((o) => [
    o.spec?.policyName ?? '',
    paramRef(o.spec?.paramRef),
  ]),
  'MutatingAdmissionPolicy.admissionregistration.k8s.io': aged<MutatingAdmissionPolicy>((o) => [
    o.spec?.mutations?.length ?? 0,
    paramKind(o.spec?.paramKind),
  ]),
  'MutatingAdmissionPolicyBinding.admissionregistration.k8s.io': aged<MutatingAdmissionPolicyBinding>((o) => [
    o.spec?.policyName ?? '',
    paramRef(o.spec?.paramRef),
  ]),
  'FlowSchema.flowcontrol.apiserver.k8s.io': {
    ...printer<FlowSchema>((o, now) => {
      const dangling = o.status?.conditions?.find((c) => c.type === 'Dangling');
      return [
        o.metadata.name ?? '',
        o.spec?.priorityLevelConfiguration.name ?? '',
        o.spec?.matchingPrecedence ?? 0,
        o.spec?.distinguisherMethod?.type ?? NONE,
        age(o.metadata.creationTimestamp, now),
        dangling?.status ?? '?',
      ];
    }),
    order: (a, b) => precedence(a) - precedence(b),
  },
  'PriorityLevelConfiguration.flowcontrol.apiserver.k8s.io': aged<PriorityLevelConfiguration>((o) => {
    const queuing = o.spec?.limited?.limitResponse?.queuing;
    return [
      o.spec?.type ?? '',
      o.spec?.limited?.nominalConcurrencyShares ?? NONE,
      queuing?.queues ?? NONE,
      queuing?.handSize ?? NONE,
      queuing?.queueLengthLimit ?? NONE,
    ];
  }),
  'APIService.apiregistration.k8s.io': aged<APIService>((o) => {
    const available = o.status?.conditions?.find((c) => c.type === 'Available');
    const why = available?.status !== 'True' && available?.reason ? ` (${available.reason})` : '';
    const service = o.spec?.service;
    return [
      service ? `${service.namespace ?? ''}/${service.name ?? ''}` : 'Local',
      available ? `${available.status}${why}` : 'Unknown',
    ];
  }),
};

const networkKinds: Record<string, Printer> = {
  'Ingress.networking.k8s.io': aged<Ingress>((o) => [
    o.spec?.ingressClassName ?? NONE,
    ingressHosts(o),
    (o.status?.loadBalancer?.ingress ?? []).map((i) => i.ip || i.hostname || '').join(','),
    o.spec?.tls?.length ? '80, 443' : '80',
  ]),
  'IngressClass.networking.k8s.io': aged<IngressClass>((o) => {
    const p = o.spec?.parameters;
    return [o.spec?.controller ?? '', p ? `${p.kind}${p.apiGroup ? `.${p.apiGroup}` : ''}/${p.name}` : NONE];
  }),
  'NetworkPolicy.networking.k8s.io': aged<NetworkPolicy>((o) => [selectorOf(o.spec?.podSelector)]),
  'ServiceCIDR.networking.k8s.io': aged<ServiceCIDR>((o) => [(o.spec?.cidrs ?? []).join(',')]),
  'IPAddress.networking.k8s.io': printer<IPAddress>((o) => {
    const ref = o.spec?.parentRef;
    const resource = ref?.group ? `${ref.resource}.${ref.group}` : (ref?.resource ?? '');
    return [o.metadata.name ?? '', ref ? `${resource}/${ref.namespace ? `${ref.namespace}/` : ''}${ref.name}` : ''];
  }),
};

const storageKinds: Record<string, Printer> = {
  'StorageClass.storage.k8s.io': printer<StorageClass>((o, now) => [
    o.metadata.annotations?.['storageclass.kubernetes.io/is-default-class'] === 'true'
      ? `${o.metadata.name} (default)`
      : (o.metadata.name ?? ''),
    o.provisioner,
    o.reclaimPolicy ?? 'Delete',
    o.volumeBindingMode ?? 'Immediate',
    o.allowVolumeExpansion ?? false,
    age(o.metadata.creationTimestamp, now),
  ]),
  'CSIDriver.storage.k8s.io': aged<CSIDriver>((o) => [
    o.spec.attachRequired ?? true,
    o.spec.podInfoOnMount ?? false,
    o.spec.storageCapacity ?? false,
    o.spec.tokenRequests?.length ? o.spec.tokenRequests.map((t) => t.audience).join(',') : UNSET,
    o.spec.requiresRepublish ?? false,
    joined(o.spec.volumeLifecycleModes),
  ]),
  'CSINode.storage.k8s.io': aged<CSINode>((o) => [o.spec.drivers?.length ?? 0]),
  'VolumeAttachment.storage.k8s.io': aged<VolumeAttachment>((o) => [
    o.spec.attacher,
    o.spec.source.persistentVolumeName ?? '',
    o.spec.nodeName,
    o.status?.attached ?? false,
  ]),
  'VolumeAttributesClass.storage.k8s.io': aged<VolumeAttributesClass>((o) => [o.driverName]),
};

const otherKinds: Record<string, Printer> = {
  'Lease.coordination.k8s.io': aged<Lease>((o) => [o.spec?.holderIdentity ?? '']),
  'RuntimeClass.node.k8s.io': aged<RuntimeClass>((o) => [o.handler]),
  'PriorityClass.scheduling.k8s.io': printer<PriorityClass>((o, now) => [
    o.metadata.name ?? '',
    o.value ?? 0,
    o.globalDefault ?? false,
    age(o.metadata.creationTimestamp, now),
    o.preemptionPolicy ?? '',
  ]),
  'PodDisruptionBudget.policy': aged<PodDisruptionBudget>((o) => [
    o.spec?.minAvailable !== undefined ? String(o.spec.minAvailable) : 'N/A',
    o.spec?.maxUnavailable !== undefined ? String(o.spec.maxUnavailable) : 'N/A',
    o.status?.disruptionsAllowed ?? 0,
  ]),
  'ResourceClaim.resource.k8s.io': aged<ResourceResourceClaim>((o) => [claimState(o)]),
  'ResourceClaimTemplate.resource.k8s.io': aged<KubeObject>(() => []),
  'DeviceClass.resource.k8s.io': aged<KubeObject>(() => []),
  'ResourceSlice.resource.k8s.io': aged<ResourceSlice>((o) => [
    o.spec.nodeName ?? (o.spec.allNodes ? '<all>' : NONE),
    o.spec.driver,
    o.spec.pool.name,
  ]),
  'Scale.autoscaling': aged<Scale>((o) => [o.spec?.replicas ?? 0, o.status?.replicas ?? 0]),
};

export const policyPrinters: Record<string, Printer> = {
  ...accessKinds,
  ...networkKinds,
  ...storageKinds,
  ...otherKinds,
};
