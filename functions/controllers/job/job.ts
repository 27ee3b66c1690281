import type { Reader } from '../../client/reader.ts';
import { timestamp } from '../../clock/clock.ts';
import type { Job, JobCondition, JobStatus, Pod } from '../../machinery/kinds.d.ts';
import { keyOf } from '../../machinery/object.ts';
import { conditionOf, isTrue, withCondition } from '../conditions.ts';
import type { Controller, EventDraft, Instant, Plan, WatchedChange } from '../controller.ts';
import { claim, controllerOf, ownerKeys, ownerReference, ownKey } from '../owners.ts';
import { deletePod } from '../pods.ts';
import { jobs, pods } from '../resources.ts';
import { selects } from '../selector.ts';
import { statusWrite } from '../status-patch.ts';
import { scaleJob } from './create.ts';
import { formatIndexes, isIndexed, parseIndexes } from './indexes.ts';
import { releases, type Tally, tally, trackingFinalizer } from './tally.ts';

export interface JobObserved {
  job: Job;
  /** Controlled by the job, or orphans of its namespace that match its selector. */
  candidates: readonly Pod[];
}

interface Verdict {
  type: 'FailureTarget' | 'SuccessCriteriaMet';
  reason: string;
  message: string;
}

export const isJobFinished = (job: Job): boolean =>
  isTrue(job.status?.conditions, 'Complete') || isTrue(job.status?.conditions, 'Failed');

const condition = (now: Instant, type: string, status: string, reason: string, message: string): JobCondition => ({
  type,
  status,
  reason,
  message,
  lastProbeTime: timestamp(now),
  lastTransitionTime: timestamp(now),
});

/** Pods that restart in place: their restarts count against the limit. */
const tooManyRestarts = (job: Job, active: readonly Pod[]): boolean => {
  if (job.spec?.template?.spec?.restartPolicy !== 'OnFailure') return false;
  const restarts = active.reduce((sum, pod) => {
    const phase = pod.status?.phase;
    if (phase !== 'Running' && phase !== 'Pending') return sum;
    const statuses = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
    return sum + statuses.reduce((n, status) => n + (status.restartCount ?? 0), 0);
  }, 0);
  const limit = job.spec?.backoffLimit ?? 6;
  return limit === 0 ? restarts > 0 : restarts >= limit;
};

const deadlineIn = (job: Job, now: Instant): number | undefined => {
  const seconds = job.spec?.activeDeadlineSeconds;
  const start = job.status?.startTime;
  if (seconds === undefined || !start || job.spec?.suspend) return undefined;
  return Date.parse(start) + seconds * 1000 - now;
};

/** Whether the job has come to its end, and how; undefined while it goes on. */
const verdictOf = (job: Job, counts: Tally, now: Instant): Verdict | undefined => {
  for (const type of ['FailureTarget', 'SuccessCriteriaMet'] as const) {
    const found = conditionOf(job.status?.conditions, type);
    if (found?.status === 'True') return { type, reason: found.reason ?? '', message: found.message ?? '' };
  }
  const fail = (reason: string, message: string): Verdict => ({ type: 'FailureTarget', reason, message });
  if (counts.failJob !== undefined) return fail('PodFailurePolicy', counts.failJob);
  const limit = job.spec?.backoffLimit ?? 6;
  if (counts.failed > limit || tooManyRestarts(job, counts.active)) {
    return fail('BackoffLimitExceeded', 'Job has reached the specified backoff limit');
  }
  if ((deadlineIn(job, now) ?? 1) <= 0) {
    return fail('DeadlineExceeded', 'Job was active longer than specified deadline');
  }
  return indexVerdict(job, counts) ?? completion(job, counts);
};

