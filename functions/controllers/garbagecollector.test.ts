import { expect, it } from 'vitest';
import type { Reader } from '../client/reader.ts';
import type { KubeObject } from '../machinery/object.ts';
import { createGarbageCollector, type GarbageObserved } from './garbagecollector.ts';

const pods = { group: '', version: 'v1', resource: 'pods', kind: 'Pod', namespaced: true } as const;

it('a circle of owners that wait for each other is opened where it closes, then goes on in the foreground', () => {
  const collector = createGarbageCollector(async () => []);
  const seen = (blockOwnerDeletion: boolean): GarbageObserved => {
    const reference = { apiVersion: 'v1', kind: 'Pod', name: 'two', uid: 'u2', blockOwnerDeletion };
    const object: KubeObject = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'three', namespace: 'n', uid: 'u3', resourceVersion: '7', ownerReferences: [reference] },
    };
    const owners = [{ reference, state: 'waiting' as const }];
    return { dependents: [{ type: pods, object, owners, hasDependents: true, inCircle: true }] };
  };
  expect(collector.decide(seen(true), 0).writes).toMatchObject([
    { op: 'patch', merge: { metadata: { ownerReferences: [{ name: 'two', blockOwnerDeletion: false }] } } },
  ]);
  expect(collector.decide(seen(false), 0).writes).toMatchObject([{ op: 'delete', propagation: 'Foreground' }]);
});

it('an owner of a kind that is not served is neither there nor gone: its dependents stay and are looked at again', () => {
  const collector = createGarbageCollector(async () => []);
  const reference = { apiVersion: 'x.dev/v1', kind: 'X', name: 'x', uid: 'u1' };
  const metadata = { name: 'p', namespace: 'n', uid: 'u3', resourceVersion: '7', ownerReferences: [reference] };
  const object: KubeObject = { apiVersion: 'v1', kind: 'Pod', metadata };
  const seen = (state: 'unknown' | 'misplaced' | 'gone'): GarbageObserved => ({
    dependents: [{ type: pods, object, owners: [{ reference, state }], hasDependents: false, inCircle: false }],
  });
  expect(collector.decide(seen('unknown'), 0)).toEqual({ writes: [], again: { afterMs: 60_000 } });
  expect(collector.decide(seen('misplaced'), 0)).toEqual({ writes: [] });
  expect(collector.decide(seen('gone'), 0).writes).toMatchObject([{ op: 'delete' }]);
});

it('an object whose owners stay is not looked at again, also where only the index of what it was is known', async () => {
  const watch = createGarbageCollector(async () => []).watches[0];
  const metadata = {
    name: 'p',
    namespace: 'n',
    uid: 'u3',
    ownerReferences: [{ apiVersion: 'v1', kind: 'X', name: 'x', uid: 'u1' }],
  };
  const object = { apiVersion: 'v1', kind: 'Pod', metadata } as KubeObject;
  const change = { resource: { group: '', resource: 'pods' }, object, deleted: false };
  const read = { cluster: 'default' } as Reader;
  expect(await watch?.keys({ ...change, previousOwners: ['u1'] }, read)).toEqual([]);
  expect(await watch?.keys({ ...change, previousOwners: ['u2'] }, read)).toEqual(['x:|pods|n|p']);
  expect(await watch?.keys(change, read)).toEqual(['x:|pods|n|p']);
});
