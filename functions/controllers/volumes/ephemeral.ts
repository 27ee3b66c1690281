import type { PersistentVolumeClaim, Pod } from '../../machinery/kinds.d.ts';
import type { Controller } from '../controller.ts';
import { isControlledBy, ownerReference, ownKey } from '../owners.ts';
import { persistentVolumeClaims, pods } from '../resources.ts';

export interface EphemeralObserved {
  pod: Pod;
  /** Claims that exist under the names of the pod's ephemeral volumes. */
  claims: ReadonlyMap<string, PersistentVolumeClaim>;
}

const volumesOf = (pod: Pod) => (pod.spec?.volumes ?? []).filter((volume) => volume.ephemeral?.volumeClaimTemplate);

/** Makes the claims of generic ephemeral volumes (KEP-1698): they belong to the pod and go with it. */
export const ephemeralVolumeController: Controller<EphemeralObserved> = {
  name: 'ephemeral-volume',
  component: 'ephemeral_volume',
  watches: [{ resource: pods, keys: (change) => (volumesOf(change.object as Pod).length > 0 ? ownKey(change) : []) }],
  async observe(read, key) {
    const pod = await read.get<Pod>(pods, key.namespace, key.name);
    if (!pod || pod.metadata.deletionTimestamp) return undefined;
    const claims = new Map<string, PersistentVolumeClaim>();
    for (const { name } of volumesOf(pod)) {
      const found = await read.get<PersistentVolumeClaim>(persistentVolumeClaims, key.namespace, `${key.name}-${name}`);
      if (found) claims.set(name, found);
    }
    return { pod, claims };
  },
  decide({ pod, claims }) {
    const { namespace = '', name: base = '' } = pod.metadata;
    const missing = volumesOf(pod).filter(({ name }) => !claims.has(name));
    const foreign = [...claims.values()].filter((claim) => !isControlledBy(claim, pod));
    return {
      writes: missing.map(({ name, ephemeral }) => ({
        op: 'create',
        resource: persistentVolumeClaims,
        object: {
          ...ephemeral?.volumeClaimTemplate,
          apiVersion: 'v1',
          kind: 'PersistentVolumeClaim',
          metadata: {
            labels: ephemeral?.volumeClaimTemplate?.metadata?.labels ?? {},
            annotations: ephemeral?.volumeClaimTemplate?.metadata?.annotations ?? {},
            namespace,
            name: `${base}-${name}`,
            ownerReferences: [ownerReference(pod, 'v1', 'Pod')],
          },
        },
        onExists: 'ignore',
      })),
      events: foreign.map((claim) => ({
        regarding: pod,
        type: 'Warning',
        reason: 'EphemeralVolumeConflict',
        message: `PVC ${namespace}/${claim.metadata.name} was not created for pod ${namespace}/${base}`,
      })),
    };
  },
};
