import { expect, it } from 'vitest';
import type { Pod, StatefulSet } from '../../machinery/kinds.d.ts';
import { statefulSetController } from './statefulset.ts';

const set = (replicas: number, podManagementPolicy: string): StatefulSet => ({
  apiVersion: 'apps/v1',
  kind: 'StatefulSet',
  metadata: { name: 'db', namespace: 'ns', uid: 's', generation: 1 },
  spec: {
    replicas,
    podManagementPolicy,
    serviceName: 'db',
    selector: { matchLabels: { app: 'db' } },
    template: { metadata: { labels: { app: 'db' } }, spec: { containers: [{ name: 'c', image: 'x' }] } },
  },
});
const now = Date.parse('2026-01-01T00:00:00Z');
/** r: ready, u: not ready, t: terminating. */
const podsOf = (states: string): Pod[] =>
  [...states].map((state, n) => ({
    metadata: {
      name: `db-${n}`,
      namespace: 'ns',
      uid: `p${n}`,
      labels: { app: 'db' },
      ownerReferences: [{ apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'db', uid: 's', controller: true }],
      ...(state === 't' && { deletionTimestamp: '2026-01-01T00:00:00Z' }),
    },
    spec: { containers: [] },
    status: {
      phase: 'Running',
      conditions: [
        { type: 'Ready', status: state === 'u' ? 'False' : 'True', lastTransitionTime: '2025-12-31T00:00:00Z' },
      ],
    },
  }));

// Source: the StatefulSet guarantees of the documentation ("Deployment and Scaling Guarantees").
it.each([
  ['OrderedReady', 'rrr', 0, ['db-2']],
  ['OrderedReady', 'uuu', 0, []],
  ['OrderedReady', 'rur', 0, ['db-2']],
  ['OrderedReady', 'ru', 0, ['db-1']],
  ['OrderedReady', 'u', 0, ['db-0']],
  ['OrderedReady', 'uru', 0, []],
  ['OrderedReady', 'rrt', 0, []],
  ['OrderedReady', 'rrt', 1, []],
  ['Parallel', 'uuu', 0, ['db-2', 'db-1', 'db-0']],
  ['Parallel', 'rut', 0, ['db-1', 'db-0']],
])('%s: of pods %s with %i wanted, %j go', (policy, states, replicas, gone) => {
  const plan = statefulSetController.decide(
    { set: set(replicas, policy), claims: [], candidates: podsOf(states), history: [] },
    now as never,
  );
  const deleted = plan.writes.flatMap((write) => (write.op === 'delete' ? [write.target.name] : []));
  expect(deleted).toEqual(gone);
});
