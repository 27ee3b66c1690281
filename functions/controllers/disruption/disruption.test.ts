import { describe, expect, it } from 'vitest';
import type { Pod, PodDisruptionBudget } from '../../machinery/kinds.d.ts';
import { type DisruptionObserved, disruptionController } from './disruption.ts';

const now = Date.parse('2026-01-01T00:10:00Z');
const budget = (spec: object, status: object = {}): PodDisruptionBudget =>
  ({
    metadata: { name: 'b', namespace: 'n', uid: 'u', resourceVersion: '1', generation: 1 },
    spec,
    status,
  }) as PodDisruptionBudget;
const pod = (name: string, ready = true): Pod => ({
  metadata: { name, namespace: 'n' },
  status: { conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
});
const run = (observed: Partial<DisruptionObserved> & { budget: PodDisruptionBudget }) => {
  const plan = disruptionController.decide({ pods: [], scale: 0, unmanaged: [], ...observed }, now);
  const [write] = plan.writes;
  const status = (write?.op === 'patch' ? write.merge.status : {}) as Record<string, unknown>;
  return { plan, status, reasons: plan.events?.map((event) => event.reason) };
};
const three = [pod('a'), pod('b'), pod('c')];

describe('disruption budgets', () => {
  it.each([
    [{ minAvailable: 1 }, { disruptionsAllowed: 2, desiredHealthy: 1, expectedPods: 3 }],
    [{ minAvailable: '50%' }, { disruptionsAllowed: 1, desiredHealthy: 2, expectedPods: 3 }],
    [{ minAvailable: '100%' }, { disruptionsAllowed: 0, desiredHealthy: 3, expectedPods: 3 }],
    [{ maxUnavailable: '50%' }, { disruptionsAllowed: 2, desiredHealthy: 1, expectedPods: 3 }],
    [{ maxUnavailable: 0 }, { disruptionsAllowed: 0, desiredHealthy: 3, expectedPods: 3 }],
  ])('%j over three healthy pods', (spec, wanted) => {
    expect(run({ budget: budget(spec), pods: three, scale: 3 }).status).toMatchObject({ currentHealthy: 3, ...wanted });
  });

  it('does not count pods that were granted an eviction, and forgets the grant after two minutes', () => {
    const granted = { disruptedPods: { a: '2026-01-01T00:09:00Z', b: '2026-01-01T00:07:00Z' } };
    const { plan, status, reasons } = run({ budget: budget({ minAvailable: 1 }, granted), pods: three });
    expect(status).toMatchObject({ currentHealthy: 2, disruptionsAllowed: 1, disruptedPods: { b: null } });
    expect(plan.again).toEqual({ afterMs: 60_000 });
    expect(reasons).toEqual(['NotDeleted']);
  });

  it('allows nothing while a scale is not known, and for pods without a controller when it counts by scale', () => {
    const unknown = run({ budget: budget({ maxUnavailable: 1 }), pods: three, unknown: 'Job j' });
    expect(unknown.status).toMatchObject({ disruptionsAllowed: 0 });
    expect(unknown.reasons).toEqual(['CalculateExpectedPodCountFailed']);
    const loose = run({ budget: budget({ maxUnavailable: 1 }), pods: three, unmanaged: ['a', 'b', 'c'] });
    expect(loose.status).toMatchObject({ disruptionsAllowed: 0, expectedPods: 0 });
    expect(loose.reasons).toEqual(['UnmanagedPods']);
  });
});
