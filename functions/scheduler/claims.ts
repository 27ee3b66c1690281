import type { PersistentVolume, PersistentVolumeClaim, Pod } from '../machinery/kinds.d.ts';
import { keyOf } from '../machinery/object.ts';
import type { ClusterObjects } from './cluster-objects.ts';

export const BIND_COMPLETED = 'pv.kubernetes.io/bind-completed';
export const SELECTED_NODE = 'volume.kubernetes.io/selected-node';
export const BOUND_BY_CONTROLLER = 'pv.kubernetes.io/bound-by-controller';
export const NO_PROVISIONER = 'kubernetes.io/no-provisioner';

/** The names of the claims of a pod, those of its ephemeral volumes too. */
export const claimNames = (pod: Pod): string[] => {
  const out: string[] = [];
  for (const volume of pod.spec?.volumes ?? []) {
    if (volume.persistentVolumeClaim) out.push(volume.persistentVolumeClaim.claimName);
    else if (volume.ephemeral) out.push(`${pod.metadata.name}-${volume.name}`);
  }
  return out;
};

export const claimKey = (claim: PersistentVolumeClaim): string =>
  keyOf(claim.metadata.namespace, claim.metadata.name ?? '');

export const isBound = (claim: PersistentVolumeClaim): boolean =>
  Boolean(claim.spec?.volumeName) && claim.metadata.annotations?.[BIND_COMPLETED] !== undefined;

export const className = (claim: PersistentVolumeClaim): string =>
  claim.metadata.annotations?.['volume.beta.kubernetes.io/storage-class'] ?? claim.spec?.storageClassName ?? '';

/** Whether a claim is bound only once a pod that uses it has a node. */
export const waitsForConsumer = (claim: PersistentVolumeClaim, objects: ClusterObjects): boolean =>
  !claim.spec?.volumeName && objects.classes.get(className(claim))?.volumeBindingMode === 'WaitForFirstConsumer';

export const refersTo = (volume: PersistentVolume, claim: PersistentVolumeClaim): boolean => {
  const ref = volume.spec?.claimRef;
  if (!ref || ref.name !== claim.metadata.name || ref.namespace !== claim.metadata.namespace) return false;
  return !ref.uid || ref.uid === claim.metadata.uid;
};
