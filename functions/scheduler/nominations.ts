import type { Pod } from '../machinery/kinds.d.ts';
import type { ClusterCache, ClusterChange } from './cluster-cache.ts';
import type { PodInfo } from './framework.ts';
import { podInfoOf } from './pod-info.ts';

/** Which pods wait for which node to be made free: their room is kept from pods that matter less. */
export const createNominations = (cache: ClusterCache) => {
  /** Decided here, by uid; the status of the pod says so later. */
  const own = new Map<string, string>();
  const { nominated } = cache.snapshot;

  const add = (info: PodInfo, node: string): void => {
    const others = nominated.get(node) ?? [];
    nominated.set(node, [...others.filter((p) => p.uid !== info.uid), info]);
  };
  return {
    of: (pod: Pod): string => own.get(pod.metadata.uid ?? '') ?? pod.status?.nominatedNodeName ?? '',
    set(info: PodInfo, node: string): void {
      own.set(info.uid, node);
      add(info, node);
    },
    drop(uid: string): void {
      own.delete(uid);
      for (const [node, pods] of nominated) {
        const others = pods.filter((p) => p.uid !== uid);
        if (others.length > 0) nominated.set(node, others);
        else nominated.delete(node);
      }
    },
    /** Takes in the pods that wait now; the room of those that wait no more is as good as left. */
    look(pending: ReadonlyMap<string, Pod>): ClusterChange[] {
      const before = [...nominated].flatMap(([node, pods]) => pods.map((pod) => ({ pod, node })));
      nominated.clear();
      for (const uid of own.keys()) if (!pending.has(uid)) own.delete(uid);
      for (const [uid, pod] of pending) {
        const node = own.get(uid) ?? pod.status?.nominatedNodeName;
        if (node && !cache.assumed(uid)) add(podInfoOf(pod), node);
      }
      const gone = before.filter(({ pod, node }) => !nominated.get(node)?.some((p) => p.uid === pod.uid));
      return gone.map(({ pod, node }) => ({ type: 'pod left', pod, node }));
    },
  };
};
