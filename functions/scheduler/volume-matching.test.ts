import { describe, expect, it } from 'vitest';
import type { PersistentVolume, PersistentVolumeClaim, StorageClass } from '../machinery/kinds.d.ts';
import { noObjects } from './cluster-objects.ts';
import { emptyNode } from './snapshot.ts';
import { node } from './test-objects.ts';
import { planVolumes } from './volume-matching.ts';

const claim = (name: string, storage: string, more: object = {}) =>
  ({
    metadata: { name, namespace: 'default', uid: `uid-${name}`, ...more },
    spec: { accessModes: ['ReadWriteOnce'], storageClassName: 'w', resources: { requests: { storage } } },
  }) as PersistentVolumeClaim;
const volume = (name: string, storage: string, more: object = {}) =>
  [
    name,
    {
      metadata: { name },
      spec: { accessModes: ['ReadWriteOnce'], storageClassName: 'w', capacity: { storage }, ...more },
    } as PersistentVolume,
  ] as const;
const objects = (volumes: (readonly [string, PersistentVolume])[], storageClass: Partial<StorageClass> = {}) => ({
  ...noObjects(),
  volumes: new Map(volumes),
  classes: new Map([
    ['w', { metadata: { name: 'w' }, provisioner: 'kubernetes.io/no-provisioner', ...storageClass } as StorageClass],
  ]),
});
const here = emptyNode(node('a'));
const plan = (claims: PersistentVolumeClaim[], given: ReturnType<typeof objects>) => {
  const made = planVolumes(claims, here, given);
  if (typeof made === 'string') return made;
  const bind = Object.fromEntries(made.bind.map((b) => [b.claim.metadata.name, b.volume.metadata.name]));
  return { bind, provision: made.provision.map((c) => c.metadata.name) };
};

describe('planVolumes', () => {
  it('gives the smallest volumes that are large enough, each once', () => {
    const given = objects([volume('big', '10Gi'), volume('mid', '5Gi'), volume('small', '1Gi')]);
    expect(plan([claim('x', '4Gi'), claim('y', '2Gi')], given)).toEqual({
      bind: { x: 'big', y: 'mid' },
      provision: [],
    });
    expect(plan([claim('x', '11Gi')], given)).toBe('no volume');
  });
  it('prefers the volume that was made for the claim, and leaves alone what is promised to another', () => {
    const made = { claimRef: { namespace: 'default', name: 'x' } };
    const given = objects([volume('v', '1Gi'), volume('w', '9Gi', made)]);
    expect(plan([claim('x', '1Gi')], given)).toEqual({ bind: { x: 'w' }, provision: [] });
    given.promised.volumes.set('v', 'default/z');
    expect(plan([claim('y', '1Gi')], given)).toBe('no volume');
    expect(plan([claim('z', '1Gi')], given)).toEqual({ bind: { z: 'v' }, provision: [] });
  });
  it('goes where another pod brings the claim already', () => {
    const given = objects([volume('v', '1Gi')]);
    given.promised.claims.set('default/x', 'b');
    expect(plan([claim('x', '1Gi')], given)).toBe('no volume');
    given.promised.claims.set('default/x', 'a');
    expect(plan([claim('x', '1Gi')], given)).toEqual({ bind: {}, provision: [] });
  });
  it('provisions where the class allows it and the driver has room', () => {
    const given = objects([], { provisioner: 'd' });
    expect(plan([claim('x', '2Gi')], given)).toEqual({ bind: {}, provision: ['x'] });
    const capacity = (size: string) => ({
      metadata: { name: size },
      storageClassName: 'w',
      nodeTopology: { matchLabels: { 'kubernetes.io/hostname': 'a' } },
      capacity: size,
    });
    const csiDrivers = new Map([['d', { metadata: { name: 'd' }, spec: { storageCapacity: true } }]]);
    expect(plan([claim('x', '2Gi')], { ...given, csiDrivers, capacities: [capacity('1Gi')] })).toBe('no room');
    expect(plan([claim('x', '1Gi')], { ...given, csiDrivers, capacities: [capacity('1Gi')] })).toEqual({
      bind: {},
      provision: ['x'],
    });
  });
  it('keeps to the node that a claim was given before', () => {
    const given = objects([], { provisioner: 'd' });
    const selected = (name: string) => ({ annotations: { 'volume.kubernetes.io/selected-node': name } });
    expect(plan([claim('x', '1Gi', selected('b'))], given)).toBe('no volume');
    expect(plan([claim('x', '1Gi', selected('a'))], given)).toEqual({ bind: {}, provision: ['x'] });
  });
});
