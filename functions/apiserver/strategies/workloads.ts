// Deployments, ReplicaSets, StatefulSets, DaemonSets, ReplicationControllers, ControllerRevisions and PodTemplates.
import { percentOf } from '../../machinery/intstr.ts';
import type {
  ControllerRevision,
  DaemonSet,
  Deployment,
  LabelSelector,
  PodSpec,
  PodTemplate,
  PodTemplateSpec,
  ReplicaSet,
  ReplicationController,
  StatefulSet,
  StatefulSetSpec,
  Volume,
} from '../../machinery/kinds.d.ts';
import type { KubeObject } from '../../machinery/object.ts';
import { cause } from '../../machinery/status.ts';
import type { Strategy } from '../registry.ts';
import {
  at,
  type Causes,
  checkAnnotations,
  checkDnsLabel,
  checkLabels,
  checkSelector,
  immutable,
  isEmptySelector,
  nonNegative,
  oneOf,
  same,
  selectorMatches,
} from './checks.ts';
import { checkClaimSpec } from './claim-spec.ts';
import { TEMPLATE_GENERATION } from './defaults.ts';
import { dnsLabel } from './names.ts';
import { checkPodAnnotations } from './pod/annotations.ts';
import { checkTemplate } from './pod/spec.ts';

const MISMATCH = '`selector` does not match template `labels`';
const TEMPLATE = 'spec.template';

/** The selector must be given, not empty, and match the template; false where the template is then not looked at. */
const checkOwnSelector = (
  out: Causes,
  selector: LabelSelector | undefined,
  template: PodTemplateSpec | undefined,
): boolean => {
  if (!selector) out.push(cause.required('spec.selector'));
  else {
    checkSelector(out, 'spec.selector', selector);
    if (isEmptySelector(selector)) out.push(cause.invalid('spec.selector', selector, 'empty selector is invalid'));
  }
  const labels = template?.metadata?.labels;
  const matches = selector ? selectorMatches(selector, labels) : false;
  if (matches === undefined) {
    out.push(cause.invalid('spec.selector', selector, 'invalid label selector'));
    return false;
  }
  if (!matches) out.push(cause.invalid(`${TEMPLATE}.metadata.labels`, labels ?? null, MISMATCH));
  return true;
};

/** A template whose pods run for ever. */
const checkEndless = (out: Causes, spec: PodSpec | undefined, kind: string): void => {
  if (spec?.restartPolicy !== 'Always') {
    out.push(cause.notSupported(`${TEMPLATE}.spec.restartPolicy`, spec?.restartPolicy ?? '', ['Always']));
  }
  if (spec?.activeDeadlineSeconds !== undefined) {
    const detail = `activeDeadlineSeconds in ${kind} is not Supported`;
    out.push(cause.forbidden(`${TEMPLATE}.spec.activeDeadlineSeconds`, detail));
  }
};

/** A count or a percentage, not negative. */
export const checkIntOrPercent = (out: Causes, path: string, value: number | string): void => {
  if (typeof value === 'number') nonNegative(out, path, value);
  else if (!/^[0-9]+%$/.test(value)) {
    out.push(cause.invalid(path, value, "a valid percent string must be a numeric string followed by an ending '%'"));
  }
};
/** Refuses a percentage above 100. */
export const atMostHundred = (out: Causes, path: string, value: number | string): void => {
  if ((percentOf(value) ?? 0) > 100) out.push(cause.invalid(path, value, 'must not be greater than 100%'));
};
const isZero = (value: number | string): boolean => (percentOf(value) ?? (typeof value === 'number' ? value : 0)) === 0;

const checkDeployment = (object: KubeObject): Causes => {
  const out: Causes = [];
  const { spec } = object as Deployment;
  nonNegative(out, 'spec.replicas', spec?.replicas);
  if (checkOwnSelector(out, spec?.selector, spec?.template)) {
    checkTemplate(out, TEMPLATE, spec?.template);
    checkEndless(out, spec?.template?.spec, 'ReplicaSet');
  }
  const strategy = spec?.strategy ?? {};
  const path = 'spec.strategy.rollingUpdate';
  const rolling = strategy.rollingUpdate;
  if (strategy.type === 'Recreate') {
    if (rolling) out.push(cause.forbidden(path, "may not be specified when strategy `type` is 'Recreate'"));
  } else if (strategy.type === 'RollingUpdate') {
    const { maxUnavailable = 0, maxSurge = 0 } = rolling ?? {};
    checkIntOrPercent(out, `${path}.maxUnavailable`, maxUnavailable);
    checkIntOrPercent(out, `${path}.maxSurge`, maxSurge);
    if (isZero(maxUnavailable) && isZero(maxSurge)) {
      out.push(cause.invalid(`${path}.maxUnavailable`, maxUnavailable, 'may not be 0 when `maxSurge` is 0'));
    }
    atMostHundred(out, `${path}.maxUnavailable`, maxUnavailable);
  } else out.push(cause.notSupported('spec.strategy', strategy, ['Recreate', 'RollingUpdate']));
  nonNegative(out, 'spec.minReadySeconds', spec?.minReadySeconds);
  nonNegative(out, 'spec.revisionHistoryLimit', spec?.revisionHistoryLimit);
  const deadline = spec?.progressDeadlineSeconds;
  nonNegative(out, 'spec.progressDeadlineSeconds', deadline);
  if (deadline !== undefined && deadline <= (spec?.minReadySeconds ?? 0)) {
    out.push(cause.invalid('spec.progressDeadlineSeconds', deadline, 'must be greater than minReadySeconds'));
  }
  return out;
};

