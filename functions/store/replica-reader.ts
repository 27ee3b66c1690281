import type { Reader } from '../client/reader.ts';
import type { GroupResource, KubeObject } from '../machinery/object.ts';
import type { Replica, Replicas } from './replica-port.ts';
import type { Domain, Stored } from './store.ts';

/** Objects decoded once per stored state, for as long as someone holds the state. */
const decoded = new WeakMap<Stored, KubeObject>();

/** The object in a stored state; shared by everyone who reads it, so never to be mutated. */
export const decode = (stored: Stored): KubeObject => {
  let object = decoded.get(stored);
  if (!object) {
    const { buffer, byteOffset, byteLength } = stored.bytes;
    object = JSON.parse(Buffer.from(buffer, byteOffset, byteLength).toString()) as KubeObject;
    decoded.set(stored, object);
  }
  return object;
};

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
