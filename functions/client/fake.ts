import { type Clock, timestamp } from '../clock/clock.ts';
import { type GroupResource, type GroupVersionResource, type KubeObject, keyOf } from '../machinery/object.ts';
import { alreadyExists, conflict, notFound, type StatusError } from '../machinery/status.ts';
import type { Client, ListOptions, WatchEvent, WriteOptions } from './client.ts';
import type { Reader } from './reader.ts';

type Loose = KubeObject & { spec?: Record<string, unknown>; status?: Record<string, unknown> };

/** One write as the fake saw it, refused or not. */
export interface RecordedWrite {
  op: 'create' | 'update' | 'patch' | 'delete';
  resource: GroupVersionResource;
  key: string;
  subresource: string;
}

export interface FakeChange {
  resource: GroupResource;
  object: KubeObject;
  previous: KubeObject | undefined;
  deleted: boolean;
}

export interface FakeClusterOptions {
  clock: Clock;
  cluster?: string;
  /** Defaults and strategies for a new object, or for one that replaces `previous`; it may be changed in place. */
  prepare?: (resource: GroupVersionResource, object: KubeObject, previous?: KubeObject) => void;
  /** A refusal for this write, or nothing to let it pass. */
  refuse?: (write: RecordedWrite, object: KubeObject | undefined) => StatusError | undefined;
}

/** A model API of one cluster in memory: revisions, generations, preconditions, finalizers, graceful deletion. */
export interface FakeCluster {
  client: Client;
  reader: Reader;
  writes: RecordedWrite[];
  onChange(listener: (change: FakeChange) => void): () => void;
  all(resource: GroupResource): KubeObject[];
  resources(): GroupResource[];
}

const clone = <T>(value: T): T => structuredClone(value);

const mergePatch = (target: unknown, patch: unknown): unknown => {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const base = typeof target === 'object' && target !== null && !Array.isArray(target) ? target : {};
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else if (value !== undefined) result[key] = mergePatch(result[key], value);
  }
  return result;
};

const idOf = (resource: GroupResource): string => `${resource.group}/${resource.resource}`;

