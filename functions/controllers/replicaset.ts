import type { Reader } from '../client/reader.ts';
import { timestamp } from '../clock/clock.ts';
import type { Pod, ReplicaSet, ReplicaSetCondition, ReplicaSetStatus } from '../machinery/kinds.d.ts';
import { keyOf, type ObjectKey } from '../machinery/object.ts';
import { conditionOf, withCondition, withoutCondition } from './conditions.ts';
import type { Controller, Instant, Plan, PlannedWrite, Refusal, WatchedChange } from './controller.ts';
import { claim, controllerOf, isControlledBy, ownerKeys, ownerReference, ownKey } from './owners.ts';
import {
  createPod,
  deletePod,
  isActive,
  isAvailable,
  isReady,
  isTerminating,
  nextAvailableMs,
  podFromTemplate,
} from './pods.ts';
import { pods, replicaSets } from './resources.ts';
import { selects } from './selector.ts';
import { statusWrite } from './status-patch.ts';
import { victims } from './victims.ts';

export interface ReplicaSetObserved {
  set: ReplicaSet;
  /** Controlled by the set, or orphans of its namespace that match its selector. */
  candidates: readonly Pod[];
  /** Active pods of all replica sets of the same owner, this one's included. */
  related: readonly Pod[];
}

/** Pods created or deleted in one run of a key, at most; the key comes again for the rest. */
const burst = 500;

const observe = async (read: Reader, key: ObjectKey): Promise<ReplicaSetObserved | undefined> => {
  const set = await read.get<ReplicaSet>(replicaSets, key.namespace, key.name);
  if (!set) return undefined;
  const owned = await read.ownedBy<Pod>(pods, set.metadata.uid ?? '');
  const matches = selects(set.spec?.selector);
  const orphans = (await read.list<Pod>(pods, { namespace: key.namespace, matches })).filter((p) => !controllerOf(p));
  const mine = owned.filter((pod) => isControlledBy(pod, set));
  const related = mine.length > (set.spec?.replicas ?? 1) ? await relatedPods(read, set, mine) : [];
  return { set, candidates: orphans.length > 0 ? [...mine, ...orphans] : mine, related };
};

const relatedPods = async (read: Reader, set: ReplicaSet, mine: readonly Pod[]): Promise<Pod[]> => {
  const owner = controllerOf(set);
  const all = [...mine];
  if (owner) {
    for (const sibling of await read.ownedBy<ReplicaSet>(replicaSets, owner.uid)) {
      if (sibling.metadata.uid === set.metadata.uid || controllerOf(sibling)?.uid !== owner.uid) continue;
      all.push(...(await read.ownedBy<Pod>(pods, sibling.metadata.uid ?? '')));
    }
  }
  return all.filter(isActive);
};

const decide = ({ set, candidates, related }: ReplicaSetObserved, now: Instant): Plan => {
  const reference = ownerReference(set, 'apps/v1', 'ReplicaSet');
  const claimed = claim(set, reference, selects(set.spec?.selector), candidates.filter(isActive), pods);
  const terminating = candidates.filter((pod) => isTerminating(pod) && isControlledBy(pod, set)).length;
  const scale = set.metadata.deletionTimestamp ? [] : scaleWrites(set, claimed.mine, related, now);
  const status = statusOf(set, claimed.mine, terminating, now);
  const wait = nextAvailableMs(claimed.mine, set.spec?.minReadySeconds ?? 0, now);
  return {
    writes: [...claimed.writes, ...scale, ...statusWrite(set, replicaSets, withFailure(set, status, undefined, now))],
    ...(wait !== undefined && { again: { afterMs: wait } }),
    refused: (failures) => statusWrite(set, replicaSets, withFailure(set, status, failures[0], now)),
  };
};

const scaleWrites = (set: ReplicaSet, mine: Pod[], related: readonly Pod[], now: Instant): PlannedWrite[] => {
  const missing = (set.spec?.replicas ?? 1) - mine.length;
  if (missing > 0) {
    const { namespace = '', name = '' } = set.metadata;
    const reference = ownerReference(set, 'apps/v1', 'ReplicaSet');
    const pod = podFromTemplate(set.spec?.template, namespace, `${name}-`, reference);
    return Array.from({ length: Math.min(missing, burst) }, () => createPod(set, pod));
  }
  if (missing === 0) return [];
  return victims(mine, Math.min(-missing, burst), related, now).map((pod) => deletePod(set, pod));
};

const statusOf = (set: ReplicaSet, mine: Pod[], terminating: number, now: Instant): ReplicaSetStatus => {
  const wanted = Object.entries(set.spec?.template?.metadata?.labels ?? {});
  let labelled = 0;
  let ready = 0;
  let available = 0;
  for (const pod of mine) {
    const labels = pod.metadata.labels ?? {};
    if (wanted.every(([key, value]) => labels[key] === value)) labelled++;
    if (!isReady(pod)) continue;
    ready++;
    if (isAvailable(pod, set.spec?.minReadySeconds ?? 0, now)) available++;
  }
  return {
    replicas: mine.length,
    ...(labelled > 0 && { fullyLabeledReplicas: labelled }),
    ...(ready > 0 && { readyReplicas: ready }),
    ...(available > 0 && { availableReplicas: available }),
    terminatingReplicas: terminating,
    ...(set.metadata.generation !== undefined && { observedGeneration: set.metadata.generation }),
  };
};

/** ReplicaFailure stands while the last attempt to reach the wanted number was refused. */
const withFailure = (
  set: ReplicaSet,
  status: ReplicaSetStatus,
  failure: Refusal | undefined,
  now: Instant,
): ReplicaSetStatus => {
  const before = set.status?.conditions;
  const had = conditionOf(before, 'ReplicaFailure') !== undefined;
  let conditions: ReplicaSetCondition[] = before ?? [];
  if (failure && !had) {
    conditions = withCondition(before, {
      type: 'ReplicaFailure',
      status: 'True',
      reason: failure.write.op === 'delete' ? 'FailedDelete' : 'FailedCreate',
      message: failure.status.message ?? '',
      lastTransitionTime: timestamp(now),
    });
  } else if (!failure && had) conditions = withoutCondition(before, 'ReplicaFailure');
  return conditions.length > 0 ? { ...status, conditions } : status;
};

/** A pod without a controller wakes the replica sets that might adopt it. */
const podKeys = async (change: WatchedChange, read: Reader): Promise<string[]> => {
  const keys = ownerKeys(change, 'ReplicaSet', 'apps');
  const { namespace = '', labels } = change.object.metadata;
  if (change.deleted || controllerOf(change.object) || !labels) return keys;
  for (const set of await read.list<ReplicaSet>(replicaSets, { namespace })) {
    if (selects(set.spec?.selector)(labels)) keys.push(keyOf(namespace, set.metadata.name ?? ''));
  }
  return keys;
};

/** Keeps the number of pods that a ReplicaSet asks for. */
export const replicaSetController: Controller<ReplicaSetObserved> = {
  name: 'replicaset',
  watches: [
    { resource: replicaSets, keys: ownKey },
    {
      resource: pods,
      keys: (change, read) =>
        controllerOf(change.object) ? ownerKeys(change, 'ReplicaSet', 'apps') : podKeys(change, read),
    },
  ],
  observe,
  decide,
};
