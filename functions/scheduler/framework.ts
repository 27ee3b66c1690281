import type { Node, Pod } from '../machinery/kinds.d.ts';
import type { Selector } from '../machinery/selectors.ts';
import type { ClusterObjects } from './cluster-objects.ts';
import type { PluginArgs } from './profile.ts';

/** What a pod asks for, in whole units: millicores for cpu, bytes or counts for the rest. Computed once per pod object. */
export interface Requests {
  [resource: string]: number;
}

export interface HostPort {
  ip: string;
  protocol: string;
  port: number;
}

/** A pod affinity or anti-affinity term, compiled. */
export interface AffinityTerm {
  topologyKey: string;
  selector: Selector;
  namespaces: ReadonlySet<string>;
  /** Selects further namespaces by their labels; undefined where the term has none. */
  namespaceSelector: Selector | undefined;
  /** 1 to 100; 0 for a required term. */
  weight: number;
}

export interface PodAffinityTerms {
  required: readonly AffinityTerm[];
  preferred: readonly AffinityTerm[];
  requiredAnti: readonly AffinityTerm[];
  preferredAnti: readonly AffinityTerm[];
}

export interface PodInfo {
  pod: Pod;
  uid: string;
  namespace: string;
  labels: Readonly<Record<string, string>>;
  priority: number;
  requests: Requests;
  /** Entries of `requests` that are not zero. */
  wanted: readonly (readonly [string, number])[];
  /** Requests for scoring, where cpu and memory left out count as 100m and 200Mi. */
  nonZero: { cpu: number; memory: number };
  hostPorts: HostPort[];
  /** Undefined for the many pods without any. */
  affinity: PodAffinityTerms | undefined;
  terminating: boolean;
}

/** One node as scheduling sees it: what it has, and the pods that are on it or assumed to be. */
export interface NodeInfo {
  node: Node;
  name: string;
  labels: Readonly<Record<string, string>>;
  allocatable: Requests;
  requested: Requests;
  nonZeroRequested: { cpu: number; memory: number };
  pods: PodInfo[];
  /** Those of `pods` with any affinity or anti-affinity to other pods. */
  affinityPods: PodInfo[];
  /** Size in bytes of each image on the node, by each of its names; undefined where it reports none. */
  images: ReadonlyMap<string, number> | undefined;
}

/** The cluster at one moment. Filters and scores read it; only placing and removing pods changes it. */
export interface Snapshot {
  nodes: NodeInfo[];
  byName: Map<string, NodeInfo>;
  /** Pods that wait for a node to be made free for them, by that node. */
  nominated: Map<string, PodInfo[]>;
  objects: ClusterObjects;
  /** On how many nodes each image name is. */
  imageNodes: Map<string, number>;
}

/**
 * Why a node cannot take a pod. `resolvable` is false where evicting pods could not help (upstream's
 * UnschedulableAndUnresolvable).
 */
export interface Refusal {
  reason: string;
  resolvable: boolean;
}

/** The pod can go nowhere, whatever the nodes are like: a claim is missing. */
export interface Verdict {
  impossible: string;
}
/** The only nodes worth a look: the others are refused unseen. */
export interface Restriction<State> {
  only: ReadonlySet<string>;
  state: State;
}
export const isVerdict = (x: unknown): x is Verdict => typeof x === 'object' && x !== null && 'impossible' in x;
export const isRestriction = <S>(x: unknown): x is Restriction<S> => typeof x === 'object' && x !== null && 'only' in x;

/** One rule that a node must pass. */
export interface Filter<State = unknown> {
  name: string;
  /** Runs once per pod; undefined means that the filter does not apply. */
  prepare(pod: PodInfo, snapshot: Snapshot, args: PluginArgs): State | Restriction<State> | Verdict | undefined;
  /** Every reason this node fails by this rule; empty when it passes. */
  check(state: State, node: NodeInfo): readonly Refusal[];
  /** Another pod came to (1) or left (-1) a node since prepare(): for states that count pods beyond one node. */
  changed?(state: State, pod: PodInfo, node: NodeInfo, sign: 1 | -1): void;
}

/** One preference among feasible nodes. Scores are 0 to 100 after `normalise`, times the weight. */
export interface Score<State = unknown> {
  name: string;
  weight: number;
  prepare(pod: PodInfo, snapshot: Snapshot, feasible: readonly NodeInfo[], args: PluginArgs): State | undefined;
  score(state: State, node: NodeInfo): number;
  normalise?(scores: number[], state: State, nodes: readonly NodeInfo[]): number[];
}

export const MAX_SCORE = 100;
export const PASSES: readonly Refusal[] = [];

/** Scales so that the highest becomes 100; reversed, so that the highest becomes 0. */
export const scaleToMax = (scores: number[], reverse: boolean): number[] => {
  let max = 0;
  for (const s of scores) if (s > max) max = s;
  if (max === 0) return reverse ? scores.map(() => MAX_SCORE) : scores;
  return scores.map((s) => {
    const scaled = Math.floor((MAX_SCORE * s) / max);
    return reverse ? MAX_SCORE - scaled : scaled;
  });
};
