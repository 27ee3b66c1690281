import { expect, test } from 'vitest';
import { createFakeCluster } from '../client/fake.ts';
import { createSimulatedClock } from '../clock/simulated.ts';
import type { Event } from '../machinery/kinds.d.ts';
import type { KubeObject } from '../machinery/object.ts';
import { conflict, forbidden } from '../machinery/status.ts';
import type { Controller, PlannedWrite } from './controller.ts';
import { events } from './events.ts';
import { configMaps } from './resources.ts';
import { createRunner, LostRaceError, ReaderBehindError } from './run.ts';

const message = { cluster: 'c', consumer: 'test', key: 'x/a' };
const create = (name: string): PlannedWrite => ({
  op: 'create',
  resource: configMaps,
  object: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'x' } },
});
const planning = (writes: PlannedWrite[], more: Partial<ReturnType<Controller<object>['decide']>> = {}) => ({
  name: 'test',
  watches: [],
  observe: async () => ({}),
  decide: () => ({ writes, ...more }),
});
const about: KubeObject = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a', namespace: 'x', uid: 'u' } };

const setUp = (controller: Controller<object>, refuse?: Parameters<typeof createFakeCluster>[0]['refuse']) => {
  const clock = createSimulatedClock();
  const api = createFakeCluster({ clock, ...(refuse && { refuse }) });
  const sent: number[] = [];
  const queue = { send: async (_: unknown, delay = 0) => void sent.push(delay) };
  const reader = { ...api.reader };
  const runner = createRunner({
    controllers: [controller],
    reader: () => reader,
    client: () => api.client,
    clock,
    queue,
  });
  return { api, runner, sent, reader, clock };
};

test('a lost race drops what follows and asks for another look', async () => {
  const writes = [create('a'), { ...create('b') }, { op: 'delete', resource: configMaps } as unknown as PlannedWrite];
  const { api, runner } = setUp(planning(writes), (write) =>
    write.key === 'x/a' ? conflict({ group: '', kind: 'configmaps', name: 'a' }, 'lost') : undefined,
  );
  await expect(runner.handle(message)).rejects.toBeInstanceOf(LostRaceError);
  expect(api.writes.map((write) => write.key)).toEqual(['x/a']);
});

test('creates start slowly, so that a refusal is met early; what to do then is the plan’s', async () => {
  const many = Array.from({ length: 100 }, (_, i) => create(`n${i}`));
  let refused = 0;
  const plan = planning(many, {
    refused: (failures) => {
      refused = failures.length;
      return [];
    },
  });
  const { api, runner } = setUp(plan, () => forbidden({ group: '', kind: 'configmaps', name: '' }, 'quota'));
  await expect(runner.handle(message)).rejects.toMatchObject({ code: 403 });
  expect(api.writes).toHaveLength(1);
  expect(refused).toBe(1);
});

test('a key is not looked at again before the reader has its own writes', async () => {
  const { runner, reader } = setUp(planning([create('a')]));
  await runner.handle(message);
  reader.atLeast = async () => false;
  await expect(runner.handle(message)).rejects.toBeInstanceOf(ReaderBehindError);
});

test('`again` sends the key with its delay', async () => {
  const { runner, sent } = setUp(planning([], { again: { afterMs: 1234 } }));
  await runner.handle(message);
  expect(sent).toEqual([1234]);
});

test('the same event again bumps its count; too many of one object are left out', async () => {
  const draft = { regarding: about, type: 'Normal' as const, reason: 'R', message: 'm' };
  const { api, runner } = setUp(planning([], { events: [draft] }));
  for (let i = 0; i < 40; i++) await runner.handle(message);
  const list = api.all(events) as Event[];
  expect(list).toHaveLength(1);
  expect(list[0]).toMatchObject({ count: 25, reason: 'R', source: { component: 'test-controller' } });
});
