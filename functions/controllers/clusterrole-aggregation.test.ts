import { expect, it } from 'vitest';
import type { ClusterRole } from '../machinery/kinds.d.ts';
import { clusterRoleAggregationController } from './clusterrole-aggregation.ts';

const role = (name: string, ...resources: string[]): ClusterRole => ({
  metadata: { name, uid: name, resourceVersion: '1' },
  rules: resources.map((resource) => ({ apiGroups: [''], resources: [resource], verbs: ['get'] })),
});

it('unites the rules in order of names, without doubles, and writes nothing when they stand', () => {
  const parts = [role('z', 'pods', 'nodes'), role('a', 'secrets'), role('m', 'pods')];
  const decide = (given: ClusterRole) => clusterRoleAggregationController.decide({ role: given, parts }, 0).writes;
  const [write] = decide(role('all'));
  expect(write?.op === 'patch' && write.merge).toEqual({ rules: role('', 'secrets', 'pods', 'nodes').rules });
  expect(decide(role('all', 'secrets', 'pods', 'nodes'))).toEqual([]);
});
