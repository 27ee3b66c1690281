import { expect, it } from 'vitest';
import type { Clock } from '../clock/clock.ts';
import { createMemoryStore } from './memory.ts';
import { createReplicas } from './replica.ts';
import { createReplicaReader } from './replica-reader.ts';
import { firstHead, type Indexed, type Write } from './store.ts';

const clock: Clock = {
  now: () => Date.now(),
  sleep: () => Promise.resolve(),
  after: (ms, callback) => {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
  uuid: () => '',
  random: () => 0,
};
const pods = { group: '', resource: 'pods' };
const pod = (namespace: string, name: string, node: string, owner: string): Write => {
  const index: Indexed = { labels: { app: name }, fields: { 'spec.nodeName': node }, owners: [owner] };
  const bytes = (revision: bigint) =>
    new TextEncoder().encode(JSON.stringify({ metadata: { namespace, name, resourceVersion: `${revision}` } }));
  return { op: 'create', key: `${namespace}/${name}`, index, bytes };
};

it('reads decoded objects by key, namespace, labels, field and owner, each decoded once', async () => {
  const store = createMemoryStore();
  const replicas = createReplicas(store, { bytesMax: 1e8, windowChanges: 100, windowMs: 1e6, clock });
  const reader = createReplicaReader(replicas, 'c');
  const domain = { cluster: 'c', ...pods };
  await store.commit(domain, [pod('x', 'a', 'n1', 'u1'), pod('x', 'b', 'n2', 'u1'), pod('y', 'a', 'n1', 'u2')]);
  const names = (items: readonly { metadata: { namespace?: string; name?: string } }[]) =>
    items.map((item) => `${item.metadata.namespace}/${item.metadata.name}`).sort();

  expect(names(await reader.list(pods))).toEqual(['x/a', 'x/b', 'y/a']);
  expect(names(await reader.list(pods, { namespace: 'x' }))).toEqual(['x/a', 'x/b']);
  expect(names(await reader.list(pods, { matches: (labels) => labels.app === 'a' }))).toEqual(['x/a', 'y/a']);
  const onNode = { name: 'spec.nodeName', value: 'n1' };
  expect(names(await reader.list(pods, { field: onNode }))).toEqual(['x/a', 'y/a']);
  expect(names(await reader.list(pods, { field: onNode, namespace: 'y' }))).toEqual(['y/a']);
  expect(names(await reader.ownedBy(pods, 'u1'))).toEqual(['x/a', 'x/b']);
  expect(await reader.get(pods, 'x', 'zzz')).toBeUndefined();
  expect(await reader.get(pods, 'x', 'a')).toBe(await reader.get(pods, 'x', 'a'));

  await store.commit(domain, [
    pod('x', 'c', 'n1', 'u1'),
    { op: 'delete', key: 'x/a', expected: firstHead(domain) + 1n },
  ]);
  expect(await reader.atLeast(pods, `${firstHead(domain) + 5n}`, 100)).toBe(true);
  expect(await reader.atLeast(pods, `${firstHead(domain) + 6n}`, 5)).toBe(false);
  expect(names(await reader.list(pods, { field: onNode }))).toEqual(['x/c', 'y/a']);
  expect(names(await reader.ownedBy(pods, 'u1'))).toEqual(['x/b', 'x/c']);
  await replicas.close();
});
