import type { OwnerReference, PersistentVolumeClaim, Pod, StatefulSet } from '../../machinery/kinds.d.ts';
import type { PlannedWrite } from '../controller.ts';
import { ownerReference, ownersPatch } from '../owners.ts';
import { persistentVolumeClaims } from '../resources.ts';
import { sameJson } from '../status-patch.ts';

/** Whether the claims of a set go with anything: with the set, or with a pod that scaling takes away. */
export const retains = (set: StatefulSet): boolean => {
  const policy = set.spec?.persistentVolumeClaimRetentionPolicy;
  return policy?.whenDeleted !== 'Delete' && policy?.whenScaled !== 'Delete';
};

/**
 * Gives the claims the owners with which they are to be collected (KEP-1847): the set with `whenDeleted: Delete`, the pod
 * beyond the wanted number with `whenScaled: Delete`. Owners that others wrote stay.
 */
export const retentionWrites = (
  set: StatefulSet,
  pods: ReadonlyMap<number, Pod>,
  claims: readonly PersistentVolumeClaim[],
): PlannedWrite[] => {
  const policy = set.spec?.persistentVolumeClaimRetentionPolicy;
  const first = set.spec?.ordinals?.start ?? 0;
  const end = first + (set.spec?.replicas ?? 1);
  const byName = new Map(claims.map((claim) => [claim.metadata.name, claim]));
  const writes: PlannedWrite[] = [];
  for (const [ordinal, pod] of pods) {
    const wanted: OwnerReference[] = [];
    const excess = ordinal < first || ordinal >= end;
    if (policy?.whenScaled === 'Delete' && excess) wanted.push(ownerReference(pod, 'v1', 'Pod'));
    else if (policy?.whenDeleted === 'Delete') wanted.push(ownerReference(set, 'apps/v1', 'StatefulSet'));
    const own = new Set([set.metadata.uid, pod.metadata.uid]);
    for (const template of set.spec?.volumeClaimTemplates ?? []) {
      const claim = byName.get(`${template.metadata.name}-${pod.metadata.name}`);
      if (!claim || claim.metadata.deletionTimestamp) continue;
      const owners = claim.metadata.ownerReferences ?? [];
      const next = [...owners.filter(({ uid }) => !own.has(uid)), ...wanted];
      if (!sameJson(owners, next)) writes.push(ownersPatch(claim, persistentVolumeClaims, next));
    }
  }
  return writes;
};
