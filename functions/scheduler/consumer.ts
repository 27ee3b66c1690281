import type { Watch } from '../controllers/controller.ts';
import type { Node, Pod } from '../machinery/kinds.d.ts';
import type { KubeObject } from '../machinery/object.ts';

export const SCHEDULER = 'scheduler';
/** A cluster has one scheduler, which takes all waiting pods at once. */
const KEY = 'cluster';

const finished = (pod: Pod): boolean => pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';

/** A pod that waits, or one that made room. */
const podKeys = (object: KubeObject, previous: KubeObject | undefined, deleted: boolean): string[] => {
  const pod = object as Pod;
  const before = previous as Pod | undefined;
  if (!pod.spec?.nodeName) return deleted || before?.spec?.nodeName ? [] : [KEY];
  const madeRoom = deleted || (finished(pod) && before !== undefined && !finished(before));
  return madeRoom ? [KEY] : [];
};

const shape = (node: Node): string =>
  JSON.stringify([node.spec?.taints, node.spec?.unschedulable, node.status?.allocatable, node.metadata.labels]);

/** A node that came, or changed in a way that may let a pod in. Heartbeats are not such a change. */
const nodeKeys = (object: KubeObject, previous: KubeObject | undefined, deleted: boolean): string[] => {
  if (deleted) return [];
  return previous && shape(object as Node) === shape(previous as Node) ? [] : [KEY];
};

/** What the dispatcher sends to the scheduler. */
export const schedulerConsumer: { name: string; watches: Watch[] } = {
  name: SCHEDULER,
  watches: [
    { resource: { group: '', resource: 'pods' }, keys: (c) => podKeys(c.object, c.previous, c.deleted) },
    { resource: { group: '', resource: 'nodes' }, keys: (c) => nodeKeys(c.object, c.previous, c.deleted) },
  ],
};
