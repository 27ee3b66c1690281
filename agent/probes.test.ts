import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { createSimulatedClock } from '../functions/clock/simulated.ts';
import type { Pod, Container as SpecContainer } from '../functions/machinery/kinds.d.ts';
import { httpTarget, probeHttp, probeTcp } from './dial.ts';
import { silentRecorder } from './events.ts';
import { createProbes } from './probes.ts';
import type { Sandbox } from './runtime/runtime.ts';

const setup = (container: Partial<SpecContainer>, answers: (kind: string) => boolean) => {
  const clock = createSimulatedClock();
  const pod: Pod = { metadata: { name: 'p', uid: 'u' }, spec: { containers: [{ name: 'c', ...container }] } };
  const run = {
    id: 'r',
    name: 'c',
    attempt: 0,
    state: 'running' as const,
    image: '',
    imageId: '',
    createdAt: clock.now(),
    startedAt: clock.now(),
    labels: {},
    logPath: '',
  };
  const sandbox: Sandbox = {
    id: 's',
    namespace: '',
    name: 'p',
    uid: 'u',
    attempt: 0,
    ready: true,
    createdAt: 0,
    ips: ['10.0.0.1'],
    labels: {},
    containers: [run],
  };
  const asked: [string, number][] = [];
  let changes = 0;
  const began = clock.now();
  const probes = createProbes({
    clock,
    recorder: silentRecorder,
    probe: async (probe) => {
      const kind = probe.exec?.command?.[0] ?? '';
      asked.push([kind, (clock.now() - began) / 1000]);
      return { ok: answers(kind), message: 'no' };
    },
    onChange: () => {
      changes += 1;
    },
  });
  probes.sync(pod, [sandbox]);
  return { clock, probes, asked, state: () => probes.results.get('r'), changes: () => changes, pod, sandbox };
};
const exec = (kind: string, more = {}) => ({ exec: { command: [kind] }, periodSeconds: 2, ...more });

test('readiness follows its thresholds both ways, after the initial delay', async () => {
  let ok = false;
  const t = setup(
    { readinessProbe: exec('ready', { initialDelaySeconds: 5, successThreshold: 2, failureThreshold: 2 }) },
    () => ok,
  );
  await t.clock.advance(4900);
  expect(t.asked).toEqual([]);
  await t.clock.advance(200);
  expect(t.asked).toEqual([['ready', 5]]);
  ok = true;
  await t.clock.advance(2000);
  expect(t.state()?.ready).toBe(false);
  await t.clock.advance(2000);
  expect(t.state()?.ready).toBe(true);
  ok = false;
  await t.clock.advance(2000);
  expect(t.state()?.ready).toBe(true);
  await t.clock.advance(2000);
  expect(t.state()?.ready).toBe(false);
  expect(t.changes()).toBe(2);
  t.probes.stop();
});

test('liveness waits for startup; a startup that keeps failing ends the container', async () => {
  let up = false;
  const t = setup(
    { startupProbe: exec('start', { failureThreshold: 5 }), livenessProbe: exec('live', { failureThreshold: 3 }) },
    (kind) => kind === 'start' && up,
  );
  await t.clock.advance(3000);
  expect(t.asked.every(([kind]) => kind === 'start')).toBe(true);
  up = true;
  await t.clock.advance(2000);
  expect(t.state()).toMatchObject({ started: true });
  await t.clock.advance(7000);
  expect(t.state()?.failed).toBe('liveness');
  t.probes.stop();
  const dead = setup({ startupProbe: exec('start', { failureThreshold: 3 }) }, () => false);
  await dead.clock.advance(0);
  await dead.clock.advance(5000);
  expect(dead.state()).toMatchObject({ started: false, failed: 'startup' });
  dead.probes.stop();
});

test('a container that ended is not probed further', async () => {
  const t = setup({ livenessProbe: exec('live') }, () => true);
  await t.clock.advance(1000);
  t.probes.sync(t.pod, [{ ...t.sandbox, containers: [] }]);
  const before = t.asked.length;
  await t.clock.advance(10_000);
  expect(t.asked.length).toBe(before);
  expect(t.state()).toBeUndefined();
});

test('http and tcp: codes, headers, named ports, redirects on the same host, refused connections', async () => {
  const server = createServer((req, res) => {
    if (req.url === '/to') res.writeHead(302, { location: '/bad' }).end();
    else if (req.url === '/away') res.writeHead(302, { location: 'http://elsewhere.invalid/' }).end();
    else res.writeHead(req.url === '/bad' || req.headers['x-a'] !== '1' ? 500 : 200).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const container = { name: 'c', ports: [{ name: 'web', containerPort: port }] };
  const get = (path: string) =>
    probeHttp(
      httpTarget({ path, port: 'web', httpHeaders: [{ name: 'X-A', value: '1' }] }, container, '127.0.0.1'),
      2000,
    );
  expect((await get('/')).ok).toBe(true);
  expect(await get('/bad')).toEqual({ ok: false, message: 'HTTP probe failed with statuscode: 500' });
  expect((await get('/to')).ok).toBe(false);
  expect((await get('/away')).ok).toBe(true);
  expect((await probeTcp('127.0.0.1', port, 1000)).ok).toBe(true);
  await new Promise<void>((resolve) => server.close(() => resolve()));
  expect((await probeTcp('127.0.0.1', port, 1000)).ok).toBe(false);
});
