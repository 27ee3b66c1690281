import type { Node, Pod } from '../machinery/kinds.d.ts';

/** What a pod asks for, in whole units: millicores for cpu, bytes or counts for the rest. Computed once per pod object. */
export interface Requests {
  [resource: string]: number;
}

export interface HostPort {
  ip: string;
  protocol: string;
  port: number;
}

export interface PodInfo {
  pod: Pod;
  requests: Requests;
  /** Requests for scoring, where cpu and memory left out count as 100m and 200Mi. */
  nonZero: { cpu: number; memory: number };
  hostPorts: HostPort[];
}

/** One node as scheduling sees it: what it has, and the pods that are on it or assumed to be. */
export interface NodeInfo {
  node: Node;
  allocatable: Requests;
  requested: Requests;
  nonZeroRequested: { cpu: number; memory: number };
  pods: PodInfo[];
}

/** The cluster at one moment. Filters and scores read it; only placing a pod changes it. */
export interface Snapshot {
  nodes: NodeInfo[];
  byName: Map<string, NodeInfo>;
}

/**
 * Why a node cannot take a pod. `resolvable` is false where evicting pods could not help (upstream's
 * UnschedulableAndUnresolvable).
 */
export interface Refusal {
  reason: string;
  resolvable: boolean;
}

/** One rule that a node must pass. `prepare` runs once per pod; undefined from it means the filter does not apply. */
export interface Filter<State = unknown> {
  name: string;
  prepare(pod: PodInfo, snapshot: Snapshot): State | undefined;
  /** Every reason this node fails by this rule; empty when it passes. */
  check(state: State, node: NodeInfo): Refusal[];
}

/** One preference among feasible nodes. Scores are 0 to 100 after `normalise`, times the weight. */
export interface Score<State = unknown> {
  name: string;
  weight: number;
  prepare(pod: PodInfo, snapshot: Snapshot, feasible: readonly NodeInfo[]): State | undefined;
  score(state: State, node: NodeInfo): number;
  normalise?(scores: number[]): number[];
}

export const MAX_SCORE = 100;

/** Scales so that the highest becomes 100; reversed, so that the highest becomes 0. */
export const scaleToMax = (scores: number[], reverse: boolean): number[] => {
  const max = Math.max(0, ...scores);
  if (max === 0) return reverse ? scores.map(() => MAX_SCORE) : scores;
  return scores.map((s) => {
    const scaled = Math.floor((MAX_SCORE * s) / max);
    return reverse ? MAX_SCORE - scaled : scaled;
  });
};