const indexVerdict = (job: Job, counts: Tally): Verdict | undefined => {
  if (!isIndexed(job)) return undefined;
  const completions = job.spec?.completions ?? 0;
  const failed = counts.failedIndexes.size;
  const most = job.spec?.maxFailedIndexes;
  if (job.spec?.backoffLimitPerIndex !== undefined) {
    if (most !== undefined && failed > most) {
      const message = 'Job has exceeded the specified maximal number of failed indexes';
      return { type: 'FailureTarget', reason: 'MaxFailedIndexesExceeded', message };
    }
    if (failed > 0 && failed + counts.succeededIndexes.size >= completions) {
      return { type: 'FailureTarget', reason: 'FailedIndexes', message: 'Job has failed indexes' };
    }
  }
  for (const [i, rule] of (job.spec?.successPolicy?.rules ?? []).entries()) {
    const named = rule.succeededIndexes ? parseIndexes(rule.succeededIndexes, completions) : undefined;
    const done = [...counts.succeededIndexes].filter((index) => !named || named.has(index)).length;
    if (done < (rule.succeededCount ?? named?.size ?? completions)) continue;
    return { type: 'SuccessCriteriaMet', reason: 'SuccessPolicy', message: `Matched rules at index ${i}` };
  }
  return undefined;
};

const completion = (job: Job, counts: Tally): Verdict | undefined => {
  const completions = job.spec?.completions;
  const done =
    completions === undefined
      ? counts.succeeded > 0 && counts.active.length === 0
      : counts.succeeded >= completions && counts.active.length === 0;
  if (!done) return undefined;
  const message = 'Reached expected number of succeeded pods';
  return { type: 'SuccessCriteriaMet', reason: 'CompletionsReached', message };
};

const suspension = (job: Job, conditions: JobCondition[], now: Instant, events: EventDraft[]): JobCondition[] => {
  const suspended = isTrue(conditions, 'Suspended');
  if (job.spec?.suspend && !suspended) {
    events.push({ regarding: job, type: 'Normal', reason: 'Suspended', message: 'Job suspended' });
    return withCondition(conditions, condition(now, 'Suspended', 'True', 'JobSuspended', 'Job suspended'));
  }
  if (job.spec?.suspend || !suspended) return conditions;
  events.push({ regarding: job, type: 'Normal', reason: 'Resumed', message: 'Job resumed' });
  return withCondition(conditions, condition(now, 'Suspended', 'False', 'JobResumed', 'Job resumed'));
};

const statusOf = (job: Job, counts: Tally, active: number, terminating: number): JobStatus => {
  const { succeeded, failed } = counts.counted;
  const { uncounted } = counts;
  const waiting = {
    ...(uncounted.succeeded.length > 0 && { succeeded: uncounted.succeeded }),
    ...(uncounted.failed.length > 0 && { failed: uncounted.failed }),
  };
  const { startTime, completionTime, conditions } = job.status ?? {};
  return {
    ...(conditions && { conditions }),
    ...(startTime && { startTime }),
    ...(completionTime && { completionTime }),
    ...(active > 0 && { active }),
    ...(succeeded > 0 && { succeeded }),
    ...(failed > 0 && { failed }),
    terminating,
    ready: counts.ready,
    ...(isIndexed(job) &&
      counts.succeededIndexes.size > 0 && { completedIndexes: formatIndexes(counts.succeededIndexes) }),
    ...(job.spec?.backoffLimitPerIndex !== undefined && { failedIndexes: formatIndexes(counts.failedIndexes) }),
    uncountedTerminatedPods: waiting,
  };
};

const ended = (job: Job, verdict: Verdict, now: Instant): { condition: JobCondition; event: EventDraft } =>
  verdict.type === 'FailureTarget'
    ? {
        condition: condition(now, 'Failed', 'True', verdict.reason, verdict.message),
        event: { regarding: job, type: 'Warning', reason: verdict.reason, message: verdict.message },
      }
    : {
        condition: condition(now, 'Complete', 'True', verdict.reason, verdict.message),
        event: { regarding: job, type: 'Normal', reason: 'Completed', message: 'Job completed' },
      };

