import { expect, test } from 'vitest';
import type { Client } from '../functions/client/client.ts';
import { createSimulatedClock } from '../functions/clock/simulated.ts';
import type { Lease, Node, Pod } from '../functions/machinery/kinds.d.ts';
import type { GroupVersionResource, KubeObject } from '../functions/machinery/object.ts';
import { admitPod, createAdmission } from './admit.ts';
import { createNodeKeeper, nodeConditions } from './node.ts';
import { createScriptedRuntime } from './test-node.ts';

const createObjects = () => {
  const held = new Map<string, KubeObject>();
  const writes: string[] = [];
  const key = (r: GroupVersionResource, name: string) => `${r.resource}/${name}`;
  const client = {
    get: async (r: GroupVersionResource, _ns: string, name: string) => held.get(key(r, name)),
    create: async (r: GroupVersionResource, object: KubeObject) => {
      writes.push(`create ${key(r, object.metadata.name ?? '')}`);
      const stored = { ...object, metadata: { ...object.metadata, uid: 'uid-1' } };
      held.set(key(r, object.metadata.name ?? ''), stored);
      return stored;
    },
    update: async (r: GroupVersionResource, object: KubeObject) => {
      writes.push(`update ${key(r, object.metadata.name ?? '')}`);
      held.set(key(r, object.metadata.name ?? ''), object);
      return object;
    },
    patch: async (r: GroupVersionResource, _ns: string, name: string, patch: { body: object }) => {
      writes.push(`patch ${key(r, name)}`);
      const next = { ...held.get(key(r, name)), ...patch.body } as KubeObject;
      held.set(key(r, name), next);
      return next;
    },
  } as unknown as Client;
  return { client, held, writes };
};

test('a node registers once, renews its lease every 10 s, and writes its status only when it changes', async () => {
  const clock = createSimulatedClock();
  const { runtime } = createScriptedRuntime(clock);
  const objects = createObjects();
  let problem: string | undefined;
  const facts = { name: 'n1', addresses: [{ type: 'InternalIP', address: '192.168.0.1' }], podCIDR: '10.244.0.0/24' };
  const keep = () => createNodeKeeper({ facts, client: objects.client, clock, runtime, health: async () => problem });
  const stop = new AbortController();
  let registered = 0;
  void keep().run(stop.signal, () => {
    registered += 1;
  });
  await clock.advance(0);
  await clock.advance(35_000);
  expect(registered).toBe(1);
  expect(objects.writes.filter((w) => w.startsWith('create'))).toEqual(['create nodes/n1', 'create leases/n1']);
  expect(objects.writes.filter((w) => w === 'patch nodes/n1')).toHaveLength(1);
  expect(objects.writes.filter((w) => w === 'update leases/n1')).toHaveLength(3);
  const lease = objects.held.get('leases/n1') as Lease;
  expect(lease.spec).toMatchObject({ holderIdentity: 'n1', leaseDurationSeconds: 40 });
  expect(lease.metadata.ownerReferences?.[0]).toMatchObject({ kind: 'Node', uid: 'uid-1' });
  problem = 'the pod network is not ready';
  await clock.advance(10_000);
  const ready = (objects.held.get('nodes/n1') as Node).status?.conditions?.find((c) => c.type === 'Ready');
  expect(ready).toMatchObject({ status: 'False', reason: 'KubeletNotReady', message: problem });
  stop.abort();
  // The next agent adopts the Node and its Lease.
  const again = new AbortController();
  void keep().run(again.signal, () => {});
  await clock.advance(0);
  await clock.advance(15_000);
  expect(objects.writes.filter((w) => w.startsWith('create'))).toHaveLength(2);
  again.abort();
});

test('a transition time moves only with the status', () => {
  const first = nodeConditions(undefined, undefined, 0);
  const second = nodeConditions(first, undefined, 60_000);
  const third = nodeConditions(second, 'down', 120_000);
  const at = (list: typeof first) => list.find((c) => c.type === 'Ready')?.lastTransitionTime;
  expect([at(first), at(second), at(third)]).toEqual([
    '1970-01-01T00:00:00Z',
    '1970-01-01T00:00:00Z',
    '1970-01-01T00:02:00Z',
  ]);
  expect(second.find((c) => c.type === 'Ready')?.lastHeartbeatTime).toBe('1970-01-01T00:01:00Z');
});

