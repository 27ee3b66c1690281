import { controllerOf } from '../owners.ts';
import { isFinished } from '../pods.ts';
import { byCreation, fenceposts, isRolling, sizeOf, total, wanted } from './replica-sets.ts';
import { all, scaleSet, type Work } from './work.ts';

const availableOf = (set: { status?: { availableReplicas?: number } } | undefined): number =>
  set?.status?.availableReplicas ?? 0;

/** How large the new set may be now, without more pods than the surge allows. */
export const newSetSize = (work: Work): number => {
  const target = wanted(work.deployment);
  if (!isRolling(work.deployment)) return target;
  const size = sizeOf(work.newest);
  const room = target + fenceposts(work.deployment).surge - total(all(work), sizeOf);
  return room <= 0 ? size : size + Math.min(room, target - size);
};

/** One step of a rolling update: first the new set grows, then old ones shrink; the next change brings the next step. */
export const rollingStep = (work: Work): void => {
  if (growNewest(work)) return;
  shrinkOld(work);
};

const growNewest = (work: Work): boolean => {
  const { newest, deployment } = work;
  if (!newest || sizeOf(newest) === wanted(deployment)) return false;
  const size = sizeOf(newest) > wanted(deployment) ? wanted(deployment) : newSetSize(work);
  return size !== sizeOf(newest) && scaleSet(work, newest, size);
};

const shrinkOld = (work: Work): void => {
  if (total(work.old, sizeOf) === 0) return;
  const minimum = wanted(work.deployment) - fenceposts(work.deployment).unavailable;
  const newUnavailable = sizeOf(work.newest) - availableOf(work.newest);
  let room = total(all(work), sizeOf) - minimum - newUnavailable;
  if (room <= 0) return;
  // Pods that are not available cost nothing: they go first.
  for (const set of [...work.old].sort(byCreation)) {
    const count = Math.min(room, sizeOf(set) - availableOf(set));
    if (count <= 0) continue;
    scaleSet(work, set, sizeOf(set) - count);
    room -= count;
  }
  let spare = total(all(work), availableOf) - minimum;
  for (const set of [...work.old].sort(byCreation)) {
    const count = Math.min(spare, sizeOf(set));
    if (count <= 0) continue;
    scaleSet(work, set, sizeOf(set) - count);
    spare -= count;
  }
};

/** Recreate: true once every old pod is gone, so that the new set may be made and grow. */
export const oldPodsGone = (work: Work): boolean => {
  if (total(work.old, (set) => set.status?.replicas ?? 0) > 0) return false;
  return work.pods.every((pod) => controllerOf(pod)?.uid === work.newest?.metadata.uid || isFinished(pod));
};

/** Recreate: takes every old set to zero; true when one had to. */
export const stopOld = (work: Work): boolean => {
  let stopped = false;
  for (const set of work.old) if (sizeOf(set) > 0) stopped = scaleSet(work, set, 0) || stopped;
  return stopped;
};
