import { expect, test, vi } from 'vitest';
import { createSystemClock } from '../functions/clock/system.ts';
import type { Container, Pod } from '../functions/machinery/kinds.d.ts';
import { grantedBefore, grantedPod, pendingResize } from './resize.ts';
import { createTestNode } from './test-node.ts';

const resources = (cpu: string, memory: string) => ({ requests: { cpu, memory }, limits: { cpu, memory } });
const podOf = (name: string, containers: Partial<Container>[], generation = 1, more = {}): Pod => ({
  metadata: { name, namespace: 'default', uid: `uid-${name}`, generation },
  spec: { containers: containers.map((c, i) => ({ name: `c${i}`, image: 'x:1', ...c })), ...more },
});
const until = (look: () => boolean) => vi.waitUntil(look, { timeout: 8000, interval: 10 });

type TestNode = ReturnType<typeof createTestNode>;
const statusOf = (node: TestNode, name: string, i = 0) => node.pod(name)?.status?.containerStatuses?.[i];
const condition = (node: TestNode, name: string, type: string) =>
  node.pod(name)?.status?.conditions?.find((c) => c.type === type);
const startPod = async (node: TestNode, pod: Pod): Promise<void> => {
  node.put(pod);
  await until(() => node.pod(pod.metadata.name ?? '')?.status?.phase === 'Running');
};
/** The stored pod with other containers, as the resize endpoint writes it. */
const resize = (node: TestNode, name: string, containers: Partial<Container>[], generation: number): void => {
  const old = node.pod(name);
  if (old)
    node.put({ ...podOf(name, containers, generation, { restartPolicy: 'OnFailure' }), status: old.status ?? {} });
};

test('a running container gets other cpu and memory, and goes on running', async () => {
  const node = createTestNode(createSystemClock());
  await startPod(node, podOf('a', [{ resources: resources('100m', '64Mi') }, {}]));
  const { containerID } = statusOf(node, 'a') ?? {};
  resize(node, 'a', [{ resources: resources('0.2', '128Mi') }, {}], 2);
  await until(() => node.pod('a')?.status?.observedGeneration === 2 && !condition(node, 'a', 'PodResizeInProgress'));
  expect(node.runtime.updates()).toMatchObject([{ cpuShares: 204, cpuQuota: 20_000, memoryLimitBytes: 134_217_728 }]);
  expect(statusOf(node, 'a')).toMatchObject({
    containerID,
    restartCount: 0,
    resources: resources('0.2', '128Mi'),
    allocatedResources: { cpu: '0.2', memory: '128Mi' },
  });
  expect(node.runtime.started()).toEqual(['c0', 'c1']);
  // The same amounts written otherwise are no change; an agent that returns sees its own work.
  resize(node, 'a', [{ resources: resources('200m', '131072Ki') }, {}], 3);
  await until(() => node.pod('a')?.status?.observedGeneration === 3);
  expect(node.runtime.updates()).toHaveLength(1);
  node.stop();
});

test('a container whose policy says so starts again at once, whatever its exit says', async () => {
  const node = createTestNode(createSystemClock());
  const resizePolicy = [
    { resourceName: 'cpu', restartPolicy: 'NotRequired' },
    { resourceName: 'memory', restartPolicy: 'RestartContainer' },
  ];
  await startPod(
    node,
    podOf('b', [{ resizePolicy, resources: resources('100m', '64Mi') }], 1, { restartPolicy: 'OnFailure' }),
  );
  resize(node, 'b', [{ resizePolicy, resources: resources('100m', '32Mi') }], 2);
  await until(() => statusOf(node, 'b')?.restartCount === 1 && statusOf(node, 'b')?.state?.running !== undefined);
  await until(() => !condition(node, 'b', 'PodResizeInProgress'));
  expect(node.runtime.updates()).toEqual([]);
  expect(statusOf(node, 'b')?.resources).toEqual(resources('100m', '32Mi'));
  // Cpu alone needs no restart.
  resize(node, 'b', [{ resizePolicy, resources: resources('150m', '32Mi') }], 3);
  await until(() => node.runtime.updates().length === 1);
  expect(statusOf(node, 'b')?.restartCount).toBe(1);
  node.stop();
});

test('what the node cannot give is told, and given once another pod has gone', async () => {
  const node = createTestNode(createSystemClock());
  await startPod(node, podOf('c', [{ resources: resources('500m', '64Mi') }]));
  await startPod(node, podOf('d', [{ resources: resources('1', '64Mi') }]));
  resize(node, 'c', [{ resources: resources('3', '64Mi') }], 2);
  await until(() => condition(node, 'c', 'PodResizePending')?.reason === 'Infeasible');
  expect(condition(node, 'c', 'PodResizePending')).toMatchObject({
    status: 'True',
    message: "Node didn't have enough capacity: cpu, requested: 3000, capacity: 2000",
    observedGeneration: 2,
  });
  resize(node, 'c', [{ resources: resources('1500m', '64Mi') }], 3);
  await until(() => condition(node, 'c', 'PodResizePending')?.reason === 'Deferred');
  expect(condition(node, 'c', 'PodResizePending')?.message).toBe(
    "Node didn't have enough resource: cpu, requested: 1500, used: 1000, capacity: 2000",
  );
  expect(statusOf(node, 'c')?.allocatedResources).toEqual({ cpu: '500m', memory: '64Mi' });
  expect(node.runtime.updates()).toEqual([]);
  node.remove('d', 0);
  await until(() => statusOf(node, 'c')?.resources?.limits?.cpu === '1500m');
  expect(condition(node, 'c', 'PodResizePending')).toBeUndefined();
  node.stop();
});

test('a resize that fails is told in the condition and tried again', async () => {
  const node = createTestNode(createSystemClock());
  await startPod(node, podOf('e', [{ resources: resources('100m', '64Mi') }]));
  node.runtime.refuseUpdates('device busy');
  resize(node, 'e', [{ resources: resources('100m', '32Mi') }], 2);
  await until(() => condition(node, 'e', 'PodResizeInProgress')?.reason === 'Error');
  expect(condition(node, 'e', 'PodResizeInProgress')?.message).toBe('device busy');
  expect(statusOf(node, 'e')?.resources?.limits?.memory).toBe('64Mi');
  node.runtime.refuseUpdates('');
  await until(() => statusOf(node, 'e')?.resources?.limits?.memory === '32Mi');
  expect(condition(node, 'e', 'PodResizeInProgress')).toBeUndefined();
  node.stop();
});

test('what was granted is read from the status, and cpu and memory alone are replaced', () => {
  const asked = { requests: { cpu: '2', 'example.com/x': '1' }, limits: { cpu: '2', 'example.com/x': '1' } };
  const pod = podOf('f', [{ resources: asked }, { resources: resources('1', '1Gi') }]);
  const status = {
    name: 'c0',
    image: '',
    imageID: '',
    ready: true,
    restartCount: 0,
    allocatedResources: { cpu: '1', 'example.com/x': '1' },
    resources: { limits: { cpu: '1' } },
  };
  const grant = grantedBefore({ ...pod, status: { containerStatuses: [status] } });
  expect(grantedPod(pod, grant).spec?.containers).toMatchObject([
    { resources: { requests: { cpu: '1', 'example.com/x': '1' }, limits: { cpu: '1', 'example.com/x': '1' } } },
    { resources: resources('1', '1Gi') },
  ]);
  expect(grantedPod(pod, undefined)).toBe(pod);
  expect(pendingResize(pod, [], { cpu: '4', memory: '2Gi', 'example.com/x': '1' })).toBeUndefined();
});
