import type { Volume } from '../../machinery/kinds.d.ts';
import { keyOf } from '../../machinery/object.ts';
import { claimNames } from '../claims.ts';
import { type Filter, PASSES, type PodInfo } from '../framework.ts';

interface State {
  disks: readonly Volume[];
  namespace: string;
  /** Claims of mode ReadWriteOncePod, and how many pods have them. */
  exclusive: ReadonlySet<string>;
  users: number;
}

const DISK = [{ reason: 'node(s) had no available disk', resolvable: true }];
const EXCLUSIVE = [
  {
    reason:
      'node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod',
    resolvable: true,
  },
];

const intersects = (a: readonly string[] | undefined, b: readonly string[] | undefined): boolean =>
  (a ?? []).some((x) => (b ?? []).includes(x));

const clash = (a: Volume, b: Volume): boolean => {
  if (a.gcePersistentDisk && a.gcePersistentDisk.pdName === b.gcePersistentDisk?.pdName) {
    return !(a.gcePersistentDisk.readOnly && b.gcePersistentDisk.readOnly);
  }
  if (a.awsElasticBlockStore) return a.awsElasticBlockStore.volumeID === b.awsElasticBlockStore?.volumeID;
  if (a.iscsi && a.iscsi.iqn === b.iscsi?.iqn) return !(a.iscsi.readOnly && b.iscsi.readOnly);
  if (a.rbd && b.rbd && intersects(a.rbd.monitors, b.rbd.monitors)) {
    const same = (a.rbd.pool ?? 'rbd') === (b.rbd.pool ?? 'rbd') && a.rbd.image === b.rbd.image;
    return same && !(a.rbd.readOnly && b.rbd.readOnly);
  }
  return false;
};

const has = ({ exclusive, namespace }: State, pod: PodInfo): boolean =>
  pod.namespace === namespace && claimNames(pod.pod).some((name) => exclusive.has(name));

/** VolumeRestrictions: disks that one node attaches once, and claims that one pod may use. */
export const volumeRestrictions: Filter<State> = {
  name: 'VolumeRestrictions',
  prepare: (pod, snapshot) => {
    const volumes = pod.pod.spec?.volumes;
    if (!volumes?.length) return undefined;
    const disks = volumes.filter((v) => v.gcePersistentDisk || v.awsElasticBlockStore || v.iscsi || v.rbd);
    const { claims } = snapshot.objects;
    const exclusive = new Set(
      claimNames(pod.pod).filter((name) =>
        claims.get(keyOf(pod.namespace, name))?.spec?.accessModes?.includes('ReadWriteOncePod'),
      ),
    );
    const state: State = { disks, namespace: pod.namespace, exclusive, users: 0 };
    if (exclusive.size > 0) {
      for (const node of snapshot.nodes) for (const other of node.pods) if (has(state, other)) state.users++;
    }
    return disks.length + exclusive.size > 0 ? state : undefined;
  },
  check: (state, node) => {
    const { disks } = state;
    if (disks.length > 0 && node.pods.some((p) => p.pod.spec?.volumes?.some((v) => disks.some((d) => clash(d, v))))) {
      return DISK;
    }
    return state.users > 0 ? EXCLUSIVE : PASSES;
  },
  changed: (state, pod, _, sign) => {
    if (state.exclusive.size > 0 && has(state, pod)) state.users += sign;
  },
};