const checkReplicaSet = (object: KubeObject): Causes => {
  const out: Causes = [];
  const { spec } = object as ReplicaSet;
  nonNegative(out, 'spec.replicas', spec?.replicas);
  nonNegative(out, 'spec.minReadySeconds', spec?.minReadySeconds);
  if (checkOwnSelector(out, spec?.selector, spec?.template)) {
    checkTemplate(out, TEMPLATE, spec?.template);
    checkEndless(out, spec?.template?.spec, 'ReplicaSet');
  }
  return out;
};

const setTemplateGeneration = (object: KubeObject, count: number): void => {
  object.metadata.annotations = { ...object.metadata.annotations, [TEMPLATE_GENERATION]: String(count) };
};

const checkDaemonSet = (object: KubeObject): Causes => {
  const out: Causes = [];
  const { spec } = object as DaemonSet;
  const selector = spec?.selector;
  checkSelector(out, 'spec.selector', selector);
  const labels = spec?.template?.metadata?.labels;
  if ((selector ? selectorMatches(selector, labels) : false) === false) {
    out.push(cause.invalid(`${TEMPLATE}.metadata.labels`, labels ?? null, MISMATCH));
  }
  if (selector && isEmptySelector(selector)) {
    out.push(cause.invalid('spec.selector', selector, 'empty selector is invalid for daemonset'));
  }
  checkTemplate(out, TEMPLATE, spec?.template);
  checkEndless(out, spec?.template?.spec, 'DaemonSet');
  nonNegative(out, 'spec.minReadySeconds', spec?.minReadySeconds);
  const strategy = spec?.updateStrategy ?? {};
  if (strategy.type === 'RollingUpdate') {
    const path = 'spec.updateStrategy.rollingUpdate';
    const { maxUnavailable = 0, maxSurge = 0 } = strategy.rollingUpdate ?? {};
    checkIntOrPercent(out, `${path}.maxUnavailable`, maxUnavailable);
    checkIntOrPercent(out, `${path}.maxSurge`, maxSurge);
    atMostHundred(out, `${path}.maxUnavailable`, maxUnavailable);
    atMostHundred(out, `${path}.maxSurge`, maxSurge);
    if (!isZero(maxUnavailable) && !isZero(maxSurge)) {
      out.push(cause.invalid(`${path}.maxSurge`, maxSurge, 'may not be set when maxUnavailable is non-zero'));
    } else if (isZero(maxUnavailable) && isZero(maxSurge)) {
      out.push(cause.required(`${path}.maxUnavailable`, 'cannot be 0 when maxSurge is 0'));
    }
  } else if (strategy.type !== 'OnDelete') {
    out.push(cause.notSupported('spec.updateStrategy', strategy, ['RollingUpdate', 'OnDelete']));
  }
  nonNegative(out, 'spec.revisionHistoryLimit', spec?.revisionHistoryLimit);
  return out;
};

const checkUpdateStrategy = (out: Causes, strategy: NonNullable<StatefulSetSpec['updateStrategy']>): void => {
  const path = 'spec.updateStrategy';
  const rolling = strategy.rollingUpdate;
  if (strategy.type === 'OnDelete') {
    const detail = "only allowed for updateStrategy 'RollingUpdate'";
    if (rolling) out.push(cause.invalid(`${path}.rollingUpdate`, rolling, detail));
  } else if (strategy.type === 'RollingUpdate') {
    nonNegative(out, `${path}.rollingUpdate.partition`, rolling?.partition);
    const most = rolling?.maxUnavailable;
    if (most === undefined) return;
    checkIntOrPercent(out, `${path}.rollingUpdate.maxUnavailable`, most);
    if (isZero(most)) out.push(cause.invalid(`${path}.rollingUpdate.maxUnavailable`, most, 'cannot be 0'));
    atMostHundred(out, `${path}.rollingUpdate.maxUnavailable`, most);
  } else out.push(cause.invalid(path, strategy, "must be 'RollingUpdate' or 'OnDelete'"));
};

