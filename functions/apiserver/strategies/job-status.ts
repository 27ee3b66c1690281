import type { Job } from '../../machinery/kinds.d.ts';
import { cause } from '../../machinery/status.ts';
import { at, type Causes, immutable, nonNegative } from './checks.ts';

const CONDITIONS = 'status.conditions';
const isTrue = (job: Job, type: string): boolean =>
  (job.status?.conditions ?? []).some((c) => c.type === type && c.status === 'True');

const checkConditions = (out: Causes, job: Job): void => {
  const refuse = (bad: boolean, detail: string) => {
    if (bad) out.push(cause.invalid(CONDITIONS, {}, detail));
  };
  const complete = isTrue(job, 'Complete');
  const failed = isTrue(job, 'Failed');
  const met = isTrue(job, 'SuccessCriteriaMet');
  const target = isTrue(job, 'FailureTarget');
  refuse(complete && failed, 'cannot set Complete=True and Failed=true conditions');
  refuse(complete && target, 'cannot set Complete=True and FailureTarget=true conditions');
  refuse(failed && !target, 'cannot set Failed=True condition without the FailureTarget=true condition');
  refuse(complete && !met, 'cannot set Complete=True condition without the SuccessCriteriaMet=true condition');
  refuse(met && failed, 'cannot set SuccessCriteriaMet=True and Failed=true conditions');
  refuse(met && target, 'cannot set SuccessCriteriaMet=True and FailureTarget=true conditions');
};

const checkTimes = (out: Causes, job: Job): void => {
  const { startTime, completionTime } = job.status ?? {};
  const complete = isTrue(job, 'Complete');
  const finished = complete || isTrue(job, 'Failed');
  if (completionTime !== undefined && !complete) {
    const detail = 'cannot set completionTime when there is no Complete=True condition';
    out.push(cause.invalid('status.completionTime', completionTime, detail));
  }
  if (completionTime === undefined && complete) {
    out.push(cause.required('status.completionTime', 'completionTime is required for Complete jobs'));
  }
  if (startTime && completionTime && Date.parse(completionTime) < Date.parse(startTime)) {
    out.push(cause.invalid('status.completionTime', completionTime, 'must be equal to or after `startTime`'));
  }
  if (finished && startTime === undefined) {
    out.push(cause.required('status.startTime', 'startTime is required for finished job'));
  }
};

/** Rules of a status write: counts, conditions that exclude each other, and what a finished job keeps (KEP-3939). */
export const checkJobStatus = (next: Job, old: Job): Causes => {
  const out: Causes = [];
  const status = next.status ?? {};
  for (const field of ['active', 'succeeded', 'failed', 'ready', 'terminating'] as const) {
    nonNegative(out, `status.${field}`, status[field]);
  }
  const seen = new Set<string>();
  for (const list of ['succeeded', 'failed'] as const) {
    (status.uncountedTerminatedPods?.[list] ?? []).forEach((uid, i) => {
      const where = at(`status.uncountedTerminatedPods.${list}`, i);
      if (uid === '') out.push(cause.invalid(where, uid, 'must not be empty'));
      else if (seen.has(uid)) out.push(cause.duplicate(where, uid));
      seen.add(uid);
    });
  }
  checkConditions(out, next);
  checkTimes(out, next);
  const finished = isTrue(next, 'Complete') || isTrue(next, 'Failed');
  if (finished && (status.active ?? 0) > 0) {
    out.push(cause.invalid('status.active', status.active, 'active>0 is invalid for finished job'));
  }
  if (finished && seen.size > 0) {
    out.push(cause.invalid('status.uncountedTerminatedPods', {}, 'must be empty for finished job'));
  }
  if ((status.ready ?? 0) > (status.active ?? 0)) {
    out.push(cause.invalid('status.ready', status.ready, 'cannot set more ready pods than active'));
  }
  for (const type of ['Failed', 'Complete', 'FailureTarget']) {
    if (isTrue(old, type) && !isTrue(next, type)) {
      out.push(cause.invalid(CONDITIONS, {}, `cannot disable the terminal ${type}=True condition`));
    }
  }
  if (isTrue(old, 'Complete'))
    immutable(out, 'status.completionTime', status.completionTime, old.status?.completionTime);
  return out;
};
