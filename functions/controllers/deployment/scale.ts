import type { ReplicaSet } from '../../machinery/kinds.d.ts';
import {
  byCreation,
  desiredAnnotation,
  fenceposts,
  isRolling,
  maxAnnotation,
  sizeOf,
  total,
  wanted,
} from './replica-sets.ts';
import { all, scaleSet, type Work } from './work.ts';

const isActive = (set: ReplicaSet): boolean => sizeOf(set) > 0;

/** The deployment's size changed since a set was last scaled. */
export const isScaling = (work: Work): boolean =>
  all(work).some((set) => {
    const desired = set.metadata.annotations?.[desiredAnnotation];
    return isActive(set) && desired !== undefined && Number(desired) !== wanted(work.deployment);
  });

const isSaturated = (work: Work): boolean => {
  const target = wanted(work.deployment);
  const { newest } = work;
  if (!newest || Number(newest.metadata.annotations?.[desiredAnnotation]) !== target) return false;
  return sizeOf(newest) === target && newest.status?.availableReplicas === target;
};

/** Only sizes change: the one active set takes it all; several share in proportion (a rollout under way or paused). */
export const scaleStep = (work: Work): void => {
  const active = all(work).filter(isActive);
  const only = active.length === 0 ? (work.newest ?? [...work.old].sort(byCreation)[0]) : active[0];
  if (active.length <= 1) {
    if (only && sizeOf(only) !== wanted(work.deployment)) scaleSet(work, only, wanted(work.deployment));
    return;
  }
  if (isSaturated(work)) {
    for (const set of work.old.filter(isActive)) scaleSet(work, set, 0);
  } else if (isRolling(work.deployment)) shareOut(work, active);
};

const shareOut = (work: Work, active: ReplicaSet[]) => {
  const target = wanted(work.deployment);
  const allowed = target > 0 ? target + fenceposts(work.deployment).surge : 0;
  const toAdd = allowed - total(active, sizeOf);
  const newerFirst = toAdd > 0 ? -1 : 1;
  active.sort((a, b) => sizeOf(b) - sizeOf(a) || newerFirst * byCreation(a, b));
  let added = 0;
  const sizes = active.map((set) => {
    const share = toAdd === 0 ? 0 : proportion(work, set, toAdd, added);
    added += share;
    return sizeOf(set) + share;
  });
  active.forEach((set, i) => {
    const left = i === 0 && toAdd !== 0 ? toAdd - added : 0;
    scaleSet(work, set, Math.max(0, (sizes[i] ?? 0) + left));
  });
};

const proportion = (work: Work, set: ReplicaSet, toAdd: number, added: number): number => {
  if (sizeOf(set) === 0 || toAdd === added) return 0;
  const share = fraction(work, set);
  const allowed = toAdd - added;
  return toAdd > 0 ? Math.min(share, allowed) : Math.max(share, allowed);
};

/** What the set gains or loses when every set keeps its part of the whole. */
const fraction = (work: Work, set: ReplicaSet): number => {
  const target = wanted(work.deployment);
  if (target === 0) return -sizeOf(set);
  const annotated = Number(set.metadata.annotations?.[maxAnnotation]);
  const whole = annotated || work.deployment.status?.replicas || 0;
  if (whole === 0) return 0;
  const size = (sizeOf(set) * (target + fenceposts(work.deployment).surge)) / whole;
  return Math.round(size) - sizeOf(set);
};
