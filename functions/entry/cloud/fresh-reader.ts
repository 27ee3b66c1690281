import type { Reader } from '../../client/reader.ts';
import type { GroupResource } from '../../machinery/object.ts';
import type { Replicas } from '../../store/replica-port.ts';
import { createReplicaReader } from '../../store/replica-reader.ts';

/**
 * A Reader for one invocation: each resource type is brought up to the store's head when it is first looked at, so that
 * what caused the message is seen whatever this process saw before. One query per resource type, none where nothing is read.
 */
export const createFreshReader = (replicas: Replicas, cluster: string): Reader => {
  const reader = createReplicaReader(replicas, cluster);
  const fresh = new Map<string, Promise<void>>();
  const refreshed = (resource: GroupResource): Promise<void> => {
    const name = `${resource.group}/${resource.resource}`;
    const known = fresh.get(name) ?? reader.fresh(resource);
    fresh.set(name, known);
    return known;
  };
  return {
    ...reader,
    get: async (resource, namespace, name) => {
      await refreshed(resource);
      return reader.get(resource, namespace, name);
    },
    list: async (resource, select) => {
      await refreshed(resource);
      return reader.list(resource, select);
    },
    view: async (resource, since) => {
      await refreshed(resource);
      return reader.view(resource, since);
    },
    ownedBy: async (resource, uid) => {
      await refreshed(resource);
      return reader.ownedBy(resource, uid);
    },
  };
};