const decide = ({ job, candidates }: JobObserved, now: Instant): Plan => {
  const reference = ownerReference(job, 'batch/v1', 'Job');
  const claimed = claim(job, reference, selects(job.spec?.selector), candidates, pods);
  const mine = claimed.mine;
  const counts = tally(job, mine);
  const events: EventDraft[] = [];
  if (isJobFinished(job) || job.metadata.deletionTimestamp) {
    const left = isJobFinished(job) ? mine.filter((p) => p.metadata.finalizers?.includes(trackingFinalizer)) : [];
    const settled = statusOf(job, counts, isJobFinished(job) ? 0 : counts.active.length, counts.terminating.length);
    const status = isJobFinished(job) ? [] : statusWrite(job, jobs, settled);
    return { writes: [...status, ...releases(isJobFinished(job) ? left : counts.release)] };
  }
  const verdict = verdictOf(job, counts, now);
  const scaling = verdict
    ? {
        writes: counts.active.map((pod) => deletePod(job, pod)),
        removed: counts.active.length,
        added: 0,
        againMs: undefined,
      }
    : scaleJob(job, mine, counts, now);
  const active = counts.active.length - scaling.removed + scaling.added;
  const terminating = counts.terminating.length + scaling.removed;
  const status = statusOf(job, counts, active, terminating);
  if (scaling.removed > 0) status.ready = verdict || job.spec?.suspend ? 0 : counts.ready;
  let conditions = suspension(job, [...(status.conditions ?? [])], now, events);
  if (job.spec?.suspend) delete status.startTime;
  else status.startTime ??= timestamp(now);
  if (verdict) {
    conditions = withCondition(conditions, condition(now, verdict.type, 'True', verdict.reason, verdict.message));
    const waiting = counts.uncounted.succeeded.length + counts.uncounted.failed.length;
    if (waiting === 0 && terminating === 0 && counts.release.length === 0) {
      const end = ended(job, verdict, now);
      conditions = withCondition(conditions, end.condition);
      if (verdict.type === 'SuccessCriteriaMet') status.completionTime = timestamp(now);
      events.push(end.event);
    }
  }
  if (conditions.length > 0) status.conditions = conditions;
  const waits = [scaling.againMs, verdict ? undefined : deadlineIn({ ...job, status }, now)].filter(
    (ms) => ms !== undefined,
  );
  return {
    writes: [...claimed.writes, ...statusWrite(job, jobs, status), ...releases(counts.release), ...scaling.writes],
    events,
    ...(waits.length > 0 && { again: { afterMs: Math.min(...waits) } }),
  };
};

const podKeys = async (change: WatchedChange, read: Reader): Promise<string[]> => {
  const { namespace = '', labels } = change.object.metadata;
  const keys = ownerKeys(change, 'Job', 'batch');
  for (const job of await read.list<Job>(jobs, { namespace })) {
    if (selects(job.spec?.selector)(labels)) keys.push(keyOf(namespace, job.metadata.name ?? ''));
  }
  return keys;
};

/** Runs pods to completion, each counted exactly once (KEP-2307). */
export const jobController: Controller<JobObserved> = {
  name: 'job',
  watches: [
    { resource: jobs, keys: ownKey },
    {
      resource: pods,
      keys: (change, read) => (controllerOf(change.object) ? ownerKeys(change, 'Job', 'batch') : podKeys(change, read)),
    },
  ],
  async observe(read, key) {
    const job = await read.get<Job>(jobs, key.namespace, key.name);
    if (!job || job.spec?.managedBy) return undefined;
    const owned = await read.ownedBy<Pod>(pods, job.metadata.uid ?? '');
    const matches = selects(job.spec?.selector);
    const orphans = await read.list<Pod>(pods, { namespace: key.namespace, matches });
    const mine = owned.filter((pod) => controllerOf(pod)?.uid === job.metadata.uid);
    return { job, candidates: [...mine, ...orphans.filter((pod) => !controllerOf(pod))] };
  },
  decide,
};
