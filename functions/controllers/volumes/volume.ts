import type { PersistentVolume, PersistentVolumeClaim } from '../../machinery/kinds.d.ts';
import type { Controller, EventDraft, Plan } from '../controller.ts';
import { expectsOf, ownKey, targetOf } from '../owners.ts';
import { persistentVolumeClaims, persistentVolumes } from '../resources.ts';
import { statusWrite } from '../status-patch.ts';
import { boundByController } from './match.ts';

export interface VolumeObserved {
  volume: PersistentVolume;
  /** The claim that the volume names, when it exists. */
  claim: PersistentVolumeClaim | undefined;
}

type Phase = NonNullable<PersistentVolume['status']>['phase'];

const provisionedBy = 'pv.kubernetes.io/provisioned-by';

const phase = (
  volume: PersistentVolume,
  wanted: NonNullable<Phase>,
  events: EventDraft[] = [],
  message?: string,
): Plan => {
  if (volume.status?.phase === wanted) return { writes: [] };
  return { writes: statusWrite(volume, persistentVolumes, { phase: wanted, ...(message && { message }) }), events };
};

/** The claim is gone. A provisioner outside deletes what it made; nobody here can delete or recycle a disk. */
const release = (volume: PersistentVolume): Plan => {
  const policy = volume.spec?.persistentVolumeReclaimPolicy ?? 'Retain';
  const outside = volume.metadata.annotations?.[provisionedBy] !== undefined || volume.spec?.csi !== undefined;
  if (policy === 'Retain' || (policy === 'Delete' && outside)) return phase(volume, 'Released');
  const recycles = policy === 'Recycle';
  const message = `no volume plugin ${recycles ? 'recycles' : 'deletes'} volumes of this type`;
  const reason = recycles ? 'VolumeRecycleFailed' : 'VolumeFailedDelete';
  return phase(volume, 'Failed', [{ regarding: volume, type: 'Warning', reason, message }], message);
};

const decide = ({ volume, claim }: VolumeObserved): Plan => {
  const reference = volume.spec?.claimRef;
  if (!reference?.uid) return phase(volume, 'Available');
  if (!claim || claim.metadata.uid !== reference.uid) return release(volume);
  if (claim.spec?.volumeName === volume.metadata.name) return phase(volume, 'Bound');
  // The claim will be bound to it by its own key, or has chosen another one meanwhile.
  if (!claim.spec?.volumeName || volume.metadata.annotations?.[boundByController] !== 'yes') return { writes: [] };
  const merge = { metadata: { annotations: { [boundByController]: null } }, spec: { claimRef: null } };
  const target = targetOf(volume);
  return { writes: [{ op: 'patch', resource: persistentVolumes, target, merge, expects: expectsOf(volume) }] };
};

/** Keeps the phase of volumes, and frees those that their claim did not take. */
export const volumeBinder: Controller<VolumeObserved> = {
  name: 'persistentvolume-binder',
  component: 'persistentvolume-controller',
  watches: [
    { resource: persistentVolumes, keys: ownKey },
    {
      resource: persistentVolumeClaims,
      async keys({ object }, read) {
        const { namespace, name } = object.metadata;
        const all = await read.list<PersistentVolume>(persistentVolumes);
        return all
          .filter(({ spec }) => spec?.claimRef?.name === name && spec?.claimRef?.namespace === namespace)
          .map((volume) => volume.metadata.name ?? '');
      },
    },
  ],
  async observe(read, key) {
    const volume = await read.get<PersistentVolume>(persistentVolumes, '', key.name);
    if (!volume) return undefined;
    const { namespace = '', name = '', uid } = volume.spec?.claimRef ?? {};
    const find = () => read.get<PersistentVolumeClaim>(persistentVolumeClaims, namespace, name);
    let claim = uid ? await find() : undefined;
    if (uid && claim?.metadata.uid !== uid) {
      await read.fresh(persistentVolumeClaims);
      claim = await find();
    }
    return { volume, claim };
  },
  decide,
};
