import type { Clock } from '../clock/clock.ts';
import type { GroupResource, GroupVersionResource, KubeObject } from '../machinery/object.ts';
import type { Client } from './client.ts';
import { createInformer, type Informer } from './informer.ts';
import type { Reader, ReaderSelection, View } from './reader.ts';

export interface InformerReaderOptions {
  client: Client;
  clock: Clock;
  cluster: string;
  /** The version to read a resource type in; of discovery, or a table. */
  versionOf: (resource: GroupResource) => GroupVersionResource | Promise<GroupVersionResource>;
  /** Ends every informer. */
  signal: AbortSignal;
  onFailure?: (error: unknown) => void;
}

export interface InformerReader extends Reader {
  /** The informer behind a resource type, started on first use. */
  informer(resource: GroupResource): Promise<Informer<KubeObject>>;
  /** Told of every change of the resource types that are read. */
  onChange(
    listener: (resource: GroupResource, object: KubeObject | undefined, previous?: KubeObject) => void,
  ): () => void;
}

interface Indexed {
  informer: Informer<KubeObject>;
  owners: Map<string, Set<KubeObject>>;
  namespaces: Map<string, Set<KubeObject>>;
}

const add = (index: Map<string, Set<KubeObject>>, key: string, object: KubeObject) => {
  const set = index.get(key);
  if (set) set.add(object);
  else index.set(key, new Set([object]));
};
const drop = (index: Map<string, Set<KubeObject>>, key: string, object: KubeObject) => {
  const set = index.get(key);
  set?.delete(object);
  if (set?.size === 0) index.delete(key);
};

/** A dotted path such as `spec.nodeName`; '' where absent. */
const fieldOf = (object: KubeObject, path: string): string => {
  let value: unknown = object;
  for (const part of path.split('.')) value = (value as Record<string, unknown> | undefined)?.[part];
  return value === undefined || value === null ? '' : String(value);
};

/** A Reader over informers, for processes that have no replicas of the store: one list and watch per resource type. */
export const createInformerReader = (options: InformerReaderOptions): InformerReader => {
  const { client, clock, signal } = options;
  const started = new Map<string, Promise<Indexed>>();
  const listeners = new Set<(r: GroupResource, object: KubeObject | undefined, previous?: KubeObject) => void>();

  const start = async (resource: GroupResource): Promise<Indexed> => {
    const owners: Indexed['owners'] = new Map();
    const namespaces: Indexed['namespaces'] = new Map();
    const informer = createInformer<KubeObject>({
      client,
      clock,
      resource: await options.versionOf(resource),
      ...(options.onFailure && { onFailure: options.onFailure }),
      onChange({ object, previous }) {
        if (previous) {
          for (const owner of previous.metadata.ownerReferences ?? []) drop(owners, owner.uid, previous);
          drop(namespaces, previous.metadata.namespace ?? '', previous);
        }
        if (object) {
          for (const owner of object.metadata.ownerReferences ?? []) add(owners, owner.uid, object);
          add(namespaces, object.metadata.namespace ?? '', object);
        }
        for (const listener of listeners) listener(resource, object, previous);
      },
    });
    void informer.run(signal);
    await informer.synced;
    return { informer, owners, namespaces };
  };
  const of = (resource: GroupResource): Promise<Indexed> => {
    const id = `${resource.group}/${resource.resource}`;
    let entry = started.get(id);
    if (!entry) {
      entry = start(resource);
      entry.catch(() => started.delete(id));
      started.set(id, entry);
    }
    return entry;
  };
  const reached = (informer: Informer<KubeObject>, wanted: string) =>
    informer.resourceVersion !== '' && BigInt(informer.resourceVersion) >= BigInt(wanted);
  const atLeast = async (resource: GroupResource, wanted: string, timeoutMs: number): Promise<boolean> => {
    const { informer } = await of(resource);
    if (reached(informer, wanted)) return true;
    return new Promise((resolve) => {
      const finish = (result: boolean) => {
        stop();
        cancel();
        resolve(result);
      };
      const stop = informer.onAdvanced(() => reached(informer, wanted) && finish(true));
      const cancel = clock.after(timeoutMs, () => finish(false));
    });
  };

  return {
    cluster: options.cluster,
    async informer(resource) {
      return (await of(resource)).informer;
    },
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    async get<T extends KubeObject>(resource: GroupResource, namespace: string, name: string) {
      return (await of(resource)).informer.get(namespace, name) as T | undefined;
    },
    async list<T extends KubeObject>(resource: GroupResource, select: ReaderSelection = {}) {
      const { informer, namespaces } = await of(resource);
      const source = select.namespace ? (namespaces.get(select.namespace) ?? []) : informer.values();
      const found: KubeObject[] = [];
      for (const object of source) {
        if (select.matches && !select.matches(object.metadata.labels ?? {})) continue;
        if (select.field && fieldOf(object, select.field.name) !== select.field.value) continue;
        found.push(object);
      }
      return found as T[];
    },
    async view<T extends KubeObject>(resource: GroupResource, since?: string): Promise<View<T>> {
      const { informer } = await of(resource);
      const { resourceVersion } = informer;
      return since !== undefined && since === resourceVersion
        ? { type: 'changes', put: [], gone: [], resourceVersion }
        : { type: 'all', items: [...informer.values()] as T[], resourceVersion };
    },
    async ownedBy<T extends KubeObject>(resource: GroupResource, uid: string) {
      return [...((await of(resource)).owners.get(uid) ?? [])] as T[];
    },
    atLeast,
    async fresh(resource) {
      const head = await client.list(await options.versionOf(resource), { limit: 1 });
      if (!(await atLeast(resource, head.resourceVersion, 10_000))) {
        throw new Error(`the view of ${resource.resource} does not reach ${head.resourceVersion}`);
      }
    },
  };
};
