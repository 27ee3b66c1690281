import { describe, expect, it } from 'vitest';
import { seededRandom } from '../clock/simulated.ts';
import type { Node, Pod } from '../machinery/kinds.d.ts';
import { createClusterCache } from './cluster-cache.ts';
import type { Snapshot } from './framework.ts';
import { podInfoOf } from './pod-info.ts';
import { snapshotOf } from './snapshot.ts';
import { node, pod } from './test-objects.ts';

const nonZero = (requests: Record<string, number>) =>
  Object.entries(requests)
    .filter(([, n]) => n !== 0)
    .sort();
const plain = (snapshot: Snapshot) =>
  snapshot.nodes
    .map((n) => ({
      name: n.name,
      labels: n.labels,
      requested: nonZero(n.requested),
      nonZeroRequested: n.nonZeroRequested,
      pods: n.pods.map((p) => p.uid).sort(),
      affinityPods: n.affinityPods.map((p) => p.uid).sort(),
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
const kinds = (changes: readonly { type: string }[]) => changes.map((c) => c.type);

const all = (items: Pod[]) => ({ type: 'all' as const, items });

describe('createClusterCache', () => {
  it('says what changed, and nothing for heartbeats', () => {
    const cache = createClusterCache();
    const a = node('a');
    expect(kinds(cache.look([a], all([]), 0))).toEqual(['node came']);
    const beat = { ...a, status: { ...a.status, conditions: [{ type: 'Ready', status: 'True' }] } } as Node;
    expect(kinds(cache.look([beat], all([]), 0))).toEqual([]);
    const cordoned = { ...a, spec: { unschedulable: true } };
    const bound = pod('p', { on: 'a', cpu: '1' });
    expect(kinds(cache.look([cordoned], all([bound]), 0))).toEqual(['node changed', 'pod came']);
    expect(kinds(cache.look([cordoned], all([{ ...bound, status: { phase: 'Succeeded' } }]), 0))).toEqual(['pod left']);
    expect(kinds(cache.look([], all([]), 0))).toEqual(['node left']);
  });

  it('drops an assumption at its time, or when it is taken back', () => {
    const cache = createClusterCache();
    const [p, q] = [pod('p', { cpu: '1' }), pod('q', { cpu: '1' })];
    cache.look([node('a')], all([p, q]), 0);
    cache.assume(podInfoOf(p), 'a', 1_000);
    cache.assume(podInfoOf(q), 'a', 1_000);
    cache.forget('uid-q');
    expect(kinds(cache.look([node('a')], all([p, q]), 999))).toEqual([]);
    expect(plain(cache.snapshot)[0]?.pods).toEqual(['uid-p']);
    expect(kinds(cache.look([node('a')], all([p, q]), 1_000))).toEqual(['pod left']);
    expect(plain(cache.snapshot)[0]?.pods).toEqual([]);
  });

  it('is the same as a snapshot from scratch after any changes', () => {
    const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
    console.log(`SEED=${seed}`);
    const random = seededRandom(seed);
    const below = (n: number) => Math.floor(random() * n);
    const cache = createClusterCache();
    const following = createClusterCache();
    const nodes = new Map<string, Node>();
    const pods = new Map<string, Pod>();
    let before = new Map<string, Pod>();
    for (let i = 0; i < 400; i++) {
      const name = `n${below(6)}`;
      if (random() < 0.2) nodes.delete(name);
      else nodes.set(name, node(name, { labels: { v: String(below(3)) } }));
      for (let k = 0; k < 5; k++) {
        const key = `p${below(30)}`;
        const roll = random();
        const podAffinity = { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: 'v' }] };
        const spec = roll < 0.2 ? { affinity: { podAffinity } } : {};
        const on = `n${below(6)}`;
        if (roll > 0.8) pods.delete(key);
        else if (roll > 0.7) pods.set(key, pod(key, { on, status: { phase: 'Failed' } }));
        else pods.set(key, pod(key, roll > 0.5 ? {} : { on, cpu: `${below(4)}`, spec }));
      }
      cache.look([...nodes.values()], all([...pods.values()]), i);
      expect(plain(cache.snapshot)).toEqual(plain(snapshotOf([...nodes.values()], pods.values())));
      const put = [...pods].filter(([key, p]) => before.get(key) !== p).map(([, p]) => p);
      const gone = [...before]
        .filter(([key]) => !pods.has(key))
        .map(([, p]) => `${p.metadata.namespace}/${p.metadata.name}`);
      following.look([...nodes.values()], { type: 'changes', put, gone }, i);
      expect(plain(following.snapshot)).toEqual(plain(snapshotOf([...nodes.values()], pods.values())));
      before = new Map(pods);
    }
  });
});
