import type { Reader, View } from '../client/reader.ts';
import type { GroupResource, KubeObject } from '../machinery/object.ts';
import { decode } from './decoded.ts';
import type { Replica, Replicas } from './replica-port.ts';
import type { Domain } from './store.ts';

/**
 * The Reader of a process that has the store: reads the replicas of one cluster. `domainOf` names the domain that holds
 * a resource type, where that is not the resource type itself (events live in one domain for both of their groups).
 */
export const createReplicaReader = (
  replicas: Replicas,
  cluster: string,
  domainOf: (resource: GroupResource) => Domain = ({ group, resource }) => ({ cluster, group, resource }),
): Reader => {
  const replicaOf = (resource: GroupResource): Promise<Replica> => replicas.of(domainOf(resource));
  return {
    cluster,
    get: async <T extends KubeObject>(resource: GroupResource, namespace: string, name: string) => {
      const stored = (await replicaOf(resource)).get(namespace ? `${namespace}/${name}` : name);
      return stored && (decode(stored) as T);
    },
    list: async <T extends KubeObject>(resource: GroupResource, select: Parameters<Reader['list']>[1] = {}) => {
      const { namespace, matches, field } = select;
      const replica = await replicaOf(resource);
      const items: T[] = [];
      const candidates = field
        ? replica.byField(field.name, field.value)
        : replica.list(namespace ? { namespace } : {});
      for (const stored of candidates) {
        if (field && namespace && !stored.key.startsWith(`${namespace}/`)) continue;
        if (!matches || matches(stored.index.labels)) items.push(decode(stored) as T);
      }
      return items;
    },
    view: async <T extends KubeObject>(resource: GroupResource, since?: string): Promise<View<T>> => {
      const replica = await replicaOf(resource);
      const resourceVersion = `${replica.revision}`;
      const changes = since === undefined ? undefined : replica.since(BigInt(since));
      if (!changes) {
        const items = replica.list({}).map((stored) => decode(stored) as T);
        return { type: 'all', items, resourceVersion };
      }
      const put: T[] = [];
      const gone: string[] = [];
      for (const key of new Set(changes.map((change) => change.stored.key))) {
        const stored = replica.get(key);
        if (stored) put.push(decode(stored) as T);
        else gone.push(key);
      }
      return { type: 'changes', put, gone, resourceVersion };
    },
    ownedBy: async <T extends KubeObject>(resource: GroupResource, uid: string) => {
      const items: T[] = [];
      for (const stored of (await replicaOf(resource)).byOwner(uid)) items.push(decode(stored) as T);
      return items;
    },
    atLeast: async (resource, resourceVersion, timeoutMs) =>
      (await replicaOf(resource)).atLeast(BigInt(resourceVersion), timeoutMs),
    fresh: async (resource) => {
      await (await replicaOf(resource)).fresh();
    },
  };
};
