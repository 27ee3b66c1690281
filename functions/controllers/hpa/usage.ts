import type { MetricSpec, MetricStatus, MetricTarget, Pod } from '../../machinery/kinds.d.ts';
import { addQuantity, formatQuantity, parseQuantity, type Quantity } from '../../machinery/quantity.ts';
import { conditionOf } from '../conditions.ts';

/** metrics.k8s.io PodMetrics, as far as it is read here. */
export interface PodMetrics {
  metadata: { name?: string };
  timestamp?: string;
  window?: string;
  containers: { name: string; usage: Record<string, string> }[];
}

/** What a metric proposes; `problem` says in which words why it proposes nothing. */
export type Proposal = { replicas: number; name: string; status: MetricStatus } | { problem: string; reason: string };

export interface Measured {
  now: number;
  current: number;
  pods: readonly Pod[];
  /** The text of the failure where the API gave none. */
  metrics: readonly PodMetrics[] | string;
  tolerance: { up: number; down: number };
}

const CPU_START_MS = 300_000;
const READINESS_DELAY_MS = 30_000;

const milli = (text: string | undefined): number => {
  if (text === undefined) return 0;
  return toNumber(parseQuantity(text)) * 1000;
};
const toNumber = (quantity: Quantity): number => Number.parseFloat(plainNumber(formatQuantity(quantity)));

const SUFFIX: Record<string, number> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};
const plainNumber = (text: string): string => {
  const [, number = '0', suffix = ''] = /^([+-]?[\d.]+(?:[eE][+-]?\d+)?)([a-zA-Z]*)$/.exec(text) ?? [];
  return String(Number(number) * (SUFFIX[suffix] ?? 1));
};

const seconds = (text: string | undefined): number => {
  let total = 0;
  for (const [, value = '0', unit = 's'] of (text ?? '').matchAll(/([\d.]+)(h|ms|m|s)/g))
    total += Number(value) * ({ h: 3600, m: 60, s: 1, ms: 0.001 }[unit] ?? 1);
  return total;
};

/** Milli-units used per pod; a pod of which one container is missing has none. */
const usageOf = (metrics: readonly PodMetrics[], resource: string, container: string): Map<string, number> => {
  const out = new Map<string, number>();
  for (const { metadata, containers } of metrics) {
    const wanted = container ? containers.filter((c) => c.name === container) : containers;
    if (wanted.length === 0 || wanted.some((c) => c.usage[resource] === undefined)) continue;
    out.set(
      metadata.name ?? '',
      wanted.reduce((sum, c) => sum + milli(c.usage[resource]), 0),
    );
  }
  return out;
};

const requestsOf = (pods: readonly Pod[], resource: string, container: string): Map<string, number> | string => {
  const out = new Map<string, number>();
  for (const { metadata, spec } of pods) {
    const whole = container ? undefined : spec?.resources?.requests?.[resource];
    if (whole !== undefined) {
      out.set(metadata.name ?? '', milli(whole));
      continue;
    }
    const sidecars = (spec?.initContainers ?? []).filter((c) => c.restartPolicy === 'Always');
    let total: Quantity = parseQuantity('0');
    for (const one of [...(spec?.containers ?? []), ...sidecars]) {
      if (container && one.name !== container) continue;
      const request = one.resources?.requests?.[resource];
      if (request === undefined)
        return `missing request for ${resource} in container ${one.name} of Pod ${metadata.name}`;
      total = addQuantity(total, parseQuantity(request));
    }
    out.set(metadata.name ?? '', toNumber(total) * 1000);
  }
  return out;
};

const isUnready = (pod: Pod, measured: PodMetrics | undefined, now: number): boolean => {
  const ready = conditionOf(pod.status?.conditions, 'Ready');
  const started = Date.parse(pod.status?.startTime ?? '');
  if (!ready || Number.isNaN(started)) return true;
  const since = Date.parse(ready.lastTransitionTime ?? '');
  if (started + CPU_START_MS > now) {
    const taken = Date.parse(measured?.timestamp ?? '');
    return ready.status === 'False' || taken < since + seconds(measured?.window) * 1000;
  }
  return ready.status === 'False' && started + READINESS_DELAY_MS > since;
};

interface Groups {
  ready: number;
  unready: string[];
  missing: string[];
  ignored: string[];
}

const groupsOf = ({ pods, metrics, now }: Measured, usage: ReadonlyMap<string, number>, resource: string): Groups => {
  const out: Groups = { ready: 0, unready: [], missing: [], ignored: [] };
  const all = typeof metrics === 'string' ? [] : metrics;
  for (const pod of pods) {
    const name = pod.metadata.name ?? '';
    if (pod.metadata.deletionTimestamp || pod.status?.phase === 'Failed') out.ignored.push(name);
    else if (pod.status?.phase === 'Pending') out.unready.push(name);
    else if (!usage.has(name)) out.missing.push(name);
    else if (
      resource === 'cpu' &&
      isUnready(
        pod,
        all.find((m) => m.metadata.name === name),
        now,
      )
    )
      out.unready.push(name);
    else out.ready++;
  }
  return out;
};

/** Usage against the target: above 1 asks for more replicas. */
type Ratio = (usage: ReadonlyMap<string, number>) => number;