/** Claim templates stand in the pod as volumes of their name, so that mounts may refer to them. */
const withClaims = (spec: StatefulSetSpec): PodTemplateSpec => {
  const { template } = spec;
  const claims = (spec.volumeClaimTemplates ?? []).map((claim) => claim.metadata?.name ?? '');
  const distinct = [...new Set(claims)];
  const made: Volume[] = distinct.map((name) => ({ name, persistentVolumeClaim: { claimName: name } }));
  const own = (template?.spec?.volumes ?? []).filter((v) => !claims.includes(v.name));
  const pod = { ...template?.spec, volumes: [...made, ...own] } as PodSpec;
  delete pod.hostname;
  delete pod.subdomain;
  return { ...template, spec: pod };
};

const checkStatefulSet = (object: KubeObject): Causes => {
  const out: Causes = [];
  const spec = (object as StatefulSet).spec ?? ({} as StatefulSetSpec);
  if (!['OrderedReady', 'Parallel'].includes(spec.podManagementPolicy ?? '')) {
    out.push(
      cause.invalid('spec.podManagementPolicy', spec.podManagementPolicy, "must be 'OrderedReady' or 'Parallel'"),
    );
  }
  checkUpdateStrategy(out, spec.updateStrategy ?? {});
  const retention = spec.persistentVolumeClaimRetentionPolicy;
  for (const field of ['whenDeleted', 'whenScaled'] as const) {
    oneOf(out, `spec.persistentVolumeClaimRetentionPolicy.${field}`, retention?.[field], ['Retain', 'Delete']);
  }
  // They cannot change, so what was accepted once is not looked at again.
  if (!object.metadata.resourceVersion)
    spec.volumeClaimTemplates?.forEach((claim, i) => {
      checkClaimSpec(out, `${at('spec.volumeClaimTemplates', i)}.spec`, claim.spec ?? {});
    });
  nonNegative(out, 'spec.replicas', spec.replicas);
  nonNegative(out, 'spec.minReadySeconds', spec.minReadySeconds);
  nonNegative(out, 'spec.ordinals.start', spec.ordinals?.start);
  if (spec.serviceName) checkDnsLabel(out, 'spec.serviceName', spec.serviceName);
  if (checkOwnSelector(out, spec.selector, spec.template)) {
    checkTemplate(out, TEMPLATE, withClaims(spec));
    const meta = spec.template?.metadata;
    checkLabels(out, `${TEMPLATE}.labels`, meta?.labels);
    checkAnnotations(out, `${TEMPLATE}.annotations`, meta?.annotations);
    checkPodAnnotations(out, `${TEMPLATE}.annotations`, meta?.annotations, spec.template?.spec ?? ({} as PodSpec));
  }
  checkEndless(out, spec.template?.spec, 'StatefulSet');
  return out;
};

const STATEFUL_MUTABLE: (keyof StatefulSetSpec)[] = [
  'replicas',
  'template',
  'updateStrategy',
  'minReadySeconds',
  'ordinals',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
];

const checkController = (object: KubeObject): Causes => {
  const out: Causes = [];
  const { spec } = object as ReplicationController;
  nonNegative(out, 'spec.minReadySeconds', spec?.minReadySeconds);
  const selector = spec?.selector ?? {};
  if (Object.keys(selector).length === 0) out.push(cause.required('spec.selector'));
  nonNegative(out, 'spec.replicas', spec?.replicas);
  if (!spec?.template) {
    out.push(cause.required(TEMPLATE));
    return out;
  }
  const labels = spec.template.metadata?.labels;
  if (Object.entries(selector).some(([key, value]) => labels?.[key] !== value)) {
    out.push(cause.invalid(`${TEMPLATE}.metadata.labels`, labels ?? null, MISMATCH));
  }
  checkTemplate(out, TEMPLATE, spec.template);
  checkEndless(out, spec.template.spec, 'ReplicationController');
  return out;
};

type Counts = Record<string, number | undefined>;
/** Counts of a status: not negative, and no part more than the whole. */
const checkCounts = (next: KubeObject, old: KubeObject, all: readonly string[], parts: readonly string[]): Causes => {
  const out: Causes = [];
  const status = ((next as { status?: unknown }).status ?? {}) as Counts;
  const before = ((old as { status?: unknown }).status ?? {}) as Counts;
  for (const field of all) nonNegative(out, `status.${field}`, status[field]);
  for (const field of parts) {
    if ((status[field] ?? 0) <= (status.replicas ?? 0)) continue;
    out.push(cause.invalid(`status.${field}`, status[field], 'cannot be greater than status.replicas'));
  }
  if (parts.includes('readyReplicas') && (status.availableReplicas ?? 0) > (status.readyReplicas ?? 0)) {
    out.push(
      cause.invalid('status.availableReplicas', status.availableReplicas, 'cannot be greater than readyReplicas'),
    );
  }
  if (before.collisionCount !== undefined && (status.collisionCount ?? 0) < before.collisionCount) {
    out.push(cause.invalid('status.collisionCount', status.collisionCount ?? 0, 'cannot be decremented'));
  }
  return out;
};
const counts =
  (all: string, parts: string): NonNullable<Strategy['validateStatusUpdate']> =>
  (next, old) =>
    checkCounts(next, old, all.split(' '), parts.split(' '));

