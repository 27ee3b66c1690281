import { describe, expect, it } from 'vitest';
import type { Node, PersistentVolume, PersistentVolumeClaim, Pod } from '../../machinery/kinds.d.ts';
import { isRestriction, isVerdict, type Snapshot } from '../framework.ts';
import { podInfoOf } from '../pod-info.ts';
import { type ProfileConfig, profileOf } from '../profile.ts';
import { place, snapshotOf, unplace } from '../snapshot.ts';
import { node, pod } from '../test-objects.ts';
import { filters } from './index.ts';

/** The reasons of one filter by node; a text where the pod can go nowhere; undefined where it does not apply. */
const run = (name: string, p: Pod, view: Snapshot, config: ProfileConfig = {}) => {
  const filter = filters.find((f) => f.name === name);
  if (!filter) throw new Error(`no filter ${name}`);
  const prepared = filter.prepare(podInfoOf(p), view, profileOf(config).args);
  if (prepared === undefined) return undefined;
  if (isVerdict(prepared)) return prepared.impossible;
  const state = isRestriction(prepared) ? prepared.state : prepared;
  return Object.fromEntries(view.nodes.map((n) => [n.name, filter.check(state, n).map((r) => r.reason)]));
};
const ZONE = 'topology.kubernetes.io/zone';
const zone = (name: string, z: string): Node => node(name, { labels: { [ZONE]: z } });
const refused = (x: unknown) =>
  Object.entries(x as Record<string, string[]>).flatMap(([n, r]) => (r.length > 0 ? [n] : []));

describe('NodeUnschedulable, NodeName, TaintToleration', () => {
  const view = snapshotOf([
    node('a', { spec: { unschedulable: true } }),
    node('b', { spec: { taints: [{ key: 'k', value: 'v', effect: 'NoExecute' }] } }),
    node('c', { spec: { taints: [{ key: 'k', effect: 'PreferNoSchedule' }] } }),
  ]);
  it('keep a pod off what it does not tolerate', () => {
    expect(refused(run('NodeUnschedulable', pod('p'), view))).toEqual(['a']);
    expect(refused(run('TaintToleration', pod('p'), view))).toEqual(['b']);
    expect(refused(run('NodeName', pod('p', { on: 'c' }), view))).toEqual(['a', 'b']);
  });
  it('let it go where it does', () => {
    const all = pod('p', { spec: { tolerations: [{ operator: 'Exists' }] } });
    expect(run('NodeUnschedulable', all, view)).toBeUndefined();
    expect(refused(run('TaintToleration', all, view))).toEqual([]);
  });
});

describe('NodeAffinity', () => {
  const view = snapshotOf([zone('a', 'x'), zone('b', 'y')]);
  const fields = (...names: string[]) => ({
    spec: {
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: {
            nodeSelectorTerms: [
              { matchFields: names.map((n) => ({ key: 'metadata.name', operator: 'In', values: [n] })) },
            ],
          },
        },
      },
    },
  });
  it('keeps to the selector, and to what the profile adds', () => {
    expect(refused(run('NodeAffinity', pod('p', { spec: { nodeSelector: { [ZONE]: 'y' } } }), view))).toEqual(['a']);
    const required = { nodeSelectorTerms: [{ matchExpressions: [{ key: ZONE, operator: 'In', values: ['x'] }] }] };
    const addedAffinity = { requiredDuringSchedulingIgnoredDuringExecution: required };
    const config = { pluginConfig: [{ name: 'NodeAffinity', args: { addedAffinity } }] };
    expect(run('NodeAffinity', pod('p'), view, config)).toEqual({
      a: [],
      b: ["node(s) didn't match scheduler-enforced node affinity"],
    });
  });
  it('goes nowhere when the terms name no common node', () => {
    expect(run('NodeAffinity', pod('p', fields('a', 'b')), view)).toBe('pod affinity terms conflict');
    expect(refused(run('NodeAffinity', pod('p', fields('a')), view))).toEqual(['b']);
  });
});

