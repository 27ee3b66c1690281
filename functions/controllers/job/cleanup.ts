import type { Job, Pod } from '../../machinery/kinds.d.ts';
import { conditionOf } from '../conditions.ts';
import type { Controller } from '../controller.ts';
import { controllerOf, expectsOf, ownKey, targetOf } from '../owners.ts';
import { jobs, pods } from '../resources.ts';
import { isJobFinished } from './job.ts';
import { trackingFinalizer } from './tally.ts';

/** Takes the tracking finalizer from pods whose job is gone or no longer theirs, so that they can be deleted. */
export const jobOrphanController: Controller<{ pod: Pod }> = {
  name: 'job-orphan',
  component: 'job-controller',
  watches: [
    {
      resource: pods,
      async keys(change, read) {
        const { finalizers, namespace = '' } = change.object.metadata;
        if (change.deleted || !finalizers?.includes(trackingFinalizer)) return [];
        const owner = controllerOf(change.object);
        const job = owner?.kind === 'Job' ? await read.get<Job>(jobs, namespace, owner.name) : undefined;
        return job?.metadata.uid === owner?.uid && job ? [] : ownKey(change);
      },
    },
    {
      resource: jobs,
      async keys({ object, deleted }, read) {
        if (!deleted) return [];
        const owned = await read.ownedBy<Pod>(pods, object.metadata.uid ?? '');
        return owned.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
      },
    },
  ],
  async observe(read, key) {
    const pod = await read.get<Pod>(pods, key.namespace, key.name);
    if (!pod?.metadata.finalizers?.includes(trackingFinalizer)) return undefined;
    const owner = controllerOf(pod);
    if (owner?.kind === 'Job') {
      await read.fresh(jobs);
      const job = await read.get<Job>(jobs, key.namespace, owner.name);
      if (job?.metadata.uid === owner.uid) return undefined;
    }
    return { pod };
  },
  decide: ({ pod }) => ({
    writes: [
      {
        op: 'patch',
        resource: pods,
        target: targetOf(pod),
        merge: { metadata: { finalizers: (pod.metadata.finalizers ?? []).filter((f) => f !== trackingFinalizer) } },
        expects: expectsOf(pod),
      },
    ],
  }),
};

/** Deletes finished jobs when their ttlSecondsAfterFinished has passed. */
export const jobTtlController: Controller<{ job: Job; ttlMs: number }> = {
  name: 'ttl-after-finished',
  watches: [{ resource: jobs, keys: ownKey }],
  async observe(read, key) {
    const job = await read.get<Job>(jobs, key.namespace, key.name);
    const seconds = job?.spec?.ttlSecondsAfterFinished;
    if (!job || seconds === undefined || !isJobFinished(job) || job.metadata.deletionTimestamp) return undefined;
    return { job, ttlMs: seconds * 1000 };
  },
  decide({ job, ttlMs }, now) {
    const { conditions } = job.status ?? {};
    const end = conditionOf(conditions, 'Complete') ?? conditionOf(conditions, 'Failed');
    const left = Date.parse(end?.lastTransitionTime ?? '') + ttlMs - now;
    if (left > 0) return { writes: [], again: { afterMs: left } };
    const expects = expectsOf(job);
    return {
      writes: [{ op: 'delete', resource: jobs, target: targetOf(job), expects, propagation: 'Foreground' }],
    };
  },
};
