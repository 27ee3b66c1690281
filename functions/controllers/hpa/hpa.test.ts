import { describe, expect, it } from 'vitest';
import type { HorizontalPodAutoscaler, Pod } from '../../machinery/kinds.d.ts';
import { deployments } from '../resources.ts';
import { type History, normalize, remember } from './behavior.ts';
import { decideHpa, type HpaObserved } from './hpa.ts';
import { type Measured, type PodMetrics, propose } from './usage.ts';

const NOW = Date.parse('2026-01-01T01:00:00Z');
const none: History = { recommendations: [], changes: [] };

const pod = (name: string, phase = 'Running', ready = 'True'): Pod => ({
  metadata: { name, namespace: 'n' },
  spec: { containers: [{ name: 'c', image: 'i', resources: { requests: { cpu: '1', memory: '100Mi' } } }] },
  status: {
    phase,
    startTime: '2026-01-01T00:00:00Z',
    conditions: [{ type: 'Ready', status: ready, lastTransitionTime: '2026-01-01T00:00:10Z' }],
  },
});
const used = (name: string, cpu: string): PodMetrics => ({
  metadata: { name },
  timestamp: '2026-01-01T00:59:50Z',
  window: '30s',
  containers: [{ name: 'c', usage: { cpu } }],
});
const cpu = (averageUtilization: number) =>
  ({ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization } } }) as const;
const measured = (pods: Pod[], metrics: PodMetrics[] | string, current = pods.length): Measured => ({
  now: NOW,
  current,
  pods,
  metrics,
  tolerance: { up: 0.1, down: 0.1 },
});
const three = [pod('a'), pod('b'), pod('c')];
const replicas = (m: Measured, target = 50) => {
  const proposal = propose(cpu(target), m);
  return 'replicas' in proposal ? proposal.replicas : proposal.reason;
};

describe('what usage asks for', () => {
  it.each([
    ['twice the target', three, [used('a', '1'), used('b', '1'), used('c', '1')], 6],
    ['half the target', three, [used('a', '250m'), used('b', '250m'), used('c', '250m')], 2],
    ['within the tolerance', three, [used('a', '540m'), used('b', '540m'), used('c', '540m')], 3],
    ['a missing pod counts as idle on the way up', three, [used('a', '1'), used('b', '1')], 4],
    ['a missing pod counts as full on the way down', three, [used('a', '100m'), used('b', '100m')], 3],
    ['a pending pod counts as idle', [pod('a'), pod('b', 'Pending')], [used('a', '1500m')], 3],
    ['a failed pod counts not at all', [pod('a'), pod('b', 'Failed')], [used('a', '1'), used('b', '1')], 2],
    ['nobody was measured', three, [], 'FailedGetResourceMetric'],
    ['the API is not served', three, 'not found', 'FailedGetResourceMetric'],
    ['no pod is selected', [], [used('a', '1')], 'FailedGetResourceMetric'],
  ])('%s', (_why, pods, metrics, wanted) => {
    expect(replicas(measured(pods, metrics))).toBe(wanted);
  });
  it('needs requests for a utilization, and none for an average value', () => {
    const bare = { ...pod('a'), spec: { containers: [{ name: 'c', image: 'i' }] } };
    expect(replicas(measured([bare], [used('a', '1')]))).toBe('FailedGetResourceMetric');
    const target = { type: 'AverageValue', averageValue: '250m' } as const;
    const proposal = propose(
      { type: 'Resource', resource: { name: 'cpu', target } },
      measured([bare], [used('a', '1')]),
    );
    expect(proposal).toMatchObject({ replicas: 4, status: { resource: { current: { averageValue: '1' } } } });
  });
  it('takes one container alone where the metric says so', () => {
    const source = { name: 'cpu', container: 'c', target: { type: 'Utilization', averageUtilization: 50 } } as const;
    const metrics = [
      { ...used('a', '1'), containers: [...used('a', '1').containers, { name: 'side', usage: { cpu: '9' } }] },
    ];
    const proposal = propose({ type: 'ContainerResource', containerResource: source }, measured([pod('a')], metrics));
    expect(proposal).toMatchObject({ replicas: 2 });
  });
});

