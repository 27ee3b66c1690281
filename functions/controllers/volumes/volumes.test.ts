import { describe, expect, it } from 'vitest';
import type { Reader } from '../../client/reader.ts';
import type { PersistentVolume, PersistentVolumeClaim, StorageClass } from '../../machinery/kinds.d.ts';
import { claimBinder } from './claim.ts';
import { attributesClassProtection, claimProtection } from './protection.ts';
import { volumeBinder } from './volume.ts';

const volume = (name: string, storage: string, more: object = {}, phase = 'Available'): PersistentVolume =>
  ({
    metadata: { name, uid: name, resourceVersion: '1' },
    spec: { capacity: { storage }, accessModes: ['ReadWriteOnce'], storageClassName: 's', ...more },
    status: { phase },
  }) as PersistentVolume;
const claim = (spec: object = {}, annotations: Record<string, string> = {}): PersistentVolumeClaim =>
  ({
    metadata: { name: 'c', namespace: 'n', uid: 'u', resourceVersion: '1', annotations },
    spec: {
      accessModes: ['ReadWriteOnce'],
      storageClassName: 's',
      resources: { requests: { storage: '5Gi' } },
      ...spec,
    },
    status: { phase: 'Pending' },
  }) as PersistentVolumeClaim;
const bind = (of: PersistentVolumeClaim, volumes: PersistentVolume[], storageClass?: StorageClass) => {
  const plan = claimBinder.decide({ claim: of, volumes, storageClass }, 0);
  const bound = plan.writes.find((write) => write.resource.resource === 'persistentvolumes');
  return { plan, to: bound?.op === 'patch' ? bound.target.name : undefined, events: plan.events?.map((e) => e.reason) };
};
const waiting: StorageClass = {
  metadata: { name: 's' },
  provisioner: 'kubernetes.io/no-provisioner',
  volumeBindingMode: 'WaitForFirstConsumer',
};
const mine = { claimRef: { namespace: 'n', name: 'c' } };

describe('claims', () => {
  it('take the smallest volume that is large enough, or the one that names them', () => {
    const volumes = [volume('small', '1Gi'), volume('big', '50Gi'), volume('fits', '6Gi')];
    expect(bind(claim(), volumes).to).toBe('fits');
    expect(bind(claim(), [...volumes, volume('named', '90Gi', mine)]).to).toBe('named');
  });

  it.each([
    ['another class', volume('v', '5Gi', { storageClassName: 'x' })],
    ['a block device', volume('v', '5Gi', { volumeMode: 'Block' })],
    ['another access mode', volume('v', '5Gi', { accessModes: ['ReadOnlyMany'] })],
    ['a volume of another claim', volume('v', '5Gi', { claimRef: { namespace: 'n', name: 'other' } })],
    ['a released volume', volume('v', '5Gi', {}, 'Released')],
  ])('do not take %s', (_what, found) => {
    expect(bind(claim(), [found]).to).toBe(undefined);
  });

  it('wait for the scheduler where the class says so', () => {
    const free = [volume('v', '5Gi')];
    expect(bind(claim(), free, waiting)).toMatchObject({ to: undefined, events: ['WaitForFirstConsumer'] });
    expect(bind(claim(), [volume('v', '5Gi', mine)], waiting).to).toBe('v');
    expect(bind(claim({}, { 'volume.kubernetes.io/selected-node': 'x' }), free, waiting).to).toBe('v');
  });

  it('ask the provisioner of their class, and are lost without their volume', () => {
    const outside: StorageClass = { metadata: { name: 's' }, provisioner: 'example.com/csi' };
    const { plan, events } = bind(claim(), [], outside);
    expect(events).toEqual(['ExternalProvisioning']);
    expect(JSON.stringify(plan.writes)).toContain('"volume.kubernetes.io/storage-provisioner":"example.com/csi"');
    const bound = claim({ volumeName: 'v' }, { 'pv.kubernetes.io/bind-completed': 'yes' });
    expect(bind(bound, []).events).toEqual(['ClaimLost']);
  });
});

describe('volumes', () => {
  const phase = (of: PersistentVolume, found?: PersistentVolumeClaim) => {
    const [write] = volumeBinder.decide({ volume: of, claim: found }, 0).writes;
    return write?.op === 'patch' ? (write.merge.status as { phase?: string } | undefined)?.phase : undefined;
  };
  const bound = (policy: string, more: object = {}) =>
    volume(
      'v',
      '5Gi',
      { claimRef: { ...mine.claimRef, uid: 'u' }, persistentVolumeReclaimPolicy: policy, ...more },
      'x',
    );

  it('follow their claim', () => {
    expect(phase(volume('v', '5Gi', {}, 'Pending'))).toBe('Available');
    expect(phase(bound('Retain'), claim({ volumeName: 'v' }))).toBe('Bound');
    expect(phase(bound('Retain'))).toBe('Released');
    expect(phase(bound('Delete'))).toBe('Failed');
    expect(phase(bound('Delete', { csi: { driver: 'd', volumeHandle: 'h' } }))).toBe('Released');
  });
});

it('a claim loses its finalizer only when it is deleted and unused', () => {
  const kept = { ...claim(), metadata: { ...claim().metadata, finalizers: ['kubernetes.io/pvc-protection'] } };
  const dying = { ...kept, metadata: { ...kept.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } };
  const count = (object: PersistentVolumeClaim, used: boolean) =>
    claimProtection.decide({ object, used }, 0).writes.length;
  expect([count(claim(), true), count(kept, false), count(dying, true), count(dying, false)]).toEqual([1, 0, 0, 1]);
});

it('a class of volume attributes loses its finalizer only when no volume and no claim names it', async () => {
  const object = { metadata: { name: 'gold', deletionTimestamp: '2026-01-01T00:00:00Z' } };
  const observed = async (name: string, claims: object[], volumes: object[]) => {
    const lists: Record<string, object[]> = { persistentvolumeclaims: claims, persistentvolumes: volumes };
    const read = {
      get: async () => ({ metadata: { ...object.metadata, name } }),
      list: async ({ resource }: { resource: string }) => lists[resource] ?? [],
      fresh: async () => {},
    } as unknown as Reader;
    return (await attributesClassProtection.observe(read, { namespace: '', name } as never))?.used;
  };
  const claims = [{ spec: { volumeAttributesClassName: 'gold' }, status: { currentVolumeAttributesClassName: 'tin' } }];
  expect(await observed('gold', claims, [])).toBe(true);
  expect(await observed('tin', claims, [])).toBe(true);
  expect(await observed('lead', claims, [{ spec: { volumeAttributesClassName: 'lead' } }])).toBe(true);
  expect(await observed('iron', claims, [])).toBe(false);
  const decide = (used: boolean, finalizers: string[]) =>
    attributesClassProtection.decide({ object: { metadata: { ...object.metadata, finalizers } }, used }, 0).writes;
  expect(decide(true, ['kubernetes.io/vac-protection'])).toEqual([]);
  expect(decide(false, ['kubernetes.io/vac-protection', 'x'])).toMatchObject([
    { merge: { metadata: { finalizers: ['x'] } } },
  ]);
});
