import { describe, expect, it } from 'vitest';
import type { Node, Pod, ReplicaSet } from '../machinery/kinds.d.ts';
import { decide } from './decide.ts';
import { podInfoOf } from './pod-info.ts';
import { place, snapshotOf } from './snapshot.ts';

const node = (
  name: string,
  extra: Partial<Node['spec'] & { labels: Record<string, string> }> = {},
  cpu = '4',
): Node => {
  const { labels, ...spec } = extra;
  return {
    metadata: { name, labels: { 'kubernetes.io/hostname': name, ...labels } },
    spec,
    status: { allocatable: { cpu, memory: '8Gi', pods: '110' } },
  } as Node;
};
const pod = (spec: object = {}, metadata: object = {}): Pod =>
  ({
    metadata: { name: 'p', uid: 'u', ...metadata },
    spec: { containers: [{ name: 'c' }], ...spec },
  }) as unknown as Pod;
const wants = (requests: Record<string, string>) => ({ containers: [{ name: 'c', resources: { requests } }] });
const choose = (p: Pod, nodes: Node[], placed: Pod[] = []) =>
  decide(podInfoOf(p), snapshotOf(nodes, placed), { random: 0 });

describe('decide', () => {
  it('says why each node refuses', () => {
    const taints = [{ key: 'k', value: 'v', effect: 'NoSchedule' }];
    const nodes = [node('a', {}, '1'), node('b', { taints }), node('c', { unschedulable: true })];
    const got = choose(pod(wants({ cpu: '2' })), nodes);
    expect(got).toMatchObject({ type: 'unschedulable', hopeless: 3, candidates: [] });
    expect(got.type === 'unschedulable' && got.message).toBe(
      '0/3 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s), 1 node(s) were unschedulable.',
    );
  });

  it('counts the requests of pods already there, and calls that resolvable', () => {
    const there = pod({ nodeName: 'a', ...wants({ cpu: '3' }) }, { uid: 'other' });
    const got = choose(pod(wants({ cpu: '2' })), [node('a')], [there]);
    expect(got).toMatchObject({ type: 'unschedulable', hopeless: 0, candidates: [{ name: 'a' }] });
  });

  it('keeps to node selector and required affinity', () => {
    const nodes = [node('a'), node('b', { labels: { disk: 'ssd' } })];
    expect(choose(pod({ nodeSelector: { disk: 'ssd' } }), nodes)).toMatchObject({ type: 'bind', node: 'b' });
    const terms = [{ matchExpressions: [{ key: 'disk', operator: 'DoesNotExist' }] }];
    const affinity = { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms } } };
    expect(choose(pod({ affinity }), nodes)).toMatchObject({ type: 'bind', node: 'a' });
  });

  it('refuses a host port that is taken', () => {
    const containers = [{ name: 'c', ports: [{ containerPort: 80, hostPort: 80 }] }];
    const there = pod({ nodeName: 'a', containers }, { uid: 'other' });
    expect(choose(pod({ containers }), [node('a'), node('b')], [there])).toMatchObject({ type: 'bind', node: 'b' });
  });

  it('spreads the pods of one replica set', () => {
    const ownerReferences = [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'rs', uid: 'rs', controller: true }];
    const labels = { app: 'a' };
    const set = { metadata: { name: 'rs' }, spec: { selector: { matchLabels: labels } } } as ReplicaSet;
    const view = snapshotOf([node('a'), node('b'), node('c')], [], { replicaSets: new Map([['rs', set]]) });
    for (let i = 0; i < 9; i++) {
      const info = podInfoOf(pod({}, { uid: String(i), labels, ownerReferences }));
      const got = decide(info, view, { random: 0.5 });
      const target = got.type === 'bind' ? view.byName.get(got.node) : undefined;
      expect(target).toBeDefined();
      if (target) place(target, info);
    }
    expect(view.nodes.map((n) => n.pods.length)).toEqual([3, 3, 3]);
  });

  it('counts init containers by their peak and sidecars with the rest', () => {
    const info = podInfoOf(
      pod({
        containers: [{ name: 'c', resources: { requests: { cpu: '1' } } }],
        initContainers: [
          { name: 's', restartPolicy: 'Always', resources: { requests: { cpu: '500m' } } },
          { name: 'i', resources: { requests: { cpu: '2' } } },
        ],
      }),
    );
    expect(info.requests.cpu).toBe(2500);
  });
});
