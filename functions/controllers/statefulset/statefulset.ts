import type { Reader } from '../../client/reader.ts';
import type {
  ControllerRevision,
  PersistentVolumeClaim,
  Pod,
  StatefulSet,
  StatefulSetStatus,
} from '../../machinery/kinds.d.ts';
import { keyOf } from '../../machinery/object.ts';
import type { Controller, Instant, Plan, PlannedWrite, WatchedChange } from '../controller.ts';
import { claim, controllerOf, ownerKeys, ownerReference, ownKey } from '../owners.ts';
import { deletePod, isAvailable, isFinished, isReady, isTerminating, nextAvailableMs } from '../pods.ts';
import { controllerRevisions, persistentVolumeClaims, pods, statefulSets } from '../resources.ts';
import { selects } from '../selector.ts';
import { statusWrite } from '../status-patch.ts';
import { createOrdinal, ordinalOf, revisionLabel } from './pod.ts';
import { retains, retentionWrites } from './retention.ts';
import { type Revisions, revisionsOf } from './revisions.ts';

export interface StatefulSetObserved {
  set: StatefulSet;
  candidates: readonly Pod[];
  history: readonly ControllerRevision[];
  /** Claims of the namespace, where the set has them deleted some day. */
  claims?: readonly PersistentVolumeClaim[];
}

const revisionOf = (pod: Pod): string => pod.metadata.labels?.[revisionLabel] ?? '';

const remove = (set: StatefulSet, pod: Pod): PlannedWrite => ({
  ...deletePod(set, pod),
  done: () => ({
    regarding: set,
    type: 'Normal',
    reason: 'SuccessfulDelete',
    message: `delete Pod ${pod.metadata.name} in StatefulSet ${set.metadata.name} successful`,
  }),
});

interface Step {
  set: StatefulSet;
  pods: Map<number, Pod>;
  revisions: Revisions;
  now: Instant;
  writes: PlannedWrite[];
}

const isHealthy = ({ set, now }: Step, pod: Pod): boolean =>
  !isTerminating(pod) && pod.status?.phase === 'Running' && isAvailable(pod, set.spec?.minReadySeconds ?? 0, now);

const partitionOf = (set: StatefulSet): number => set.spec?.updateStrategy?.rollingUpdate?.partition ?? 0;

/** A pod that is made anew during an update keeps the old revision as long as the update has not reached it. */
const revisionFor = ({ set, revisions, pods }: Step, ordinal: number): string => {
  const { current, update } = revisions;
  if (set.spec?.updateStrategy?.type === 'OnDelete' || current === update) return update;
  const old = [...pods.values()].filter((pod) => !isTerminating(pod) && revisionOf(pod) === current).length;
  return ordinal < (set.spec?.ordinals?.start ?? 0) + Math.max(partitionOf(set), old) ? current : update;
};

/** Makes what is missing, lowest first; in order, everything waits for the one before. True when it has to wait. */
const grow = (step: Step, first: number, end: number, inOrder: boolean): boolean => {
  const { set, revisions, writes } = step;
  for (let ordinal = first; ordinal < end; ordinal++) {
    const pod = step.pods.get(ordinal);
    if (!pod) {
      const revision = revisionFor(step, ordinal);
      writes.push(...createOrdinal(set, ordinal, revisions.templateOf(revision), revision));
      if (inOrder) return true;
    } else if (isFinished(pod) && !isTerminating(pod)) {
      writes.push(remove(set, pod));
      if (inOrder) return true;
    } else if (inOrder && !isHealthy(step, pod)) return true;
  }
  return false;
};

/**
 * Takes away what is too much, highest first; in order, a pod that is not healthy holds those above it too, unless it is
 * the lowest such. True when it has to wait.
 */
const shrink = (step: Step, first: number, end: number, inOrder: boolean): boolean => {
  const excess = [...step.pods].filter(([ordinal]) => ordinal < first || ordinal >= end).sort(([a], [b]) => b - a);
  const lowestSick = excess.findLast(([, pod]) => !isHealthy(step, pod))?.[1];
  for (const [, pod] of excess) {
    if (inOrder && !isHealthy(step, pod) && pod !== lowestSick) return true;
    if (!isTerminating(pod)) step.writes.push(remove(step.set, pod));
    if (inOrder) return true;
  }
  return false;
};

/** Replaces pods of another revision one by one, highest first, never more than one that is not healthy. */
const update = (step: Step, first: number, end: number): void => {
  const { set, revisions } = step;
  if (set.spec?.updateStrategy?.type === 'OnDelete') return;
  for (let ordinal = end - 1; ordinal >= Math.max(first, partitionOf(set)); ordinal--) {
    const pod = step.pods.get(ordinal);
    if (!pod) return;
    if (revisionOf(pod) !== revisions.update && !isTerminating(pod)) {
      step.writes.push(remove(set, pod));
      return;
    }
    if (!isHealthy(step, pod)) return;
  }
};

