import type { ClusterRole, PolicyRule } from '../machinery/kinds.d.ts';
import type { Controller, Plan } from './controller.ts';
import { expectsOf, targetOf } from './owners.ts';
import { clusterRoles } from './resources.ts';
import { selects } from './selector.ts';
import { sameJson } from './status-patch.ts';

export interface AggregationObserved {
  role: ClusterRole;
  /** Every other cluster role that one of the selectors names. */
  parts: readonly ClusterRole[];
}

const decide = ({ role, parts }: AggregationObserved): Plan => {
  const rules: PolicyRule[] = [];
  const inOrder = [...parts].sort((a, b) => ((a.metadata.name ?? '') < (b.metadata.name ?? '') ? -1 : 1));
  for (const part of inOrder) {
    for (const rule of part.rules ?? []) if (!rules.some((known) => sameJson(known, rule))) rules.push(rule);
  }
  if (sameJson(role.rules ?? [], rules)) return { writes: [] };
  const expects = expectsOf(role);
  return { writes: [{ op: 'patch', resource: clusterRoles, target: targetOf(role), merge: { rules }, expects }] };
};

/** Fills the rules of ClusterRoles that have an aggregationRule: the union of what it selects, in order of names. */
export const clusterRoleAggregationController: Controller<AggregationObserved> = {
  name: 'clusterrole-aggregation',
  watches: [
    {
      resource: clusterRoles,
      keys: async (_change, read) => {
        const roles = await read.list<ClusterRole>(clusterRoles);
        return roles.filter((role) => role.aggregationRule).map((role) => role.metadata.name ?? '');
      },
    },
  ],
  async observe(read, key) {
    const role = await read.get<ClusterRole>(clusterRoles, '', key.name);
    if (!role?.aggregationRule || role.metadata.deletionTimestamp) return undefined;
    const selectors = (role.aggregationRule.clusterRoleSelectors ?? []).map(selects);
    const matches = (labels: Record<string, string>) => selectors.some((match) => match(labels));
    const found = await read.list<ClusterRole>(clusterRoles, { matches });
    return { role, parts: found.filter((part) => part.metadata.name !== key.name) };
  },
  decide,
};
