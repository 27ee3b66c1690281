import type { Reader } from '../client/reader.ts';
import type { Controller, Watch, WatchedChange } from '../controllers/controller.ts';
import type { GroupResource, KubeObject } from '../machinery/object.ts';
import type { Message, Queue } from '../queue/queue.ts';
import type { Change, Domain, Stored } from '../store/store.ts';

/** What the dispatcher needs of a controller: the scheduler and other consumers pass the same shape. */
export type Consumer = Pick<Controller<never>, 'name' | 'watches'>;

export interface DispatcherOptions {
  consumers: readonly Consumer[];
  queue: Pick<Queue, 'send'>;
  /** Called at most once per stored state and change; an adapter that caches decoded objects shares them here. */
  decode: (stored: Stored) => KubeObject;
  reader: (cluster: string) => Reader;
  /** Resource types to walk in resync(); those that a consumer watches by name where absent. */
  resources?: (cluster: string) => Promise<readonly GroupResource[]>;
  /**
   * A consumer could not say which keys a change concerns, or an object in a resync: the others go on. Rejects, as the
   * absence of it does, where nothing is to go on.
   */
  onFailure?: (domain: Domain, error: unknown, during: 'change' | 'resync') => void | Promise<void>;
}

export interface Dispatcher {
  /** Enqueues what these committed changes wake. A listener of the store's CommitFeed; never rejects in process. */
  changed(domain: Domain, changes: readonly Change[]): Promise<void>;
  /** Enqueues every key of every consumer of a cluster: after a start, and now and then, to find anything missed. */
  resync(cluster: string): Promise<void>;
}

/** How long a message waits for the reader to have the change that caused it; it is sent then in any case. */
const viewLagMaxMs = 5_000;

interface Interest {
  consumer: string;
  watch: Watch;
}

/** A committed change -> messages for the consumers whose watches match. */
export const createDispatcher = (options: DispatcherOptions): Dispatcher => {
  const exact = new Map<string, Interest[]>();
  const every: Interest[] = [];
  const named = new Map<string, GroupResource>();
  for (const consumer of options.consumers) {
    for (const watch of consumer.watches) {
      const interest = { consumer: consumer.name, watch };
      if (watch.resource.resource === '*') {
        every.push(interest);
        continue;
      }
      const id = `${watch.resource.group}/${watch.resource.resource}`;
      named.set(id, watch.resource);
      const list = exact.get(id);
      if (list) list.push(interest);
      else exact.set(id, [interest]);
    }
  }
  const interested = (resource: GroupResource): Interest[] => {
    const list = exact.get(`${resource.group}/${resource.resource}`) ?? [];
    return every.length > 0 ? [...list, ...every] : list;
  };

  const collect = async (cluster: string, interests: Interest[], change: WatchedChange, into: Map<string, Message>) => {
    const read = options.reader(cluster);
    for (const { consumer, watch } of interests) {
      const result = watch.keys(change, read);
      const keys = Array.isArray(result) ? result : await result;
      for (const key of keys) into.set(`${consumer}\n${key}`, { cluster, consumer, key });
    }
  };

  const watched = (resource: GroupResource, change: Change): WatchedChange => ({
    resource,
    object: options.decode(change.stored),
    ...(change.previous && { previous: options.decode(change.previous) }),
    ...(change.previousIndex && { previousOwners: change.previousIndex.owners }),
    deleted: change.type === 'delete',
  });

  const orTell = async (
    domain: Domain,
    during: 'change' | 'resync',
    collecting: () => Promise<void>,
  ): Promise<void> => {
    try {
      await collecting();
    } catch (error) {
      if (!options.onFailure) throw error;
      await options.onFailure(domain, error, during);
    }
  };

  const changed = async (domain: Domain, changes: readonly Change[]): Promise<void> => {
    const interests = interested(domain);
    if (interests.length === 0) return;
    const messages = new Map<string, Message>();
    const resource = { group: domain.group, resource: domain.resource };
    for (const change of changes) {
      await orTell(domain, 'change', () => collect(domain.cluster, interests, watched(resource, change), messages));
    }
    if (messages.size === 0) return;
    // A key that is looked at before the view has the change would see nothing to do, and nobody would look again.
    const last = changes.at(-1)?.stored.revision ?? 0n;
    await options.reader(domain.cluster).atLeast(resource, String(last), viewLagMaxMs);
    await options.queue.send([...messages.values()]);
  };

  return {
    changed,
    async resync(cluster) {
      const read = options.reader(cluster);
      const resources = options.resources ? await options.resources(cluster) : [...named.values()];
      for (const resource of resources) {
        const interests = interested(resource);
        if (interests.length === 0) continue;
        const messages = new Map<string, Message>();
        for (const object of await read.list(resource)) {
          const found: WatchedChange = { resource, object, deleted: false };
          await orTell({ cluster, ...resource }, 'resync', () => collect(cluster, interests, found, messages));
        }
        if (messages.size > 0) await options.queue.send([...messages.values()]);
      }
    },
  };
};