describe('NodePorts', () => {
  const ports = (hostPort: number, hostIP?: string, protocol = 'TCP') => ({
    spec: {
      containers: [{ name: 'c', ports: [{ containerPort: 1, hostPort, protocol, ...(hostIP ? { hostIP } : {}) }] }],
    },
  });
  const view = snapshotOf(
    [node('a')],
    [pod('there', { on: 'a', ...ports(80, '10.0.0.1'), spec: { nodeName: 'a', ...ports(80, '10.0.0.1').spec } })],
  );
  it('compares port, protocol and address, all addresses being one of them', () => {
    expect(refused(run('NodePorts', pod('p', ports(80)), view))).toEqual(['a']);
    expect(refused(run('NodePorts', pod('p', ports(80, '10.0.0.2')), view))).toEqual([]);
    expect(refused(run('NodePorts', pod('p', ports(80, undefined, 'UDP')), view))).toEqual([]);
    expect(run('NodePorts', pod('p'), view)).toBeUndefined();
  });
});

describe('NodeResourcesFit', () => {
  it('names everything that is short, and the count of pods', () => {
    const view = snapshotOf([node('a', { cpu: '1', memory: '1Gi', pods: '1' })], [pod('there', { on: 'a' })]);
    expect(run('NodeResourcesFit', pod('p', { cpu: '2', memory: '2Gi' }), view)).toEqual({
      a: ['Too many pods', 'Insufficient cpu', 'Insufficient memory'],
    });
  });
  it('leaves out what the profile ignores', () => {
    const requests = { 'a.com/x': '1', 'b.io/y': '1', 'b.io/z': '1' };
    const p = pod('p', { spec: { containers: [{ name: 'c', resources: { requests } }] } });
    const args = { ignoredResources: ['a.com/x'], ignoredResourceGroups: ['b.io'] };
    const view = snapshotOf([node('a')]);
    expect(refused(run('NodeResourcesFit', p, view))).toEqual(['a']);
    expect(refused(run('NodeResourcesFit', p, view, { pluginConfig: [{ name: 'NodeResourcesFit', args }] }))).toEqual(
      [],
    );
  });
});

describe('PodTopologySpread and InterPodAffinity', () => {
  const labelSelector = { matchLabels: { app: 'x' } };
  const spread = { maxSkew: 1, topologyKey: ZONE, whenUnsatisfiable: 'DoNotSchedule', labelSelector };
  const term = { topologyKey: ZONE, labelSelector };
  const anti = { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] } };
  const nodes = [zone('a', 'x'), zone('b', 'y'), node('c')];
  const labels = { app: 'x' };
  it.each([
    ['PodTopologySpread', pod('p', { labels, spec: { topologySpreadConstraints: [spread] } }), ['a', 'c']],
    ['InterPodAffinity', pod('p', { labels, spec: { affinity: anti } }), ['a']],
    ['InterPodAffinity', pod('p', { spec: { affinity: { podAffinity: anti.podAntiAffinity } } }), ['b', 'c']],
  ])('%s counts per zone, and follows pods that come and go', (name, p, expected) => {
    const there = pod('there', { on: 'a', labels });
    const view = snapshotOf(nodes, [there]);
    expect(refused(run(name, p, view))).toEqual(expected);
    // The same state, changed, must say what a fresh one says.
    const filter = filters.find((f) => f.name === name);
    const state = filter?.prepare(podInfoOf(p), view, profileOf().args);
    const [a, b] = view.nodes;
    if (!filter || !a || !b) throw new Error('no filter or node');
    unplace(a, podInfoOf(there));
    filter.changed?.(state, podInfoOf(there), a, -1);
    place(b, podInfoOf(there));
    filter.changed?.(state, podInfoOf(there), b, 1);
    const now = view.nodes.filter((n) => filter.check(state, n).length > 0).map((n) => n.name);
    expect(now).toEqual(refused(run(name, p, view)));
    expect(now).not.toEqual(expected);
  });
  it('keeps a pod away from those that want no company', () => {
    const there = pod('there', { on: 'b', spec: { affinity: anti, nodeName: 'b' } });
    expect(refused(run('InterPodAffinity', pod('p', { labels }), snapshotOf(nodes, [there])))).toEqual(['b']);
    expect(run('InterPodAffinity', pod('p'), snapshotOf(nodes, [there]))).toBeUndefined();
  });
});

