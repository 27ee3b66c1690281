import type { Reader } from '../../client/reader.ts';
import { timestamp } from '../../clock/clock.ts';
import type {
  CustomResourceDefinition,
  HorizontalPodAutoscaler,
  HorizontalPodAutoscalerCondition,
  MetricStatus,
  Pod,
} from '../../machinery/kinds.d.ts';
import { type GroupVersionResource, type KubeObject, keyOf, parseGroupVersion } from '../../machinery/object.ts';
import { labelSelector, parseLabelSelector } from '../../machinery/selectors.ts';
import type { Controller, EventDraft, Plan, PlannedWrite } from '../controller.ts';
import { expectsOf, ownKey, targetOf } from '../owners.ts';
import {
  customResourceDefinitions,
  deployments,
  horizontalPodAutoscalers,
  pods,
  replicaSets,
  replicationControllers,
  statefulSets,
} from '../resources.ts';
import { sameJson, statusWrite } from '../status-patch.ts';
import { type History, normalize, remember } from './behavior.ts';
import { type Measured, type PodMetrics, propose } from './usage.ts';

/** What is to be scaled, as its Scale would show it. */
export interface ScaleTarget {
  object: KubeObject;
  resource: GroupVersionResource;
  replicas: number;
  statusReplicas: number;
  selector: { text: string; matches(labels: Record<string, string>): boolean } | undefined;
}

export interface HpaObserved {
  hpa: HorizontalPodAutoscaler;
  /** Text of the failure where there is nothing to scale. */
  target: ScaleTarget | string;
  pods: readonly Pod[];
  metrics: readonly PodMetrics[] | string;
  history: History;
}

export interface HpaOptions {
  /** How often every autoscaler is looked at; upstream's 15 s where absent. */
  hpaSyncMs?: number;
  /** metrics.k8s.io PodMetrics by label selector. Rejects where that API is not served. */
  podMetrics?(cluster: string, namespace: string, selector: string): Promise<readonly PodMetrics[]>;
}

type Status = NonNullable<HorizontalPodAutoscaler['status']>;

const TOLERANCE = 0.1;
const SYNC_MS = 15_000;
const BUILTIN: Record<string, GroupVersionResource> = {
  'apps/Deployment': deployments,
  'apps/ReplicaSet': replicaSets,
  'apps/StatefulSet': statefulSets,
  '/ReplicationController': replicationControllers,
};

const at = (object: object, path: string): unknown =>
  path
    .split('.')
    .filter(Boolean)
    .reduce<unknown>((value, field) => (value as Record<string, unknown> | undefined)?.[field], object);

interface Paths {
  resource: GroupVersionResource;
  spec: string;
  status: string;
  selector: string | undefined;
}

/** Where a kind keeps its replicas: workloads in their usual fields, custom resources as their definition says. */
const pathsOf = async (read: Reader, group: string, kind: string): Promise<Paths | undefined> => {
  const builtin = BUILTIN[`${group}/${kind}`];
  if (builtin)
    return { resource: builtin, spec: 'spec.replicas', status: 'status.replicas', selector: 'spec.selector' };
  const all = await read.list<CustomResourceDefinition>(customResourceDefinitions);
  const found = all.find(({ spec }) => spec?.group === group && spec.names.kind === kind);
  const version = found?.spec?.versions.find((v) => v.served && v.subresources?.scale);
  const scale = version?.subresources?.scale;
  if (!found || !version || !scale) return undefined;
  return {
    resource: { group, version: version.name, resource: found.spec?.names.plural ?? '' },
    spec: scale.specReplicasPath,
    status: scale.statusReplicasPath,
    selector: scale.labelSelectorPath,
  };
};

