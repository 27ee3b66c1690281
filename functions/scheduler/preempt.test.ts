import { describe, expect, it } from 'vitest';
import type { Pod, PodDisruptionBudget } from '../machinery/kinds.d.ts';
import { decide } from './decide.ts';
import type { Snapshot } from './framework.ts';
import { podInfoOf } from './pod-info.ts';
import { preempt } from './preempt.ts';
import { snapshotOf } from './snapshot.ts';
import { node, pod } from './test-objects.ts';

const room = (p: Pod, view: Snapshot) => {
  const decision = decide(podInfoOf(p), view, { random: 0 });
  if (decision.type !== 'unschedulable') throw new Error('the pod fits');
  const result = preempt(decision, 0);
  return result.type === 'evict' ? [result.node, ...result.victims.map((v) => v.pod.metadata.name)] : result.message;
};
const wanting = (cpu: string) => pod('p', { cpu, priority: 100 });

describe('preempt', () => {
  it('evicts the fewest and least important, and leaves the snapshot as it was', () => {
    const there = ['1', '1', '2'].map((cpu, i) => pod(`v${i}`, { cpu, priority: i === 1 ? 50 : 1, on: 'a' }));
    const view = snapshotOf([node('a')], there);
    const before = JSON.stringify([
      view.nodes[0]?.requested,
      view.nodes[0]?.nonZeroRequested,
      view.nodes[0]?.pods.length,
    ]);
    expect(room(wanting('3'), view)).toEqual(['a', 'v0', 'v2']);
    const after = JSON.stringify([
      view.nodes[0]?.requested,
      view.nodes[0]?.nonZeroRequested,
      view.nodes[0]?.pods.length,
    ]);
    expect(after).toBe(before);
  });

  it('would rather evict a more important pod than break a disruption budget', () => {
    const there = [
      pod('guarded', { cpu: '4', priority: 1, on: 'a', labels: { app: 'x' } }),
      pod('other', { cpu: '4', priority: 50, on: 'b' }),
    ];
    const budget = {
      metadata: { name: 'b', namespace: 'default' },
      spec: { selector: { matchLabels: { app: 'x' } } },
      status: { disruptionsAllowed: 0 },
    } as unknown as PodDisruptionBudget;
    const nodes = [node('a'), node('b')];
    expect(room(wanting('4'), snapshotOf(nodes, there))).toEqual(['a', 'guarded']);
    expect(room(wanting('4'), snapshotOf(nodes, there, { budgets: [budget] }))).toEqual(['b', 'other']);
  });

  it('says why it does not', () => {
    const view = snapshotOf([node('a')], [pod('v', { cpu: '4', priority: 1, on: 'a' })]);
    expect(room(pod('p', { cpu: '1', priority: 1 }), view)).toBe(
      '0/1 nodes are available: 1 No preemption victims found for incoming pod.',
    );
    expect(room(wanting('5'), view)).toBe('0/1 nodes are available: 1 Preemption is not helpful for scheduling.');
    expect(room(pod('p', { cpu: '1', priority: 9, spec: { preemptionPolicy: 'Never' } }), view)).toBe(
      'not eligible due to preemptionPolicy=Never.',
    );
  });

  it('waits while the room it made is not free yet', () => {
    const victim = pod('v', {
      cpu: '4',
      priority: 1,
      on: 'a',
      status: {
        phase: 'Running',
        conditions: [{ type: 'DisruptionTarget', status: 'True', reason: 'PreemptionByScheduler' }],
      },
    });
    victim.metadata.deletionTimestamp = '2026-01-01T00:00:00Z';
    const p = { ...wanting('4'), status: { phase: 'Pending', nominatedNodeName: 'a' } };
    expect(room(p, snapshotOf([node('a')], [victim]))).toBe(
      'not eligible due to a terminating pod on the nominated node.',
    );
  });
});
