import type { Job } from '../../machinery/kinds.d.ts';
import { cause } from '../../machinery/status.ts';
import { at, type Causes, nonNegative, same } from './checks.ts';
import { countIndexes } from './job-success-policy.ts';

const CONDITIONS = 'status.conditions';
type Status = NonNullable<Job['status']>;

const stateOf = (job: Job, type: string): string | undefined =>
  (job.status?.conditions ?? []).find((c) => c.type === type)?.status;
const isTrue = (job: Job, type: string): boolean => stateOf(job, type) === 'True';
const isFinished = (job: Job): boolean => isTrue(job, 'Complete') || isTrue(job, 'Failed');

/** What a status write changes: a rule about what a write leaves alone does not stop it. */
interface Changes {
  field(...names: (keyof Status)[]): boolean;
  condition(...types: string[]): boolean;
  finished: boolean;
}

const changesOf = (next: Job, old: Job): Changes => ({
  field: (...names) => names.some((name) => !same(next.status?.[name], old.status?.[name])),
  condition: (...types) => types.some((type) => isTrue(next, type) !== isTrue(old, type)),
  finished: isFinished(next) !== isFinished(old),
});

const checkConditions = (out: Causes, job: Job, old: Job, changes: Changes): void => {
  const refuse = (bad: boolean, detail: string) => {
    if (bad) out.push(cause.invalid(CONDITIONS, {}, detail));
  };
  const complete = isTrue(job, 'Complete');
  const failed = isTrue(job, 'Failed');
  const met = isTrue(job, 'SuccessCriteriaMet');
  const target = isTrue(job, 'FailureTarget');
  if (changes.condition('Complete', 'Failed'))
    refuse(complete && failed, 'cannot set Complete=True and Failed=true conditions');
  if (changes.condition('Complete', 'FailureTarget'))
    refuse(complete && target, 'cannot set Complete=True and FailureTarget=true conditions');
  if (changes.condition('Failed') || changes.field('failedIndexes'))
    refuse(failed && !target, 'cannot set Failed=True condition without the FailureTarget=true condition');
  if (changes.condition('Complete', 'SuccessCriteriaMet'))
    refuse(complete && !met, 'cannot set Complete=True condition without the SuccessCriteriaMet=true condition');
  refuse(met && failed, 'cannot set SuccessCriteriaMet=True and Failed=true conditions');
  refuse(met && target, 'cannot set SuccessCriteriaMet=True and FailureTarget=true conditions');
  refuse(
    job.spec?.successPolicy !== undefined && complete && !met,
    'cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True',
  );
  for (const type of ['Failed', 'Complete', 'FailureTarget'])
    refuse(isTrue(old, type) && !isTrue(job, type), `cannot disable the terminal ${type}=True condition`);
  refuse(isTrue(old, 'SuccessCriteriaMet') && !met, 'cannot disable the SuccessCriteriaMet=True condition');
  refuse(
    isTrue(old, 'Complete') && !isTrue(old, 'SuccessCriteriaMet') && met,
    'cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions',
  );
};

const checkTimes = (out: Causes, job: Job, old: Job, changes: Changes): void => {
  const { startTime, completionTime } = job.status ?? {};
  const before = old.status ?? {};
  const complete = isTrue(job, 'Complete');
  const where = 'status.completionTime';
  if (changes.condition('Complete') || changes.field('completionTime')) {
    if (completionTime !== undefined && !complete)
      out.push(
        cause.invalid(where, completionTime, 'cannot set completionTime when there is no Complete=True condition'),
      );
    if (completionTime === undefined && complete)
      out.push(cause.required(where, 'completionTime is required for Complete jobs'));
  }
  const moved = changes.field('startTime', 'completionTime');
  if (moved && startTime && completionTime && Date.parse(completionTime) < Date.parse(startTime))
    out.push(cause.invalid(where, completionTime, 'must be equal to or after `startTime`'));
  const isEmptyAndSuspended = job.spec?.suspend === true && job.spec.completions === 0;
  const begun = changes.finished || changes.field('startTime');
  if (begun && !isEmptyAndSuspended && isFinished(job) && startTime === undefined)
    out.push(cause.required('status.startTime', 'startTime is required for finished job'));
  if (completionTime && before.completionTime && completionTime !== before.completionTime)
    out.push(cause.invalid(where, completionTime, 'field is immutable'));
  const resuming = isTrue(old, 'Suspended') && stateOf(job, 'Suspended') === 'False';
  if (before.startTime && before.startTime !== startTime && !job.spec?.suspend && !resuming)
    out.push(cause.invalid('status.startTime', startTime, 'field is immutable for unsuspended job once set'));
};

