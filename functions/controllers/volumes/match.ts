import type { PersistentVolume, PersistentVolumeClaim } from '../../machinery/kinds.d.ts';
import { compareQuantity } from '../../machinery/quantity.ts';
import { selects } from '../selector.ts';

export const boundByController = 'pv.kubernetes.io/bound-by-controller';
export const bindCompleted = 'pv.kubernetes.io/bind-completed';
const classAnnotation = 'volume.beta.kubernetes.io/storage-class';

export const classOf = (object: PersistentVolume | PersistentVolumeClaim): string =>
  object.metadata.annotations?.[classAnnotation] ?? object.spec?.storageClassName ?? '';

/** The volume names this claim; one that was written by hand may leave the uid out. */
export const isFor = (volume: PersistentVolume, claim: PersistentVolumeClaim): boolean => {
  const reference = volume.spec?.claimRef;
  if (!reference || reference.name !== claim.metadata.name) return false;
  if (reference.namespace !== claim.metadata.namespace) return false;
  return !reference.uid || reference.uid === claim.metadata.uid;
};

const storage = (volume: PersistentVolume): string => String(volume.spec?.capacity?.storage ?? '0');

const satisfies = (volume: PersistentVolume, claim: PersistentVolumeClaim): boolean => {
  const { accessModes = [], resources, volumeMode = 'Filesystem' } = claim.spec ?? {};
  const modes: readonly string[] = volume.spec?.accessModes ?? [];
  return (
    (volume.spec?.volumeMode ?? 'Filesystem') === volumeMode &&
    accessModes.every((mode) => modes.includes(mode)) &&
    compareQuantity(storage(volume), String(resources?.requests?.storage ?? '0')) >= 0
  );
};

/**
 * The volume to bind a claim to: one that names it, else the smallest free one that is large enough and of the same
 * class, mode, access and labels. `waits`: the scheduler chooses, so that only a volume that names the claim counts.
 */
export const bestVolume = (
  claim: PersistentVolumeClaim,
  volumes: readonly PersistentVolume[],
  waits: boolean,
): PersistentVolume | undefined => {
  const alive = volumes.filter((volume) => !volume.metadata.deletionTimestamp && satisfies(volume, claim));
  const named = alive.find((volume) => isFor(volume, claim));
  if (named || waits) return named;
  const labels = claim.spec?.selector ? selects(claim.spec.selector) : () => true;
  const free = alive.filter(
    (volume) =>
      !volume.spec?.claimRef &&
      (volume.status?.phase ?? 'Available') === 'Available' &&
      classOf(volume) === classOf(claim) &&
      labels(volume.metadata.labels),
  );
  return free.sort(
    (a, b) => compareQuantity(storage(a), storage(b)) || ((a.metadata.name ?? '') < (b.metadata.name ?? '') ? -1 : 1),
  )[0];
};
