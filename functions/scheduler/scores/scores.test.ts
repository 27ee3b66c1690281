import { describe, expect, it } from 'vitest';
import type { Node, Pod } from '../../machinery/kinds.d.ts';
import { decide } from '../decide.ts';
import type { Snapshot } from '../framework.ts';
import { podInfoOf } from '../pod-info.ts';
import { type ProfileConfig, profileOf } from '../profile.ts';
import { snapshotOf } from '../snapshot.ts';
import { node, pod } from '../test-objects.ts';

/** Weighted scores of one plugin by node. */
const scoresOf = (plugin: string, p: Pod, view: Snapshot, config: ProfileConfig = {}): Record<string, number> => {
  const decision = decide(podInfoOf(p), view, { random: 0, profile: profileOf(config) });
  if (decision.type !== 'bind') throw new Error(decision.message);
  return Object.fromEntries([...decision.totals].map(([name, plugins]) => [name, plugins.get(plugin) ?? 0]));
};
const args = (name: string, values: Record<string, unknown>): ProfileConfig => ({
  pluginConfig: [{ name, args: values }],
});
const half = snapshotOf([node('full'), node('empty')], [pod('b', { on: 'full', cpu: '2', memory: '4Gi' })]);
const quarter = pod('p', { cpu: '1', memory: '2Gi' });
const BALANCED = 'NodeResourcesBalancedAllocation';

describe('NodeResourcesFit', () => {
  it('prefers the emptier node, or the fuller one', () => {
    expect(scoresOf('NodeResourcesFit', quarter, half)).toEqual({ full: 25, empty: 75 });
    const most = args('NodeResourcesFit', { scoringStrategy: { type: 'MostAllocated' } });
    expect(scoresOf('NodeResourcesFit', quarter, half, most)).toEqual({ full: 75, empty: 25 });
  });
  it('follows a shape, flat outside its points', () => {
    const shape = [
      { utilization: 30, score: 0 },
      { utilization: 60, score: 10 },
      { utilization: 90, score: 1 },
    ];
    const scoringStrategy = { type: 'RequestedToCapacityRatio', requestedToCapacityRatio: { shape } };
    const config = args('NodeResourcesFit', { scoringStrategy });
    // At 75 per cent: halfway from 100 down to 10. At 25 per cent: before the first point.
    expect(scoresOf('NodeResourcesFit', quarter, half, config)).toEqual({ full: 55, empty: 0 });
  });
  it('takes 100m and 200Mi for a pod that asks for nothing', () => {
    const view = snapshotOf([node('a', { cpu: '1', memory: '2000Mi' }), node('b', { cpu: '2', memory: '4000Mi' })]);
    expect(scoresOf('NodeResourcesFit', pod('p'), view)).toEqual({ a: 90, b: 95 });
  });
});

describe(BALANCED, () => {
  it('is 75 where the balance stays, less where it suffers, more where it mends', () => {
    const lopsided = pod('b', { on: 'a', cpu: '2' });
    const view = snapshotOf([node('a'), node('b')], [lopsided]);
    expect(scoresOf(BALANCED, quarter, view)).toEqual({ a: 75, b: 75 });
    expect(scoresOf(BALANCED, pod('p', { memory: '4Gi' }), view)).toEqual({ a: 87, b: 62 });
    expect(scoresOf(BALANCED, pod('p'), view)).toEqual({ a: 0, b: 0 });
  });
});

describe('ImageLocality', () => {
  it('counts the size of images there, the less the fewer nodes have them', () => {
    const with800Mi = (n: Node): Node => ({
      ...n,
      status: { ...n.status, images: [{ names: ['img:latest', 'img@sha256:0'], sizeBytes: 838860800 }] },
    });
    expect(scoresOf('ImageLocality', pod('p'), snapshotOf([with800Mi(node('a')), node('b')]))).toEqual({ a: 38, b: 0 });
    const everywhere = snapshotOf([with800Mi(node('a')), with800Mi(node('b'))]);
    expect(scoresOf('ImageLocality', pod('p'), everywhere)).toEqual({ a: 79, b: 79 });
  });
});

describe('InterPodAffinity', () => {
  const term = { topologyKey: 'kubernetes.io/hostname', labelSelector: { matchLabels: { app: 'x' } } };
  const requires = { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] } };
  const prefers = {
    podAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 10, podAffinityTerm: term }] },
  };
  it('weighs the required affinity of pods that are there by the profile', () => {
    const x = { app: 'x' };
    const there = [
      pod('b', { spec: { nodeName: 'a', affinity: requires } }),
      pod('c', { spec: { nodeName: 'b', affinity: prefers } }),
    ];
    const view = snapshotOf([node('a'), node('b'), node('c')], there);
    const score = (hardPodAffinityWeight: number) =>
      scoresOf('InterPodAffinity', pod('p', { labels: x }), view, args('InterPodAffinity', { hardPodAffinityWeight }));
    expect(score(1)).toEqual({ a: 20, b: 200, c: 0 });
    expect(score(50)).toEqual({ a: 200, b: 40, c: 0 });
    expect(score(0)).toEqual({ a: 0, b: 200, c: 0 });
  });
});

describe('TaintToleration and NodeAffinity', () => {
  it('scale by the worst and the best, and by the weight of the profile', () => {
    const soft = (...keys: string[]) => ({
      spec: { taints: keys.map((key) => ({ key, effect: 'PreferNoSchedule' })) },
    });
    const view = snapshotOf([node('a', soft('x', 'y')), node('b', soft('x')), node('c', { labels: { fast: '1' } })]);
    expect(scoresOf('TaintToleration', pod('p'), view)).toEqual({ a: 0, b: 150, c: 300 });
    const weighty = { plugins: { multiPoint: { enabled: [{ name: 'TaintToleration', weight: 10 }] } } };
    expect(scoresOf('TaintToleration', pod('p'), view, weighty)).toEqual({ a: 0, b: 500, c: 1000 });
    const preference = { matchExpressions: [{ key: 'fast', operator: 'Exists' }] };
    const preferredDuringSchedulingIgnoredDuringExecution = [{ weight: 7, preference }];
    const spec = { affinity: { nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution } } };
    expect(scoresOf('NodeAffinity', pod('p', { spec }), view)).toEqual({ a: 0, b: 0, c: 200 });
  });
});

describe('PodTopologySpread', () => {
  it('gives a node without the label nothing, unless the constraint is a default of the system', () => {
    const ZONE = 'topology.kubernetes.io/zone';
    const nodes = [node('a', { labels: { [ZONE]: 'x' } }), node('b')];
    const labels = { app: 'x' };
    const labelSelector = { matchLabels: labels };
    const soft = { maxSkew: 1, topologyKey: ZONE, whenUnsatisfiable: 'ScheduleAnyway', labelSelector };
    const there = [pod('b', { on: 'a', labels })];
    const own = pod('p', { labels, spec: { topologySpreadConstraints: [soft] } });
    expect(scoresOf('PodTopologySpread', own, snapshotOf(nodes, there))).toEqual({ a: 200, b: 0 });
    const services = [{ metadata: { name: 's', namespace: 'default' }, spec: { selector: labels } }];
    const scores = scoresOf('PodTopologySpread', pod('p', { labels }), snapshotOf(nodes, there, { services }));
    expect(scores.b).toBeGreaterThan(scores.a ?? 0);
  });
});
