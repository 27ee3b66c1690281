import type { Deployment, DeploymentCondition, Pod, ReplicaSet } from '../../machinery/kinds.d.ts';
import type { EventDraft, Instant, PlannedWrite } from '../controller.ts';
import { expectsOf, targetOf } from '../owners.ts';
import { replicaSets } from '../resources.ts';
import { replicasAnnotations, sizeOf } from './replica-sets.ts';

export interface DeploymentObserved {
  deployment: Deployment;
  /** Controlled by the deployment, or orphans of its namespace that match its selector. */
  candidates: readonly ReplicaSet[];
  /** Pods of those sets, also those being deleted; only for Recreate. */
  pods: readonly Pod[];
  /** The replica set, not this deployment's, that already has the name the next one would get. */
  namesake: ReplicaSet | undefined;
}

/** One decision under way: the sets as they will be, and what is to be written. */
export interface Work {
  deployment: Deployment;
  newest: ReplicaSet | undefined;
  old: ReplicaSet[];
  /** The revision that a new set gets. */
  revision: bigint;
  pods: readonly Pod[];
  namesake: ReplicaSet | undefined;
  now: Instant;
  writes: PlannedWrite[];
  events: EventDraft[];
  conditions: DeploymentCondition[];
  /** Annotations that the deployment itself should have besides its own. */
  annotations: Record<string, string>;
}

export const all = (work: Work): ReplicaSet[] => (work.newest ? [...work.old, work.newest] : work.old);

const put = (work: Work, set: ReplicaSet) => {
  if (work.newest?.metadata.uid === set.metadata.uid) work.newest = set;
  else work.old = work.old.map((other) => (other.metadata.uid === set.metadata.uid ? set : other));
};

/** Changes a set as it will be and merges the change into the one patch that the plan holds for it. */
export const patchSet = (work: Work, set: ReplicaSet, annotations: Record<string, string>, replicas = sizeOf(set)) => {
  const changed = Object.entries(annotations).filter(([key, value]) => set.metadata.annotations?.[key] !== value);
  const sized = replicas !== sizeOf(set);
  if (changed.length === 0 && !sized) return;
  const uid = set.metadata.uid;
  const merge = {
    ...(changed.length > 0 && { metadata: { annotations: Object.fromEntries(changed) } }),
    ...(sized && { spec: { replicas } }),
  };
  const known = work.writes.find((write) => write.op === 'patch' && write.expects.uid === uid);
  if (known?.op === 'patch') {
    const before = known.merge as { metadata?: { annotations?: object }; spec?: object };
    known.merge = {
      ...before,
      ...merge,
      metadata: {
        ...before.metadata,
        annotations: { ...before.metadata?.annotations, ...merge.metadata?.annotations },
      },
    };
  } else {
    work.writes.push({ op: 'patch', resource: replicaSets, target: targetOf(set), merge, expects: expectsOf(set) });
  }
  put(work, {
    ...set,
    metadata: { ...set.metadata, annotations: { ...set.metadata.annotations, ...annotations } },
    spec: { ...set.spec, selector: set.spec?.selector ?? {}, replicas },
  });
};

export const scalingEvent = (deployment: Deployment, name: string, from: number, to: number): EventDraft => ({
  regarding: deployment,
  type: 'Normal',
  reason: 'ScalingReplicaSet',
  message: `Scaled ${to > from ? 'up' : 'down'} replica set ${name} from ${from} to ${to}`,
});

/** Sets a replica set's size and the annotations that proportional scaling reads; true when the size changes. */
export const scaleSet = (work: Work, set: ReplicaSet, replicas: number): boolean => {
  const from = sizeOf(set);
  patchSet(work, set, replicasAnnotations(work.deployment), replicas);
  if (from === replicas) return false;
  work.events.push(scalingEvent(work.deployment, set.metadata.name ?? '', from, replicas));
  return true;
};
