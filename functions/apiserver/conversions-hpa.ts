import type { KubeObject } from '../machinery/object.ts';

// autoscaling/v1 shows one CPU target; what else v2 holds travels in annotations, as upstream does it.
const METRICS = 'autoscaling.alpha.kubernetes.io/metrics';
const CURRENT = 'autoscaling.alpha.kubernetes.io/current-metrics';
const CONDITIONS = 'autoscaling.alpha.kubernetes.io/conditions';
const BEHAVIOR = 'autoscaling.alpha.kubernetes.io/behavior';

type Fields = Record<string, unknown>;
interface Metric {
  type?: string;
  resource?: {
    name?: string;
    target?: { averageUtilization?: number; type?: string };
    current?: { averageUtilization?: number };
  };
}
type Hpa = KubeObject & { spec?: Fields & { metrics?: Metric[] }; status?: Fields & { currentMetrics?: Metric[] } };

const isCpu = (m: Metric): boolean =>
  m.type === 'Resource' &&
  m.resource?.name === 'cpu' &&
  (m.resource.target ? m.resource.target.averageUtilization !== undefined : true);

const withAnnotations = (
  o: KubeObject,
  add: Record<string, string>,
  drop: readonly string[],
): KubeObject['metadata'] => {
  const annotations = { ...o.metadata.annotations, ...add };
  for (const key of drop) delete annotations[key];
  const { annotations: _, ...metadata } = o.metadata;
  return Object.keys(annotations).length > 0 ? { ...metadata, annotations } : metadata;
};

export const hpaToV1 = (object: KubeObject): KubeObject => {
  const { spec = {}, status = {}, ...rest } = object as Hpa;
  const { metrics = [], behavior, ...plain } = spec;
  const { currentMetrics, conditions, ...shown } = status;
  const cpu = metrics.find(isCpu);
  const others = metrics.filter((m) => m !== cpu);
  const current = (currentMetrics ?? []).find((m) => isCpu(m));
  const add = {
    ...(others.length > 0 && { [METRICS]: JSON.stringify(others) }),
    ...(behavior ? { [BEHAVIOR]: JSON.stringify(behavior) } : {}),
    ...(conditions ? { [CONDITIONS]: JSON.stringify(conditions) } : {}),
  };
  const utilization = cpu?.resource?.target?.averageUtilization;
  const seen = current?.resource?.current?.averageUtilization;
  return {
    ...rest,
    apiVersion: 'autoscaling/v1',
    metadata: withAnnotations(object, add, []),
    spec: { ...plain, ...(utilization !== undefined && { targetCPUUtilizationPercentage: utilization }) },
    status: {
      currentReplicas: 0,
      desiredReplicas: 0,
      ...shown,
      ...(seen !== undefined && { currentCPUUtilizationPercentage: seen }),
    },
  } as KubeObject;
};

const parsed = (text: string | undefined): unknown => {
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
};

const utilizing = (percent: unknown) => ({
  type: 'Resource',
  resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: percent } },
});

export const hpaToV2 = (object: KubeObject): KubeObject => {
  const { spec = {}, status = {}, ...rest } = object as Hpa;
  const { targetCPUUtilizationPercentage: percent, ...plain } = spec;
  const { currentCPUUtilizationPercentage: seen, ...shown } = status;
  const annotations = object.metadata.annotations ?? {};
  const cpu = utilizing(percent);
  const others = parsed(annotations[METRICS]);
  const given = [...(Array.isArray(others) ? others : []), ...(percent === undefined ? [] : [cpu])];
  // What names no metric follows the CPU: the default of v2, which holds for what is stored.
  const metrics = given.length > 0 ? given : [utilizing(80)];
  const behavior = parsed(annotations[BEHAVIOR]);
  const conditions = parsed(annotations[CONDITIONS]);
  const current = { type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: seen } } };
  return {
    ...rest,
    apiVersion: 'autoscaling/v2',
    metadata: withAnnotations(object, {}, [METRICS, CURRENT, CONDITIONS, BEHAVIOR]),
    spec: { ...plain, metrics, ...(behavior !== undefined && { behavior }) },
    status: {
      desiredReplicas: 0,
      currentMetrics: seen === undefined ? null : [current],
      ...shown,
      ...(conditions !== undefined && { conditions }),
    },
  } as unknown as KubeObject;
};
