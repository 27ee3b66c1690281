import type { Reader } from '../client/reader.ts';
import { timestamp } from '../clock/clock.ts';
import type {
  OwnerReference,
  Pod,
  ReplicaSet,
  ReplicaSetCondition,
  ReplicaSetStatus,
  ReplicationController,
} from '../machinery/kinds.d.ts';
import { type GroupVersionResource, type KubeObject, keyOf, type ObjectKey } from '../machinery/object.ts';
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
import { pods, replicaSets, replicationControllers } from './resources.ts';
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

/** What a ReplicationController and a ReplicaSet differ in. */
interface Kind {
  name: string;
  component: string;
  apiVersion: string;
  group: string;
  kind: string;
  resource: GroupVersionResource;
  /** The object in the shape of a ReplicaSet. */
  asSet(object: KubeObject): ReplicaSet;
  /** Whether its status tells of pods that are being deleted. */
  terminating: boolean;
}

const observe = async (kind: Kind, read: Reader, key: ObjectKey): Promise<ReplicaSetObserved | undefined> => {
  const object = await read.get<KubeObject>(kind.resource, key.namespace, key.name);
  if (!object) return undefined;
  const set = kind.asSet(object);
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

const decide = (kind: Kind, { set, candidates, related }: ReplicaSetObserved, now: Instant): Plan => {
  const reference = ownerReference(set, kind.apiVersion, kind.kind);
  const claimed = claim(set, reference, selects(set.spec?.selector), candidates.filter(isActive), pods);
  const terminating = candidates.filter((pod) => isTerminating(pod) && isControlledBy(pod, set)).length;
  const scale = set.metadata.deletionTimestamp ? [] : scaleWrites(set, reference, claimed.mine, related, now);
  const status = statusOf(set, claimed.mine, kind.terminating ? terminating : undefined, now);
  const wait = nextAvailableMs(claimed.mine, set.spec?.minReadySeconds ?? 0, now);
  return {
    writes: [...claimed.writes, ...scale, ...statusWrite(set, kind.resource, withFailure(set, status, undefined, now))],
    ...(wait !== undefined && { again: { afterMs: wait } }),
    refused: (failures) => statusWrite(set, kind.resource, withFailure(set, status, failures[0], now)),
  };
};

const scaleWrites = (
  set: ReplicaSet,
  reference: OwnerReference,
  mine: Pod[],
  related: readonly Pod[],
  now: Instant,
): PlannedWrite[] => {
  const missing = (set.spec?.replicas ?? 1) - mine.length;
  if (missing > 0) {
    const { namespace = '', name = '' } = set.metadata;
    const pod = podFromTemplate(set.spec?.template, namespace, `${name}-`, reference);
    return Array.from({ length: Math.min(missing, burst) }, () => createPod(set, pod));
  }
  if (missing === 0) return [];
  return victims(mine, Math.min(-missing, burst), related, now).map((pod) => deletePod(set, pod));
};

const statusOf = (set: ReplicaSet, mine: Pod[], terminating: number | undefined, now: Instant): ReplicaSetStatus => {
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
    ...(terminating !== undefined && { terminatingReplicas: terminating }),
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

/** A pod without a controller wakes the sets that might adopt it. */
const adopters = async (kind: Kind, change: WatchedChange, read: Reader): Promise<string[]> => {
  const { namespace = '', labels } = change.object.metadata;
  if (change.deleted || !labels) return [];
  const sets = (await read.list<KubeObject>(kind.resource, { namespace })).map(kind.asSet);
  return sets
    .filter((set) => selects(set.spec?.selector)(labels))
    .map((set) => keyOf(namespace, set.metadata.name ?? ''));
};

const createController = (kind: Kind): Controller<ReplicaSetObserved> => ({
  name: kind.name,
  component: kind.component,
  watches: [
    { resource: kind.resource, keys: ownKey },
    {
      resource: pods,
      keys: async (change, read) => {
        const keys = ownerKeys(change, kind.kind, kind.group);
        return controllerOf(change.object) ? keys : [...keys, ...(await adopters(kind, change, read))];
      },
    },
  ],
  observe: (read, key) => observe(kind, read, key),
  decide: (observed, now) => decide(kind, observed, now),
});

/** Keeps the number of pods that a ReplicaSet asks for. */
export const replicaSetController = createController({
  name: 'replicaset',
  component: 'replicaset-controller',
  apiVersion: 'apps/v1',
  group: 'apps',
  kind: 'ReplicaSet',
  resource: replicaSets,
  asSet: (object) => object as ReplicaSet,
  terminating: true,
});

/** No label has a value of none. */
const nothing = [{ key: 'name', operator: 'In', values: [] }];
const asSets = new WeakMap<KubeObject, ReplicaSet>();

/** The same for a ReplicationController, whose selector is a plain map and absent means the template's labels. */
export const replicationControllerController = createController({
  name: 'replicationcontroller',
  component: 'replication-controller',
  apiVersion: 'v1',
  group: '',
  kind: 'ReplicationController',
  resource: replicationControllers,
  asSet(object) {
    const known = asSets.get(object);
    if (known) return known;
    const { spec, ...rest } = object as ReplicationController;
    const matchLabels = spec?.selector ?? spec?.template?.metadata?.labels ?? {};
    // An empty selector would take every pod.
    const selector = Object.keys(matchLabels).length > 0 ? { matchLabels } : { matchExpressions: nothing };
    const set = { ...rest, spec: { ...spec, selector } } as ReplicaSet;
    asSets.set(object, set);
    return set;
  },
  terminating: false,
});
