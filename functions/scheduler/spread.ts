import type { Pod, TopologySpreadConstraint } from '../machinery/kinds.d.ts';
import { keyOf } from '../machinery/object.ts';
import {
  everything,
  labelSelector,
  nothing,
  type Requirement,
  type Selector,
  selectorOf,
} from '../machinery/selectors.ts';
import { matchesNodeAffinity } from './filters/node-affinity.ts';
import { toleratesNode } from './filters/taint-toleration.ts';
import type { NodeInfo, PodInfo, Snapshot } from './framework.ts';
import type { PluginArgs } from './profile.ts';

export const HOSTNAME = 'kubernetes.io/hostname';

/** A topology spread constraint of one pod, compiled. */
export interface Constraint {
  maxSkew: number;
  topologyKey: string;
  minDomains: number;
  selector: Selector;
  /** Whether nodes outside the pod's node affinity count, and nodes with taints it does not tolerate. */
  honorAffinity: boolean;
  honorTaints: boolean;
}

/** The selector of a constraint with the pod's own values of matchLabelKeys. */
const selectorFor = (constraint: TopologySpreadConstraint, pod: PodInfo): Selector => {
  const base = labelSelector(constraint.labelSelector);
  const keys = (constraint.matchLabelKeys ?? []).filter((k) => pod.labels[k] !== undefined);
  if (keys.length === 0 || base === nothing) return base;
  const own = keys.map((key): Requirement => ({ key, operator: 'in', values: [pod.labels[key] ?? ''] }));
  return selectorOf([...base.requirements, ...own]);
};

const compile = (c: TopologySpreadConstraint, selector: Selector): Constraint => ({
  maxSkew: c.maxSkew,
  topologyKey: c.topologyKey,
  minDomains: c.minDomains ?? 1,
  selector,
  honorAffinity: c.nodeAffinityPolicy !== 'Ignore',
  honorTaints: c.nodeTaintsPolicy === 'Honor',
});

const equals = (labels: Record<string, string> | undefined): Requirement[] =>
  Object.entries(labels ?? {}).map(([key, value]) => ({ key, operator: '=', values: [value] }));

/** What services and the controller that owns a pod select by; `everything` when none knows the pod. */
const siblingsOf = (pod: PodInfo, { objects }: Snapshot): Selector => {
  const requirements: Requirement[] = [];
  for (const service of objects.services) {
    const selector = service.spec?.selector;
    if (service.metadata.namespace !== pod.namespace || !selector || Object.keys(selector).length === 0) continue;
    const own = equals(selector);
    if (selectorOf(own).matches(pod.labels)) requirements.push(...own);
  }
  const owner = pod.pod.metadata.ownerReferences?.find((r) => r.controller);
  if (owner) {
    const key = keyOf(pod.namespace, owner.name);
    if (owner.kind === 'ReplicationController') {
      requirements.push(...equals(objects.replicationControllers.get(key)?.spec?.selector));
    } else {
      const found =
        owner.kind === 'ReplicaSet'
          ? objects.replicaSets.get(key)
          : owner.kind === 'StatefulSet'
            ? objects.statefulSets.get(key)
            : undefined;
      if (found) requirements.push(...labelSelector(found.spec?.selector).requirements);
    }
  }
  return requirements.length > 0 ? selectorOf(requirements) : everything;
};

/** The constraints of a pod of one kind, or those its profile gives to pods without any. */
export const constraintsOf = (
  pod: PodInfo,
  snapshot: Snapshot,
  args: PluginArgs['spread'],
  whenUnsatisfiable: 'DoNotSchedule' | 'ScheduleAnyway',
): Constraint[] => {
  const own = pod.pod.spec?.topologySpreadConstraints;
  if (own?.length) {
    return own.filter((c) => c.whenUnsatisfiable === whenUnsatisfiable).map((c) => compile(c, selectorFor(c, pod)));
  }
  const defaults = args.defaults.filter((c) => c.whenUnsatisfiable === whenUnsatisfiable);
  if (defaults.length === 0) return [];
  const selector = siblingsOf(pod, snapshot);
  return selector.empty ? [] : defaults.map((c) => compile(c, selector));
};

/** Whether pods of a node count for a constraint of this pod. */
export const includes = (constraint: Constraint, pod: Pod, node: NodeInfo): boolean =>
  (!constraint.honorAffinity || matchesNodeAffinity(pod, node)) &&
  (!constraint.honorTaints || toleratesNode(pod, node));

export const hasAllKeys = (constraints: readonly Constraint[], node: NodeInfo): boolean => {
  for (const c of constraints) if (node.labels[c.topologyKey] === undefined) return false;
  return true;
};

/** Pods of one namespace on a node that a constraint counts; an empty selector counts none. */
export const countMatching = (selector: Selector, namespace: string, node: NodeInfo): number => {
  if (selector.empty) return 0;
  let count = 0;
  for (const pod of node.pods) {
    if (pod.namespace === namespace && !pod.terminating && selector.matches(pod.labels)) count++;
  }
  return count;
};
