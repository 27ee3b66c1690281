import { expect, test } from 'vitest';
import { createSystemClock } from '../functions/clock/system.ts';
import { createTestNode } from './test-node.ts';

const until = async (what: () => boolean, ms = 5000): Promise<void> => {
  const end = Date.now() + ms;
  while (!what()) {
    if (Date.now() > end) throw new Error('did not come true in time');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
};
const podOf = (name: string, extra: Record<string, unknown> = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'default', uid: `uid-${name}`, generation: 1 },
  spec: { nodeName: 'n1', restartPolicy: 'Always', containers: [{ name: 'app', image: 'web:1' }], ...extra },
  status: { phase: 'Pending' },
});

test('a bound pod becomes Ready with one status write, and goes with one more and a delete', async () => {
  const node = createTestNode(createSystemClock());
  node.put(podOf('a'));
  await until(() => node.pod('a')?.status?.phase === 'Running');
  expect(node.pod('a')?.status?.conditions?.find((c) => c.type === 'Ready')?.status).toBe('True');
  expect(node.pod('a')?.status?.podIP).toMatch(/^10\./);
  expect(node.writes()).toEqual(['patch a']);
  node.remove('a', 1);
  await until(() => node.pod('a') === undefined);
  expect(node.writes()).toEqual(['patch a', 'patch a', 'delete a']);
  await until(() => node.runtime.held().length === 0);
  node.stop();
});

test('init containers run in order before the containers, a sidecar keeps running beside them', async () => {
  const node = createTestNode(createSystemClock());
  node.runtime.exits('first', 0);
  node.put(
    podOf('b', {
      initContainers: [
        { name: 'first', image: 'tool:1' },
        { name: 'side', image: 'tool:1', restartPolicy: 'Always' },
      ],
    }),
  );
  await until(() => node.pod('b')?.status?.phase === 'Running');
  expect(node.runtime.started()).toEqual(['first', 'side', 'app']);
  const inits = node.pod('b')?.status?.initContainerStatuses ?? [];
  expect(inits.map((s) => [s.name, s.ready, Object.keys(s.state ?? {})[0]])).toEqual([
    ['first', true, 'terminated'],
    ['side', true, 'running'],
  ]);
  node.stop();
});

test('an agent that restarts adopts what runs: nothing is started or written again', async () => {
  const node = createTestNode(createSystemClock());
  node.put(podOf('c'));
  await until(() => node.pod('c')?.status?.phase === 'Running');
  node.stop();
  const started = node.runtime.started().length;
  const writes = node.writes().length;
  node.start();
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(node.runtime.started().length).toBe(started);
  expect(node.writes().length).toBe(writes);
  node.stop();
});

test('a pod deleted while the agent was away is stopped when it returns', async () => {
  const node = createTestNode(createSystemClock());
  node.put(podOf('d'));
  await until(() => node.pod('d')?.status?.phase === 'Running');
  node.stop();
  node.vanish('d');
  node.start();
  await until(() => node.runtime.held().length === 0);
  node.stop();
});

test('a container that ends is restarted once at once, then waits in CrashLoopBackOff', async () => {
  const node = createTestNode(createSystemClock());
  node.runtime.exits('app', 3);
  node.put(podOf('e'));
  await until(() => node.pod('e')?.status?.containerStatuses?.[0]?.state?.waiting?.reason === 'CrashLoopBackOff');
  const status = node.pod('e')?.status?.containerStatuses?.[0];
  expect(status?.restartCount).toBe(1);
  expect(status?.lastState?.terminated?.exitCode).toBe(3);
  expect(status?.state?.waiting?.message).toBe('back-off 10s restarting failed container=app pod=e_default(uid-e)');
  expect(node.pod('e')?.status?.phase).toBe('Running');
  node.stop();
});

test('a Never pod that fails is Failed, one that succeeds is Succeeded, and the sandbox is stopped', async () => {
  const node = createTestNode(createSystemClock());
  node.runtime.exits('bad', 2);
  node.runtime.exits('good', 0);
  node.put(podOf('f', { restartPolicy: 'Never', containers: [{ name: 'bad', image: 'x:1' }] }));
  node.put(podOf('g', { restartPolicy: 'OnFailure', containers: [{ name: 'good', image: 'x:1' }] }));
  await until(() => node.pod('f')?.status?.phase === 'Failed' && node.pod('g')?.status?.phase === 'Succeeded');
  expect(node.pod('g')?.status?.conditions?.find((c) => c.type === 'Ready')?.reason).toBe('PodCompleted');
  await until(() => node.runtime.held().every((s) => !s.ready));
  node.stop();
});

test('an image that cannot be had is told: never present, and pulls that fail', async () => {
  const node = createTestNode(createSystemClock());
  node.put(podOf('h', { containers: [{ name: 'app', image: 'missing:1', imagePullPolicy: 'Never' }] }));
  node.put(podOf('i', { containers: [{ name: 'app', image: 'missing:1', imagePullPolicy: 'IfNotPresent' }] }));
  const reason = (name: string) => node.pod(name)?.status?.containerStatuses?.[0]?.state?.waiting?.reason;
  await until(() => reason('h') === 'ErrImageNeverPull' && reason('i') === 'ErrImagePull');
  expect(node.pod('i')?.status?.phase).toBe('Pending');
  await until(() => reason('i') === 'ImagePullBackOff');
  node.stop();
});

test('a status that is refused is tried again after a second, and not once the agent was stopped', async () => {
  const node = createTestNode(createSystemClock());
  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  node.refuse(true);
  node.put(podOf('j'));
  await until(() => node.refusals() > 0);
  await pause(500);
  expect(node.refusals()).toBeLessThan(4);
  node.refuse(false);
  await until(() => node.pod('j')?.status?.phase === 'Running');
  node.refuse(true);
  const before = node.refusals();
  node.put(podOf('k'));
  await until(() => node.refusals() > before);
  node.stop();
  const last = node.refusals();
  await pause(1300);
  expect(node.refusals()).toBe(last);
});

test('whether a pod is taken may take a while: nothing is started before, and nothing after a refusal', async () => {
  const refusal = { reason: 'NodeAffinity', message: 'no match' };
  let answer: (refused: typeof refusal | undefined) => void = () => {};
  const admit = () =>
    new Promise<typeof refusal | undefined>((resolve) => {
      answer = resolve;
    });
  const node = createTestNode(createSystemClock(), { admit });
  node.put(podOf('l'));
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(node.runtime.held()).toEqual([]);
  answer(undefined);
  await until(() => node.pod('l')?.status?.phase === 'Running');
  const before = node.runtime.held().length;
  node.put(podOf('m'));
  await new Promise((resolve) => setTimeout(resolve, 50));
  answer(refusal);
  await until(() => node.pod('m')?.status?.phase === 'Failed');
  expect(node.pod('m')?.status).toMatchObject(refusal);
  expect(node.runtime.held().length).toBe(before);
  node.stop();
});
