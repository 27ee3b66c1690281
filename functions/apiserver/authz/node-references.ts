import type { PersistentVolume, Pod, PodSpec, ResourceSlice, VolumeAttachment } from '../../machinery/kinds.d.ts';
import { createRecency, oncePerState } from '../../store/recent.ts';
import type { Replica, Replicas } from '../../store/replica-port.ts';
import type { Domain, Stored } from '../../store/store.ts';

/** What stands between a node and the objects that pods on it name. */
export interface NodeReferences {
  isOnNode(cluster: string, node: string, namespace: string, pod: string): Promise<boolean>;
  /**
   * `resource` is secrets, configmaps, serviceaccounts, persistentvolumeclaims, persistentvolumes (no namespace) or
   * resourceclaims.
   */
  isReferenced(cluster: string, node: string, resource: string, namespace: string, name: string): Promise<boolean>;
  /** A VolumeAttachment or ResourceSlice whose spec names the node. */
  isOfNode(
    cluster: string,
    node: string,
    resource: 'volumeattachments' | 'resourceslices',
    name: string,
  ): Promise<boolean>;
}

type Names = Record<string, Set<string>>;
type Add = (resource: string, name: string | undefined) => void;

const decode = <T>(stored: Stored): T =>
  JSON.parse(Buffer.from(stored.bytes.buffer, stored.bytes.byteOffset, stored.bytes.byteLength).toString()) as T;

const addVolumes = (spec: PodSpec, podName: string, add: Add): void => {
  for (const volume of spec.volumes ?? []) {
    add('secrets', volume.secret?.secretName);
    add('secrets', volume.azureFile?.secretName);
    add('configmaps', volume.configMap?.name);
    add('persistentvolumeclaims', volume.persistentVolumeClaim?.claimName);
    if (volume.ephemeral) add('persistentvolumeclaims', `${podName}-${volume.name}`);
    for (const source of volume.projected?.sources ?? []) {
      add('secrets', source.secret?.name);
      add('configmaps', source.configMap?.name);
    }
    for (const ref of [
      volume.csi?.nodePublishSecretRef,
      volume.cephfs?.secretRef,
      volume.cinder?.secretRef,
      volume.iscsi?.secretRef,
      volume.flexVolume?.secretRef,
      volume.rbd?.secretRef,
      volume.scaleIO?.secretRef,
      volume.storageos?.secretRef,
    ])
      add('secrets', ref?.name);
  }
};

const addContainers = (spec: PodSpec, add: Add): void => {
  for (const container of [
    ...(spec.containers ?? []),
    ...(spec.initContainers ?? []),
    ...(spec.ephemeralContainers ?? []),
  ]) {
    for (const from of container.envFrom ?? []) {
      add('secrets', from.secretRef?.name);
      add('configmaps', from.configMapRef?.name);
    }
    for (const { valueFrom } of container.env ?? []) {
      add('secrets', valueFrom?.secretKeyRef?.name);
      add('configmaps', valueFrom?.configMapKeyRef?.name);
    }
  }
};

/** Claims of devices, by their own name or by the one that was made from a template. */
const addResourceClaims = ({ spec, status }: Pod, add: Add): void => {
  for (const { name, resourceClaimName, resourceClaimTemplateName } of spec?.resourceClaims ?? []) {
    add('resourceclaims', resourceClaimName);
    if (!resourceClaimTemplateName) continue;
    const made = status?.resourceClaimStatuses?.find((one) => one.name === name);
    add('resourceclaims', made?.resourceClaimName);
  }
  add('resourceclaims', status?.extendedResourceClaimStatus?.resourceClaimName);
};

/** Names of what one pod reads, by resource. A node shows its own pods by itself: they open nothing to it. */
const namesIn = (pod: Pod): Names => {
  const names: Names = {};
  const add: Add = (resource, name) => {
    if (!name) return;
    names[resource] ??= new Set();
    names[resource].add(name);
  };
  const { spec, metadata } = pod;
  if (!spec || metadata.annotations?.['kubernetes.io/config.mirror'] !== undefined) return names;
  add('serviceaccounts', spec.serviceAccountName);
  for (const secret of spec.imagePullSecrets ?? []) add('secrets', secret.name);
  addContainers(spec, add);
  addVolumes(spec, metadata.name ?? '', add);
  addResourceClaims(pod, add);
  return names;
};

/** What a volume says of itself: whose claim it is for, and the secrets that a node needs to mount it. */
interface Volume {
  claim?: { namespace: string; name: string };
  /** As `namespace/name`. */
  secrets: ReadonlySet<string>;
}