describe('volume filters', () => {
  const claim = (spec: object, annotations: Record<string, string> = {}) =>
    ({ metadata: { name: 'c', namespace: 'default', annotations }, spec }) as PersistentVolumeClaim;
  const volume = (name: string, spec: object, labels = {}) =>
    ({ metadata: { name, labels }, spec }) as PersistentVolume;
  const using = pod('p', { spec: { volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'c' } }] } });
  const done = { 'pv.kubernetes.io/bind-completed': 'yes' };
  const bound = (mode = 'ReadWriteOnce') =>
    new Map([['default/c', claim({ volumeName: 'v', accessModes: [mode] }, done)]]);
  const nodes = [zone('a', 'x'), zone('b', 'y')];

  it('VolumeBinding: the claim must exist, be bound, and its volume reach the node', () => {
    expect(run('VolumeBinding', using, snapshotOf(nodes))).toBe('persistentvolumeclaim "c" not found');
    const unbound = new Map([['default/c', claim({})]]);
    expect(run('VolumeBinding', using, snapshotOf(nodes, [], { claims: unbound }))).toBe(
      'pod has unbound immediate PersistentVolumeClaims',
    );
    const nodeSelectorTerms = [{ matchExpressions: [{ key: ZONE, operator: 'In', values: ['y'] }] }];
    const volumes = new Map([['v', volume('v', { nodeAffinity: { required: { nodeSelectorTerms } } })]]);
    expect(refused(run('VolumeBinding', using, snapshotOf(nodes, [], { claims: bound(), volumes })))).toEqual(['a']);
  });
  it('VolumeZone: labels of the volume hold for the node', () => {
    const volumes = new Map([['v', volume('v', {}, { [ZONE]: 'y__z' })]]);
    const view = snapshotOf([...nodes, node('bare')], [], { claims: bound(), volumes });
    expect(refused(run('VolumeZone', using, view))).toEqual(['a']);
  });
  it('VolumeRestrictions: a claim for one pod is not shared', () => {
    const there = {
      ...using,
      metadata: { ...using.metadata, uid: 'other' },
      spec: { ...using.spec, nodeName: 'a' },
    } as Pod;
    expect(
      refused(run('VolumeRestrictions', using, snapshotOf(nodes, [there], { claims: bound('ReadWriteOncePod') }))),
    ).toEqual(['a', 'b']);
    expect(run('VolumeRestrictions', using, snapshotOf(nodes, [there], { claims: bound() }))).toBeUndefined();
  });
  it('NodeVolumeLimits: a volume counts once for each node', () => {
    const csi = (handle: string) => ({ csi: { driver: 'd', volumeHandle: handle } });
    const limit = {
      spec: { drivers: [{ name: 'd', nodeID: 'a', allocatable: { count: 1 } }] },
      metadata: { name: 'a' },
    };
    const other = { ...claim({ volumeName: 'w' }), metadata: { name: 'd', namespace: 'default' } };
    const claims = new Map([...bound(), ['default/d', other]]);
    const volumes = new Map([
      ['v', volume('v', csi('1'))],
      ['w', volume('w', csi('2'))],
    ]);
    const spec = (claimName: string) => ({
      nodeName: 'a',
      volumes: [{ name: 'v', persistentVolumeClaim: { claimName } }],
    });
    const csiNodes = new Map([['a', limit]]);
    const sharing = (name: string) =>
      snapshotOf(nodes, [pod('there', { spec: spec(name) })], { claims, volumes, csiNodes });
    expect(refused(run('NodeVolumeLimits', using, sharing('d')))).toEqual(['a']);
    expect(refused(run('NodeVolumeLimits', using, sharing('c')))).toEqual([]);
  });
});
