import type {
  ControllerRevision,
  CronJob,
  DaemonSet,
  Deployment,
  HorizontalPodAutoscaler,
  Job,
  MetricSpec,
  MetricStatus,
  ReplicaSet,
  ReplicationController,
  StatefulSet,
} from '../../machinery/kinds.d.ts';
import { age, containerImages, containerNames, flag, humanDuration, labelsOf, NONE, selectorOf } from './format.ts';
import { type Printer, printer } from './printer.ts';

const jobStatus = (job: Job): string => {
  const has = (type: string) => job.status?.conditions?.some((c) => c.type === type && c.status === 'True');
  if (has('Complete')) return 'Complete';
  if (has('Failed')) return 'Failed';
  if (job.metadata.deletionTimestamp) return 'Terminating';
  if (has('Suspended')) return 'Suspended';
  if (has('FailureTarget')) return 'FailureTarget';
  return has('SuccessCriteriaMet') ? 'SuccessCriteriaMet' : 'Running';
};

const jobCompletions = (job: Job): string => {
  const done = job.status?.succeeded ?? 0;
  if (job.spec?.completions !== undefined) return `${done}/${job.spec.completions}`;
  const parallelism = job.spec?.parallelism ?? 0;
  return parallelism > 1 ? `${done}/1 of ${parallelism}` : `${done}/1`;
};

const jobDuration = (job: Job, now: number): string => {
  const start = job.status?.startTime;
  if (!start) return '';
  const end = job.status?.completionTime;
  return humanDuration((end ? Date.parse(end) : now) - Date.parse(start));
};

const target = (
  spec: { averageValue?: string; value?: string; averageUtilization?: number } | undefined,
  current: { averageValue?: string; value?: string; averageUtilization?: number } | undefined,
): string => {
  if (spec?.averageUtilization !== undefined)
    return `${current?.averageUtilization !== undefined ? `${current.averageUtilization}%` : '<unknown>'}/${spec.averageUtilization}%`;
  if (spec?.averageValue !== undefined) return `${current?.averageValue ?? '<unknown>'}/${spec.averageValue} (avg)`;
  return `${current?.value ?? '<unknown>'}/${spec?.value ?? '<auto>'}`;
};

const hpaMetric = (spec: MetricSpec, status: MetricStatus | undefined): string => {
  switch (spec.type) {
    case 'Resource':
      return `${spec.resource?.name}: ${target(spec.resource?.target, status?.resource?.current)}`;
    case 'ContainerResource':
      return `${spec.containerResource?.name}: ${target(spec.containerResource?.target, status?.containerResource?.current)}`;
    case 'Pods':
      return `${status?.pods?.current.averageValue ?? '<unknown>'}/${spec.pods?.target.averageValue ?? ''}`;
    case 'Object':
      return target(spec.object?.target, status?.object?.current);
    case 'External':
      return target(spec.external?.target, status?.external?.current);
    default:
      return '<unknown type>';
  }
};

const hpaMetrics = (hpa: HorizontalPodAutoscaler): string => {
  const specs = hpa.spec?.metrics ?? [];
  if (specs.length === 0) return NONE;
  const shown = specs.slice(0, 2).map((m, i) => hpaMetric(m, hpa.status?.currentMetrics?.[i]));
  return specs.length > 2 ? `${shown.join(', ')} + ${specs.length - 2} more...` : shown.join(', ');
};

const replicaCells = (o: ReplicaSet, now: number) => [
  o.metadata.name ?? '',
  o.spec?.replicas ?? 0,
  o.status?.replicas ?? 0,
  o.status?.readyReplicas ?? 0,
  age(o.metadata.creationTimestamp, now),
  containerNames(o.spec?.template?.spec?.containers),
  containerImages(o.spec?.template?.spec?.containers),
];

