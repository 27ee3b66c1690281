import { type Filter, PASSES, type PodInfo, type Refusal } from '../framework.ts';
import type { PluginArgs } from '../profile.ts';

type Wanted = PodInfo['wanted'];

const ignored = ({ ignoredResources, ignoredGroups }: PluginArgs['fit'], resource: string): boolean =>
  ignoredResources.has(resource) ||
  (resource.includes('/') && ignoredGroups.has(resource.slice(0, resource.indexOf('/'))));

const TOO_MANY: Refusal = { reason: 'Too many pods', resolvable: true };

/** NodeResourcesFit: every request fits in what the node has left, and it takes one more pod. */
export const nodeResourcesFit: Filter<Wanted> = {
  name: 'NodeResourcesFit',
  prepare: (pod, _, { fit }) =>
    fit.ignoredResources.size + fit.ignoredGroups.size === 0
      ? pod.wanted
      : pod.wanted.filter(([name]) => !ignored(fit, name)),
  check: (wanted, node) => {
    let refused: Refusal[] | undefined;
    const limit = node.allocatable.pods;
    if (limit !== undefined && node.pods.length + 1 > limit) refused = [TOO_MANY];
    for (const [resource, n] of wanted) {
      const total = node.allocatable[resource] ?? 0;
      if (n <= total - (node.requested[resource] ?? 0)) continue;
      refused ??= [];
      refused.push({ reason: `Insufficient ${resource}`, resolvable: n <= total });
    }
    return refused ?? PASSES;
  },
};