const selectorOf = (value: unknown): ScaleTarget['selector'] => {
  if (value === undefined || value === null || value === '') return undefined;
  const isMap = typeof value === 'object' && !('matchLabels' in value) && !('matchExpressions' in value);
  const parsed =
    typeof value === 'string'
      ? parseLabelSelector(value)
      : labelSelector(isMap ? { matchLabels: value as Record<string, string> } : (value as object));
  const text = parsed.requirements
    .map(({ key, operator, values }) => {
      const list = [...values].sort();
      if (operator === 'exists') return key;
      if (operator === '!') return `!${key}`;
      return operator === 'in' || operator === 'notin'
        ? `${key} ${operator} (${list.join(',')})`
        : `${key}${operator}${list[0]}`;
    })
    .join(',');
  return { text, matches: (labels) => parsed.matches(labels) };
};

const readTarget = async (read: Reader, hpa: HorizontalPodAutoscaler): Promise<ScaleTarget | string> => {
  const { apiVersion = '', kind = '', name = '' } = hpa.spec?.scaleTargetRef ?? {};
  const { group } = parseGroupVersion(apiVersion);
  const paths = await pathsOf(read, group, kind);
  if (!paths) return `no matches for kind "${kind}" in group "${group}"`;
  const object = await read.get<KubeObject>(paths.resource, hpa.metadata.namespace ?? '', name);
  const { resource } = paths;
  if (!object)
    return `${resource.group ? `${resource.resource}.${resource.group}` : resource.resource} "${name}" not found`;
  return {
    object,
    resource,
    replicas: Number(at(object, paths.spec) ?? 0),
    statusReplicas: Number(at(object, paths.status) ?? 0),
    selector: paths.selector === undefined ? undefined : selectorOf(at(object, paths.selector)),
  };
};

/** Conditions keep their place; the time moves with the status only. */
const setCondition = (
  status: Status,
  now: number,
  type: string,
  value: 'True' | 'False',
  { reason, message }: { reason: string; message: string },
): void => {
  const conditions = [...(status.conditions ?? [])];
  const i = conditions.findIndex((c) => c.type === type);
  const before = conditions[i];
  const lastTransitionTime =
    before?.status === value && before.lastTransitionTime ? before.lastTransitionTime : timestamp(now);
  const next: HorizontalPodAutoscalerCondition = { type, status: value, lastTransitionTime, reason, message };
  if (i < 0) conditions.push(next);
  else conditions[i] = next;
  status.conditions = conditions;
};

interface Computed {
  replicas: number;
  name: string;
  metrics: MetricStatus[];
  events: EventDraft[];
}

/** The most that any metric asks for; undefined where too few of them could be had. */
const compute = (
  observed: HpaObserved,
  target: ScaleTarget,
  status: Status,
  now: number,
): Partial<Computed> & { failure?: string; metrics: MetricStatus[]; events: EventDraft[] } => {
  const { hpa } = observed;
  const warn = (reason: string, message: string): EventDraft => ({ regarding: hpa, type: 'Warning', reason, message });
  const specs = hpa.spec?.metrics ?? [];
  if (!target.selector) {
    const message = 'selector is required';
    setCondition(status, now, 'ScalingActive', 'False', {
      reason: 'InvalidSelector',
      message: "the HPA target's scale is missing a selector",
    });
    return { failure: message, metrics: [], events: [warn('SelectorRequired', message)] };
  }
  const { scaleUp, scaleDown } = hpa.spec?.behavior ?? {};
  const tolerance = { up: Number(scaleUp?.tolerance ?? TOLERANCE), down: Number(scaleDown?.tolerance ?? TOLERANCE) };
  const measured: Measured = {
    now,
    current: target.replicas,
    pods: observed.pods,
    metrics: observed.metrics,
    tolerance,
  };
  const events: EventDraft[] = [];
  const metrics: MetricStatus[] = [];
  let first: { problem: string; reason: string } | undefined;
  let failed = 0;
  let best = { replicas: 0, name: '' };
  for (const spec of specs) {
    const proposal = propose(spec, measured);
    if ('problem' in proposal) {
      first ??= proposal;
      failed++;
      metrics.push({ type: '' });
      events.push(warn(proposal.reason, proposal.problem));
      continue;
    }
    metrics.push(proposal.status);
    if (best.replicas === 0 || proposal.replicas > best.replicas) best = proposal;
  }
  if (first && (failed >= specs.length || best.replicas < target.replicas)) {
    const message = `the HPA was unable to compute the replica count: ${first.problem}`;
    setCondition(status, now, 'ScalingActive', 'False', { reason: first.reason, message });
    const failure = `invalid metrics (${failed} invalid out of ${specs.length}), first error is: ${first.problem}`;
    events.push(warn('FailedComputeMetricsReplicas', failure));
    return { failure, metrics, events };
  }
  setCondition(status, now, 'ScalingActive', 'True', {
    reason: 'ValidMetricFound',
    message: `the HPA was able to successfully calculate a replica count from ${best.name}`,
  });
  return { ...best, metrics, events };
};

