import type { Pod } from '../machinery/kinds.d.ts';
import { keyOf } from '../machinery/object.ts';
import type { PodsSeen } from './cluster-cache.ts';

/** The pods that wait for a node, kept up with what is seen of them. */
export const createPendingPods = (isPending: (pod: Pod) => boolean) => {
  const byUid = new Map<string, Pod>();
  /** uids by `namespace/name`. */
  const names = new Map<string, string>();

  const forget = (name: string): void => {
    byUid.delete(names.get(name) ?? '');
    names.delete(name);
  };
  return {
    byUid: byUid as ReadonlyMap<string, Pod>,
    look(pods: PodsSeen): void {
      if (pods.type === 'all') {
        byUid.clear();
        names.clear();
      } else for (const name of pods.gone) forget(name);
      for (const pod of pods.type === 'all' ? pods.items : pods.put) {
        const name = keyOf(pod.metadata.namespace ?? '', pod.metadata.name ?? '');
        if (names.has(name) && (names.get(name) !== pod.metadata.uid || !isPending(pod))) forget(name);
        if (!isPending(pod)) continue;
        byUid.set(pod.metadata.uid ?? '', pod);
        names.set(name, pod.metadata.uid ?? '');
      }
    },
  };
};
