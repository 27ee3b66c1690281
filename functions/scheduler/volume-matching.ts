import type { PersistentVolume, PersistentVolumeClaim } from '../machinery/kinds.d.ts';
import { quantityValue } from '../machinery/quantity.ts';
import { labelSelector } from '../machinery/selectors.ts';
import { claimKey, className, NO_PROVISIONER, refersTo, SELECTED_NODE } from './claims.ts';
import type { ClusterObjects } from './cluster-objects.ts';
import type { NodeInfo } from './framework.ts';
import { selectorMatches } from './node-selection.ts';

const sizeOf = (claim: PersistentVolumeClaim): number => quantityValue(claim.spec?.resources?.requests?.storage ?? '0');
const capacityOf = (volume: PersistentVolume): number => quantityValue(volume.spec?.capacity?.storage ?? '0');

export const reaches = (volume: PersistentVolume, node: NodeInfo): boolean => {
  const required = volume.spec?.nodeAffinity?.required;
  return !required || selectorMatches(required, node.node);
};

/** Whether an unbound volume could serve a claim, wherever it is. */
const suits = (volume: PersistentVolume, claim: PersistentVolumeClaim): boolean => {
  const { spec } = volume;
  if (volume.metadata.deletionTimestamp || !spec) return false;
  if ((spec.volumeMode ?? 'Filesystem') !== (claim.spec?.volumeMode ?? 'Filesystem')) return false;
  if ((spec.volumeAttributesClassName ?? '') !== (claim.spec?.volumeAttributesClassName ?? '')) return false;
  if ((spec.storageClassName ?? '') !== className(claim)) return false;
  const modes = spec.accessModes ?? [];
  if (!(claim.spec?.accessModes ?? []).every((mode) => modes.includes(mode))) return false;
  if (claim.spec?.selector && !labelSelector(claim.spec.selector).matches(volume.metadata.labels)) return false;
  return capacityOf(volume) >= sizeOf(claim);
};

/** The smallest volume that a claim can have on a node; one that was made for the claim comes first. */
const bestVolume = (
  claim: PersistentVolumeClaim,
  node: NodeInfo,
  objects: ClusterObjects,
  taken: ReadonlySet<string>,
): PersistentVolume | undefined => {
  let best: { volume: PersistentVolume; size: number } | undefined;
  for (const [name, volume] of objects.volumes) {
    if (taken.has(name) || (objects.promised.volumes.get(name) ?? claimKey(claim)) !== claimKey(claim)) continue;
    const made = volume.spec?.claimRef && refersTo(volume, claim);
    if (!made && (volume.spec?.claimRef || (volume.status?.phase ?? 'Available') !== 'Available')) continue;
    if (!suits(volume, claim) || !reaches(volume, node)) continue;
    if (made) return volume;
    const size = capacityOf(volume);
    if (!best || size < best.size) best = { volume, size };
  }
  return best?.volume;
};

const allowed = (claim: PersistentVolumeClaim, node: NodeInfo, objects: ClusterObjects): boolean => {
  const storageClass = objects.classes.get(className(claim));
  if (!storageClass?.provisioner || storageClass.provisioner === NO_PROVISIONER) return false;
  const terms = storageClass.allowedTopologies ?? [];
  if (terms.length === 0) return true;
  return terms.some((term) =>
    (term.matchLabelExpressions ?? []).every((e) => e.values.includes(node.labels[e.key] ?? '')),
  );
};

/** Whether a driver that reports its room has enough of it for a node. Source: KEP-1472. */
const hasRoom = (claim: PersistentVolumeClaim, node: NodeInfo, objects: ClusterObjects): boolean => {
  const name = className(claim);
  const driver = objects.csiDrivers.get(objects.classes.get(name)?.provisioner ?? '');
  if (!driver?.spec?.storageCapacity) return true;
  const size = sizeOf(claim);
  return objects.capacities.some((c) => {
    if (c.storageClassName !== name || !c.nodeTopology) return false;
    const limit = c.maximumVolumeSize ?? c.capacity;
    return limit !== undefined && quantityValue(limit) >= size && labelSelector(c.nodeTopology).matches(node.labels);
  });
};

export interface VolumePlan {
  /** Volumes to promise to claims, and claims to provision on the node. */
  bind: { claim: PersistentVolumeClaim; volume: PersistentVolume }[];
  provision: PersistentVolumeClaim[];
}

/**
 * How the claims that wait for a consumer get their volumes on a node, or what stands against it. Claims that
 * another pod is about to bring there are no concern of this one.
 */
export const planVolumes = (
  claims: readonly PersistentVolumeClaim[],
  node: NodeInfo,
  objects: ClusterObjects,
): VolumePlan | 'no volume' | 'no room' => {
  const taken = new Set<string>();
  const plan: VolumePlan = { bind: [], provision: [] };
  const unmatched: PersistentVolumeClaim[] = [];
  for (const claim of claims.toSorted((a, b) => sizeOf(a) - sizeOf(b))) {
    const promised = objects.promised.claims.get(claimKey(claim));
    if (promised === node.name) continue;
    if (promised !== undefined) return 'no volume';
    const selected = claim.metadata.annotations?.[SELECTED_NODE];
    if (selected && selected !== node.name) return 'no volume';
    const volume = selected ? undefined : bestVolume(claim, node, objects, taken);
    if (volume === undefined) unmatched.push(claim);
    else {
      taken.add(volume.metadata.name ?? '');
      plan.bind.push({ claim, volume });
    }
  }
  for (const claim of unmatched) {
    if (!allowed(claim, node, objects)) return 'no volume';
    if (!hasRoom(claim, node, objects)) return 'no room';
    plan.provision.push(claim);
  }
  return plan;
};
