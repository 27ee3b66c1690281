// Defaults that depend on other fields, per kind (facts/defaults.json `dynamic`). They run on every decode, after the
// static ones, and so only look at what their kind can hold.
import type {
  CronJob,
  CustomResourceDefinition,
  DaemonSet,
  Deployment,
  FlowSchema,
  HorizontalPodAutoscaler,
  HPAScalingRules,
  IngressClass,
  Job,
  LimitRange,
  Namespace,
  NetworkPolicy,
  Node,
  PersistentVolume,
  PodTemplate,
  PriorityLevelConfiguration,
  ReplicaSet,
  ReplicationController,
  ResourceResourceClaim as ResourceClaim,
  ResourceClaimTemplate,
  RoleBinding,
  Service,
  StatefulSet,
} from '../../machinery/kinds.d.ts';
import type { KubeObject } from '../../machinery/object.ts';
import { secretDefaults } from './config.ts';
import { containerLimitDefaults } from './limit-defaults.ts';
import { podDefaults, podSpecDefaults } from './pod/defaults.ts';

type Defaults = (object: KubeObject) => void;

const deployment: Defaults = (object) => {
  const { spec } = object as Deployment;
  if (!spec) return;
  spec.strategy ??= {};
  const { strategy } = spec;
  strategy.type ||= 'RollingUpdate';
  if (strategy.type === 'RollingUpdate') {
    strategy.rollingUpdate ??= {};
    const rolling = strategy.rollingUpdate;
    rolling.maxUnavailable ??= '25%';
    rolling.maxSurge ??= '25%';
  }
  podSpecDefaults(spec.template?.spec);
};

/** Counts a DaemonSet's templates; upstream shows a former field of its spec under this name. */
export const TEMPLATE_GENERATION = 'deprecated.daemonset.template.generation';

const daemonSet: Defaults = (object) => {
  const { spec, metadata } = object as DaemonSet;
  if (!spec) return;
  metadata.annotations ??= {};
  metadata.annotations[TEMPLATE_GENERATION] ??= '0';
  spec.updateStrategy ??= {};
  const strategy = spec.updateStrategy;
  strategy.type ||= 'RollingUpdate';
  if (strategy.type === 'RollingUpdate') {
    strategy.rollingUpdate ??= {};
    const rolling = strategy.rollingUpdate;
    rolling.maxUnavailable ??= 1;
    rolling.maxSurge ??= 0;
  }
  podSpecDefaults(spec.template?.spec);
};

const statefulSet: Defaults = (object) => {
  const { spec } = object as StatefulSet;
  if (!spec) return;
  spec.podManagementPolicy ||= 'OrderedReady';
  spec.updateStrategy ??= {};
  const strategy = spec.updateStrategy;
  // The static table gives the type first, so an absent type and a bare RollingUpdate look alike here; both get partition 0
  // only where rollingUpdate is written or the strategy was empty.
  if (!strategy.type) strategy.type = 'RollingUpdate';
  if (strategy.type === 'RollingUpdate') {
    strategy.rollingUpdate ??= {};
    strategy.rollingUpdate.partition ??= 0;
  }
  for (const claim of spec.volumeClaimTemplates ?? []) {
    claim.apiVersion = 'v1';
    claim.kind = 'PersistentVolumeClaim';
    claim.status ??= {};
    claim.status.phase ||= 'Pending';
    if (claim.spec) claim.spec.volumeMode ??= 'Filesystem';
  }
  podSpecDefaults(spec.template?.spec);
};

const replicaSet: Defaults = (object) => podSpecDefaults((object as ReplicaSet).spec?.template?.spec);
const podTemplate: Defaults = (object) => podSpecDefaults((object as PodTemplate).template?.spec);

const replicationController: Defaults = (object) => {
  const rc = object as ReplicationController;
  if (!rc.spec) return;
  const labels = rc.spec.template?.metadata?.labels;
  if (labels) {
    if (empty(rc.spec.selector)) rc.spec.selector = { ...labels };
    if (empty(rc.metadata.labels)) rc.metadata.labels = { ...labels };
  }
  podSpecDefaults(rc.spec.template?.spec);
};

const empty = (map: object | undefined): boolean => {
  for (const _ in map) return false;
  return true;
};

