import type { Reader } from '../client/reader.ts';
import type {
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  Namespace,
  PersistentVolume,
  PersistentVolumeClaim,
  PodDisruptionBudget,
  ReplicaSet,
  ReplicationController,
  Service,
  StatefulSet,
  StorageClass,
} from '../machinery/kinds.d.ts';
import { type KubeObject, keyOf } from '../machinery/object.ts';

/** What was decided on claims (`namespace/name`) that are not bound yet. */
export interface Promised {
  /** The claim, by the name of the volume it gets. */
  volumes: Map<string, string>;
  /** The node, by claim. */
  claims: Map<string, string>;
}

/** What scheduling looks at besides nodes and pods; keys are `namespace/name`, or the name of what has no namespace. */
export interface ClusterObjects {
  services: readonly Service[];
  replicationControllers: ReadonlyMap<string, ReplicationController>;
  replicaSets: ReadonlyMap<string, ReplicaSet>;
  statefulSets: ReadonlyMap<string, StatefulSet>;
  namespaces: ReadonlyMap<string, Namespace>;
  budgets: readonly PodDisruptionBudget[];
  claims: ReadonlyMap<string, PersistentVolumeClaim>;
  volumes: ReadonlyMap<string, PersistentVolume>;
  classes: ReadonlyMap<string, StorageClass>;
  csiNodes: ReadonlyMap<string, CSINode>;
  csiDrivers: ReadonlyMap<string, CSIDriver>;
  capacities: readonly CSIStorageCapacity[];
  promised: Promised;
}

const none = new Map<string, never>();
export const noObjects = (): ClusterObjects => ({
  services: [],
  replicationControllers: none,
  replicaSets: none,
  statefulSets: none,
  namespaces: none,
  budgets: [],
  claims: none,
  volumes: none,
  classes: none,
  csiNodes: none,
  csiDrivers: none,
  capacities: [],
  promised: { volumes: new Map(), claims: new Map() },
});

const storage = (resource: string) => ({ group: 'storage.k8s.io', resource });
/** Where each list comes from. */
export const objectResources = {
  services: { group: '', resource: 'services' },
  replicationControllers: { group: '', resource: 'replicationcontrollers' },
  replicaSets: { group: 'apps', resource: 'replicasets' },
  statefulSets: { group: 'apps', resource: 'statefulsets' },
  namespaces: { group: '', resource: 'namespaces' },
  budgets: { group: 'policy', resource: 'poddisruptionbudgets' },
  claims: { group: '', resource: 'persistentvolumeclaims' },
  volumes: { group: '', resource: 'persistentvolumes' },
  classes: storage('storageclasses'),
  csiNodes: storage('csinodes'),
  csiDrivers: storage('csidrivers'),
  capacities: storage('csistoragecapacities'),
} as const;

type Name = keyof typeof objectResources;
/** The lists that decisions on a pod with volumes need, on any other pod, and on making room. */
export const VOLUME_LISTS: readonly Name[] = ['claims', 'volumes', 'classes', 'csiNodes', 'csiDrivers', 'capacities'];

const byKey = <T extends KubeObject>(objects: readonly T[]): ReadonlyMap<string, T> =>
  new Map(
    objects.map((o) => [
      o.metadata.namespace ? keyOf(o.metadata.namespace, o.metadata.name ?? '') : (o.metadata.name ?? ''),
      o,
    ]),
  );

/** Reads the lists named; the others stay empty. */
export const readObjects = async (
  reader: Reader,
  wanted: ReadonlySet<Name>,
  promised: Promised,
): Promise<ClusterObjects> => {
  const list = async <T extends KubeObject>(name: Name): Promise<readonly T[]> =>
    wanted.has(name) ? reader.list<T>(objectResources[name]) : [];
  const [services, rcs, rss, sss, namespaces, budgets] = await Promise.all([
    list<Service>('services'),
    list<ReplicationController>('replicationControllers'),
    list<ReplicaSet>('replicaSets'),
    list<StatefulSet>('statefulSets'),
    list<Namespace>('namespaces'),
    list<PodDisruptionBudget>('budgets'),
  ]);
  const [claims, volumes, classes, csiNodes, csiDrivers, capacities] = await Promise.all([
    list<PersistentVolumeClaim>('claims'),
    list<PersistentVolume>('volumes'),
    list<StorageClass>('classes'),
    list<CSINode>('csiNodes'),
    list<CSIDriver>('csiDrivers'),
    list<CSIStorageCapacity>('capacities'),
  ]);
  return {
    services,
    replicationControllers: byKey(rcs),
    replicaSets: byKey(rss),
    statefulSets: byKey(sss),
    namespaces: byKey(namespaces),
    budgets,
    claims: byKey(claims),
    volumes: byKey(volumes),
    classes: byKey(classes),
    csiNodes: byKey(csiNodes),
    csiDrivers: byKey(csiDrivers),
    capacities,
    promised,
  };
};
export type ObjectList = Name;