const within = (ratio: number, { up, down }: Measured['tolerance']): boolean => ratio >= 1 - down && ratio <= 1 + up;

/** Replicas by a ratio; pods that do not count yet are taken so that they damp the change (KEP-117, reference page). */
const replicasBy = (
  measured: Measured,
  usage: Map<string, number>,
  groups: Groups,
  ratio: Ratio,
  fallback: (pod: string) => number,
): number => {
  const { current, tolerance } = measured;
  const first = ratio(usage);
  const withUnready = groups.unready.length > 0 && first > 1;
  if (!withUnready && groups.missing.length === 0)
    return within(first, tolerance) ? current : Math.ceil(first * groups.ready);
  const damped = new Map(usage);
  for (const pod of groups.missing) damped.set(pod, first < 1 ? fallback(pod) : 0);
  if (withUnready) for (const pod of groups.unready) damped.set(pod, 0);
  const next = ratio(damped);
  if (within(next, tolerance) || (first < 1 && next > 1) || (first > 1 && next < 1)) return current;
  const replicas = Math.ceil(next * damped.size);
  return (next < 1 && replicas > current) || (next > 1 && replicas < current) ? current : replicas;
};

const sum = (values: Iterable<number>): number => [...values].reduce((total, one) => total + one, 0);
const quantityOf = (milliUnits: number): string => formatQuantity(parseQuantity(`${Math.floor(milliUnits)}m`));

interface Source {
  resource: string;
  container: string;
  target: MetricTarget;
}

const statusOf = (spec: MetricSpec, averageMilli: number, utilization: number | undefined): MetricStatus => {
  const current = {
    averageValue: quantityOf(averageMilli),
    ...(utilization !== undefined && { averageUtilization: utilization }),
  };
  if (spec.containerResource) {
    const { name, container } = spec.containerResource;
    return { type: 'ContainerResource', containerResource: { name, container, current } };
  }
  return { type: 'Resource', resource: { name: spec.resource?.name ?? '', current } };
};

const byResource = (spec: MetricSpec, { resource, container, target }: Source, measured: Measured): Proposal => {
  const kind = container ? 'container resource' : 'resource';
  const reason = container ? 'FailedGetContainerResourceMetric' : 'FailedGetResourceMetric';
  const failed = (why: string): Proposal => ({ problem: why, reason });
  if (typeof measured.metrics === 'string')
    return failed(
      `failed to get ${resource} ${kind} metric value: unable to get metrics for resource ${resource}: ${measured.metrics}`,
    );
  if (measured.pods.length === 0) return failed('no pods returned by selector while calculating replica count');
  const usage = usageOf(measured.metrics, resource, container);
  const groups = groupsOf(measured, usage, resource);
  for (const pod of [...groups.ignored, ...groups.unready]) usage.delete(pod);
  if (usage.size === 0) return failed('did not receive metrics for targeted pods (pods might be unready)');
  const average = sum(usage.values()) / usage.size;
  if (target.averageUtilization === undefined) {
    const goal = milli(target.averageValue);
    const ratio: Ratio = (all) => sum(all.values()) / all.size / goal;
    const replicas = replicasBy(measured, usage, groups, ratio, () => goal);
    return { replicas, name: `${resource} ${kind}`, status: statusOf(spec, average, undefined) };
  }
  const requests = requestsOf(measured.pods, resource, container);
  if (typeof requests === 'string') return failed(`failed to get ${resource} utilization: ${requests}`);
  const goal = target.averageUtilization;
  const asked = (all: ReadonlyMap<string, number>) => sum([...all.keys()].map((pod) => requests.get(pod) ?? 0));
  if (asked(usage) === 0) return failed('no metrics returned matched known pods');
  const utilization = (all: ReadonlyMap<string, number>) => Math.trunc((sum(all.values()) * 100) / asked(all));
  const ratio: Ratio = (all) => utilization(all) / goal;
  const fallback = (pod: string) => ((requests.get(pod) ?? 0) * Math.max(100, goal)) / 100;
  const replicas = replicasBy(measured, usage, groups, ratio, fallback);
  const name = `${resource} ${kind} utilization (percentage of request)`;
  return { replicas, name, status: statusOf(spec, average, utilization(usage)) };
};

const UNSERVED: Record<string, [string, string]> = {
  Pods: ['FailedGetPodsMetric', 'pods metric'],
  Object: ['FailedGetObjectMetric', 'object metric'],
  External: ['FailedGetExternalMetric', 'external metric'],
};

/** What one metric of an autoscaler proposes. Custom and external metrics need an adapter, which nothing here serves. */
export const propose = (spec: MetricSpec, measured: Measured): Proposal => {
  if (spec.type === 'Resource' && spec.resource)
    return byResource(spec, { resource: spec.resource.name, container: '', target: spec.resource.target }, measured);
  if (spec.type === 'ContainerResource' && spec.containerResource) {
    const { name, container, target } = spec.containerResource;
    return byResource(spec, { resource: name, container, target }, measured);
  }
  const [reason, what] = UNSERVED[spec.type] ?? ['InvalidMetricSourceType', `metric source type "${spec.type}"`];
  return { problem: `failed to get ${what}: no custom metrics API is served`, reason };
};
