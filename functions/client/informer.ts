import type { Clock } from '../clock/clock.ts';
import { type GroupVersionResource, type KubeObject, keyOf } from '../machinery/object.ts';
import { StatusError } from '../machinery/status.ts';
import type { Client, ListOptions } from './client.ts';

export interface InformerOptions<T extends KubeObject> {
  client: Client;
  clock: Clock;
  resource: GroupVersionResource;
  /** Narrow what is listed and watched. */
  select?: Pick<ListOptions, 'namespace' | 'labelSelector' | 'fieldSelector'>;
  /** Called for every change, after the store has it; `object` is undefined for a delete. */
  onChange?: (change: { object: T | undefined; previous: T | undefined }) => void;
  /** Told of failures that the informer retries by itself. */
  onFailure?: (error: unknown) => void;
  /** Every object is reported again this often, without asking the server; never where absent. */
  resyncMs?: number;
}

/** The objects of one resource type as the server has them, a little later. Objects must not be mutated. */
export interface Informer<T extends KubeObject> {
  readonly resource: GroupVersionResource;
  /** The newest resourceVersion seen; '' before the first list. */
  readonly resourceVersion: string;
  get(namespace: string, name: string): T | undefined;
  values(): Iterable<T>;
  readonly size: number;
  /** Resolves when the first list is complete; rejects when the signal given to run() is aborted before. */
  readonly synced: Promise<void>;
  onAdvanced(listener: (resourceVersion: string) => void): () => void;
  /** Lists and watches until aborted; never rejects. */
  run(signal: AbortSignal): Promise<void>;
}

const pageSize = 500;
const backoffFirstMs = 100;
const backoffMaxMs = 30_000;

export const createInformer = <T extends KubeObject>(options: InformerOptions<T>): Informer<T> => {
  const { client, clock, resource } = options;
  const objects = new Map<string, T>();
  const listeners = new Set<(resourceVersion: string) => void>();
  const first = Promise.withResolvers<void>();
  first.promise.catch(() => {});
  let resourceVersion = '';

  const advance = (revision: string) => {
    resourceVersion = revision;
    for (const listener of listeners) listener(revision);
  };
  const put = (object: T) => {
    const key = keyOf(object.metadata.namespace, object.metadata.name ?? '');
    const previous = objects.get(key);
    objects.set(key, object);
    return () => options.onChange?.({ object, previous });
  };
  const remove = (key: string) => {
    const previous = objects.get(key);
    objects.delete(key);
    return () => previous && options.onChange?.({ object: undefined, previous });
  };

  const relist = async () => {
    const seen = new Set<string>();
    const listed: T[] = [];
    let next: string | undefined;
    let revision = '';
    do {
      const page = await client.list<T>(resource, {
        ...options.select,
        limit: pageSize,
        ...(next && { continue: next }),
      });
      listed.push(...page.items);
      next = page.continue;
      revision = page.resourceVersion;
    } while (next);
    const reports: (() => void)[] = [];
    for (const object of listed) {
      const key = keyOf(object.metadata.namespace, object.metadata.name ?? '');
      seen.add(key);
      if (objects.get(key)?.metadata.resourceVersion !== object.metadata.resourceVersion) reports.push(put(object));
    }
    for (const key of [...objects.keys()]) if (!seen.has(key)) reports.push(remove(key));
    advance(revision);
    for (const report of reports) report();
    first.resolve();
  };

  /** Follows from the newest revision seen. Returns when the server ends the watch, throws StatusError 410 when too old. */
  const follow = async (signal: AbortSignal) => {
    const watch = { ...options.select, resourceVersion, allowWatchBookmarks: true };
    for await (const event of client.watch<T>(resource, watch, signal)) {
      if (event.type === 'ERROR') {
        throw new StatusError({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', ...event.object });
      }
      let report: (() => void) | undefined;
      if (event.type === 'DELETED') {
        report = remove(keyOf(event.object.metadata.namespace, event.object.metadata.name ?? ''));
      } else if (event.type !== 'BOOKMARK') report = put(event.object);
      if (event.object.metadata.resourceVersion) advance(event.object.metadata.resourceVersion);
      report?.();
    }
  };

  const resync = (signal: AbortSignal) => {
    const every = options.resyncMs;
    if (every === undefined || signal.aborted) return;
    const cancel = clock.after(every, () => {
      for (const object of [...objects.values()]) options.onChange?.({ object, previous: object });
      signal.removeEventListener('abort', cancel);
      resync(signal);
    });
    signal.addEventListener('abort', cancel, { once: true });
  };

  return {
    resource,
    get resourceVersion() {
      return resourceVersion;
    },
    get: (namespace, name) => objects.get(keyOf(namespace, name)),
    values: () => objects.values(),
    get size() {
      return objects.size;
    },
    synced: first.promise,
    onAdvanced(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    async run(signal) {
      resync(signal);
      let mustList = true;
      let delay = backoffFirstMs;
      while (!signal.aborted) {
        const since = clock.now();
        try {
          if (mustList) await relist();
          mustList = false;
          await follow(signal);
          // A watch that ends at once, again and again, must not become a busy loop.
          delay = clock.now() - since > 1_000 ? backoffFirstMs : Math.min(backoffMaxMs, delay * 2);
          if (delay === backoffFirstMs) continue;
        } catch (error) {
          if (signal.aborted) break;
          options.onFailure?.(error);
          if (error instanceof StatusError && error.code === 410) mustList = true;
          delay = Math.min(backoffMaxMs, clock.now() - since > 10_000 ? backoffFirstMs : delay * 2);
        }
        await clock.sleep(delay * (0.5 + clock.random() / 2), signal).catch(() => {});
      }
      first.reject(signal.reason);
    },
  };
};
