import type { PersistentVolume, PersistentVolumeClaim, Pod } from '../../machinery/kinds.d.ts';
import { keyOf } from '../../machinery/object.ts';
import { claimNames, isBound, waitsForConsumer } from '../claims.ts';
import type { ClusterObjects } from '../cluster-objects.ts';
import { type Filter, isVerdict, PASSES, type Snapshot, type Verdict } from '../framework.ts';
import { planVolumes, reaches } from '../volume-matching.ts';

interface State {
  objects: ClusterObjects;
  /** Volumes of bound claims (undefined: it is gone), and the claims that wait for a node. */
  bound: readonly (PersistentVolume | undefined)[];
  waiting: readonly PersistentVolumeClaim[];
}

const refusal = (reason: string) => ({ reason, resolvable: false });
const GONE = refusal('node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)');
const ELSEWHERE = refusal("node(s) didn't match PersistentVolume's node affinity");
const NO_VOLUME = refusal("node(s) didn't find available persistent volumes to bind");
const NO_ROOM = refusal('node(s) did not have enough free storage');

/** The claims of a pod, or why it cannot be placed anywhere for now. */
const claimsOf = (pod: Pod, objects: ClusterObjects): PersistentVolumeClaim[] | Verdict => {
  const out: PersistentVolumeClaim[] = [];
  const ephemeral = new Set(
    (pod.spec?.volumes ?? []).filter((v) => v.ephemeral).map((v) => `${pod.metadata.name}-${v.name}`),
  );
  for (const name of claimNames(pod)) {
    const claim = objects.claims.get(keyOf(pod.metadata.namespace, name));
    const named = `persistentvolumeclaim ${JSON.stringify(name)}`;
    if (!claim) {
      const created = `waiting for ephemeral volume controller to create the ${named}`;
      return { impossible: ephemeral.has(name) ? created : `${named} not found` };
    }
    if (claim.status?.phase === 'Lost') {
      const volume = JSON.stringify(claim.spec?.volumeName ?? '');
      return { impossible: `${named} bound to non-existent persistentvolume ${volume}` };
    }
    if (claim.metadata.deletionTimestamp) return { impossible: `${named} is being deleted` };
    if (
      ephemeral.has(name) &&
      !claim.metadata.ownerReferences?.some((r) => r.controller && r.uid === pod.metadata.uid)
    ) {
      return { impossible: `PVC ${pod.metadata.namespace}/${name} was not created for pod (pod is not owner)` };
    }
    out.push(claim);
  }
  return out;
};

/** The claims of a pod that get their volumes once it has a node. */
export const waitingClaims = (pod: Pod, { objects }: Snapshot): PersistentVolumeClaim[] => {
  const claims = claimsOf(pod, objects);
  return isVerdict(claims) ? [] : claims.filter((c) => !isBound(c) && waitsForConsumer(c, objects));
};

/** VolumeBinding: volumes of bound claims reach the node, the other claims can get one there. */
export const volumeBinding: Filter<State> = {
  name: 'VolumeBinding',
  prepare: ({ pod }, { objects }) => {
    if (claimNames(pod).length === 0) return undefined;
    const claims = claimsOf(pod, objects);
    if (isVerdict(claims)) return claims;
    const waiting = claims.filter((c) => !isBound(c));
    if (waiting.some((c) => !waitsForConsumer(c, objects))) {
      return { impossible: 'pod has unbound immediate PersistentVolumeClaims' };
    }
    const bound = claims.filter(isBound).map((c) => objects.volumes.get(c.spec?.volumeName ?? ''));
    return { objects, bound, waiting };
  },
  check: ({ objects, bound, waiting }, node) => {
    const refused = [];
    if (bound.some((v) => v === undefined)) refused.push(GONE);
    if (bound.some((v) => v && !reaches(v, node))) refused.push(ELSEWHERE);
    if (waiting.length > 0) {
      const plan = planVolumes(waiting, node, objects);
      if (plan === 'no volume') refused.push(NO_VOLUME);
      else if (plan === 'no room') refused.push(NO_ROOM);
    }
    return refused.length > 0 ? refused : PASSES;
  },
};
