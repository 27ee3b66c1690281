import { expect, test } from 'vitest';
import type { Client } from '../functions/client/client.ts';
import { createSystemClock } from '../functions/clock/system.ts';
import type { KubeObject } from '../functions/machinery/object.ts';
import { createRingBox, createRingDoorbell, createRings, RINGS_PATH, takeRings } from './doorbell.ts';

const clock = createSystemClock();
const pods = { group: '', version: 'v1', resource: 'pods' };
const pod = (name: string, resourceVersion: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, uid: name, resourceVersion },
});

test('lists when it rings, and tells only what is new', async () => {
  let items = [pod('a', '1')];
  let lists = 0;
  const client = { list: async () => ({ items, resourceVersion: `${++lists}` }) } as unknown as Client;
  const rings = createRings(clock);
  const stopping = new AbortController();
  const told: string[][] = [];
  const following = (async () => {
    for await (const event of createRingDoorbell(client, pods, {}, clock, rings).follow(stopping.signal))
      if (event.type === 'all') told.push(event.objects.map((one) => one.metadata.name ?? ''));
  })();
  await clock.sleep(20);
  rings.ring(['services']);
  await clock.sleep(20);
  expect(lists).toBe(1);
  rings.ring(['pods']);
  await clock.sleep(20);
  expect([lists, told.length]).toEqual([2, 1]);
  items = [];
  rings.ring(['pods', 'services']);
  await clock.sleep(20);
  expect(told).toEqual([['a'], []]);
  stopping.abort();
  await following;
});

test('a bell that rings during a list is heard after it', async () => {
  const rings = createRings(clock);
  rings.ring(['pods']);
  const began = performance.now();
  await rings.wait('pods', 5_000, new AbortController().signal);
  expect(performance.now() - began).toBeLessThan(1_000);
  await rings.wait('pods', 10, new AbortController().signal);
});

test('rings come from the box of a front to the agent', async () => {
  const box = createRingBox(clock);
  const paths: string[] = [];
  const client = {
    raw: async (_method: string, path: string) => {
      paths.push(path);
      return new Response(await box.take());
    },
  } as unknown as Client;
  const rings = createRings(clock);
  const stopping = new AbortController();
  void takeRings(client, clock, rings, stopping.signal);
  await clock.sleep(10);
  box.ring(['pods', 'pods']);
  box.ring(['services']);
  await rings.wait('services', 5_000, stopping.signal);
  stopping.abort();
  box.ring(['pods']);
  expect(paths[0]).toBe(RINGS_PATH);
});
