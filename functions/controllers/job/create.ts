import type { Container, Job, Pod } from '../../machinery/kinds.d.ts';
import type { PlannedWrite } from '../controller.ts';
import { ownerReference } from '../owners.ts';
import { createPod, deletePod, podFromTemplate } from '../pods.ts';
import { victims } from '../victims.ts';
import { failureCountOf, failuresAnnotation, indexAnnotation, indexOf, isIndexed } from './indexes.ts';
import { hasFailed, releases, replaceInMs, replacesOnlyFailed, type Tally, trackingFinalizer } from './tally.ts';

const burst = 500;
const indexVariable = 'JOB_COMPLETION_INDEX';

export interface Scaling {
  writes: PlannedWrite[];
  /** Pods that the writes delete. */
  removed: number;
  /** Pods that the writes create. */
  added: number;
  againMs: number | undefined;
}

const podOf = (job: Job): Pod => {
  const { namespace = '', name = '' } = job.metadata;
  const pod = podFromTemplate(job.spec?.template, namespace, `${name}-`, ownerReference(job, 'batch/v1', 'Job'));
  return { ...pod, metadata: { ...pod.metadata, finalizers: [...(pod.metadata.finalizers ?? []), trackingFinalizer] } };
};

const withIndexVariable = (container: Container): Container =>
  container.env?.some((variable) => variable.name === indexVariable)
    ? container
    : {
        ...container,
        env: [
          ...(container.env ?? []),
          {
            name: indexVariable,
            valueFrom: { fieldRef: { fieldPath: `metadata.labels['${indexAnnotation}']` } },
          },
        ],
      };

const indexedPod = (job: Job, pods: readonly Pod[], index: number): Pod => {
  const base = podOf(job);
  const name = `${job.metadata.name}-${index}`;
  const failures = pods.filter((pod) => indexOf(job, pod) === index && hasFailed(job, pod));
  const count = failures.reduce((most, pod) => Math.max(most, failureCountOf(pod) + 1), 0);
  const annotations = {
    ...base.metadata.annotations,
    [indexAnnotation]: String(index),
    ...(job.spec?.backoffLimitPerIndex !== undefined && { [failuresAnnotation]: String(count) }),
  };
  const { containers = [], initContainers, ...spec } = base.spec ?? { containers: [] };
  return {
    ...base,
    metadata: {
      ...base.metadata,
      generateName: `${name}-`,
      labels: { ...base.metadata.labels, [indexAnnotation]: String(index) },
      annotations,
    },
    spec: {
      ...spec,
      hostname: spec.hostname ?? name,
      containers: containers.map(withIndexVariable),
      ...(initContainers && { initContainers: initContainers.map(withIndexVariable) }),
    },
  };
};

/** The lowest indexes that nobody works on and that are neither done nor given up. */
const freeIndexes = (job: Job, counts: Tally, count: number): number[] => {
  const taken = new Set([...counts.succeededIndexes, ...counts.failedIndexes]);
  const busy = replacesOnlyFailed(job) ? [...counts.active, ...counts.terminating] : counts.active;
  for (const pod of busy) {
    const index = indexOf(job, pod);
    if (index !== undefined) taken.add(index);
  }
  const free: number[] = [];
  for (let i = 0; i < (job.spec?.completions ?? 0) && free.length < count; i++) if (!taken.has(i)) free.push(i);
  return free;
};

/** Active pods with an index out of range, or a second time, go before others. */
const surplus = (job: Job, active: Pod[], count: number, now: number): Pod[] => {
  if (!isIndexed(job)) return victims(active, count, active, now);
  const seen = new Set<number>();
  const extra: Pod[] = [];
  const rest: Pod[] = [];
  for (const pod of active) {
    const index = indexOf(job, pod);
    if (index === undefined || seen.has(index)) extra.push(pod);
    else {
      seen.add(index);
      rest.push(pod);
    }
  }
  return [...extra, ...victims(rest, Math.max(0, count - extra.length), rest, now)];
};

const wantActive = (job: Job, counts: Tally): number => {
  const parallelism = job.spec?.parallelism ?? 1;
  const completions = job.spec?.completions;
  if (completions === undefined)
    return counts.succeeded > 0 ? Math.min(counts.active.length, parallelism) : parallelism;
  const left = completions - counts.succeeded - (isIndexed(job) ? counts.failedIndexes.size : 0);
  return Math.max(0, Math.min(left, parallelism));
};

/** Brings the number of active pods to what the job asks for now. */
export const scaleJob = (job: Job, pods: readonly Pod[], counts: Tally, now: number): Scaling => {
  const none = { writes: [], removed: 0, added: 0, againMs: undefined };
  if (job.spec?.suspend) {
    return { ...none, writes: dismiss(job, counts.active), removed: counts.active.length };
  }
  const wanted = wantActive(job, counts);
  const excess = Math.max(counts.active.length - wanted, invalidCount(job, counts.active));
  if (excess > 0) {
    const extra = surplus(job, counts.active, Math.min(excess, burst), now);
    return { ...none, writes: dismiss(job, extra), removed: extra.length };
  }
  const busy = counts.active.length + (replacesOnlyFailed(job) ? counts.terminating.length : 0);
  const missing = Math.min(wanted - busy, burst);
  if (missing <= 0) return none;
  const wait = replaceInMs(
    pods.filter((pod) => pod.status?.phase === 'Succeeded' || hasFailed(job, pod)),
    counts.failed,
    now,
  );
  if (wait > 0) return { ...none, againMs: wait };
  const created = isIndexed(job)
    ? freeIndexes(job, counts, missing).map((index) => indexedPod(job, pods, index))
    : Array.from({ length: missing }, () => podOf(job));
  return { ...none, writes: created.map((pod) => createPod(job, pod)), added: created.length };
};

/** Pods that are not wanted any more: without their finalizer first, so that they do not count as failures. */
const dismiss = (job: Job, list: readonly Pod[]): PlannedWrite[] => [
  ...releases(list),
  ...list.map((pod) => deletePod(job, pod)),
];

const invalidCount = (job: Job, active: Pod[]): number => {
  if (!isIndexed(job)) return 0;
  return active.filter((pod) => indexOf(job, pod) === undefined).length;
};