const volumeOf = (volume: PersistentVolume): Volume => {
  const { claimRef, csi, azureFile, cephfs, cinder, flexVolume, rbd, scaleIO, iscsi, storageos } = volume.spec ?? {};
  const secrets = new Set<string>();
  if (!claimRef?.namespace || !claimRef.name) return { secrets };
  const { namespace, name } = claimRef;
  const own = [
    csi?.nodePublishSecretRef,
    csi?.nodeStageSecretRef,
    csi?.nodeExpandSecretRef,
    cinder?.secretRef,
    storageos?.secretRef,
  ];
  for (const ref of own) if (ref?.name) secrets.add(`${ref.namespace ?? ''}/${ref.name}`);
  for (const { secretRef: ref } of [cephfs, flexVolume, rbd, scaleIO, iscsi].filter((one) => one !== undefined))
    if (ref?.name) secrets.add(`${ref.namespace || namespace}/${ref.name}`);
  if (azureFile?.secretName) secrets.add(`${azureFile.secretNamespace || namespace}/${azureFile.secretName}`);
  return { claim: { namespace, name }, secrets };
};

const namesOf = oncePerState((stored) => namesIn(decode<Pod>(stored)));
const readVolume = oncePerState((stored) => volumeOf(decode<PersistentVolume>(stored)));
const nodeIn = oncePerState((stored) => decode<VolumeAttachment | ResourceSlice>(stored).spec?.nodeName ?? '');

/** Whether a pod on the node names it. */
const isNamed = (pods: Replica, node: string, resource: string, namespace: string, name: string): boolean => {
  for (const stored of pods.byField('spec.nodeName', node)) {
    if (stored.key.startsWith(`${namespace}/`) && namesOf(stored)[resource]?.has(name)) return true;
  }
  return false;
};

const isMounted = (pods: Replica, node: string, { claim }: Volume): boolean =>
  claim !== undefined && isNamed(pods, node, 'persistentvolumeclaims', claim.namespace, claim.name);

/** A pod that is gone may open to its node what it read for so long, where the store does not push its changes. */
const STALE_MS = 1000;

/** Asks replicas as they stand, where they stood at the store's head lately, and else when they have been brought there. */
const createAsk = (clock: { now(): number }) => {
  const { isRecent, freshen } = createRecency(clock, STALE_MS);
  return async (replicas: readonly Replica[], found: () => boolean): Promise<boolean> => {
    const recent = replicas.every(isRecent);
    if (recent && found()) return true;
    const before = replicas.map(({ revision }) => revision);
    const after = await Promise.all(replicas.map(freshen));
    return (!recent || after.some((revision, i) => revision !== before[i])) && found();
  };
};

/** Looks pods up in replicas by their node. */
export const createNodeReferences = (replicas: Replicas, clock: { now(): number }): NodeReferences => {
  const ask = createAsk(clock);
  const of = (cluster: string, resource: string, group = ''): Promise<Replica> =>
    replicas.of({ cluster, group, resource } satisfies Domain);
  const both = (cluster: string) => Promise.all([of(cluster, 'pods'), of(cluster, 'persistentvolumes')]);
  return {
    isOnNode: async (cluster, node, namespace, name) => {
      const pods = await of(cluster, 'pods');
      return ask([pods], () => pods.get(`${namespace}/${name}`)?.index.fields['spec.nodeName'] === node);
    },
    isReferenced: async (cluster, node, resource, namespace, name) => {
      if (resource === 'persistentvolumes') {
        const [pods, volumes] = await both(cluster);
        return ask([pods, volumes], () => {
          const stored = volumes.get(name);
          return stored !== undefined && isMounted(pods, node, readVolume(stored));
        });
      }
      const pods = await of(cluster, 'pods');
      if (await ask([pods], () => isNamed(pods, node, resource, namespace, name))) return true;
      if (resource !== 'secrets') return false;
      const [, volumes] = await both(cluster);
      const secret = `${namespace}/${name}`;
      return ask([pods, volumes], () =>
        volumes.list({}).some((stored) => {
          const volume = readVolume(stored);
          return volume.secrets.has(secret) && isMounted(pods, node, volume);
        }),
      );
    },
    isOfNode: async (cluster, node, resource, name) => {
      const group = resource === 'resourceslices' ? 'resource.k8s.io' : 'storage.k8s.io';
      const found = await of(cluster, resource, group);
      return ask([found], () => {
        const stored = found.get(name);
        return stored !== undefined && nodeIn(stored) === node;
      });
    },
  };
};
