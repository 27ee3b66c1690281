import { timestamp } from '../../clock/clock.ts';
import type { CronJob, Job, ObjectReference } from '../../machinery/kinds.d.ts';
import { conditionOf } from '../conditions.ts';
import type { Controller, EventDraft, Instant, Plan, PlannedWrite } from '../controller.ts';
import { controllerOf, ownerKeys, ownerReference, ownKey, targetOf } from '../owners.ts';
import { cronJobs, jobs } from '../resources.ts';
import { statusWrite } from '../status-patch.ts';
import { lastDue, parseSchedule, type Schedule, zonedTimestamp } from './schedule.ts';

export interface CronJobObserved {
  cron: CronJob;
  /** Jobs that the cron job controls. */
  jobs: readonly Job[];
}

export const scheduledAnnotation = 'batch.kubernetes.io/cronjob-scheduled-timestamp';
/** A queue waits no longer than this for one message. */
const longestWaitMs = 86_400_000;

const endOf = (job: Job): 'Complete' | 'Failed' | undefined => {
  for (const type of ['Complete', 'Failed'] as const) {
    if (conditionOf(job.status?.conditions, type)?.status === 'True') return type;
  }
  return undefined;
};

const scheduledAt = (job: Job): number => Date.parse(job.metadata.annotations?.[scheduledAnnotation] ?? '') || 0;
const startedAt = (job: Job): number => Date.parse(job.status?.startTime ?? job.metadata.creationTimestamp ?? '') || 0;

interface Work {
  cron: CronJob;
  events: EventDraft[];
}

const tell = ({ cron, events }: Work, type: EventDraft['type'], reason: string, message: string): void => {
  events.push({ regarding: cron, type, reason, message });
};

const removal = (cron: CronJob, job: Job): PlannedWrite => ({
  op: 'delete',
  resource: jobs,
  target: targetOf(job),
  expects: { uid: job.metadata.uid ?? '' },
  propagation: 'Background',
  done: () => ({
    regarding: cron,
    type: 'Normal',
    reason: 'SuccessfulDelete',
    message: `Deleted job ${job.metadata.name}`,
  }),
});

/** Finished jobs beyond the history limits, the oldest first. */
const outdated = (cron: CronJob, list: readonly Job[]): Job[] => {
  const beyond = (end: string, limit: number | undefined): Job[] => {
    if (limit === undefined) return [];
    const ended = list.filter((job) => endOf(job) === end).sort((a, b) => startedAt(a) - startedAt(b));
    return ended.slice(0, Math.max(0, ended.length - limit));
  };
  const { successfulJobsHistoryLimit, failedJobsHistoryLimit } = cron.spec ?? {};
  return [...beyond('Complete', successfulJobsHistoryLimit), ...beyond('Failed', failedJobsHistoryLimit)];
};

const referenceTo = (job: Job): ObjectReference => ({
  kind: 'Job',
  namespace: job.metadata.namespace ?? '',
  name: job.metadata.name ?? '',
  uid: job.metadata.uid ?? '',
  apiVersion: 'batch/v1',
});

/** The jobs that run, those listed already in their order, then the others by the time they were due. */
const activeOf = (work: Work, list: readonly Job[], going: ReadonlySet<Job>): ObjectReference[] => {
  const byUid = new Map(list.map((job) => [job.metadata.uid, job]));
  const listed = (work.cron.status?.active ?? []).filter((reference) => {
    const job = byUid.get(reference.uid);
    if (!job) tell(work, 'Normal', 'MissingJob', `Active job went missing: ${reference.name}`);
    const end = job && endOf(job);
    if (job && end && !going.has(job)) {
      tell(work, 'Normal', 'SawCompletedJob', `Saw completed job: ${reference.name}, condition: ${end}`);
    }
    return job && !end && !going.has(job);
  });
  const known = new Set(listed.map((reference) => reference.uid));
  const others = list.filter((job) => !endOf(job) && !going.has(job) && !known.has(job.metadata.uid));
  return [...listed, ...others.sort((a, b) => scheduledAt(a) - scheduledAt(b)).map(referenceTo)];
};

const statusOf = (work: Work, list: readonly Job[], active: ObjectReference[]) => {
  const before = work.cron.status;
  const times = (values: (string | undefined)[]) => Math.max(0, ...values.map((v) => Date.parse(v ?? '') || 0));
  const scheduled = Math.max(times([before?.lastScheduleTime]), ...list.map(scheduledAt));
  const done = list.filter((job) => endOf(job) === 'Complete').map((job) => job.status?.completionTime);
  const succeeded = times([before?.lastSuccessfulTime, ...done]);
  return {
    ...(active.length > 0 && { active }),
    ...(scheduled > 0 && { lastScheduleTime: timestamp(scheduled) }),
    ...(succeeded > 0 && { lastSuccessfulTime: timestamp(succeeded) }),
  };
};

