import type { Container, Pod, PodSpec } from '../../../machinery/kinds.d.ts';
import type { KubeObject } from '../../../machinery/object.ts';
import { compareQuantity, signOf } from '../../../machinery/quantity.ts';
import { cause } from '../../../machinery/status.ts';
import type { Strategy } from '../../registry.ts';
import type { Causes } from '../checks.ts';
import {
  checkAnnotationChanges,
  checkPodAnnotations,
  checkProfilesMatch,
  profilesFromAnnotations,
} from './annotations.ts';
import { podDefaults } from './defaults.ts';
import { mergeLabelKeys } from './label-keys.ts';
import { checkOnlyPod, checkPodSpec } from './spec.ts';
import { checkPodUpdate } from './update.ts';

const GATED = {
  lastProbeTime: null as unknown as string,
  type: 'PodScheduled',
  status: 'False',
  reason: 'SchedulingGated',
  message: 'Scheduling is blocked due to non-empty scheduling gates',
};
const COMPUTE = ['cpu', 'memory'] as const;

/**
 * The quality-of-service class: Guaranteed where every container's cpu and memory limits equal its requests, BestEffort
 * where nothing is asked for, else Burstable. Pod-level resources decide alone where given (KEP-2837).
 */
export const qosClass = (spec: PodSpec): 'Guaranteed' | 'Burstable' | 'BestEffort' => {
  const parts = spec.resources ? [spec.resources] : containersOf(spec).map((c) => c.resources);
  let any = false;
  let guaranteed = parts.length > 0;
  for (const resources of parts) {
    for (const name of COMPUTE) {
      const request = resources?.requests?.[name];
      const limit = resources?.limits?.[name];
      if ((request && signOf(request) > 0) || (limit && signOf(limit) > 0)) any = true;
      if (!limit || signOf(limit) === 0 || (request && compareQuantity(request, limit) !== 0)) guaranteed = false;
    }
  }
  if (!any) return 'BestEffort';
  return guaranteed ? 'Guaranteed' : 'Burstable';
};

const containersOf = (spec: PodSpec): Container[] => [...(spec.containers ?? []), ...(spec.initContainers ?? [])];

const validate = (object: KubeObject): Causes => {
  const pod = object as Pod;
  const out: Causes = [];
  const spec = pod.spec ?? ({} as PodSpec);
  checkPodAnnotations(out, 'metadata.annotations', pod.metadata.annotations, spec);
  checkPodSpec(out, 'spec', spec, pod.metadata);
  checkOnlyPod(out, 'spec', spec);
  return out;
};

/** What holds when a pod is made and not later; an object that is not stored yet has no resourceVersion. */
const checkCreate = (out: Causes, { metadata, spec }: Pod): void => {
  if (spec?.ephemeralContainers?.length) {
    out.push(cause.forbidden('spec.ephemeralContainers', 'cannot be set on create'));
  }
  if (spec?.nodeName && spec.schedulingGates?.length) {
    out.push(cause.forbidden('spec.nodeName', 'cannot be set until all schedulingGates have been cleared'));
  }
  if (spec) checkProfilesMatch(out, 'spec', metadata.annotations, spec);
};

/** The QoS class is kept where it is not told; the one address and the list of them say the same, the former first. */
const fillStatus = (status: NonNullable<Pod['status']>, before: Pod['status']): void => {
  if (!status.qosClass && before?.qosClass) status.qosClass = before.qosClass;
  const [first] = status.podIPs ?? [];
  if (status.podIP && status.podIP !== first?.ip) status.podIPs = [{ ip: status.podIP }];
  else if (!status.podIP && first?.ip) status.podIP = first.ip;
};

/** Pods: the rules of their spec, and what an update may change. */
export const podStrategy: Strategy = {
  defaults: podDefaults,
  prepareForCreate: (object, ctx) => {
    const pod = object as Pod;
    pod.status = { phase: 'Pending', qosClass: qosClass(pod.spec ?? ({} as PodSpec)) };
    if (pod.spec?.schedulingGates?.length) {
      const lastTransitionTime = `${new Date(ctx.now).toISOString().slice(0, 19)}Z`;
      pod.status.conditions = [{ ...GATED, lastTransitionTime }];
    }
    if (pod.spec) mergeLabelKeys(pod.spec, pod.metadata.labels);
    profilesFromAnnotations(pod, ctx.warn);
    // A negative grace period is taken as the shortest one.
    if ((pod.spec?.terminationGracePeriodSeconds ?? 0) < 0 && pod.spec) pod.spec.terminationGracePeriodSeconds = 1;
  },
  prepareForUpdate: (next, old, ctx) => {
    const pod = next as Pod;
    const before = old as Pod;
    if (ctx.subresource === '' && before.status) pod.status = before.status;
    if (ctx.subresource === 'status' && pod.status) fillStatus(pod.status, before.status);
  },
  validate: (object, ctx) => {
    const out = validate(object);
    if (!object.metadata.resourceVersion && ctx.subresource === '') checkCreate(out, object as Pod);
    return out;
  },
  validateUpdate: (next, old) => {
    const out: Causes = [];
    checkAnnotationChanges(out, next.metadata.annotations, old.metadata.annotations);
    checkPodUpdate(out, next as Pod, old as Pod);
    return out;
  },
  graceSeconds: (object, requested) => {
    const { spec, status } = object as Pod;
    let seconds = requested ?? spec?.terminationGracePeriodSeconds ?? 0;
    if (!spec?.nodeName) seconds = 0;
    if (status?.phase === 'Failed' || status?.phase === 'Succeeded') seconds = 0;
    return seconds < 0 ? 1 : seconds;
  },
};
