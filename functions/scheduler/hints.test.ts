import { describe, expect, it } from 'vitest';
import type { ClusterChange } from './cluster-cache.ts';
import { mayHelp, NO_NODES } from './hints.ts';
import { podInfoOf } from './pod-info.ts';
import { defaultProfile } from './profile.ts';
import { emptyNode, emptySnapshot } from './snapshot.ts';
import { type NodeShape, node, pod } from './test-objects.ts';

const waiting = podInfoOf(
  pod('p', {
    cpu: '2',
    spec: {
      nodeSelector: { disk: 'ssd' },
      containers: [{ name: 'c', ports: [{ containerPort: 1, hostPort: 80 }], resources: { requests: { cpu: '2' } } }],
    },
  }),
);
const other = podInfoOf(pod('other'));
const withPort = podInfoOf(
  pod('port', { spec: { containers: [{ name: 'c', ports: [{ containerPort: 1, hostPort: 80 }] }] } }),
);
const came = (shape: NodeShape): ClusterChange => ({ type: 'node came', node: emptyNode(node('a', shape)) });
const ssd = { labels: { disk: 'ssd' } };

describe('mayHelp', () => {
  it.each<[string, string[], ClusterChange, boolean]>([
    ['a node with room', ['NodeResourcesFit'], came({ cpu: '2' }), true],
    ['a node too small', ['NodeResourcesFit'], came({ cpu: '1' }), false],
    ['a node with the label', ['NodeAffinity'], came(ssd), true],
    ['a node without the label', ['NodeAffinity'], came({}), false],
    ['a node with the label, too small', ['NodeAffinity', 'NodeResourcesFit'], came({ ...ssd, cpu: '1' }), true],
    ['the first node', [NO_NODES], came({}), true],
    ['a cordoned node', ['NodeUnschedulable'], came({ spec: { unschedulable: true } }), false],
    ['any node, for what looks at many', ['PodTopologySpread'], came({}), true],
    ['a pod that left', ['NodeResourcesFit'], { type: 'pod left', pod: other, node: 'a' }, true],
    ['a pod that left, to a selector', ['NodeAffinity'], { type: 'pod left', pod: other, node: 'a' }, false],
    ['a pod that left with its port', ['NodePorts'], { type: 'pod left', pod: withPort, node: 'a' }, true],
    ['a pod that left without the port', ['NodePorts'], { type: 'pod left', pod: other, node: 'a' }, false],
    ['a pod that came', ['InterPodAffinity'], { type: 'pod came', pod: other, node: 'a' }, true],
    ['a pod that came, to resources', ['NodeResourcesFit'], { type: 'pod came', pod: other, node: 'a' }, false],
    ['a node that left', ['PodTopologySpread'], { type: 'node left' }, true],
    ['a node that left, to resources', ['NodeResourcesFit'], { type: 'node left' }, false],
    ['a volume', ['VolumeBinding'], { type: 'objects changed' }, true],
    ['a volume, to resources', ['NodeResourcesFit'], { type: 'objects changed' }, false],
  ])('%s (%s)', (_, refusedBy, change, expected) => {
    expect(mayHelp(change, waiting, new Set(refusedBy), emptySnapshot(), defaultProfile)).toBe(expected);
  });
});
