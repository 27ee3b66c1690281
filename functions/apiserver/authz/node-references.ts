import type { PersistentVolumeClaim, Pod, PodSpec } from '../../machinery/kinds.d.ts';
import type { Replica, Replicas } from '../../store/replica-port.ts';
import type { Stored } from '../../store/store.ts';

/** What stands between a node and the objects that pods on it name. */
export interface NodeReferences {
  isOnNode(cluster: string, node: string, namespace: string, pod: string): Promise<boolean>;
  /** `resource` is secrets, configmaps, serviceaccounts, persistentvolumeclaims or persistentvolumes (no namespace). */
  isReferenced(cluster: string, node: string, resource: string, namespace: string, name: string): Promise<boolean>;
}

type Names = Record<string, Set<string>>;

const decode = <T>(stored: Stored): T =>
  JSON.parse(Buffer.from(stored.bytes.buffer, stored.bytes.byteOffset, stored.bytes.byteLength).toString()) as T;

const addVolumes = (
  spec: PodSpec,
  podName: string,
  add: (resource: string, name: string | undefined) => void,
): void => {
  for (const volume of spec.volumes ?? []) {
    add('secrets', volume.secret?.secretName);
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
      volume.iscsi?.secretRef,
      volume.flexVolume?.secretRef,
      volume.rbd?.secretRef,
    ])
      add('secrets', ref?.name);
  }
};

/** Names of secrets, configmaps, claims and the account of one pod, by resource. */
const namesIn = (pod: Pod): Names => {
  const names: Names = {};
  const add = (resource: string, name: string | undefined): void => {
    if (!name) return;
    names[resource] ??= new Set();
    names[resource].add(name);
  };
  const spec = pod.spec;
  if (!spec) return names;
  add('serviceaccounts', spec.serviceAccountName);
  for (const secret of spec.imagePullSecrets ?? []) add('secrets', secret.name);
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
  addVolumes(spec, pod.metadata.name ?? '', add);
  return names;
};

/** Looks pods up in replicas by their node; decodes each stored revision of a pod once. */
export const createNodeReferences = (replicas: Replicas): NodeReferences => {
  const decoded = new WeakMap<Stored, Names>();
  const podsOf = (cluster: string): Promise<Replica> => replicas.of({ cluster, group: '', resource: 'pods' });
  const namesOf = (stored: Stored): Names => {
    let names = decoded.get(stored);
    if (!names) {
      names = namesIn(decode<Pod>(stored));
      decoded.set(stored, names);
    }
    return names;
  };
  const isNamed = (pods: Replica, node: string, resource: string, namespace: string, name: string): boolean => {
    for (const stored of pods.byField('spec.nodeName', node)) {
      if (stored.key.startsWith(`${namespace}/`) && namesOf(stored)[resource]?.has(name)) return true;
    }
    return false;
  };
  /** The claims that a persistent volume serves: the one that it is bound to. */
  const claimOf = async (cluster: string, volume: string): Promise<{ namespace: string; name: string } | undefined> => {
    const volumes = await replicas.of({ cluster, group: '', resource: 'persistentvolumes' });
    const stored = volumes.get(volume);
    const ref =
      stored && decode<{ spec?: { claimRef?: { namespace?: string; name?: string } } }>(stored).spec?.claimRef;
    if (!ref?.namespace || !ref.name) return undefined;
    const claims = await replicas.of({ cluster, group: '', resource: 'persistentvolumeclaims' });
    const claim = claims.get(`${ref.namespace}/${ref.name}`);
    if (!claim || decode<PersistentVolumeClaim>(claim).spec?.volumeName !== volume) return undefined;
    return { namespace: ref.namespace, name: ref.name };
  };

  /** Asks the replica as it stands, and once more when it has been brought to the store's head. */
  const ask = async (pods: Replica, found: () => boolean): Promise<boolean> => {
    if (found()) return true;
    const before = pods.revision;
    return (await pods.fresh()) !== before && found();
  };

  return {
    isOnNode: async (cluster, node, namespace, name) => {
      const pods = await podsOf(cluster);
      return ask(pods, () => pods.get(`${namespace}/${name}`)?.index.fields['spec.nodeName'] === node);
    },
    isReferenced: async (cluster, node, resource, namespace, name) => {
      const pods = await podsOf(cluster);
      if (resource !== 'persistentvolumes') return ask(pods, () => isNamed(pods, node, resource, namespace, name));
      const claim = await claimOf(cluster, name);
      return (
        claim !== undefined &&
        ask(pods, () => isNamed(pods, node, 'persistentvolumeclaims', claim.namespace, claim.name))
      );
    },
  };
};
