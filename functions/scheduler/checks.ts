import { filters } from './filters/index.ts';
import {
  type Filter,
  isRestriction,
  isVerdict,
  type NodeInfo,
  PASSES,
  type PodInfo,
  type Refusal,
  type Snapshot,
} from './framework.ts';
import type { Profile } from './profile.ts';
import { place, unplace } from './snapshot.ts';

/** The filters that apply to one pod, ready to look at nodes. */
export interface Checks {
  pod: PodInfo;
  snapshot: Snapshot;
  active: { filter: Filter; state: unknown }[];
  /** The only nodes to look at, and the filters that say so. */
  only: ReadonlySet<string> | undefined;
  restrictedBy: string[];
  /** Why the pod can go nowhere, and the filter that says so. */
  impossible: { reason: string; filter: string } | undefined;
}

export const prepareChecks = (pod: PodInfo, snapshot: Snapshot, profile: Profile): Checks => {
  const out: Checks = { pod, snapshot, active: [], only: undefined, restrictedBy: [], impossible: undefined };
  for (const filter of filters) {
    if (profile.disabled.filter.has(filter.name)) continue;
    const state = filter.prepare(pod, snapshot, profile.args);
    if (state === undefined) continue;
    if (isVerdict(state)) {
      out.impossible = { reason: state.impossible, filter: filter.name };
      return out;
    }
    if (isRestriction(state)) {
      const { only } = out;
      out.only = only ? new Set([...only].filter((name) => state.only.has(name))) : state.only;
      out.restrictedBy.push(filter.name);
    }
    out.active.push({ filter, state: isRestriction(state) ? state.state : state });
  }
  return out;
};

export interface Refused {
  filter: string;
  reasons: readonly Refusal[];
}

const checkOnce = ({ active }: Checks, node: NodeInfo): Refused | undefined => {
  for (const { filter, state } of active) {
    const reasons = filter.check(state, node);
    if (reasons !== PASSES && reasons.length > 0) return { filter: filter.name, reasons };
  }
  return undefined;
};

/** Moves a pod on (1) or off (-1) a node of the snapshot, for the states too; reversed by the opposite call. */
export const move = ({ active }: Checks, pod: PodInfo, node: NodeInfo, sign: 1 | -1): void => {
  if (sign === 1) place(node, pod);
  else unplace(node, pod);
  for (const { filter, state } of active) filter.changed?.(state, pod, node, sign);
};

/**
 * Whether a pod may go to a node, with the pods for which room is being made there (those that matter as much as this
 * one) and, since they may never come, without them.
 */
export const checkNode = (checks: Checks, node: NodeInfo): Refused | undefined => {
  const { pod, snapshot } = checks;
  const expected = snapshot.nominated.get(node.name)?.filter((p) => p.uid !== pod.uid && p.priority >= pod.priority);
  if (!expected?.length) return checkOnce(checks, node);
  for (const other of expected) move(checks, other, node, 1);
  const refused = checkOnce(checks, node);
  for (const other of expected) move(checks, other, node, -1);
  return refused ?? checkOnce(checks, node);
};
