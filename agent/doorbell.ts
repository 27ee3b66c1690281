import type { Client } from '../functions/client/client.ts';
import type { Clock } from '../functions/clock/clock.ts';
import type { GroupVersionResource, KubeObject } from '../functions/machinery/object.ts';
import type { Doorbell, FollowOptions } from './follow.ts';

/** Tells that objects of a resource may have changed, without saying how. */
export interface Rings {
  /** Resolves when it rang for the resource since the last call, after `ms`, or when aborted. */
  wait(resource: string, ms: number, signal: AbortSignal): Promise<void>;
}

/** Where a bell was lost, this is how long a change may go unseen. */
const LOOK_MS = 10 * 60_000;
const RETRY_MS = 5_000;
/** Answers of a front that has nothing to tell come after this long at most. */
const ANSWER_MS = 25_000;

/**
 * Follows by listing whenever it rings, and now and then in any case: no connection to the server is held and nothing is
 * asked while nothing changes. A list that says what the last one said is not told again.
 */
export const createRingDoorbell = <T extends KubeObject>(
  client: Client,
  resource: GroupVersionResource,
  options: FollowOptions,
  clock: Clock,
  rings: Rings,
): Doorbell<T> => ({
  async *follow(signal) {
    let told: string | undefined;
    while (!signal.aborted) {
      let failed = false;
      try {
        const { items } = await client.list<T>(resource, options);
        const seen = items.map(({ metadata }) => `${metadata.uid}/${metadata.resourceVersion}`).join();
        if (seen !== told) yield { type: 'all', objects: items };
        told = seen;
      } catch {
        failed = true;
      }
      if (signal.aborted) return;
      if (failed) await clock.sleep(RETRY_MS, signal).catch(() => {});
      else await rings.wait(resource.resource, LOOK_MS, signal);
    }
  },
});

export interface RingSet extends Rings {
  ring(resources: readonly string[]): void;
}

/** Rings of this process. What rings while nobody waits is kept for who waits next. */
export const createRings = (clock: Clock): RingSet => {
  const rung = new Set<string>();
  const waiting = new Map<string, () => void>();
  return {
    ring: (resources) => {
      for (const resource of resources) {
        rung.add(resource);
        waiting.get(resource)?.();
      }
    },
    wait: async (resource, ms, signal) => {
      if (!rung.has(resource) && !signal.aborted) {
        await new Promise<void>((resolve) => {
          const done = (): void => {
            cancel();
            signal.removeEventListener('abort', done);
            resolve();
          };
          const cancel = clock.after(ms, done);
          waiting.set(resource, done);
          signal.addEventListener('abort', done);
        });
        waiting.delete(resource);
      }
      rung.delete(resource);
    },
  };
};

/** Path on a node's own front that answers with the resources that rang, as words; empty after a while. */
export const RINGS_PATH = '/skiff/v1/rings';

/** Takes rings from the node's front until aborted. */
export const takeRings = async (client: Client, clock: Clock, into: RingSet, signal: AbortSignal): Promise<void> => {
  while (!signal.aborted) {
    try {
      const answer = await client.raw('GET', RINGS_PATH, { signal });
      if (!answer.ok) throw new Error(`rings: HTTP ${answer.status}`);
      into.ring((await answer.text()).split(' ').filter(Boolean));
    } catch {
      await clock.sleep(RETRY_MS, signal).catch(() => {});
    }
  }
};

/** Words that wait for the one who takes them: what a front answers at RINGS_PATH. */
export const createRingBox = (clock: Clock) => {
  const words = new Set<string>();
  let wake: (() => void) | undefined;
  return {
    ring: (resources: readonly string[]): void => {
      for (const resource of resources) words.add(resource);
      if (words.size > 0) wake?.();
    },
    take: async (): Promise<string> => {
      if (words.size === 0) {
        await new Promise<void>((resolve) => {
          const cancel = clock.after(ANSWER_MS, resolve);
          wake = () => {
            cancel();
            resolve();
          };
        });
        wake = undefined;
      }
      const taken = [...words].join(' ');
      words.clear();
      return taken;
    },
  };
};