export const workloadPrinters: Record<string, Printer> = {
  'Deployment.apps': printer<Deployment>((o, now) => [
    o.metadata.name ?? '',
    `${o.status?.readyReplicas ?? 0}/${o.spec?.replicas ?? 0}`,
    o.status?.updatedReplicas ?? 0,
    o.status?.availableReplicas ?? 0,
    age(o.metadata.creationTimestamp, now),
    containerNames(o.spec?.template.spec?.containers),
    containerImages(o.spec?.template.spec?.containers),
    selectorOf(o.spec?.selector),
  ]),
  'ReplicaSet.apps': printer<ReplicaSet>((o, now) => [...replicaCells(o, now), selectorOf(o.spec?.selector)]),
  ReplicationController: printer<ReplicationController>((o, now) => [
    ...replicaCells(o as ReplicaSet, now),
    labelsOf(o.spec?.selector),
  ]),
  'StatefulSet.apps': printer<StatefulSet>((o, now) => [
    o.metadata.name ?? '',
    `${o.status?.readyReplicas ?? 0}/${o.spec?.replicas ?? 0}`,
    age(o.metadata.creationTimestamp, now),
    containerNames(o.spec?.template.spec?.containers),
    containerImages(o.spec?.template.spec?.containers),
  ]),
  'DaemonSet.apps': printer<DaemonSet>((o, now) => [
    o.metadata.name ?? '',
    o.status?.desiredNumberScheduled ?? 0,
    o.status?.currentNumberScheduled ?? 0,
    o.status?.numberReady ?? 0,
    o.status?.updatedNumberScheduled ?? 0,
    o.status?.numberAvailable ?? 0,
    labelsOf(o.spec?.template.spec?.nodeSelector),
    age(o.metadata.creationTimestamp, now),
    containerNames(o.spec?.template.spec?.containers),
    containerImages(o.spec?.template.spec?.containers),
    selectorOf(o.spec?.selector),
  ]),
  'ControllerRevision.apps': printer<ControllerRevision>((o, now) => {
    const owner = o.metadata.ownerReferences?.find((r) => r.controller);
    const group = owner?.apiVersion.split('/')[0] ?? '';
    return [
      o.metadata.name ?? '',
      owner ? `${owner.kind.toLowerCase()}${owner.apiVersion.includes('/') ? `.${group}` : ''}/${owner.name}` : NONE,
      o.revision,
      age(o.metadata.creationTimestamp, now),
    ];
  }),
  'Job.batch': printer<Job>((o, now) => [
    o.metadata.name ?? '',
    jobStatus(o),
    jobCompletions(o),
    jobDuration(o, now),
    age(o.metadata.creationTimestamp, now),
    containerNames(o.spec?.template.spec?.containers),
    containerImages(o.spec?.template.spec?.containers),
    selectorOf(o.spec?.selector),
  ]),
  'CronJob.batch': printer<CronJob>((o, now) => [
    o.metadata.name ?? '',
    o.spec?.schedule ?? '',
    o.spec?.timeZone ?? NONE,
    flag(o.spec?.suspend),
    o.status?.active?.length ?? 0,
    o.status?.lastScheduleTime ? age(o.status.lastScheduleTime, now) : NONE,
    age(o.metadata.creationTimestamp, now),
    containerNames(o.spec?.jobTemplate.spec?.template.spec?.containers),
    containerImages(o.spec?.jobTemplate.spec?.template.spec?.containers),
    selectorOf(o.spec?.jobTemplate.spec?.selector),
  ]),
  'HorizontalPodAutoscaler.autoscaling': printer<HorizontalPodAutoscaler>((o, now) => [
    o.metadata.name ?? '',
    `${o.spec?.scaleTargetRef.kind ?? ''}/${o.spec?.scaleTargetRef.name ?? ''}`,
    hpaMetrics(o),
    o.spec?.minReplicas !== undefined ? String(o.spec.minReplicas) : '<unset>',
    o.spec?.maxReplicas ?? 0,
    o.status?.currentReplicas ?? 0,
    age(o.metadata.creationTimestamp, now),
  ]),
};
