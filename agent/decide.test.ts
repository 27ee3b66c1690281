import { expect, test } from 'vitest';
import type { Pod } from '../functions/machinery/kinds.d.ts';
import { decide } from './decide.ts';
import { backoffLabel, type ObservedPod } from './observed.ts';
import { mayRestartAt, nextBackoffMs } from './restart.ts';
import type { Container, Sandbox } from './runtime/runtime.ts';
import { podStatus } from './status.ts';

const now = Date.parse('2026-01-01T00:10:00Z');
const pod = (spec: Partial<NonNullable<Pod['spec']>> = {}, metadata = {}): Pod => ({
  metadata: { name: 'p', namespace: 'ns', uid: 'u', ...metadata },
  spec: { containers: [{ name: 'app', image: 'i' }], ...spec },
  status: { phase: 'Pending' },
});
const run = (name: string, more: Partial<Container> = {}): Container => ({
  id: `${name}-${more.attempt ?? 0}`,
  name,
  attempt: 0,
  state: 'running',
  image: 'i',
  imageId: 'i',
  createdAt: now - 5000,
  startedAt: now - 5000,
  labels: {},
  logPath: '',
  ...more,
});
const ended = (name: string, exitCode: number, more: Partial<Container> = {}) =>
  run(name, { state: 'exited', exitCode, finishedAt: now - 1000, ...more });
const box = (containers: Container[], more: Partial<Sandbox> = {}): Sandbox => ({
  id: 's',
  namespace: 'ns',
  name: 'p',
  uid: 'u',
  attempt: 0,
  ready: true,
  createdAt: 0,
  ips: ['10.0.0.5'],
  labels: {},
  containers,
  ...more,
});
const see = (p: Pod, sandboxes: Sandbox[], more: Partial<ObservedPod> = {}): ObservedPod => ({
  pod: p,
  gone: false,
  sandboxes,
  probes: new Map(),
  setbacks: new Map(),
  busy: new Set(),
  volumesReady: true,
  hostIPs: ['192.168.0.1'],
  messages: new Map(),
  ...more,
});
const keys = (o: ObservedPod) => decide(o, now).actions.map((a) => `${a.do} ${a.key}`);
const sidecar = { name: 'side', image: 'i', restartPolicy: 'Always' };
const deleted = { deletionTimestamp: new Date(now + 30_000).toISOString(), deletionGracePeriodSeconds: 30 };

test.each<[string, ObservedPod, string[]]>([
  ['volumes come first', see(pod(), [], { volumesReady: false }), ['volumes volumes']],
  ['then the sandbox', see(pod(), []), ['startSandbox sandbox']],
  ['a sandbox that died is replaced', see(pod(), [box([run('app')], { ready: false })]), ['startSandbox sandbox']],
  ['the container', see(pod(), [box([])]), ['startContainer start:app']],
  ['nothing while it starts', see(pod(), [box([])], { busy: new Set(['start:app']) }), []],
  ['nothing while it runs', see(pod(), [box([run('app')])]), []],
  [
    'an init container first',
    see(pod({ initContainers: [{ name: 'init' }] }), [box([])]),
    ['startContainer start:init'],
  ],
  ['and alone', see(pod({ initContainers: [{ name: 'init' }] }), [box([run('init')])]), []],
  [
    'after it the container',
    see(pod({ initContainers: [{ name: 'init' }] }), [box([ended('init', 0)])]),
    ['startContainer start:app'],
  ],
  [
    'a sidecar lets go once started',
    see(pod({ initContainers: [sidecar] }), [box([run('side')])]),
    ['startContainer start:app'],
  ],
  [
    'not before its startup probe',
    see(pod({ initContainers: [{ ...sidecar, startupProbe: {} }] }), [box([run('side')])]),
    [],
  ],
  ['a first failure restarts at once', see(pod(), [box([ended('app', 1)])]), ['startContainer start:app']],
  ['a second waits', see(pod(), [box([ended('app', 1, { labels: { [backoffLabel]: '10000' } })])]), []],
  [
    'OnFailure leaves success',
    see(pod({ restartPolicy: 'OnFailure' }), [box([ended('app', 0)])]),
    ['stopSandbox stop:s'],
  ],
  ['Never leaves failure', see(pod({ restartPolicy: 'Never' }), [box([ended('app', 1)])]), ['stopSandbox stop:s']],
  [
    'sidecars stop when a job is done',
    see(pod({ restartPolicy: 'Never', initContainers: [sidecar] }), [box([run('side'), ended('app', 0)])]),
    ['stopContainer stop:side-0'],
  ],
  [
    'a failed probe stops',
    see(pod(), [box([run('app')])], {
      probes: new Map([['app-0', { started: true, ready: true, failed: 'liveness' }]]),
    }),
    ['stopContainer stop:app-0'],
  ],
  [
    'deletion stops containers before sidecars',
    see(pod({ initContainers: [sidecar] }, deleted), [box([run('side'), run('app')])]),
    ['stopContainer stop:app-0'],
  ],
  [
    'then sidecars',
    see(pod({ initContainers: [sidecar] }, deleted), [box([run('side'), ended('app', 0)])]),
    ['stopContainer stop:side-0'],
  ],
  ['then the sandbox', see(pod({}, deleted), [box([ended('app', 0)])]), ['stopSandbox stop:s']],
  [
    'then the object',
    see(pod({}, deleted), [box([ended('app', 0)], { ready: false })]),
    ['clean clean', 'delete delete'],
  ],
  ['a pod the API lost is cleaned', see(pod(), [box([], { ready: false })], { gone: true }), ['stopSandbox stop:s']],
  ['a refused pod runs nothing', see(pod(), [], { refused: { reason: 'OutOfcpu', message: 'm' } }), []],
])('%s', (_name, observed, expected) => {
  expect(keys(observed)).toEqual(expected);
  // What is under way is not planned again.
  const busy = new Set([...observed.busy, ...decide(observed, now).actions.map((a) => a.key)]);
  expect(decide({ ...observed, busy }, now).actions).toEqual([]);
});

