import type { Reader } from '../../client/reader.ts';
import type { PersistentVolume, PersistentVolumeClaim, StorageClass } from '../../machinery/kinds.d.ts';
import { keyOf } from '../../machinery/object.ts';
import type { Controller, EventDraft, Plan, PlannedWrite } from '../controller.ts';
import { expectsOf, ownKey, targetOf } from '../owners.ts';
import { persistentVolumeClaims, persistentVolumes, storageClasses } from '../resources.ts';
import { statusWrite } from '../status-patch.ts';
import { bestVolume, bindCompleted, boundByController, classOf, isFor } from './match.ts';

export interface ClaimObserved {
  claim: PersistentVolumeClaim;
  /** The volume that the claim names; for a claim that names none, every volume. */
  volumes: readonly PersistentVolume[];
  storageClass: StorageClass | undefined;
}

const selectedNode = 'volume.kubernetes.io/selected-node';
const provisionerAnnotations = [
  'volume.beta.kubernetes.io/storage-provisioner',
  'volume.kubernetes.io/storage-provisioner',
];

const bind = (volume: PersistentVolume, claim: PersistentVolumeClaim): PlannedWrite[] => {
  const { name = '', namespace = '', uid = '' } = claim.metadata;
  const writes: PlannedWrite[] = [];
  const reference = volume.spec?.claimRef;
  if (reference?.uid !== uid) {
    const claimRef = { kind: 'PersistentVolumeClaim', apiVersion: 'v1', namespace, name, uid };
    const metadata = reference ? {} : { metadata: { annotations: { [boundByController]: 'yes' } } };
    const merge = { ...metadata, spec: { claimRef } };
    const expects = expectsOf(volume);
    writes.push({ op: 'patch', resource: persistentVolumes, target: targetOf(volume), merge, expects });
  }
  const annotations = claim.metadata.annotations ?? {};
  const named = Boolean(claim.spec?.volumeName);
  if (!named || annotations[bindCompleted] !== 'yes') {
    const added = { [bindCompleted]: 'yes', ...(!named && { [boundByController]: 'yes' }) };
    const merge = { metadata: { annotations: added }, spec: { volumeName: volume.metadata.name ?? '' } };
    const expects = expectsOf(claim);
    writes.push({ op: 'patch', resource: persistentVolumeClaims, target: targetOf(claim), merge, expects });
  }
  const { accessModes, capacity } = volume.spec ?? {};
  const status = {
    ...claim.status,
    phase: 'Bound' as const,
    ...(accessModes && { accessModes }),
    capacity: { ...claim.status?.capacity, ...(capacity?.storage !== undefined && { storage: capacity.storage }) },
  };
  // The claim was written just before: only its uid can be believed in.
  return [...writes, ...statusWrite(claim, persistentVolumeClaims, status, { uid })];
};

const event = (
  claim: PersistentVolumeClaim,
  type: EventDraft['type'],
  reason: string,
  message: string,
): EventDraft => ({ regarding: claim, type, reason, message });

const pending = (claim: PersistentVolumeClaim, events: EventDraft[], writes: PlannedWrite[] = []): Plan => ({
  writes: [
    ...writes,
    ...(claim.status?.phase === 'Pending'
      ? []
      : statusWrite(claim, persistentVolumeClaims, { phase: 'Pending' }, { uid: claim.metadata.uid ?? '' })),
  ],
  events,
});

const lost = (claim: PersistentVolumeClaim, reason: string, message: string): Plan => {
  if (claim.status?.phase === 'Lost') return { writes: [] };
  const writes = statusWrite(claim, persistentVolumeClaims, { phase: 'Lost' });
  return { writes, events: [event(claim, 'Warning', reason, message)] };
};

const waitsForConsumer = ({ claim, storageClass }: ClaimObserved): boolean =>
  storageClass?.volumeBindingMode === 'WaitForFirstConsumer' && !claim.metadata.annotations?.[selectedNode];