const job: Defaults = (object) => {
  const { spec, metadata } = object as Job;
  if (!spec) return;
  if (spec.completions === undefined && spec.parallelism === undefined) spec.completions = 1;
  spec.parallelism ??= 1;
  // The static table may not give backoffLimit: with a limit per index the total is unbounded.
  spec.backoffLimit ??= spec.backoffLimitPerIndex === undefined ? 6 : 2147483647;
  spec.completionMode ??= 'NonIndexed';
  spec.suspend ??= false;
  spec.podReplacementPolicy ??= spec.podFailurePolicy ? 'Failed' : 'TerminatingOrFailed';
  spec.manualSelector ??= false;
  const labels = spec.template?.metadata?.labels;
  if (labels && empty(metadata.labels)) metadata.labels = { ...labels };
  podSpecDefaults(spec.template?.spec);
};

const cronJob: Defaults = (object) => {
  const { spec } = object as CronJob;
  if (!spec) return;
  spec.concurrencyPolicy ||= 'Allow';
  podSpecDefaults(spec.jobTemplate?.spec?.template?.spec);
};

const service: Defaults = (object) => {
  const svc = object as Service;
  svc.spec ??= {};
  const { spec } = svc;
  spec.sessionAffinity ||= 'None';
  if (spec.sessionAffinity === 'None') delete spec.sessionAffinityConfig;
  if (spec.sessionAffinity === 'ClientIP' && spec.sessionAffinityConfig?.clientIP?.timeoutSeconds === undefined) {
    spec.sessionAffinityConfig = { clientIP: { timeoutSeconds: 10800 } };
  }
  spec.type ||= 'ClusterIP';
  for (const port of spec.ports ?? []) {
    port.protocol ||= 'TCP';
    if (port.targetPort === undefined || port.targetPort === 0 || port.targetPort === '')
      port.targetPort = port.port ?? 0;
  }
  const exposed = spec.type === 'NodePort' || spec.type === 'LoadBalancer';
  if (!spec.externalTrafficPolicy && (exposed || (spec.type === 'ClusterIP' && (spec.externalIPs?.length ?? 0) > 0))) {
    spec.externalTrafficPolicy = 'Cluster';
  }
  if (exposed || spec.type === 'ClusterIP') spec.internalTrafficPolicy ??= 'Cluster';
  if (spec.type === 'LoadBalancer') {
    spec.allocateLoadBalancerNodePorts ??= true;
    for (const ingress of svc.status?.loadBalancer?.ingress ?? []) if (ingress.ip) ingress.ipMode ??= 'VIP';
  }
};

const namespace: Defaults = (object) => {
  const { metadata } = object as Namespace;
  if (!metadata.name) return;
  metadata.labels ??= {};
  metadata.labels['kubernetes.io/metadata.name'] = metadata.name;
};

/** podCIDR is the first of podCIDRs; whichever is given makes the other. */
const alignPodCidrs = (node: Node): void => {
  const { spec } = node;
  if (!spec) return;
  if (spec.podCIDR && spec.podCIDRs?.[0] !== spec.podCIDR) spec.podCIDRs = [spec.podCIDR];
  else if (!spec.podCIDR && spec.podCIDRs?.[0]) spec.podCIDR = spec.podCIDRs[0];
};

const node: Defaults = (object) => {
  alignPodCidrs(object as Node);
  const { status } = object as Node;
  if (status?.capacity && !status.allocatable) status.allocatable = { ...status.capacity };
};

const persistentVolume: Defaults = (object) => {
  const pv = object as PersistentVolume;
  pv.status ??= {};
  pv.status.phase ||= 'Pending';
  const { spec } = pv;
  if (!spec) return;
  spec.persistentVolumeReclaimPolicy ||= 'Retain';
  spec.volumeMode ??= 'Filesystem';
  if (spec.hostPath) spec.hostPath.type ??= '';
};

const limitRange: Defaults = (object) => {
  for (const item of (object as LimitRange).spec?.limits ?? []) containerLimitDefaults(item);
};

const scalingRules = (given: HPAScalingRules | undefined, defaults: HPAScalingRules): HPAScalingRules => ({
  ...defaults,
  ...given,
});

const autoscaler: Defaults = (object) => {
  const { spec } = object as HorizontalPodAutoscaler;
  if (!spec) return;
  const perPeriod = (type: string, value: number) => ({ type, value, periodSeconds: 15 });
  if (spec.metrics?.length === 0) {
    const target = { type: 'Utilization', averageUtilization: 80 };
    spec.metrics = [{ type: 'Resource', resource: { name: 'cpu', target } }];
  }
  if (!spec.behavior) return;
  const { behavior } = spec;
  behavior.scaleUp = scalingRules(behavior.scaleUp, {
    stabilizationWindowSeconds: 0,
    selectPolicy: 'Max',
    policies: [perPeriod('Pods', 4), perPeriod('Percent', 100)],
  });
  behavior.scaleDown = scalingRules(behavior.scaleDown, {
    selectPolicy: 'Max',
    policies: [perPeriod('Percent', 100)],
  });
};

