import { describe, expect, it } from 'vitest';
import type { ControllerRevision, DaemonSet, Node, Pod } from '../../machinery/kinds.d.ts';
import { type DaemonSetObserved, daemonSetController } from './daemonset.ts';

const now = Date.parse('2026-01-01T01:00:00Z');
const earlier = '2026-01-01T00:00:00Z';
const node = (name: string, taints: { key: string; effect: string }[] = []): Node => ({
  metadata: { name, labels: { pool: 'a' } },
  spec: { taints },
});
const set = (more: Partial<NonNullable<DaemonSet['spec']>> = {}): DaemonSet => ({
  metadata: { name: 'd', namespace: 'n', uid: 'u', resourceVersion: '1', generation: 1 },
  spec: {
    selector: { matchLabels: { app: 'd' } },
    template: {
      metadata: { labels: { app: 'd' } },
      spec: { containers: [{ name: 'c', image: 'i' }], nodeSelector: { pool: 'a' } },
    },
    ...more,
  },
});
const pod = (name: string, on: string, hash: string, ready = true): Pod => ({
  metadata: {
    name,
    namespace: 'n',
    uid: name,
    creationTimestamp: earlier,
    labels: { app: 'd', 'controller-revision-hash': hash },
    ownerReferences: [{ apiVersion: 'apps/v1', kind: 'DaemonSet', name: 'd', uid: 'u', controller: true }],
  },
  spec: { nodeName: on, containers: [] },
  status: {
    phase: 'Running',
    conditions: [{ type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime: earlier }],
  },
});

const run = (observed: Partial<DaemonSetObserved>) => {
  const all = { set: set(), candidates: [], history: [], nodes: [], ...observed };
  return daemonSetController.decide(all, now).writes;
};
const revisionOf = (of: DaemonSet): ControllerRevision => {
  const [write] = run({ set: of });
  if (write?.op !== 'create') throw new Error('the first write makes the revision');
  return write.object as ControllerRevision;
};
const hash = (of: DaemonSet): string => revisionOf(of).metadata.labels?.['controller-revision-hash'] ?? '';
const deleted = (writes: ReturnType<typeof run>) => writes.flatMap((w) => (w.op === 'delete' ? w.target.name : []));
const targets = (writes: ReturnType<typeof run>) =>
  writes.flatMap((w) => {
    const spec = w.op === 'create' ? (w.object as Pod).spec : undefined;
    const terms = spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
    return terms?.[0]?.matchFields?.[0]?.values ?? [];
  });

describe('daemon sets', () => {
  it('writes revisions as upstream does, and goes by one that holds the same, whatever its name', () => {
    const made = revisionOf(set());
    expect(Object.keys((made.data as { spec: { template: object } }).spec.template)[0]).toBe('$patch');
    const label = 'controller-revision-hash';
    const copy: ControllerRevision = {
      ...made,
      metadata: { ...made.metadata, name: 'd-copy', uid: 'r', labels: { ...made.metadata.labels, [label]: 'given' } },
      revision: 7,
    };
    const writes = run({ set: set(), history: [{ ...made, revision: 1 }, copy], nodes: [node('x')] });
    expect(writes.some((w) => w.op === 'create' && w.object.kind === 'ControllerRevision')).toBe(false);
    const pods = writes.flatMap((w) => (w.op === 'create' ? w.object : []));
    expect(pods.map((one) => one.metadata.labels?.[label])).toEqual(['given']);
  });

  it('makes a pod for every node that fits, and none where a taint forbids it', () => {
    const other: Node = { metadata: { name: 'other', labels: { pool: 'b' } } };
    const writes = run({ nodes: [node('x'), node('y', [{ key: 'k', effect: 'NoSchedule' }]), other] });
    expect(targets(writes)).toEqual(['x']);
  });

  it('goes to nodes that are not ready, under pressure or cordoned', () => {
    const taints = ['not-ready', 'disk-pressure', 'unschedulable'].map((key) => ({
      key: `node.kubernetes.io/${key}`,
      effect: key === 'not-ready' ? 'NoExecute' : 'NoSchedule',
    }));
    expect(targets(run({ nodes: [node('x', taints)] }))).toEqual(['x']);
  });

  it('keeps a running pod when NoSchedule comes later and drives it out for NoExecute', () => {
    const candidates = [pod('p', 'x', hash(set()))];
    expect(deleted(run({ candidates, nodes: [node('x', [{ key: 'k', effect: 'NoSchedule' }])] }))).toEqual([]);
    expect(deleted(run({ candidates, nodes: [node('x', [{ key: 'k', effect: 'NoExecute' }])] }))).toEqual(['p']);
  });

  it('replaces unavailable old pods first and no more than maxUnavailable', () => {
    const nodes = [node('x'), node('y'), node('z')];
    const ready = [pod('a', 'x', 'old'), pod('b', 'y', 'old'), pod('c', 'z', 'old')];
    expect(deleted(run({ nodes, candidates: ready }))).toEqual(['a']);
    const one = [pod('a', 'x', 'old'), pod('b', 'y', 'old', false), pod('c', 'z', 'old')];
    expect(deleted(run({ nodes, candidates: one }))).toEqual(['b']);
  });

  it('surges: the new pod comes first, the old one goes when the new one is available', () => {
    const surging = set({
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
    });
    const nodes = [node('x'), node('y')];
    const old = [pod('a', 'x', 'old'), pod('b', 'y', 'old')];
    const first = run({ set: surging, nodes, candidates: old });
    expect([targets(first), deleted(first)]).toEqual([['x'], []]);
    const waiting = run({ set: surging, nodes, candidates: [...old, pod('c', 'x', hash(surging), false)] });
    expect([targets(waiting), deleted(waiting)]).toEqual([[], []]);
    const next = run({ set: surging, nodes, candidates: [...old, pod('c', 'x', hash(surging))] });
    expect(deleted(next)).toEqual(['a']);
  });

  it('leaves old pods alone with OnDelete', () => {
    const quiet = set({ updateStrategy: { type: 'OnDelete' } });
    expect(deleted(run({ set: quiet, nodes: [node('x')], candidates: [pod('a', 'x', 'old')] }))).toEqual([]);
  });

  it('removes a pod that waits for a node that is gone', () => {
    const waiting = pod('p', '', hash(set()));
    waiting.spec = {
      containers: [],
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: {
            nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['gone'] }] }],
          },
        },
      },
    };
    expect(deleted(run({ candidates: [waiting] }))).toEqual(['p']);
  });

  it('writes nothing a second time', () => {
    const [status] = run({ nodes: [node('x')], candidates: [pod('a', 'x', hash(set()))] }).slice(1);
    if (status?.op !== 'patch') throw new Error('a status was to be written');
    const settled = { ...set(), status: status.merge.status } as DaemonSet;
    const history = [revisionOf(set())];
    expect(run({ set: settled, history, nodes: [node('x')], candidates: [pod('a', 'x', hash(set()))] })).toEqual([]);
  });
});
