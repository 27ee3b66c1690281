import { describe, expect, it } from 'vitest';
import type { CronJob, Job } from '../../machinery/kinds.d.ts';
import { cronJobController } from './cronjob.ts';
import { parseSchedule, zonedTimestamp } from './schedule.ts';

const at = (text: string): number => Date.parse(text);
const next = (schedule: string, after: string, zone?: string): string | undefined => {
  const found = parseSchedule(schedule, zone)?.next(at(after));
  return found === undefined ? undefined : new Date(found).toISOString().slice(0, 16);
};

describe('cron schedules', () => {
  it.each([
    ['*/15 * * * *', '2026-01-01T00:15:00Z', '2026-01-01T00:30'],
    ['0 0 29 2 *', '2026-01-01T00:00:00Z', '2028-02-29T00:00'],
    ['0 12 13 * FRI', '2026-02-14T00:00:00Z', '2026-02-20T12:00'],
    ['0 12 * * 1-5', '2026-01-02T12:00:00Z', '2026-01-05T12:00'],
    ['@hourly', '2026-01-01T00:00:01Z', '2026-01-01T01:00'],
    ['5/20 3 1 JAN,jul *', '2026-01-01T03:45:00Z', '2026-07-01T03:05'],
    ['0 0 31 4 *', '2026-01-01T00:00:00Z', undefined],
  ])('%s after %s is %s', (schedule, after, wanted) => {
    expect(next(schedule, after)).toBe(wanted);
  });

  it('reads the wall clock of the zone, skips the hour that is not and repeats the hour that comes twice', () => {
    expect(next('30 2 * * *', '2026-03-28T12:00:00Z', 'Europe/Berlin')).toBe('2026-03-30T00:30');
    expect(next('*/30 2 * * *', '2026-10-25T00:30:00Z', 'Europe/Berlin')).toBe('2026-10-25T01:00');
    expect(next('0 9 * * *', '2026-01-01T00:00:00Z', 'Asia/Kolkata')).toBe('2026-01-01T03:30');
    expect(zonedTimestamp(at('2026-01-01T03:30:00Z'), 'Asia/Kolkata')).toBe('2026-01-01T09:00:00+05:30');
  });

  it('knows what is no schedule', () => {
    for (const text of ['* * * *', '60 * * * *', '* * * * MON-', 'x'])
      expect(parseSchedule(text, undefined)).toBe(undefined);
    expect(parseSchedule('* * * * *', 'Mars/Base')).toBe(undefined);
  });
});

const cron = (spec: object = {}, status: object = {}): CronJob =>
  ({
    metadata: { name: 'c', namespace: 'n', uid: 'u', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: { schedule: '*/10 * * * *', jobTemplate: { spec: { template: {} } }, ...spec },
    status,
  }) as CronJob;
const job = (name: string, due: string, end?: 'Complete' | 'Failed'): Job =>
  ({
    metadata: {
      name,
      namespace: 'n',
      uid: name,
      annotations: { 'batch.kubernetes.io/cronjob-scheduled-timestamp': due },
    },
    status: {
      startTime: due,
      ...(end && { conditions: [{ type: end, status: 'True' }] }),
      ...(end === 'Complete' && { completionTime: due }),
    },
  }) as unknown as Job;
const run = (observed: CronJob, jobs: Job[], now: string) =>
  cronJobController.decide({ cron: observed, jobs }, at(now));
const named = (plan: ReturnType<typeof run>) =>
  plan.writes.map((w) =>
    w.op === 'create' ? `create ${w.object.metadata.name}` : `${w.op} ${'target' in w && w.target.name}`,
  );
const minute = (text: string) => at(text) / 60_000;

describe('cron jobs', () => {
  it('starts the last of the times that were missed, and waits for the next', () => {
    const plan = run(cron(), [], '2026-01-01T00:35:00Z');
    expect(named(plan)).toEqual([`create c-${minute('2026-01-01T00:30:00Z')}`]);
    expect(plan.again).toEqual({ afterMs: 300_000 });
    expect(plan.events).toEqual([]);
  });

  it('starts nothing twice, before its time, or suspended', () => {
    expect(named(run(cron({}, { lastScheduleTime: '2026-01-01T00:30:00Z' }), [], '2026-01-01T00:35:00Z'))).toEqual([]);
    expect(named(run(cron(), [], '2026-01-01T00:09:59Z'))).toEqual([]);
    expect(named(run(cron({ suspend: true }), [], '2026-01-01T00:35:00Z'))).toEqual([]);
  });

  it('tells of a start that came too late, and of too many', () => {
    const late = run(cron({ startingDeadlineSeconds: 60 }), [], '2026-01-01T00:35:00Z');
    expect([named(late), late.events?.map((e) => e.reason)]).toEqual([[], ['MissSchedule']]);
    const many = run(cron(), [], '2026-01-03T00:05:00Z');
    expect(named(many)).toEqual([`create c-${minute('2026-01-03T00:00:00Z')}`]);
    expect(many.events?.map((e) => e.reason)).toEqual(['TooManyMissedTimes']);
  });

  it.each([
    ['Allow', ['patch c', `create c-${minute('2026-01-01T00:20:00Z')}`]],
    ['Forbid', ['patch c']],
    ['Replace', ['patch c', 'delete a', `create c-${minute('2026-01-01T00:20:00Z')}`]],
  ])('with a job that runs: %s', (concurrencyPolicy, wanted) => {
    const running = job('a', '2026-01-01T00:10:00Z');
    expect(named(run(cron({ concurrencyPolicy }), [running], '2026-01-01T00:20:00Z'))).toEqual(wanted);
  });

  it('keeps as many finished jobs as the limits say, and remembers the last success', () => {
    const jobs = [
      job('a', '2026-01-01T00:10:00Z', 'Complete'),
      job('b', '2026-01-01T00:20:00Z', 'Complete'),
      job('c', '2026-01-01T00:30:00Z', 'Failed'),
    ];
    const limits = { successfulJobsHistoryLimit: 1, failedJobsHistoryLimit: 0 };
    const plan = run(cron(limits), jobs, '2026-01-01T00:31:00Z');
    expect(named(plan)).toEqual(['patch c', 'delete a', 'delete c']);
    const [status] = plan.writes;
    expect(status?.op === 'patch' && status.merge.status).toEqual({
      lastScheduleTime: '2026-01-01T00:30:00Z',
      lastSuccessfulTime: '2026-01-01T00:20:00Z',
    });
  });
});