const networkPolicy: Defaults = (object) => {
  const { spec } = object as NetworkPolicy;
  if (!spec) return;
  for (const rule of spec.ingress ?? []) for (const port of rule.ports ?? []) port.protocol ??= 'TCP';
  for (const rule of spec.egress ?? []) for (const port of rule.ports ?? []) port.protocol ??= 'TCP';
  if (!spec.policyTypes?.length) spec.policyTypes = spec.egress?.length ? ['Ingress', 'Egress'] : ['Ingress'];
};

const ingressClass: Defaults = (object) => {
  const parameters = (object as IngressClass).spec?.parameters;
  if (parameters) parameters.scope ??= 'Cluster';
};

const roleBinding: Defaults = (object) => {
  const binding = object as RoleBinding;
  if (binding.roleRef) binding.roleRef.apiGroup ||= 'rbac.authorization.k8s.io';
  for (const subject of binding.subjects ?? []) {
    if (subject.apiGroup) continue;
    if (subject.kind === 'User' || subject.kind === 'Group') subject.apiGroup = 'rbac.authorization.k8s.io';
  }
};

const flowSchema: Defaults = (object) => {
  const { spec } = object as FlowSchema;
  if (spec) spec.matchingPrecedence ||= 1000;
};

const priorityLevel: Defaults = (object) => {
  const queuing = (object as PriorityLevelConfiguration).spec?.limited?.limitResponse?.queuing;
  if (!queuing) return;
  queuing.handSize ||= 8;
  queuing.queues ||= 64;
  queuing.queueLengthLimit ||= 50;
};

type ClaimSpec = ResourceClaim['spec'];
const deviceRequests = (spec: ClaimSpec | undefined): void => {
  for (const request of spec?.devices?.requests ?? []) {
    for (const r of [request.exactly, ...(request.firstAvailable ?? [])]) {
      if (!r) continue;
      r.allocationMode ||= 'ExactCount';
      if (r.allocationMode === 'ExactCount') r.count ||= 1;
      for (const toleration of r.tolerations ?? []) toleration.operator ||= 'Equal';
    }
  }
};

const customResourceDefinition: Defaults = (object) => {
  const crd = object as CustomResourceDefinition;
  const { spec } = crd;
  if (!spec) return;
  if (spec.names) {
    spec.names.singular ||= (spec.names.kind ?? '').toLowerCase();
    if (!spec.names.listKind && spec.names.kind) spec.names.listKind = `${spec.names.kind}List`;
  }
  const storage = spec.versions?.find((version) => version.storage)?.name;
  if (crd.status && !crd.status.storedVersions?.length && storage) crd.status.storedVersions = [storage];
  spec.conversion ??= { strategy: 'None' };
  const client = spec.conversion.webhook?.clientConfig?.service;
  if (client) client.port ??= 443;
};

/** Dynamic defaults by `group/Kind`; kinds that are not here have none. */
export const dynamicDefaults: Readonly<Record<string, Defaults>> = {
  '/Pod': podDefaults,
  '/PodTemplate': podTemplate,
  '/ReplicationController': replicationController,
  '/Secret': secretDefaults,
  '/Service': service,
  '/Namespace': namespace,
  '/Node': node,
  '/PersistentVolume': persistentVolume,
  '/LimitRange': limitRange,
  'apps/Deployment': deployment,
  'apps/DaemonSet': daemonSet,
  'apps/StatefulSet': statefulSet,
  'apps/ReplicaSet': replicaSet,
  'batch/Job': job,
  'batch/CronJob': cronJob,
  'autoscaling/HorizontalPodAutoscaler': autoscaler,
  'networking.k8s.io/NetworkPolicy': networkPolicy,
  'networking.k8s.io/IngressClass': ingressClass,
  'rbac.authorization.k8s.io/RoleBinding': roleBinding,
  'rbac.authorization.k8s.io/ClusterRoleBinding': roleBinding,
  'flowcontrol.apiserver.k8s.io/FlowSchema': flowSchema,
  'flowcontrol.apiserver.k8s.io/PriorityLevelConfiguration': priorityLevel,
  'resource.k8s.io/ResourceClaim': (object) => deviceRequests((object as ResourceClaim).spec),
  'resource.k8s.io/ResourceClaimTemplate': (object) => deviceRequests((object as ResourceClaimTemplate).spec?.spec),
  'apiextensions.k8s.io/CustomResourceDefinition': customResourceDefinition,
};
