import type { Reader } from '../../client/reader.ts';
import type { PersistentVolume, PersistentVolumeClaim, Pod, VolumeAttributesClass } from '../../machinery/kinds.d.ts';
import { type GroupVersionResource, type KubeObject, keyOf } from '../../machinery/object.ts';
import type { Controller, Plan } from '../controller.ts';
import { expectsOf, ownKey, targetOf } from '../owners.ts';
import { persistentVolumeClaims, persistentVolumes, pods, volumeAttributesClasses } from '../resources.ts';

export interface ProtectionObserved {
  object: KubeObject;
  /** Something still needs the object. */
  used: boolean;
}

const protect =
  (resource: GroupVersionResource, finalizer: string) =>
  ({ object, used }: ProtectionObserved): Plan => {
    const finalizers = object.metadata.finalizers ?? [];
    const has = finalizers.includes(finalizer);
    const dying = object.metadata.deletionTimestamp !== undefined;
    if (dying ? !has || used : has) return { writes: [] };
    const next = dying ? finalizers.filter((one) => one !== finalizer) : [...finalizers, finalizer];
    const merge = { metadata: { finalizers: next } };
    return { writes: [{ op: 'patch', resource, target: targetOf(object), merge, expects: expectsOf(object) }] };
  };

const claimsOf = (pod: Pod): string[] =>
  (pod.spec?.volumes ?? []).flatMap(({ name, persistentVolumeClaim, ephemeral }) =>
    persistentVolumeClaim ? [persistentVolumeClaim.claimName] : ephemeral ? [`${pod.metadata.name}-${name}`] : [],
  );

/** A claim stays until no pod on a node uses it (KEP "PVC protection"). */
export const claimProtection: Controller<ProtectionObserved> = {
  name: 'pvc-protection',
  watches: [
    { resource: persistentVolumeClaims, keys: ownKey },
    {
      resource: pods,
      keys: ({ object, deleted }) =>
        deleted || ['Succeeded', 'Failed'].includes((object as Pod).status?.phase ?? '')
          ? claimsOf(object as Pod).map((name) => keyOf(object.metadata.namespace, name))
          : [],
    },
  ],
  async observe(read, key) {
    const claim = await read.get<PersistentVolumeClaim>(persistentVolumeClaims, key.namespace, key.name);
    if (!claim?.metadata.deletionTimestamp) return claim && { object: claim, used: true };
    await read.fresh(pods);
    const list = await read.list<Pod>(pods, { namespace: key.namespace });
    return { object: claim, used: list.some((pod) => pod.spec?.nodeName && claimsOf(pod).includes(key.name)) };
  },
  decide: protect(persistentVolumeClaims, 'kubernetes.io/pvc-protection'),
};

const attributesClassOf = (object: KubeObject): (string | undefined)[] => {
  const { spec, status } = object as PersistentVolumeClaim;
  return [spec?.volumeAttributesClassName, status?.currentVolumeAttributesClassName];
};

/** A class of volume attributes stays while a volume or a claim names it (KEP-3751). */
export const attributesClassProtection: Controller<ProtectionObserved> = {
  name: 'vac-protection',
  watches: [
    { resource: volumeAttributesClasses, keys: ownKey },
    ...[persistentVolumes, persistentVolumeClaims].map((resource) => ({
      resource,
      // What a change no longer names is not told: the few classes that wait for their end are looked at.
      keys: async (_change: unknown, read: Reader) =>
        (await read.list<VolumeAttributesClass>(volumeAttributesClasses))
          .filter((one) => one.metadata.deletionTimestamp !== undefined)
          .map((one) => one.metadata.name ?? ''),
    })),
  ],
  async observe(read, key) {
    const found = await read.get<VolumeAttributesClass>(volumeAttributesClasses, '', key.name);
    if (!found?.metadata.deletionTimestamp) return found && { object: found, used: true };
    await Promise.all([read.fresh(persistentVolumes), read.fresh(persistentVolumeClaims)]);
    const volumes = await read.list<PersistentVolume>(persistentVolumes);
    const claims = await read.list<PersistentVolumeClaim>(persistentVolumeClaims);
    return { object: found, used: [...volumes, ...claims].some((one) => attributesClassOf(one).includes(key.name)) };
  },
  decide: protect(volumeAttributesClasses, 'kubernetes.io/vac-protection'),
};

/** A volume stays while it is bound. */
export const volumeProtection: Controller<ProtectionObserved> = {
  name: 'pv-protection',
  watches: [{ resource: persistentVolumes, keys: ownKey }],
  async observe(read, key) {
    const volume = await read.get<PersistentVolume>(persistentVolumes, '', key.name);
    return volume && { object: volume, used: volume.status?.phase === 'Bound' };
  },
  decide: protect(persistentVolumes, 'kubernetes.io/pv-protection'),
};