test('a pod that the node cannot take is refused, with what it asked and what there is', () => {
  const pod = (cpu: string, spec = {}): Pod => ({
    metadata: { name: 'p' },
    spec: { containers: [{ name: 'c', resources: { requests: { cpu, memory: '64Mi' } } }], ...spec },
  });
  const node = { metadata: { name: 'n1', labels: { disk: 'ssd' } } };
  const has = { cpu: '2', memory: '1Gi', pods: '3' };
  expect(admitPod(pod('1500m'), [pod('500m')], node, has)).toBeUndefined();
  expect(admitPod(pod('1600m'), [pod('500m')], node, has)).toEqual({
    reason: 'OutOfcpu',
    message: "Pod was rejected: Node didn't have enough resource: cpu, requested: 1600, used: 500, capacity: 2000",
  });
  expect(admitPod(pod('1m'), [pod('1m'), pod('1m'), pod('1m')], node, has)?.reason).toBe('OutOfpods');
  const done = { ...pod('2'), status: { phase: 'Succeeded' } };
  expect(admitPod(pod('2'), [done], node, has)).toBeUndefined();
  const onPort = (hostPort: number, hostIP?: string) =>
    pod('1m', { containers: [{ name: 'c', ports: [{ containerPort: 80, hostPort, ...(hostIP && { hostIP }) }] }] });
  expect(admitPod(onPort(8080), [onPort(8080)], node, has)?.reason).toBe('NodePorts');
  expect(admitPod(onPort(8080, '127.0.0.1'), [onPort(8080)], node, has)?.reason).toBe('NodePorts');
  expect(admitPod(onPort(8080, '127.0.0.1'), [onPort(8080, '127.0.0.2'), onPort(8081)], node, has)).toBeUndefined();
  expect(admitPod(pod('1m', { nodeSelector: { disk: 'hdd' } }), [], node, has)?.reason).toBe('NodeAffinity');
});

test('labels that a node was just given count for the pod that needs them', async () => {
  let labels: Record<string, string> = {};
  let reads = 0;
  const admit = createAdmission({
    known: { metadata: { name: 'n', labels: {} } },
    current: async () => {
      reads++;
      return { metadata: { name: 'n', labels } };
    },
    allocatable: () => ({ cpu: '1', memory: '1Gi', pods: '10' }),
  });
  const blue: Pod = { metadata: { name: 'p' }, spec: { nodeSelector: { color: 'blue' }, containers: [{ name: 'c' }] } };
  expect((await admit(blue, []))?.reason).toBe('NodeAffinity');
  labels = { color: 'blue' };
  expect(await admit(blue, [])).toBeUndefined();
  expect(admit(blue, [])).toBeUndefined();
  expect(reads).toBe(2);
});

test('extended resources are those that the Node has by now; what it does not tell of is not counted', async () => {
  let allocatable: Record<string, string> = { 'example.com/x': '2', 'kubernetes.io/y': '9' };
  const admit = createAdmission({
    known: { metadata: { name: 'n' }, status: { allocatable } },
    current: async () => ({ metadata: { name: 'n' }, status: { allocatable } }),
    allocatable: () => ({ cpu: '1', memory: '1Gi', pods: '10' }),
  });
  const asks = (resource: string, count: string): Pod => ({
    metadata: { name: 'p' },
    spec: {
      containers: [{ name: 'c', resources: { requests: { [resource]: count }, limits: { [resource]: count } } }],
    },
  });
  expect(admit(asks('example.com/x', '2'), [])).toBeUndefined();
  expect(admit(asks('example.com/none', '5'), [])).toBeUndefined();
  expect((await admit(asks('example.com/x', '2'), [asks('example.com/x', '1')]))?.reason).toBe('OutOfexample.com/x');
  allocatable = { 'example.com/x': '3' };
  expect(await admit(asks('example.com/x', '2'), [asks('example.com/x', '1')])).toBeUndefined();
  expect((await admit(asks('hugepages-2Mi', '2Mi'), []))?.reason).toBe('OutOfhugepages-2Mi');
});
