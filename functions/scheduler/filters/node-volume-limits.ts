import type { Pod } from '../../machinery/kinds.d.ts';
import { keyOf } from '../../machinery/object.ts';
import { claimNames, className } from '../claims.ts';
import type { ClusterObjects } from '../cluster-objects.ts';
import { type Filter, PASSES } from '../framework.ts';

interface State {
  objects: ClusterObjects;
  wanted: ReadonlyMap<string, string>;
}

const REFUSED = [{ reason: 'node(s) exceed max volume count', resolvable: true }];

/** The CSI volumes of a pod: driver by what tells the volume from others. */
const volumesOf = (pod: Pod, objects: ClusterObjects, into = new Map<string, string>()): Map<string, string> => {
  for (const name of claimNames(pod)) {
    const key = keyOf(pod.metadata.namespace, name);
    const claim = objects.claims.get(key);
    if (!claim) continue;
    const csi = objects.volumes.get(claim.spec?.volumeName ?? '')?.spec?.csi;
    if (csi) into.set(`${csi.driver} ${csi.volumeHandle}`, csi.driver);
    else if (!claim.spec?.volumeName) {
      const driver = objects.classes.get(className(claim))?.provisioner;
      if (driver) into.set(`${driver} ${key}`, driver);
    }
  }
  return into;
};

/** NodeVolumeLimits: no more volumes of a CSI driver than its entry in the CSINode allows. */
export const nodeVolumeLimits: Filter<State> = {
  name: 'NodeVolumeLimits',
  prepare: ({ pod }, { objects }) => {
    const wanted = volumesOf(pod, objects);
    return wanted.size > 0 ? { objects, wanted } : undefined;
  },
  check: ({ objects, wanted }, node) => {
    const drivers = objects.csiNodes.get(node.name)?.spec.drivers ?? [];
    const limits = new Map(
      drivers.flatMap((d) => (d.allocatable?.count === undefined ? [] : [[d.name, d.allocatable.count]])),
    );
    if (limits.size === 0) return PASSES;
    const attached = new Map<string, string>();
    for (const other of node.pods) volumesOf(other.pod, objects, attached);
    const more = new Map<string, number>();
    for (const [handle, driver] of wanted) {
      if (!attached.has(handle)) more.set(driver, (more.get(driver) ?? 0) + 1);
    }
    for (const driver of attached.values()) if (more.has(driver)) more.set(driver, (more.get(driver) ?? 0) + 1);
    for (const [driver, count] of more) if (count > (limits.get(driver) ?? Infinity)) return REFUSED;
    return PASSES;
  },
};