const selectorStays: NonNullable<Strategy['validateUpdate']> = (next, old) => {
  const out: Causes = [];
  immutable(out, 'spec.selector', (next as ReplicaSet).spec?.selector, (old as ReplicaSet).spec?.selector);
  return out;
};

const REPLICAS = 'updatedReplicas readyReplicas availableReplicas';

/** Strategies by `group/Kind`. */
export const workloadStrategies: Readonly<Record<string, Strategy>> = {
  'apps/Deployment': {
    // Annotations count as well: rollouts are told by them.
    prepareForUpdate: (next, old, ctx) => {
      if (ctx.subresource !== 'status' && !same(next.metadata.annotations, old.metadata.annotations))
        next.metadata.generation = (old.metadata.generation ?? 0) + 1;
    },
    validate: checkDeployment,
    validateUpdate: selectorStays,
    validateStatusUpdate: counts(
      `observedGeneration replicas ${REPLICAS} unavailableReplicas terminatingReplicas collisionCount`,
      REPLICAS,
    ),
  },
  'apps/ReplicaSet': {
    validate: checkReplicaSet,
    validateUpdate: selectorStays,
    validateStatusUpdate: counts(
      'replicas fullyLabeledReplicas readyReplicas availableReplicas observedGeneration terminatingReplicas',
      'fullyLabeledReplicas readyReplicas availableReplicas',
    ),
  },
  'apps/DaemonSet': {
    prepareForCreate: (object) => setTemplateGeneration(object, 1),
    prepareForUpdate: (next, old) => {
      const [before, after] = [(old as DaemonSet).spec?.template, (next as DaemonSet).spec?.template];
      const count = Number(old.metadata.annotations?.[TEMPLATE_GENERATION] ?? 0);
      setTemplateGeneration(next, same(before, after) ? count : count + 1);
    },
    validate: checkDaemonSet,
    validateUpdate: selectorStays,
    validateStatusUpdate: counts(
      'currentNumberScheduled numberMisscheduled desiredNumberScheduled numberReady observedGeneration updatedNumberScheduled numberAvailable numberUnavailable collisionCount',
      '',
    ),
  },
  'apps/StatefulSet': {
    validateName: dnsLabel,
    validate: checkStatefulSet,
    validateUpdate: (next, old) => {
      const before = (old as StatefulSet).spec ?? ({} as StatefulSetSpec);
      const munged = { ...(next as StatefulSet).spec } as Record<string, unknown>;
      for (const field of STATEFUL_MUTABLE) munged[field] = before[field];
      if (same(munged, before)) return [];
      const names = STATEFUL_MUTABLE.map((field) => `'${field}'`).join(', ');
      return [cause.forbidden('spec', `updates to statefulset spec for fields other than ${names} are forbidden`)];
    },
    validateStatusUpdate: counts(
      `replicas readyReplicas currentReplicas updatedReplicas availableReplicas observedGeneration collisionCount`,
      'readyReplicas currentReplicas updatedReplicas availableReplicas',
    ),
  },
  '/ReplicationController': {
    defaultPropagation: 'Orphan',
    validate: checkController,
    validateStatusUpdate: counts(
      'replicas fullyLabeledReplicas readyReplicas availableReplicas observedGeneration',
      'fullyLabeledReplicas readyReplicas availableReplicas',
    ),
  },
  'apps/ControllerRevision': {
    validate: (object) => {
      const out: Causes = [];
      const revision = object as ControllerRevision;
      nonNegative(out, 'revision', revision.revision);
      if (object.metadata.resourceVersion) return out;
      const { data } = revision as { data?: unknown };
      const isObject = typeof data === 'object' && data !== null && !Array.isArray(data);
      if (!isObject) out.push(cause.required('data', 'data must be a valid JSON object'));
      return out;
    },
    validateUpdate: (next, old) => {
      const out: Causes = [];
      immutable(out, 'data', (next as ControllerRevision).data, (old as ControllerRevision).data);
      return out;
    },
  },
  '/PodTemplate': {
    validate: (object) => {
      const out: Causes = [];
      checkTemplate(out, 'template', (object as PodTemplate).template);
      return out;
    },
  },
};