/** No volume fits: someone else has to make one, or nobody can. */
const provision = (observed: ClaimObserved): Plan => {
  const { claim, storageClass } = observed;
  const name = classOf(claim);
  if (name === '') {
    const message = 'no persistent volumes available for this claim and no storage class is set';
    return pending(claim, [event(claim, 'Normal', 'FailedBinding', message)]);
  }
  if (!storageClass) {
    const message = `storageclass.storage.k8s.io "${name}" not found`;
    return pending(claim, [event(claim, 'Warning', 'ProvisioningFailed', message)]);
  }
  const { provisioner } = storageClass;
  if (provisioner === 'kubernetes.io/no-provisioner') return pending(claim, []);
  const annotations = Object.fromEntries(provisionerAnnotations.map((key) => [key, provisioner]));
  const known = provisionerAnnotations.every((key) => claim.metadata.annotations?.[key] === provisioner);
  const [resource, target, expects] = [persistentVolumeClaims, targetOf(claim), expectsOf(claim)];
  const merge = { metadata: { annotations } };
  const message = `Waiting for a volume to be created either by the external provisioner '${provisioner}' or manually by the system administrator.`;
  return pending(
    claim,
    [event(claim, 'Normal', 'ExternalProvisioning', message)],
    known ? [] : [{ op: 'patch', resource, target, merge, expects }],
  );
};

const decideBound = ({ claim, volumes }: ClaimObserved): Plan => {
  const [volume] = volumes;
  if (!claim.spec?.volumeName || !volume) {
    return lost(claim, 'ClaimLost', 'Bound claim has lost its PersistentVolume. Data on the volume is lost!');
  }
  if (volume.spec?.claimRef && !isFor(volume, claim)) {
    return lost(claim, 'ClaimMisbound', 'Two claims are bound to the same volume, this one is bound incorrectly');
  }
  return { writes: bind(volume, claim) };
};

const decide = (observed: ClaimObserved): Plan => {
  const { claim, volumes } = observed;
  if (claim.metadata.annotations?.[bindCompleted] === 'yes') return decideBound(observed);
  if (claim.spec?.volumeName) {
    const [volume] = volumes;
    if (!volume) return pending(claim, []);
    if (!volume.spec?.claimRef || isFor(volume, claim)) return { writes: bind(volume, claim) };
    const message = `volume "${volume.metadata.name}" already bound to a different claim.`;
    return pending(claim, [event(claim, 'Warning', 'FailedBinding', message)]);
  }
  const waits = waitsForConsumer(observed);
  const volume = bestVolume(claim, volumes, waits);
  if (volume) return { writes: bind(volume, claim) };
  if (!waits) return provision(observed);
  const message = 'waiting for first consumer to be created before binding';
  return pending(claim, [event(claim, 'Normal', 'WaitForFirstConsumer', message)]);
};

const keysOf = (list: readonly PersistentVolumeClaim[]): string[] =>
  list.map((claim) => keyOf(claim.metadata.namespace, claim.metadata.name ?? ''));

/** The claim that the volume names, or every claim of its class that still looks for one. */
const volumeKeys = async (volume: PersistentVolume, deleted: boolean, read: Reader): Promise<string[]> => {
  const { namespace, name = '' } = volume.spec?.claimRef ?? {};
  if (namespace) return [keyOf(namespace, name)];
  if (deleted) return [];
  const all = await read.list<PersistentVolumeClaim>(persistentVolumeClaims);
  const own = volume.metadata.name;
  return keysOf(
    all.filter(({ spec, ...claim }) =>
      spec?.volumeName
        ? spec.volumeName === own
        : classOf({ spec, ...claim } as PersistentVolumeClaim) === classOf(volume),
    ),
  );
};

/** Binds claims to volumes that exist already; who makes volumes is a provisioner outside. */
export const claimBinder: Controller<ClaimObserved> = {
  name: 'persistentvolumeclaim-binder',
  component: 'persistentvolume-controller',
  watches: [
    { resource: persistentVolumeClaims, keys: ownKey },
    {
      resource: persistentVolumes,
      keys: ({ object, deleted }, read) => volumeKeys(object as PersistentVolume, deleted, read),
    },
    {
      resource: storageClasses,
      async keys({ object }, read) {
        const all = await read.list<PersistentVolumeClaim>(persistentVolumeClaims);
        return keysOf(all.filter((claim) => !claim.spec?.volumeName && classOf(claim) === object.metadata.name));
      },
    },
  ],
  async observe(read, key) {
    const claim = await read.get<PersistentVolumeClaim>(persistentVolumeClaims, key.namespace, key.name);
    if (!claim) return undefined;
    const name = claim.spec?.volumeName;
    const named = name ? await read.get<PersistentVolume>(persistentVolumes, '', name) : undefined;
    const volumes = name ? (named ? [named] : []) : await read.list<PersistentVolume>(persistentVolumes);
    if (name && !named) await read.fresh(persistentVolumes);
    const found = named ?? (name ? await read.get<PersistentVolume>(persistentVolumes, '', name) : undefined);
    const storageClass = await read.get<StorageClass>(storageClasses, '', classOf(claim));
    return { claim, volumes: name && found ? [found] : volumes, storageClass };
  },
  decide,
};
