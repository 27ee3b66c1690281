import type { ClusterChange } from './cluster-cache.ts';
import { filters } from './filters/index.ts';
import { portsClash } from './filters/node-ports.ts';
import { isRestriction, isVerdict, type NodeInfo, type PodInfo, type Snapshot } from './framework.ts';
import type { Profile } from './profile.ts';

/** Filters that look at more than one node, or at claims: any node that comes or changes may matter to them. */
const WIDE = new Set(['PodTopologySpread', 'InterPodAffinity', 'VolumeBinding', 'VolumeZone', 'NodeVolumeLimits']);
const VOLUMES = new Set(['VolumeBinding', 'VolumeZone', 'NodeVolumeLimits', 'VolumeRestrictions']);
const FREED_BY_PODS = new Set([
  'NodeResourcesFit',
  'PodTopologySpread',
  'InterPodAffinity',
  'NodeVolumeLimits',
  'VolumeRestrictions',
]);
const BROUGHT_BY_PODS = new Set(['PodTopologySpread', 'InterPodAffinity']);

/** Stands for the filters where there was no node to refuse. */
export const NO_NODES = 'no nodes';

/** Whether a node, were it empty, would pass one of the filters that refused the pod. */
const nodeHelps = (
  pod: PodInfo,
  by: ReadonlySet<string>,
  node: NodeInfo,
  view: Snapshot,
  profile: Profile,
): boolean => {
  for (const filter of filters) {
    if (!by.has(filter.name)) continue;
    if (WIDE.has(filter.name)) return true;
    const state = filter.prepare(pod, view, profile.args);
    if (isVerdict(state)) continue;
    if (state === undefined) return true;
    if (filter.check(isRestriction(state) ? state.state : state, node).length === 0) return true;
  }
  return false;
};

const any = (a: ReadonlySet<string>, b: ReadonlySet<string>): boolean => {
  for (const x of a) if (b.has(x)) return true;
  return false;
};

/** Whether a change may let in a pod that these filters refused. Source: KEP-4247. */
export const mayHelp = (
  change: ClusterChange,
  pod: PodInfo,
  refusedBy: ReadonlySet<string>,
  view: Snapshot,
  profile: Profile,
): boolean => {
  switch (change.type) {
    case 'pod came':
      return any(refusedBy, BROUGHT_BY_PODS);
    case 'pod left':
      if (refusedBy.has('NodePorts') && portsClash(pod.hostPorts, change.pod)) return true;
      return any(refusedBy, FREED_BY_PODS);
    case 'node came':
    case 'node changed':
      return refusedBy.has(NO_NODES) || nodeHelps(pod, refusedBy, change.node, view, profile);
    case 'node left':
      return refusedBy.has('PodTopologySpread');
    case 'objects changed':
      return any(refusedBy, VOLUMES);
  }
};