interface Decision {
  desired: number;
  reason: string;
  metrics: MetricStatus[];
  events: EventDraft[];
  /** Before bounds and stabilization. */
  recommended?: number;
  failed?: boolean;
}

const bySpec = (hpa: HorizontalPodAutoscaler, current: number): Decision | undefined => {
  const { minReplicas: min = 1, maxReplicas: max = 1 } = hpa.spec ?? {};
  const none = { metrics: [], events: [] };
  if (current === 0 && min !== 0) return { ...none, desired: 0, reason: '' };
  if (current > max) return { ...none, desired: max, reason: 'Current number of replicas above Spec.MaxReplicas' };
  if (current < min) return { ...none, desired: min, reason: 'Current number of replicas below Spec.MinReplicas' };
  return undefined;
};

const byMetrics = (observed: HpaObserved, target: ScaleTarget, status: Status, now: number): Decision => {
  const { hpa, history } = observed;
  const { minReplicas: min = 1, maxReplicas: max = 1 } = hpa.spec ?? {};
  const current = target.replicas;
  const computed = compute(observed, target, status, now);
  const { metrics, events } = computed;
  if (computed.failure !== undefined || computed.replicas === undefined)
    return { desired: current, reason: '', metrics, events, failed: true };
  const desired = computed.replicas;
  const reason = desired > current ? `${computed.name} above target` : 'All metrics below target';
  const normal = normalize(hpa.spec?.behavior, history, { now, current, desired, min, max });
  setCondition(status, now, 'AbleToScale', 'True', normal.able);
  setCondition(status, now, 'ScalingLimited', normal.limited.status, normal.limited);
  return { desired: normal.replicas, reason, metrics, events, recommended: desired };
};

/** What to do about an autoscaler, and what to remember of it. Pure. */
export const decideHpa = (observed: HpaObserved, now: number): { plan: Plan; history: History } => {
  const { hpa, target, history } = observed;
  const status: Status = { ...hpa.status, desiredReplicas: hpa.status?.desiredReplicas ?? 0 };
  const finish = (writes: PlannedWrite[], events: EventDraft[], next: History) => {
    const changed = sameJson(hpa.status ?? {}, status) ? [] : statusWrite(hpa, horizontalPodAutoscalers, status);
    return { plan: { writes: [...writes, ...changed], events }, history: next };
  };
  if (typeof target === 'string') {
    const message = `the HPA controller was unable to get the target's current scale: ${target}`;
    setCondition(status, now, 'AbleToScale', 'False', { reason: 'FailedGetScale', message });
    return finish([], [{ regarding: hpa, type: 'Warning', reason: 'FailedGetScale', message: target }], history);
  }
  const message = "the HPA controller was able to get the target's current scale";
  setCondition(status, now, 'AbleToScale', 'True', { reason: 'SucceededGetScale', message });
  const current = target.replicas;
  const known = history.recommendations.length > 0 ? history : remember(history, now, current, 0);
  const decision = bySpec(hpa, current) ?? byMetrics({ ...observed, history: known }, target, status, now);
  if (current === 0 && decision.desired === 0)
    setCondition(status, now, 'ScalingActive', 'False', {
      reason: 'ScalingDisabled',
      message: 'scaling is disabled since the replica count of the target is zero',
    });
  const { desired, metrics, reason } = decision;
  const events = [...decision.events];
  const writes: PlannedWrite[] = [];
  if (current > 0) status.currentReplicas = current;
  else delete status.currentReplicas;
  if (!decision.failed) status.desiredReplicas = desired;
  if (metrics.length > 0) status.currentMetrics = metrics;
  else delete status.currentMetrics;
  if (desired !== current) {
    const text = `New size: ${desired}; reason: ${reason}`;
    writes.push({
      op: 'patch',
      resource: target.resource,
      target: targetOf(target.object),
      merge: { spec: { replicas: desired } },
      expects: expectsOf(target.object),
      subresource: 'scale',
      failed: ({ message: why = '' }) => ({
        regarding: hpa,
        type: 'Warning',
        reason: 'FailedRescale',
        message: `${text}; error: ${why}`,
      }),
    });
    events.push({ regarding: hpa, type: 'Normal', reason: 'SuccessfulRescale', message: text });
    setCondition(status, now, 'AbleToScale', 'True', {
      reason: 'SucceededRescale',
      message: `the HPA controller was able to update the target scale to ${desired}`,
    });
    status.lastScaleTime = timestamp(now);
  }
  return finish(writes, events, remember(known, now, decision.recommended, desired - current));
};

