import type { Watch } from '../controllers/controller.ts';
import type { Node, Pod } from '../machinery/kinds.d.ts';
import type { KubeObject } from '../machinery/object.ts';
import { nodeShape } from './cluster-cache.ts';
import { objectResources, VOLUME_LISTS } from './cluster-objects.ts';
import { DEFAULT_SCHEDULER } from './profile.ts';
import { isFinished } from './snapshot.ts';

export const SCHEDULER = 'scheduler';
/** A cluster has one scheduler, which takes all waiting pods at once. */
const KEY = 'cluster';

const wish = (pod: Pod): string =>
  JSON.stringify([pod.spec, pod.metadata.labels, pod.metadata.deletionTimestamp !== undefined]);

/** A pod that waits, or one that came to a node, left one, or is another than before to those that look for company. */
const podKeys = (object: KubeObject, previous: KubeObject | undefined, deleted: boolean): string[] => {
  const pod = object as Pod;
  const before = previous as Pod | undefined;
  if (deleted) return pod.spec?.nodeName || pod.status?.nominatedNodeName ? [KEY] : [];
  if (!pod.spec?.nodeName && (pod.spec?.schedulerName ?? DEFAULT_SCHEDULER) !== DEFAULT_SCHEDULER) return [];
  if (!before) return [KEY];
  if (isFinished(pod) !== isFinished(before)) return [KEY];
  return wish(pod) === wish(before) ? [] : [KEY];
};

/** A node that came, went, or changed in a way that may let a pod in. Heartbeats are not such a change. */
const nodeKeys = (object: KubeObject, previous: KubeObject | undefined, deleted: boolean): string[] =>
  !deleted && previous && nodeShape(object as Node) === nodeShape(previous as Node) ? [] : [KEY];

/** What the dispatcher sends to the scheduler. */
export const schedulerConsumer: { name: string; watches: Watch[] } = {
  name: SCHEDULER,
  watches: [
    { resource: { group: '', resource: 'pods' }, keys: (c) => podKeys(c.object, c.previous, c.deleted) },
    { resource: { group: '', resource: 'nodes' }, keys: (c) => nodeKeys(c.object, c.previous, c.deleted) },
    ...VOLUME_LISTS.map((name): Watch => ({ resource: objectResources[name], keys: () => [KEY] })),
  ],
};
