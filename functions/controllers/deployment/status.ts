import { timestamp } from '../../clock/clock.ts';
import type { Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet } from '../../machinery/kinds.d.ts';
import { conditionOf, withCondition, withoutCondition } from '../conditions.ts';
import type { Instant } from '../controller.ts';
import { fenceposts, sizeOf, total, wanted } from './replica-sets.ts';
import { all, type Work } from './work.ts';

const forever = 2 ** 31 - 1;

/** Seconds a rollout may stand still; undefined when it may for ever. */
export const deadlineOf = (deployment: Deployment): number | undefined => {
  const seconds = deployment.spec?.progressDeadlineSeconds;
  return seconds === undefined || seconds === forever ? undefined : seconds;
};

export const condition = (
  now: Instant,
  type: string,
  status: string,
  reason: string,
  message: string,
): DeploymentCondition => ({
  type,
  status,
  reason,
  message,
  lastUpdateTime: timestamp(now),
  lastTransitionTime: timestamp(now),
});

const count = (sets: readonly ReplicaSet[], field: 'replicas' | 'readyReplicas' | 'availableReplicas') =>
  total(sets, (set) => set.status?.[field] ?? 0);

/** Zeros are left out, as the API encodes them. */
const nonZero = (counts: Record<string, number>): Record<string, number> =>
  Object.fromEntries(Object.entries(counts).filter(([, value]) => value !== 0));

export const statusOf = (work: Work): DeploymentStatus => {
  const { deployment, now } = work;
  const sets = all(work);
  const available = count(sets, 'availableReplicas');
  const minimum = wanted(deployment) - fenceposts(deployment).unavailable;
  const availability =
    available >= minimum
      ? condition(now, 'Available', 'True', 'MinimumReplicasAvailable', 'Deployment has minimum availability.')
      : condition(
          now,
          'Available',
          'False',
          'MinimumReplicasUnavailable',
          'Deployment does not have minimum availability.',
        );
  const collisions = deployment.status?.collisionCount;
  return {
    ...(deployment.metadata.generation !== undefined && { observedGeneration: deployment.metadata.generation }),
    ...nonZero({
      replicas: count(sets, 'replicas'),
      updatedReplicas: count(work.newest ? [work.newest] : [], 'replicas'),
      readyReplicas: count(sets, 'readyReplicas'),
      availableReplicas: available,
      unavailableReplicas: Math.max(0, total(sets, sizeOf) - available),
    }),
    terminatingReplicas: total(sets, (set) => set.status?.terminatingReplicas ?? 0),
    ...(collisions !== undefined && { collisionCount: collisions }),
    conditions: withCondition(work.conditions, availability),
  };
};

const isComplete = (deployment: Deployment, status: DeploymentStatus): boolean => {
  const target = wanted(deployment);
  return (
    (status.updatedReplicas ?? 0) === target &&
    (status.replicas ?? 0) === target &&
    (status.availableReplicas ?? 0) === target
  );
};

/** The last status written, of this generation, says that the rollout is complete. */
export const isDone = ({ deployment }: Work): boolean =>
  (deployment.status?.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0) &&
  isComplete(deployment, deployment.status ?? {});

const progressed = (old: DeploymentStatus, next: DeploymentStatus): boolean => {
  const stale = (s: DeploymentStatus) => (s.replicas ?? 0) - (s.updatedReplicas ?? 0);
  return (
    (next.updatedReplicas ?? 0) > (old.updatedReplicas ?? 0) ||
    stale(next) < stale(old) ||
    (next.readyReplicas ?? 0) > (old.readyReplicas ?? 0) ||
    (next.availableReplicas ?? 0) > (old.availableReplicas ?? 0)
  );
};

const timedOut = (current: DeploymentCondition | undefined, seconds: number, now: Instant): boolean => {
  if (!current || current.reason === 'NewReplicaSetAvailable') return false;
  if (current.reason === 'ProgressDeadlineExceeded') return true;
  return Date.parse(current.lastUpdateTime ?? '') + seconds * 1000 < now;
};

/** The status with what a rollout says about itself: Progressing (or not), and a failure of one of its sets. */
export const rolloutStatus = (work: Work): DeploymentStatus => {
  const { deployment, now } = work;
  const status = statusOf(work);
  const seconds = deadlineOf(deployment);
  const current = conditionOf(work.conditions, 'Progressing');
  let conditions = status.conditions ?? [];
  const settled =
    (status.replicas ?? 0) === (status.updatedReplicas ?? 0) && current?.reason === 'NewReplicaSetAvailable';
  if (seconds === undefined) conditions = withoutCondition(conditions, 'Progressing');
  else if (!settled) {
    const name = work.newest ? `ReplicaSet "${work.newest.metadata.name}"` : `Deployment "${deployment.metadata.name}"`;
    if (isComplete(deployment, status)) {
      const done = `${name} has successfully progressed.`;
      conditions = withCondition(conditions, condition(now, 'Progressing', 'True', 'NewReplicaSetAvailable', done));
    } else if (progressed(deployment.status ?? {}, status)) {
      const next = condition(now, 'Progressing', 'True', 'ReplicaSetUpdated', `${name} is progressing.`);
      const since = current?.status === 'True' ? current.lastTransitionTime : undefined;
      const kept = withoutCondition(conditions, 'Progressing');
      conditions = [...kept, since ? { ...next, lastTransitionTime: since } : next];
    } else if (timedOut(current, seconds, now)) {
      const late = `${name} has timed out progressing.`;
      conditions = withCondition(conditions, condition(now, 'Progressing', 'False', 'ProgressDeadlineExceeded', late));
    }
  }
  const failure = failureOf(work);
  conditions = failure ? withCondition(conditions, failure) : withoutCondition(conditions, 'ReplicaFailure');
  return { ...status, conditions };
};

const failureOf = (work: Work): DeploymentCondition | undefined => {
  for (const set of work.newest ? [work.newest, ...work.old] : work.old) {
    const failure = conditionOf(set.status?.conditions, 'ReplicaFailure');
    if (failure) return { ...failure, lastUpdateTime: failure.lastTransitionTime ?? timestamp(work.now) };
  }
  return undefined;
};

/** Milliseconds until a rollout that stands still is late; undefined when there is nothing to wait for. */
export const lateInMs = (deployment: Deployment, status: DeploymentStatus, now: Instant): number | undefined => {
  const seconds = deadlineOf(deployment);
  const current = conditionOf(status.conditions, 'Progressing');
  if (seconds === undefined || !current || isComplete(deployment, status)) return undefined;
  if (current.reason === 'ProgressDeadlineExceeded' || current.reason === 'NewReplicaSetAvailable') return undefined;
  return Math.max(0, Date.parse(current.lastUpdateTime ?? '') + (seconds + 1) * 1000 - now);
};