describe('how fast it goes', () => {
  const wanted = (current: number, desired: number) => ({ now: NOW, current, desired, min: 1, max: 100 });
  it('at most doubles, or goes to four, without a behaviour of its own', () => {
    expect(normalize(undefined, none, wanted(1, 50))).toMatchObject({
      replicas: 4,
      limited: { reason: 'ScaleUpLimit' },
    });
    expect(normalize(undefined, none, wanted(10, 50)).replicas).toBe(20);
  });
  it('goes down only when nothing more was asked for within five minutes', () => {
    const history = remember(remember(none, NOW - 400_000, 9, 0), NOW - 200_000, 7, 0);
    expect(normalize(undefined, history, wanted(10, 2))).toMatchObject({
      replicas: 7,
      able: { reason: 'ScaleDownStabilized' },
    });
  });
  it('keeps to the policies of each direction, counting what was done within their period', () => {
    const behavior = {
      scaleUp: {
        stabilizationWindowSeconds: 0,
        selectPolicy: 'Max',
        policies: [
          { type: 'Pods', value: 4, periodSeconds: 60 },
          { type: 'Percent', value: 10, periodSeconds: 60 },
        ],
      },
      scaleDown: {
        stabilizationWindowSeconds: 0,
        selectPolicy: 'Min',
        policies: [{ type: 'Pods', value: 1, periodSeconds: 60 }],
      },
    };
    expect(normalize(behavior, none, wanted(10, 50)).replicas).toBe(14);
    expect(normalize(behavior, remember(none, NOW - 30_000, undefined, 3), wanted(13, 50)).replicas).toBe(14);
    expect(normalize(behavior, none, wanted(10, 2))).toMatchObject({
      replicas: 9,
      limited: { reason: 'ScaleDownLimit' },
    });
    const off = { ...behavior, scaleDown: { ...behavior.scaleDown, selectPolicy: 'Disabled' } };
    expect(normalize(off, none, wanted(10, 2)).replicas).toBe(10);
  });
});

describe('an autoscaler', () => {
  const hpa: HorizontalPodAutoscaler = {
    metadata: { name: 'h', namespace: 'n', uid: 'u', resourceVersion: '1' },
    spec: { scaleTargetRef: { kind: 'Deployment', name: 'd' }, minReplicas: 2, maxReplicas: 10, metrics: [cpu(50)] },
  };
  const observed = (count: number, metrics: PodMetrics[] | string): HpaObserved => ({
    hpa,
    target: {
      object: { metadata: { name: 'd', namespace: 'n', uid: 'd', resourceVersion: '1' } },
      resource: deployments,
      replicas: count,
      statusReplicas: count,
      selector: { text: 'a=b', matches: () => true },
    },
    pods: three,
    metrics,
    history: none,
  });
  const scaledTo = (o: HpaObserved) =>
    decideHpa(o, NOW).plan.writes.flatMap((w) => (w.op === 'patch' && w.subresource === 'scale' ? [w.merge] : []));
  const reasons = (o: HpaObserved) => (decideHpa(o, NOW).plan.events ?? []).map((event) => event.reason);

  it('keeps to its bounds without looking at metrics', () => {
    expect(scaledTo(observed(1, 'none'))).toEqual([{ spec: { replicas: 2 } }]);
    expect(scaledTo(observed(12, 'none'))).toEqual([{ spec: { replicas: 10 } }]);
    expect(scaledTo(observed(0, 'none'))).toEqual([]);
  });
  it('scales by metrics, and says so', () => {
    const busy = observed(
      3,
      ['a', 'b', 'c'].map((name) => used(name, '1')),
    );
    expect(scaledTo(busy)).toEqual([{ spec: { replicas: 6 } }]);
    expect(reasons(busy)).toEqual(['SuccessfulRescale']);
  });
  it('says why it does not', () => {
    expect(reasons(observed(3, 'not served'))).toEqual(['FailedGetResourceMetric', 'FailedComputeMetricsReplicas']);
    expect(reasons({ ...observed(3, ''), target: 'deployments.apps "d" not found' })).toEqual(['FailedGetScale']);
  });
});
