import type { Client } from '../functions/client/client.ts';
import type { Clock } from '../functions/clock/clock.ts';
import type { GroupVersionResource, KubeObject } from '../functions/machinery/object.ts';

/** What a follower learns: the whole list first (and again after every loss of the watch), then single changes. */
export type Followed<T> = { type: 'all'; objects: T[] } | { type: 'put'; object: T } | { type: 'gone'; object: T };

/**
 * The doorbell of the pod worker and of every cache of the agent: list, then watch from there; when the watch ends or
 * expires, once more from the last revision or a new list. A cloud node's adapter yields `all` when its queue rings.
 */
export interface Doorbell<T> {
  follow(signal: AbortSignal): AsyncIterable<Followed<T>>;
}

export interface FollowOptions {
  namespace?: string;
  fieldSelector?: string;
  labelSelector?: string;
}

type Event<T> = Followed<T> | { type: 'at'; resourceVersion: string } | { type: 'expired' };

async function* watchOnce<T extends KubeObject>(
  client: Client,
  resource: GroupVersionResource,
  options: FollowOptions,
  resourceVersion: string,
  signal: AbortSignal,
): AsyncIterable<Event<T>> {
  for await (const event of client.watch<T>(
    resource,
    { ...options, resourceVersion, allowWatchBookmarks: true },
    signal,
  )) {
    if (event.type === 'ERROR') {
      yield { type: 'expired' };
      return;
    }
    if (event.type === 'BOOKMARK') {
      yield { type: 'at', resourceVersion: event.object.metadata.resourceVersion };
      continue;
    }
    yield { type: event.type === 'DELETED' ? 'gone' : 'put', object: event.object };
    yield { type: 'at', resourceVersion: event.object.metadata.resourceVersion ?? '' };
  }
}

/** Follows with list and watch through the API client; failures are retried with back-off of 0.2 to 10 s. */
export const createWatchDoorbell = <T extends KubeObject>(
  client: Client,
  resource: GroupVersionResource,
  options: FollowOptions,
  clock: Clock,
): Doorbell<T> => ({
  async *follow(signal) {
    let at = '';
    let waitMs = 200;
    while (!signal.aborted) {
      try {
        if (!at) {
          const list = await client.list<T>(resource, options);
          at = list.resourceVersion;
          yield { type: 'all', objects: list.items };
        }
        for await (const event of watchOnce<T>(client, resource, options, at, signal)) {
          waitMs = 200;
          if (event.type === 'at') at = event.resourceVersion;
          else if (event.type === 'expired') at = '';
          else yield event;
        }
      } catch {
        at = '';
      }
      if (signal.aborted) return;
      await clock.sleep(waitMs, signal).catch(() => {});
      waitMs = Math.min(waitMs * 2, 10_000);
    }
  },
});