const statusOf = (step: Step, list: readonly Pod[]): StatefulSetStatus => {
  const { set, revisions, now } = step;
  const going = new Set(step.writes.flatMap((write) => (write.op === 'delete' ? write.expects.uid : [])));
  const alive = list.filter((pod) => !isTerminating(pod) && !going.has(pod.metadata.uid ?? ''));
  const ready = list.filter((pod) => pod.status?.phase === 'Running' && isReady(pod));
  const available = ready.filter((pod) => isAvailable(pod, set.spec?.minReadySeconds ?? 0, now)).length;
  const updated = alive.filter((pod) => revisionOf(pod) === revisions.update).length;
  let current = alive.filter((pod) => revisionOf(pod) === revisions.current).length;
  let currentRevision = revisions.current;
  const rolls = set.spec?.updateStrategy?.type !== 'OnDelete';
  if (rolls && updated === list.length && ready.length === list.length && list.length === (set.spec?.replicas ?? 1)) {
    current = updated;
    currentRevision = revisions.update;
  }
  return {
    ...(set.metadata.generation !== undefined && { observedGeneration: set.metadata.generation }),
    replicas: list.length,
    ...(ready.length > 0 && { readyReplicas: ready.length }),
    ...(current > 0 && { currentReplicas: current }),
    ...(updated > 0 && { updatedReplicas: updated }),
    currentRevision,
    updateRevision: revisions.update,
    collisionCount: set.status?.collisionCount ?? 0,
    availableReplicas: available,
  };
};

const decide = ({ set, candidates, history, claims = [] }: StatefulSetObserved, now: Instant): Plan => {
  const named = candidates.filter((pod) => ordinalOf(set, pod) !== undefined);
  const reference = ownerReference(set, 'apps/v1', 'StatefulSet');
  const claimed = claim(set, reference, selects(set.spec?.selector), named, pods);
  const revisions = revisionsOf(set, history, new Set(claimed.mine.map(revisionOf)));
  const byOrdinal = new Map(claimed.mine.map((pod) => [ordinalOf(set, pod) ?? 0, pod]));
  const step: Step = { set, pods: byOrdinal, revisions, now, writes: [] };
  if (!set.metadata.deletionTimestamp) {
    const first = set.spec?.ordinals?.start ?? 0;
    const end = first + (set.spec?.replicas ?? 1);
    const inOrder = set.spec?.podManagementPolicy !== 'Parallel';
    const waits = grow(step, first, end, inOrder) || shrink(step, first, end, inOrder);
    if (!waits) update(step, first, end);
  }
  const wait = nextAvailableMs(claimed.mine, set.spec?.minReadySeconds ?? 0, now);
  return {
    writes: [
      ...claimed.writes,
      ...(set.metadata.deletionTimestamp ? [] : revisions.writes),
      ...statusWrite(set, statefulSets, statusOf(step, claimed.mine)),
      ...(set.metadata.deletionTimestamp ? [] : retentionWrites(set, byOrdinal, claims)),
      ...step.writes,
    ],
    ...(wait !== undefined && { again: { afterMs: wait } }),
  };
};

const podKeys = async (change: WatchedChange, read: Reader): Promise<string[]> => {
  const { namespace = '', labels } = change.object.metadata;
  const keys = ownerKeys(change, 'StatefulSet', 'apps');
  for (const set of await read.list<StatefulSet>(statefulSets, { namespace })) {
    if (selects(set.spec?.selector)(labels)) keys.push(keyOf(namespace, set.metadata.name ?? ''));
  }
  return keys;
};

/** Keeps numbered pods with stable names and claims, made and replaced in order. */
export const statefulSetController: Controller<StatefulSetObserved> = {
  name: 'statefulset',
  watches: [
    { resource: statefulSets, keys: ownKey },
    { resource: controllerRevisions, keys: (change) => ownerKeys(change, 'StatefulSet', 'apps') },
    {
      resource: pods,
      keys: (change, read) =>
        controllerOf(change.object) ? ownerKeys(change, 'StatefulSet', 'apps') : podKeys(change, read),
    },
  ],
  async observe(read, key) {
    const set = await read.get<StatefulSet>(statefulSets, key.namespace, key.name);
    if (!set) return undefined;
    const uid = set.metadata.uid ?? '';
    const owned = await read.ownedBy<Pod>(pods, uid);
    const matches = selects(set.spec?.selector);
    const free = await read.list<Pod>(pods, { namespace: key.namespace, matches });
    const mine = owned.filter((pod) => controllerOf(pod)?.uid === uid);
    const history = await read.ownedBy<ControllerRevision>(controllerRevisions, uid);
    const { namespace } = key;
    const claims = retains(set) ? [] : await read.list<PersistentVolumeClaim>(persistentVolumeClaims, { namespace });
    return { set, claims, candidates: [...mine, ...free.filter((pod) => !controllerOf(pod))], history };
  },
  decide,
};
