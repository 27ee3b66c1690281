import type { Client } from '../functions/client/client.ts';
import { type Clock, timestamp } from '../functions/clock/clock.ts';
import type { Event, ObjectReference } from '../functions/machinery/kinds.d.ts';
import type { KubeObject } from '../functions/machinery/object.ts';
import * as resources from './resources.ts';

/** Writes core/v1 Events as kubelet's recorder: equal ones are counted on one object; never throws, never blocks. */
export interface EventRecorder {
  event(about: KubeObject, type: 'Normal' | 'Warning', reason: string, message: string, fieldPath?: string): void;
  /** Resolves when what was recorded is written. */
  flush(): Promise<void>;
}

const countedMax = 2000;

export const createEventRecorder = (client: Client, clock: Clock, host: string): EventRecorder => {
  const counted = new Map<string, { name: string; count: number }>();
  let tail: Promise<unknown> = Promise.resolve();
  let waiting = 0;

  const reference = (about: KubeObject, fieldPath: string | undefined): ObjectReference => ({
    kind: about.kind ?? 'Pod',
    apiVersion: about.apiVersion ?? 'v1',
    ...(about.metadata.namespace && { namespace: about.metadata.namespace }),
    ...(about.metadata.name && { name: about.metadata.name }),
    ...(about.metadata.uid && { uid: about.metadata.uid }),
    ...(about.metadata.resourceVersion && { resourceVersion: about.metadata.resourceVersion }),
    ...(fieldPath && { fieldPath }),
  });
  const write = async (event: Event, key: string): Promise<void> => {
    const namespace = event.metadata.namespace ?? 'default';
    const known = counted.get(key);
    if (known) {
      known.count += 1;
      const merge = { count: known.count, lastTimestamp: event.lastTimestamp };
      try {
        await client.patch(resources.events, namespace, known.name, { type: 'merge', body: merge });
        return;
      } catch {
        counted.delete(key);
      }
    }
    await client.create<Event>(resources.events, event);
    if (counted.size >= countedMax) counted.clear();
    counted.set(key, { name: event.metadata.name ?? '', count: 1 });
  };

  return {
    event(about, type, reason, message, fieldPath) {
      // A node whose API is away would pile these up: events are best effort.
      if (waiting > 1000) return;
      const now = clock.now();
      const involvedObject = reference(about, fieldPath);
      const namespace = about.metadata.namespace ?? 'default';
      const suffix = Math.floor(clock.random() * 2 ** 48).toString(16);
      const event: Event = {
        apiVersion: 'v1',
        kind: 'Event',
        metadata: { namespace, name: `${about.metadata.name}.${now.toString(16)}${suffix}` },
        involvedObject,
        reason,
        message: message.slice(0, 1024),
        source: { component: 'kubelet', host },
        reportingComponent: 'kubelet',
        reportingInstance: host,
        firstTimestamp: timestamp(now),
        lastTimestamp: timestamp(now),
        count: 1,
        type,
      };
      const key = [about.metadata.uid, fieldPath, type, reason, message].join('\n');
      waiting += 1;
      tail = tail
        .then(() => write(event, key))
        .catch(() => {})
        .finally(() => {
          waiting -= 1;
        });
    },
    async flush() {
      await tail;
    },
  };
};

/** Discards: hollow nodes at scale write no events. */
export const silentRecorder: EventRecorder = { event: () => {}, flush: () => Promise.resolve() };