const namedIndexes = (text: string): [number, number][] =>
  text.split(',').map((part) => {
    const [from = 0, to = from] = part.split('-').map(Number);
    return [from, to];
  });

const checkIndexes = (out: Causes, job: Job, changes: Changes): void => {
  const { completedIndexes: completed = '', failedIndexes: failed } = job.status ?? {};
  const { completions, backoffLimitPerIndex, completionMode } = job.spec ?? {};
  const fault = (text: string): string | undefined => {
    const counted = countIndexes(text, completions ?? 0);
    return typeof counted === 'string' ? counted : undefined;
  };
  const say = (field: 'completedIndexes' | 'failedIndexes', value: string | undefined, text: string): void => {
    out.push(cause.invalid(`status.${field}`, value, text));
  };
  const ofCompleted = completions === undefined ? undefined : fault(completed);
  const ofFailed = completions === undefined || failed === undefined ? undefined : fault(failed);
  if (changes.field('completedIndexes')) {
    if (ofCompleted) say('completedIndexes', completed, `error parsing completedIndexes: ${ofCompleted}`);
    if (completed !== '' && completionMode !== 'Indexed')
      say('completedIndexes', completed, 'cannot set non-empty completedIndexes when non-indexed completion mode');
  }
  if (failed === undefined) return;
  if (changes.field('failedIndexes')) {
    if (ofFailed && backoffLimitPerIndex !== undefined)
      say('failedIndexes', failed, `error parsing failedIndexes: ${ofFailed}`);
    if (backoffLimitPerIndex === undefined)
      say('failedIndexes', failed, 'cannot set non-null failedIndexes when backoffLimitPerIndex is null');
  }
  if (!changes.field('failedIndexes', 'completedIndexes') || ofCompleted || ofFailed) return;
  if (completions === undefined || failed === '' || completed === '') return;
  const done = namedIndexes(completed);
  const both = namedIndexes(failed).some(([from, to]) => done.some(([a, b]) => from <= b && a <= to));
  if (both) say('failedIndexes', failed, 'failedIndexes and completedIndexes overlap');
};

const checkCounts = (out: Causes, job: Job, old: Job, changes: Changes): void => {
  const status = job.status ?? {};
  for (const field of ['active', 'succeeded', 'failed', 'ready', 'terminating'] as const)
    nonNegative(out, `status.${field}`, status[field]);
  const seen = new Set<string>();
  for (const list of ['succeeded', 'failed'] as const) {
    (status.uncountedTerminatedPods?.[list] ?? []).forEach((uid, i) => {
      const where = at(`status.uncountedTerminatedPods.${list}`, i);
      if (uid === '') out.push(cause.invalid(where, uid, 'must not be empty'));
      else if (seen.has(uid)) out.push(cause.duplicate(where, uid));
      seen.add(uid);
    });
  }
  const finished = isFinished(job);
  const over = (field: 'active' | 'terminating'): void => {
    if (finished && (changes.finished || changes.field(field)) && (status[field] ?? 0) > 0)
      out.push(cause.invalid(`status.${field}`, status[field], `${field}>0 is invalid for finished job`));
  };
  over('active');
  if (finished && seen.size > 0 && (changes.finished || changes.field('uncountedTerminatedPods')))
    out.push(cause.invalid('status.uncountedTerminatedPods', {}, 'must be empty for finished job'));
  over('terminating');
  if (changes.field('ready', 'active') && (status.ready ?? 0) > (status.active ?? 0))
    out.push(cause.invalid('status.ready', status.ready, 'cannot set more ready pods than active'));
  const { completions, parallelism, completionMode } = job.spec ?? {};
  // An indexed job with as many pods as completions may be scaled down, and its count of successes with it.
  const mayShrink = completionMode === 'Indexed' && completions === parallelism;
  for (const field of ['failed', 'succeeded'] as const)
    if ((status[field] ?? 0) < (old.status?.[field] ?? 0) && !(field === 'succeeded' && mayShrink))
      out.push(cause.invalid(`status.${field}`, status[field] ?? 0, `cannot decrease the ${field} counter`));
};

/** Rules of a status write: counts, conditions that exclude each other, and what a finished job keeps (KEP-3939). */
export const checkJobStatus = (next: Job, old: Job): Causes => {
  const out: Causes = [];
  const changes = changesOf(next, old);
  checkCounts(out, next, old, changes);
  checkConditions(out, next, old, changes);
  checkTimes(out, next, old, changes);
  checkIndexes(out, next, changes);
  return out;
};