/**
 * Scales a target by the metrics of its pods. Source: the reference page of HorizontalPodAutoscaler. Recommendations and
 * changes are remembered in this process only, as upstream's controller does: a restart forgets them.
 */
export const createHpaController = ({
  hpaSyncMs = SYNC_MS,
  podMetrics,
}: HpaOptions): Controller<HpaObserved & { id: string }> => {
  const memory = new Map<string, History>();
  const arrivals = new Map<string, number>();
  const none: History = { recommendations: [], changes: [] };
  return {
    name: 'hpa',
    component: 'horizontal-pod-autoscaler',
    watches: [
      {
        resource: horizontalPodAutoscalers,
        // Its own status writes are no news.
        keys: (change) => {
          const { spec: after } = change.object as HorizontalPodAutoscaler;
          const { spec: before } = (change.previous ?? {}) as Partial<HorizontalPodAutoscaler>;
          return !change.deleted && change.previous && sameJson(after, before) ? [] : ownKey(change);
        },
      },
    ],
    async observe(read, key) {
      const id = `${read.cluster}/${keyOf(key.namespace, key.name)}`;
      const hpa = await read.get<HorizontalPodAutoscaler>(horizontalPodAutoscalers, key.namespace, key.name);
      if (!hpa || hpa.metadata.deletionTimestamp) {
        memory.delete(id);
        arrivals.delete(id);
        return undefined;
      }
      const target = await readTarget(read, hpa);
      const selector = typeof target === 'string' ? undefined : target.selector;
      const matched = selector
        ? await read.list<Pod>(pods, { namespace: key.namespace, matches: selector.matches })
        : [];
      const metrics = await (podMetrics && selector
        ? podMetrics(read.cluster, key.namespace, selector.text).catch((error: Error) => error.message)
        : 'the server could not find the requested resource (get pods.metrics.k8s.io)');
      return { id, hpa, target, pods: matched, metrics, history: memory.get(id) ?? none };
    },
    decide(observed, now) {
      // A new autoscaler is looked at one interval after it came, when its target has pods to measure. Timestamps are whole
      // seconds, so this process' own clock counts where it saw the object come.
      const made = Date.parse(observed.hpa.metadata.creationTimestamp ?? '');
      if (now - made < hpaSyncMs + 1000) {
        const came = arrivals.get(observed.id) ?? now;
        arrivals.set(observed.id, came);
        if (came + hpaSyncMs > now) return { writes: [], again: { afterMs: came + hpaSyncMs - now } };
      } else arrivals.delete(observed.id);
      const { plan, history } = decideHpa(observed, now);
      memory.set(observed.id, history);
      return { ...plan, again: { afterMs: hpaSyncMs } };
    },
  };
};
