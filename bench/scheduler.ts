/** How fast pods get their nodes, without an API behind. Run: npx node bench/scheduler.ts */
import type { Client } from '../functions/client/client.ts';
import type { Reader } from '../functions/client/reader.ts';
import { createSystemClock } from '../functions/clock/system.ts';
import type { Node, Pod, ReplicaSet } from '../functions/machinery/kinds.d.ts';
import type { KubeObject } from '../functions/machinery/object.ts';
import { decide } from '../functions/scheduler/decide.ts';
import { podInfoOf } from '../functions/scheduler/pod-info.ts';
import { createScheduler } from '../functions/scheduler/scheduler.ts';
import { snapshotOf } from '../functions/scheduler/snapshot.ts';

const ZONES = 3;
const nodes = (count: number): Node[] =>
  Array.from({ length: count }, (_, i) => {
    const name = `node-${i}`;
    const labels = { 'kubernetes.io/hostname': name, 'topology.kubernetes.io/zone': `zone-${i % ZONES}` };
    return {
      metadata: { name, uid: name, resourceVersion: '1', labels },
      status: { allocatable: { cpu: '32', memory: '128Gi', pods: '250' } },
    } as Node;
  });
const pods = (count: number): Pod[] =>
  Array.from(
    { length: count },
    (_, i) =>
      ({
        metadata: {
          name: `pod-${i}`,
          namespace: 'default',
          uid: `pod-${i}`,
          labels: { app: 'web' },
          ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web', uid: 'web', controller: true }],
        },
        spec: { containers: [{ name: 'c', image: 'web', resources: { requests: { cpu: '100m', memory: '64Mi' } } }] },
        status: { phase: 'Pending' },
      }) as Pod,
  );
const set = {
  metadata: { name: 'web', namespace: 'default', uid: 'web' },
  spec: { selector: { matchLabels: { app: 'web' } } },
} as ReplicaSet;

/** A cluster of lists, whose API accepts every binding at once. */
const clusterOf = (lists: Record<string, KubeObject[]>) => {
  let bindings = 0;
  const list = async (r: { resource: string }) => lists[r.resource] ?? [];
  const reader = { list, fresh: async () => {} } as unknown as Reader;
  const raw = async (_: string, path: string, init: { body: string }) => {
    const all = lists.pods as Pod[];
    const at = Number(/pod-(\d+)/.exec(path)?.[1]);
    const pod = all[at];
    const { name } = (JSON.parse(init.body) as { target: { name: string } }).target;
    if (pod?.spec) all[at] = { ...pod, spec: { ...pod.spec, nodeName: name } };
    bindings++;
    return new Response('{}', { status: 201 });
  };
  return { reader, client: { raw } as unknown as Client, bindings: () => bindings };
};

const time = async (what: string, times: number, run: () => unknown): Promise<void> => {
  const begin = performance.now();
  for (let i = 0; i < times; i++) await run();
  console.log(`${what}: ${((performance.now() - begin) / times).toFixed(2)} ms`);
};

for (let round = 0; round < 3; round++) {
  const cluster = clusterOf({ nodes: nodes(50), pods: pods(1000), replicasets: [set] });
  const scheduler = createScheduler({ ...cluster, clock: createSystemClock(), record: () => {} });
  await time('1,000 pods of one ReplicaSet over 50 nodes, one run with bindings', 1, () => scheduler.run());
  if (cluster.bindings() !== 1000) throw new Error(`${cluster.bindings()} bindings`);
  await time('  the run after it, with nothing to do', 1, () => scheduler.run());
  await time('  and one more', 1, () => scheduler.run());
}
const large = nodes(5000);
const placed = pods(20_000).map((p, i) => ({ ...p, spec: { ...p.spec, nodeName: `node-${i % 5000}` } })) as Pod[];
await time('a snapshot of 5,000 nodes and 20,000 pods', 1, () => snapshotOf(large, placed));
const view = snapshotOf(large, placed, { replicaSets: new Map([['default/web', set]]) });
const [owned] = pods(1);
const plain = { ...owned, metadata: { name: 'plain', uid: 'plain', namespace: 'default' } } as Pod;
for (let round = 0; round < 2; round++) {
  let start = 0;
  const one = (pod: Pod) => () => {
    const decision = decide(podInfoOf(pod), view, { random: 0.5, start });
    start = (start + decision.looked) % large.length;
  };
  await time('a pod over 5,000 nodes', 50, one(plain));
  if (owned) await time('a pod of a ReplicaSet of 20,000 over 5,000 nodes', 20, one(owned));
}