test('back-off doubles from 10 s to 5 min, and is forgotten after 10 min of running', () => {
  const waits: number[] = [];
  let last: Container | undefined;
  for (let i = 0; i < 8; i += 1) {
    const next: number = nextBackoffMs(last);
    waits.push(next / 1000);
    last = ended('app', 1, { labels: { [backoffLabel]: String(next) } });
  }
  expect(waits).toEqual([0, 10, 20, 40, 80, 160, 300, 300]);
  const long = ended('app', 1, { startedAt: now - 3_600_000, labels: { [backoffLabel]: '300000' } });
  expect(mayRestartAt(long)).toBe(long.finishedAt);
});

test('activeDeadlineSeconds ends the pod', () => {
  const p = { ...pod({ activeDeadlineSeconds: 60 }), status: { phase: 'Running', startTime: '2026-01-01T00:00:00Z' } };
  const o = see(p, [box([run('app')])]);
  const plan = decide(o, now);
  expect(plan.fail?.reason).toBe('DeadlineExceeded');
  expect(podStatus(o, plan, now)).toMatchObject({ phase: 'Failed', reason: 'DeadlineExceeded' });
});

test('status: readiness gates, unready containers, waiting reasons', () => {
  const gated = see(pod({ readinessGates: [{ conditionType: 'lb' }] }), [box([run('app')])]);
  expect(podStatus(gated, {}, now).conditions?.find((c) => c.type === 'Ready')).toMatchObject({
    status: 'False',
    reason: 'ReadinessGatesNotReady',
    message: 'corresponding condition of pod readiness gate "lb" does not exist.',
  });
  const initial = podStatus(see(pod({ initContainers: [{ name: 'init' }] }), []), {}, now);
  expect(initial.phase).toBe('Pending');
  expect(initial.containerStatuses?.[0]?.state).toEqual({ waiting: { reason: 'PodInitializing' } });
  expect(initial.conditions?.find((c) => c.type === 'Initialized')?.message).toBe(
    'containers with incomplete status: [init]',
  );
  const restarted = podStatus(
    see(pod(), [box([ended('app', 137, { reason: 'OOMKilled' }), run('app', { attempt: 1 })])]),
    {},
    now,
  );
  expect(restarted.containerStatuses?.[0]).toMatchObject({
    restartCount: 1,
    ready: true,
    lastState: { terminated: { reason: 'OOMKilled', exitCode: 137 } },
  });
});