export const createFakeCluster = (options: FakeClusterOptions): FakeCluster => {
  const { clock } = options;
  const domains = new Map<string, { resource: GroupResource; objects: Map<string, Loose> }>();
  const listeners = new Set<(change: FakeChange) => void>();
  const writes: RecordedWrite[] = [];
  let revision = 0;
  let names = 0;

  const of = (resource: GroupResource): Map<string, Loose> => {
    const id = idOf(resource);
    let domain = domains.get(id);
    if (!domain) {
      domain = { resource: { group: resource.group, resource: resource.resource }, objects: new Map() };
      domains.set(id, domain);
    }
    return domain.objects;
  };
  const subject = (resource: GroupResource, name: string) => ({ group: resource.group, kind: resource.resource, name });
  const admit = (write: RecordedWrite, object: KubeObject | undefined) => {
    writes.push(write);
    const refusal = options.refuse?.(write, object);
    if (refusal) throw refusal;
  };
  const emit = (resource: GroupResource, object: Loose, previous: Loose | undefined, deleted: boolean) => {
    const change = { resource: { group: resource.group, resource: resource.resource }, object, previous, deleted };
    for (const listener of listeners) listener(change);
  };
  const store = (resource: GroupResource, key: string, next: Loose, previous: Loose | undefined): Loose => {
    const changed = previous && JSON.stringify(next.spec) !== JSON.stringify(previous.spec);
    if (previous && JSON.stringify(next) === JSON.stringify(previous)) return previous;
    if (changed) next.metadata.generation = (previous.metadata.generation ?? 1) + 1;
    next.metadata.resourceVersion = String(++revision);
    const done =
      next.metadata.deletionTimestamp && !next.metadata.finalizers?.length && !next.metadata.deletionGracePeriodSeconds;
    const held = resource.resource === 'namespaces' && (next.spec?.finalizers as string[] | undefined)?.length;
    if (done && !held) {
      of(resource).delete(key);
      emit(resource, next, previous, true);
    } else {
      of(resource).set(key, next);
      emit(resource, next, previous, false);
    }
    return next;
  };
  const existing = (resource: GroupResource, namespace: string | undefined, name: string | undefined): Loose => {
    const found = of(resource).get(keyOf(namespace, name ?? ''));
    if (!found) throw notFound(subject(resource, name ?? ''));
    return found;
  };
  const check = (resource: GroupResource, found: Loose, uid: string | undefined, version: string | undefined) => {
    const { metadata } = found;
    if ((uid && uid !== metadata.uid) || (version && version !== metadata.resourceVersion)) {
      throw conflict(subject(resource, metadata.name ?? ''), 'the object has been modified');
    }
  };

  const create = (resource: GroupVersionResource, given: KubeObject): Loose => {
    const object = clone(given) as Loose;
    const { metadata } = object;
    // Never a suffix that was used before, and in order of creation.
    metadata.name ??= `${metadata.generateName}${(names++).toString(36).padStart(5, '0')}`;
    const key = keyOf(metadata.namespace, metadata.name);
    admit({ op: 'create', resource, key, subresource: '' }, object);
    if (of(resource).has(key)) throw alreadyExists(subject(resource, metadata.name));
    metadata.uid = clock.uuid();
    metadata.creationTimestamp = timestamp(clock.now());
    metadata.generation = 1;
    if (resource.resource !== 'events') delete object.status;
    if (resource.resource === 'pods') object.status = { phase: 'Pending' };
    if (resource.resource === 'namespaces') {
      object.spec = { ...object.spec, finalizers: ['kubernetes'] };
      object.status = { phase: 'Active' };
      metadata.labels = { ...metadata.labels, 'kubernetes.io/metadata.name': metadata.name };
    }
    options.prepare?.(resource, object);
    return store(resource, key, object, undefined);
  };

  const change = (
    op: 'update' | 'patch',
    resource: GroupVersionResource,
    previous: Loose,
    wanted: Loose,
    subresource: string,
  ): Loose => {
    const key = keyOf(previous.metadata.namespace, previous.metadata.name ?? '');
    admit({ op, resource, key, subresource }, wanted);
    check(resource, previous, wanted.metadata.uid, wanted.metadata.resourceVersion);
    const next = clone(subresource === 'status' ? previous : wanted);
    if (subresource === 'status') {
      if (wanted.status) next.status = clone(wanted.status);
      // As the endpoints do: annotations may come along with a status.
      if (wanted.metadata.annotations) next.metadata.annotations = clone(wanted.metadata.annotations);
    } else if (previous.status && subresource === '') next.status = clone(previous.status);
    const { uid, creationTimestamp, generation, deletionTimestamp, deletionGracePeriodSeconds, resourceVersion } =
      previous.metadata;
    const kept = { uid, creationTimestamp, generation, deletionTimestamp, deletionGracePeriodSeconds, resourceVersion };
    if (subresource === '') options.prepare?.(resource, next, previous);
    for (const [field, value] of Object.entries(kept)) {
      if (value !== undefined) Object.assign(next.metadata, { [field]: value });
    }
    return store(resource, key, next, previous);
  };

  const remove = (
    resource: GroupVersionResource,
    found: Loose,
    gracePeriodSeconds: number | undefined,
    propagation: string | undefined,
  ): Loose => {
    const key = keyOf(found.metadata.namespace, found.metadata.name ?? '');
    const next = clone(found);
    const finalizers = new Set(next.metadata.finalizers ?? []);
    const wanted = propagation ?? (resource.resource === 'jobs' ? 'Orphan' : 'Background');
    if (wanted === 'Foreground') finalizers.add('foregroundDeletion');
    if (wanted === 'Orphan') finalizers.add('orphan');
    let grace = 0;
    if (resource.resource === 'pods') {
      const phase = found.status?.phase;
      const asked = gracePeriodSeconds ?? (found.spec?.terminationGracePeriodSeconds as number | undefined) ?? 30;
      grace = !found.spec?.nodeName || phase === 'Succeeded' || phase === 'Failed' ? 0 : asked;
    }
    if (found.metadata.deletionTimestamp && grace >= (found.metadata.deletionGracePeriodSeconds ?? 0) && grace > 0)
      return found;
    if (finalizers.size > 0) next.metadata.finalizers = [...finalizers];
    next.metadata.deletionTimestamp ??= timestamp(clock.now() + grace * 1000);
    if (resource.resource !== 'namespaces') next.metadata.deletionGracePeriodSeconds = grace;
    if (resource.resource === 'namespaces') next.status = { ...next.status, phase: 'Terminating' };
    if (!found.metadata.deletionTimestamp) next.metadata.generation = (found.metadata.generation ?? 1) + 1;
    return store(resource, key, next, found);
  };

  const listed = (resource: GroupResource, namespace?: string): Loose[] =>
    [...of(resource).values()].filter((object) => !namespace || object.metadata.namespace === namespace);

  const client: Client = {
    async get<T extends KubeObject>(resource: GroupVersionResource, namespace: string, name: string) {
      return clone(of(resource).get(keyOf(namespace, name))) as T | undefined;
    },
    async list<T extends KubeObject>(resource: GroupVersionResource, list: ListOptions = {}) {
      return { items: clone(listed(resource, list.namespace)) as unknown as T[], resourceVersion: String(revision) };
    },
    async *watch<T extends KubeObject>(resource: GroupVersionResource, _options: object, signal: AbortSignal) {
      const waiting: WatchEvent<T>[] = [];
      let wake = () => {};
      const listener = (seen: FakeChange) => {
        if (idOf(seen.resource) !== idOf(resource)) return;
        const type = seen.deleted ? 'DELETED' : seen.previous ? 'MODIFIED' : 'ADDED';
        waiting.push({ type, object: seen.object as T });
        wake();
      };
      listeners.add(listener);
      signal.addEventListener('abort', () => wake(), { once: true });
      while (!signal.aborted) {
        for (let event = waiting.shift(); event; event = waiting.shift()) yield event;
        await new Promise<void>((resolve) => {
          wake = resolve;
          if (signal.aborted || waiting.length > 0) resolve();
        });
      }
      listeners.delete(listener);
    },
    create: async <T extends KubeObject>(resource: GroupVersionResource, object: T) =>
      create(resource, object) as unknown as T,
    update: async <T extends KubeObject>(resource: GroupVersionResource, object: T, write?: WriteOptions) => {
      const previous = existing(resource, object.metadata.namespace, object.metadata.name);
      return change('update', resource, previous, clone(object) as Loose, write?.subresource ?? '') as unknown as T;
    },
    patch: async (resource, namespace, name, patch, write) => {
      const previous = existing(resource, namespace, name);
      const { resourceVersion: _, ...metadata } = previous.metadata;
      const merged = mergePatch({ ...previous, metadata }, patch.body) as Loose;
      // biome-ignore lint/suspicious/noExplicitAny: the caller names the type of what it patches
      return change('patch', resource, previous, merged, write?.subresource ?? '') as any;
    },
    async delete(resource, namespace, name, remote = {}) {
      const found = existing(resource, namespace, name);
      admit({ op: 'delete', resource, key: keyOf(namespace, name), subresource: '' }, found);
      check(resource, found, remote.uid, remote.resourceVersion);
      return remove(resource, found, remote.gracePeriodSeconds, remote.propagationPolicy);
    },
    raw: async () => new Response(null, { status: 404 }),
  };

  const field = (object: Loose, path: string): unknown => {
    let value: unknown = object;
    for (const part of path.split('.')) value = (value as Record<string, unknown> | undefined)?.[part];
    return value;
  };
  const reader: Reader = {
    cluster: options.cluster ?? 'default',
    get: async <T extends KubeObject>(resource: GroupResource, namespace: string, name: string) =>
      of(resource).get(keyOf(namespace, name)) as T | undefined,
    list: async <T extends KubeObject>(resource: GroupResource, select: Parameters<Reader['list']>[1] = {}) =>
      listed(resource, select.namespace).filter(
        (object) =>
          (!select.matches || select.matches(object.metadata.labels ?? {})) &&
          (!select.field || (field(object, select.field.name) ?? '') === select.field.value),
      ) as unknown as T[],
    view: async <T extends KubeObject>(resource: GroupResource) => ({
      type: 'all' as const,
      items: listed(resource) as unknown as T[],
      resourceVersion: String(revision),
    }),
    ownedBy: async <T extends KubeObject>(resource: GroupResource, uid: string) =>
      listed(resource).filter((o) => o.metadata.ownerReferences?.some((owner) => owner.uid === uid)) as unknown as T[],
    atLeast: async () => true,
    fresh: async () => {},
  };
  return {
    client,
    reader,
    writes,
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    all: (resource) => listed(resource),
    resources: () => [...domains.values()].map(({ resource }) => resource),
  };
};
