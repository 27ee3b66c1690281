// What the functions of a deployment do for clusters that nobody uses: nothing.
import { expect, it } from 'vitest';
import { createSimulatedClock } from '../../clock/simulated.ts';
import type { Message } from '../../queue/queue.ts';
import { createMemoryStore } from '../../store/memory.ts';
import { createCloudPlane } from './plane.ts';
import { createWork } from './work.ts';

const CLUSTERS = { group: 'skiff.dev', version: 'v1', resource: 'clusters' };
const IDLE = 1000;

it('a thousand idle clusters wake no function; one that is used wakes its own only; one that is deleted goes', async () => {
  const clock = createSimulatedClock();
  const feed = createMemoryStore();
  const { subscribe: _, ...store } = feed;
  const plane = await createCloudPlane({ store, clock, log: () => {} });
  const sent: Message[] = [];
  const queue = { send: async (messages: Message[]) => void sent.push(...messages) };
  const work = createWork(plane, queue);
  const dispatched: Promise<void>[] = [];
  // What the dispatcher function does with each record of the stream.
  feed.subscribe((domain, changes) => void dispatched.push(work.dispatcher.changed(domain, changes)));
  const rest = async () => {
    while (dispatched.length > 0) await dispatched.pop();
  };
  await plane.fleet.clusterExists('system');
  await rest();
  sent.length = 0;

  for (let i = 0; i < IDLE; i++)
    await plane.client('system').create(CLUSTERS, {
      apiVersion: 'skiff.dev/v1',
      kind: 'Cluster',
      metadata: { name: `idle-${i}` },
    });
  await rest();
  expect(sent).toEqual([]);
  await clock.advance(3_600_000);
  expect(sent).toEqual([]);

  await plane.client('idle-7').list({ group: '', version: 'v1', resource: 'namespaces' });
  await rest();
  expect(new Set(sent.map(({ cluster }) => cluster))).toEqual(new Set(['idle-7']));
  expect(sent.length).toBeGreaterThan(10);
  const left = sent.splice(0);

  await plane.client('system').delete(CLUSTERS, '', 'idle-7');
  await rest();
  expect(sent).toContainEqual({ cluster: 'system', consumer: 'fleet', key: 'idle-7' });
  for (let steps = 0; sent.length > 0 && steps < 50; steps++) {
    const message = sent.shift();
    if (message?.consumer === 'fleet') await work.handle(message);
    await rest();
    await clock.advance(20_000);
  }
  expect(await feed.domains('idle-7')).toEqual([]);
  // Messages that outlive their cluster bring nothing back.
  for (const message of left) await work.handle(message);
  await rest();
  expect(await feed.domains('idle-7')).toEqual([]);
}, 60_000);
