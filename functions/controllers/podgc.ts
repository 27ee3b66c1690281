import { timestamp } from '../clock/clock.ts';
import type { Node, Pod } from '../machinery/kinds.d.ts';
import { withCondition } from './conditions.ts';
import type { Controller, PlannedWrite } from './controller.ts';
import { targetOf } from './owners.ts';
import { isFinished, isTerminating } from './pods.ts';
import { nodes, pods } from './resources.ts';
import { statusWrite } from './status-patch.ts';

export interface PodGcOptions {
  /** Finished pods that may stay; 12,500 upstream. */
  terminatedMax?: number;
}

export interface PodGcObserved {
  /** On a node that does not exist. */
  orphaned: readonly Pod[];
  /** Finished, of the whole cluster; only looked at for the key of all. */
  finished: readonly Pod[];
}

/** A pod may be bound a moment before its node registers. */
const quarantineMs = 40_000;
const allKey = '~finished';

const remove = (pod: Pod): PlannedWrite => ({
  op: 'delete',
  resource: pods,
  target: targetOf(pod),
  expects: { uid: pod.metadata.uid ?? '' },
  gracePeriodSeconds: 0,
});
const created = (pod: Pod): number => Date.parse(pod.metadata.creationTimestamp ?? '');

/** Removes pods of nodes that are gone, and the oldest finished pods when there are too many. */
export const createPodGcController = (options: PodGcOptions = {}): Controller<PodGcObserved> => ({
  name: 'podgc',
  component: 'pod-garbage-collector',
  watches: [
    { resource: nodes, keys: ({ object, deleted }) => (deleted ? [object.metadata.name ?? ''] : []) },
    {
      resource: pods,
      async keys({ object, previous, deleted }, read) {
        const pod = object as Pod;
        if (deleted) return [];
        const keys = isFinished(pod) && !(previous && isFinished(previous as Pod)) ? [allKey] : [];
        const name = pod.spec?.nodeName;
        if (!name || (previous as Pod | undefined)?.spec?.nodeName === name) return keys;
        return (await read.get<Node>(nodes, '', name)) ? keys : [...keys, name];
      },
    },
  ],
  async observe(read, key) {
    if (key.name === allKey) {
      return { orphaned: [], finished: (await read.list<Pod>(pods)).filter((pod) => isFinished(pod)) };
    }
    await read.fresh(nodes);
    if (await read.get<Node>(nodes, '', key.name)) return undefined;
    return {
      orphaned: await read.list<Pod>(pods, { field: { name: 'spec.nodeName', value: key.name } }),
      finished: [],
    };
  },
  decide({ orphaned, finished }, now) {
    const due = orphaned.filter((pod) => now - created(pod) >= quarantineMs || isTerminating(pod));
    const marks = due.flatMap((pod) => {
      if (isFinished(pod)) return [];
      const conditions = withCondition(pod.status?.conditions, {
        type: 'DisruptionTarget',
        status: 'True',
        reason: 'DeletionByPodGC',
        message: 'PodGC: node no longer exists',
        lastTransitionTime: timestamp(now),
      });
      return statusWrite(pod, pods, { ...pod.status, phase: 'Failed', conditions }, { uid: pod.metadata.uid ?? '' });
    });
    const excess = finished.filter((pod) => !isTerminating(pod));
    const count = Math.max(0, excess.length - (options.terminatedMax ?? 12_500));
    const oldest = [...excess].sort((a, b) => created(a) - created(b)).slice(0, count);
    const young = orphaned.length > due.length;
    return {
      writes: [...marks, ...due.map(remove), ...oldest.map(remove)],
      ...(young && { again: { afterMs: quarantineMs } }),
    };
  },
});
