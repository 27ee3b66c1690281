import type { Job, JobStatus, Pod } from '../../machinery/kinds.d.ts';
import { isTrue } from '../conditions.ts';
import type { PlannedWrite } from '../controller.ts';
import { expectsOf, targetOf } from '../owners.ts';
import { isActive, isReady, isTerminating } from '../pods.ts';
import { pods as podResource } from '../resources.ts';
import { failureAction } from './failure-policy.ts';
import { failureCountOf, indexOf, isIndexed, parseIndexes } from './indexes.ts';

export const trackingFinalizer = 'batch.kubernetes.io/job-tracking';

/** What a job's pods amount to. A finished pod is counted once: its uid goes into the status before its finalizer goes. */
export interface Tally {
  active: Pod[];
  ready: number;
  /** Being deleted and not finished. */
  terminating: Pod[];
  succeeded: number;
  failed: number;
  /** Uids that are counted by the status already but not yet in its numbers. */
  uncounted: { succeeded: string[]; failed: string[] };
  /** The status' own numbers, with what can be moved from `uncounted` now. */
  counted: { succeeded: number; failed: number };
  /** Finished pods that still have the tracking finalizer. */
  release: Pod[];
  succeededIndexes: Set<number>;
  failedIndexes: Set<number>;
  /** Set when a failed pod matched a FailJob rule. */
  failJob: string | undefined;
}

const hasFinalizer = (pod: Pod): boolean => pod.metadata.finalizers?.includes(trackingFinalizer) ?? false;

export const replacesOnlyFailed = (job: Job): boolean => job.spec?.podReplacementPolicy === 'Failed';

/** The job's end is decided: pods that are deleted now will not be replaced, so they count at once. */
const isEnding = (job: Job): boolean => isTrue(job.status?.conditions, 'FailureTarget');

/** Finished badly; a pod that is being deleted counts too, unless it must reach a terminal phase first. */
export const hasFailed = (job: Job, pod: Pod): boolean =>
  pod.status?.phase === 'Failed' ||
  (isTerminating(pod) && pod.status?.phase !== 'Succeeded' && (!replacesOnlyFailed(job) || isEnding(job)));

const settle = (uids: string[] | undefined, pods: ReadonlyMap<string, Pod>) => {
  const waiting = (uids ?? []).filter((uid) => {
    const pod = pods.get(uid);
    return pod !== undefined && hasFinalizer(pod);
  });
  return { waiting, moved: (uids ?? []).length - waiting.length };
};

export const tally = (job: Job, pods: readonly Pod[]): Tally => {
  const status: JobStatus = job.status ?? {};
  const completions = job.spec?.completions ?? 0;
  const byUid = new Map(pods.map((pod) => [pod.metadata.uid ?? '', pod]));
  const good = settle(status.uncountedTerminatedPods?.succeeded, byUid);
  const bad = settle(status.uncountedTerminatedPods?.failed, byUid);
  const counted = {
    succeeded: (status.succeeded ?? 0) + good.moved,
    failed: (status.failed ?? 0) + bad.moved,
  };
  const known = new Set([...good.waiting, ...bad.waiting]);
  const result: Tally = {
    active: pods.filter(isActive),
    ready: 0,
    terminating: pods.filter(
      (p) => isTerminating(p) && p.status?.phase !== 'Failed' && p.status?.phase !== 'Succeeded',
    ),
    succeeded: 0,
    failed: 0,
    uncounted: { succeeded: [...good.waiting], failed: [...bad.waiting] },
    counted,
    release: [],
    succeededIndexes: parseIndexes(status.completedIndexes, completions),
    failedIndexes: parseIndexes(status.failedIndexes, completions),
    failJob: undefined,
  };
  result.ready = result.active.filter(isReady).length;
  for (const pod of pods) if (hasFinalizer(pod)) count(job, pod, known, result);
  if (isIndexed(job)) result.counted.succeeded = result.succeededIndexes.size;
  result.succeeded = isIndexed(job)
    ? result.succeededIndexes.size
    : counted.succeeded + result.uncounted.succeeded.length;
  result.failed = counted.failed + result.uncounted.failed.length;
  return result;
};

const count = (job: Job, pod: Pod, known: Set<string>, into: Tally): void => {
  const uid = pod.metadata.uid ?? '';
  const index = isIndexed(job) ? indexOf(job, pod) : undefined;
  if (pod.status?.phase === 'Succeeded') {
    into.release.push(pod);
    if (isIndexed(job) && index === undefined) return;
    if (index !== undefined) into.succeededIndexes.add(index);
    else if (!known.has(uid)) into.uncounted.succeeded.push(uid);
    return;
  }
  if (!hasFailed(job, pod)) return;
  into.release.push(pod);
  const rule = pod.status?.phase === 'Failed' ? failureAction(job, pod) : undefined;
  if (rule?.action === 'FailJob') into.failJob ??= rule.message;
  const perIndex = job.spec?.backoffLimitPerIndex;
  if (perIndex !== undefined && index !== undefined && rule?.action !== 'Ignore') {
    if (rule?.action === 'FailIndex' || failureCountOf(pod) >= perIndex) into.failedIndexes.add(index);
  }
  if (rule?.action !== 'Ignore' && !known.has(uid)) into.uncounted.failed.push(uid);
};

/** When a pod finished, in milliseconds since the epoch. */
const finishedAt = (pod: Pod): number => {
  const times = (pod.status?.containerStatuses ?? []).flatMap((s) => s.state?.terminated?.finishedAt ?? []);
  const { deletionTimestamp, deletionGracePeriodSeconds = 0, creationTimestamp } = pod.metadata;
  if (times.length === 0 && deletionTimestamp) return Date.parse(deletionTimestamp) - deletionGracePeriodSeconds * 1000;
  const ready = pod.status?.conditions?.find((c) => c.type === 'Ready')?.lastTransitionTime;
  const text = times.sort().at(-1) ?? ready ?? creationTimestamp;
  return Date.parse(text ?? '') || 0;
};

const backoffMs = 10_000;
const backoffMaxMs = 600_000;

/** Milliseconds before failed pods may be replaced: 10 s, doubled for each failure since the last success. */
export const replaceInMs = (pods: readonly Pod[], failed: number, now: number): number => {
  const lastSuccess = pods
    .filter((pod) => pod.status?.phase === 'Succeeded')
    .reduce((last, pod) => Math.max(last, finishedAt(pod)), 0);
  const failures = pods
    .filter((pod) => pod.status?.phase !== 'Succeeded')
    .map(finishedAt)
    .filter((time) => time > lastSuccess)
    .sort((a, b) => b - a)
    .slice(0, failed);
  if (failures.length === 0) return 0;
  const delay = Math.min(backoffMaxMs, backoffMs * 2 ** (failures.length - 1));
  return Math.max(0, Math.max(...failures) + delay - now);
};

/** The finalizer goes only after the status has the pod's uid: the status write stands before these. */
export const releases = (list: readonly Pod[]): PlannedWrite[] =>
  list.map((pod) => ({
    op: 'patch',
    resource: podResource,
    target: targetOf(pod),
    merge: { metadata: { finalizers: (pod.metadata.finalizers ?? []).filter((f) => f !== trackingFinalizer) } },
    expects: expectsOf(pod),
  }));