/** The name tells the minute that was due, so that the same time never starts two jobs. */
const jobFor = (cron: CronJob, due: Instant): Job => {
  const { namespace = '', name = '' } = cron.metadata;
  const template = cron.spec?.jobTemplate;
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      namespace,
      name: `${name}-${Math.floor(due / 60_000)}`,
      ...(template?.metadata?.labels && { labels: template.metadata.labels }),
      annotations: {
        ...template?.metadata?.annotations,
        [scheduledAnnotation]: zonedTimestamp(due, cron.spec?.timeZone),
      },
      ownerReferences: [ownerReference(cron, 'batch/v1', 'CronJob')],
    },
    ...(template?.spec && { spec: template.spec }),
  };
};

const creation = (cron: CronJob, due: Instant): PlannedWrite => ({
  op: 'create',
  resource: jobs,
  object: jobFor(cron, due),
  onExists: 'ignore',
  done: (job) => ({
    regarding: cron,
    type: 'Normal',
    reason: 'SuccessfulCreate',
    message: `Created job ${job.metadata.name}`,
  }),
  failed: (status) =>
    status.details?.causes?.some((cause) => cause.reason === 'NamespaceTerminating')
      ? undefined
      : { regarding: cron, type: 'Warning', reason: 'FailedCreate', message: `Error creating job: ${status.message}` },
});

/** What the time that is due asks for: a job, after the running ones are replaced, or nothing. */
const start = (work: Work, schedule: Schedule, last: Instant, active: readonly Job[], now: Instant): PlannedWrite[] => {
  const { cron } = work;
  const deadline = cron.spec?.startingDeadlineSeconds;
  const since = deadline === undefined ? last : Math.max(last, now - deadline * 1_000);
  const due = lastDue(schedule, since, now);
  if (!due) {
    const missed = deadline !== undefined && since > last ? lastDue(schedule, last, now) : undefined;
    if (missed) tell(work, 'Warning', 'MissSchedule', `Missed scheduled time to start a job: ${timestamp(missed.at)}`);
    return [];
  }
  if (due.count > 100) {
    const advice = 'Set or decrease .spec.startingDeadlineSeconds or check clock skew';
    tell(work, 'Warning', 'TooManyMissedTimes', `too many missed start times: more than 100. ${advice}`);
  }
  const policy = cron.spec?.concurrencyPolicy;
  if (policy === 'Forbid' && active.length > 0) {
    tell(
      work,
      'Normal',
      'JobAlreadyActive',
      'Not starting job because prior execution is running and concurrency policy is Forbid',
    );
    return [];
  }
  const replaced = policy === 'Replace' ? active.map((job) => removal(cron, job)) : [];
  return [...replaced, creation(cron, due.at)];
};

const decide = ({ cron, jobs: list }: CronJobObserved, now: Instant): Plan => {
  const work: Work = { cron, events: [] };
  const alive = list.filter((job) => !job.metadata.deletionTimestamp);
  const old = outdated(cron, alive);
  const going = new Set(old);
  const active = activeOf(work, list, going);
  const status = statusOf(work, list, active);
  const writes = [...statusWrite(cron, cronJobs, status), ...old.map((job) => removal(cron, job))];
  const { schedule: text = '', timeZone } = cron.spec ?? {};
  if (cron.metadata.deletionTimestamp) return { writes };
  const schedule = parseSchedule(text, timeZone);
  if (!schedule) {
    tell(work, 'Warning', 'UnparseableSchedule', `unparseable schedule or time zone: ${text} ${timeZone ?? ''}`.trim());
    return { writes, events: work.events };
  }
  if (cron.spec?.suspend) return { writes, events: work.events };
  const last = Date.parse(status.lastScheduleTime ?? cron.metadata.creationTimestamp ?? '');
  const running = list.filter((job) => !endOf(job) && !going.has(job));
  writes.push(...start(work, schedule, last, running, now));
  const next = schedule.next(now);
  return {
    writes,
    events: work.events,
    ...(next !== undefined && { again: { afterMs: Math.min(next - now, longestWaitMs) } }),
  };
};

/** Starts a Job at each time that a CronJob's schedule names. */
export const cronJobController: Controller<CronJobObserved> = {
  name: 'cronjob',
  watches: [
    { resource: cronJobs, keys: ownKey },
    { resource: jobs, keys: (change) => ownerKeys(change, 'CronJob', 'batch') },
  ],
  async observe(read, key) {
    const cron = await read.get<CronJob>(cronJobs, key.namespace, key.name);
    if (!cron) return undefined;
    const uid = cron.metadata.uid ?? '';
    return { cron, jobs: (await read.ownedBy<Job>(jobs, uid)).filter((job) => controllerOf(job)?.uid === uid) };
  },
  decide,
};
