import { expect, test } from 'vitest';
import { createSimulatedClock, settle } from '../clock/simulated.ts';
import type { KubeObject } from '../machinery/object.ts';
import { expired } from '../machinery/status.ts';
import type { Client, WatchEvent } from './client.ts';
import { createFakeCluster } from './fake.ts';
import { createInformer } from './informer.ts';
import { createInformerReader } from './informer-reader.ts';

const configMaps = { group: '', version: 'v1', resource: 'configmaps' };
const named = (name: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'x', ownerReferences: [{ apiVersion: 'v1', kind: 'A', name: 'o', uid: 'owner' }] },
});

test('lists, follows, and lists again after 410', async () => {
  const clock = createSimulatedClock();
  const { client } = createFakeCluster({ clock });
  await client.create(configMaps, named('a'));
  let breaks: ((error: unknown) => void) | undefined;
  let lists = 0;
  const flaky: Client = {
    ...client,
    async list(resource, options) {
      lists++;
      return client.list(resource, options);
    },
    async *watch<T extends KubeObject>(): AsyncGenerator<WatchEvent<T>> {
      await new Promise<void>((_, reject) => {
        breaks = reject;
      });
    },
  };
  const changes: string[] = [];
  const informer = createInformer({
    client: flaky,
    clock,
    resource: configMaps,
    onChange: ({ object, previous }) =>
      changes.push(object ? `+${object.metadata.name}` : `-${previous?.metadata.name}`),
  });
  const abort = new AbortController();
  const done = informer.run(abort.signal);
  await informer.synced;
  expect(changes).toEqual(['+a']);
  await client.create(configMaps, named('b'));
  await client.delete(configMaps, 'x', 'a');
  breaks?.(expired('too old'));
  await clock.advance(1_000);
  expect(changes).toEqual(['+a', '+b', '-a']);
  expect(lists).toBe(2);
  abort.abort();
  breaks?.(new Error('over'));
  await done;
});

test('a reader over informers indexes by owner and waits for a revision', async () => {
  const clock = createSimulatedClock();
  const { client } = createFakeCluster({ clock });
  const abort = new AbortController();
  const reader = createInformerReader({
    client,
    clock,
    cluster: 'c',
    versionOf: (resource) => ({ ...resource, version: 'v1' }),
    signal: abort.signal,
  });
  expect(await reader.ownedBy(configMaps, 'owner')).toEqual([]);
  await settle();
  const made = await client.create(configMaps, named('a'));
  expect(await reader.atLeast(configMaps, made.metadata.resourceVersion ?? '', 1_000)).toBe(true);
  expect(await reader.ownedBy(configMaps, 'owner')).toHaveLength(1);
  expect(await reader.list(configMaps, { namespace: 'x', matches: () => true })).toHaveLength(1);
  const late = reader.atLeast(configMaps, '999', 1_000);
  await clock.advance(1_001);
  expect(await late).toBe(false);
  await client.delete(configMaps, 'x', 'a');
  await reader.fresh(configMaps);
  expect(await reader.ownedBy(configMaps, 'owner')).toEqual([]);
  abort.abort();
});
