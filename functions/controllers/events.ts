import type { Client } from '../client/client.ts';
import { type Clock, timestamp } from '../clock/clock.ts';
import type { Event } from '../machinery/kinds.d.ts';
import { StatusError } from '../machinery/status.ts';
import type { EventDraft } from './controller.ts';

/** Writes core/v1 Events, which `kubectl describe` and `kubectl events` read. Never rejects: an event is a courtesy. */
export interface EventRecorder {
  record(cluster: string, client: Client, component: string, draft: EventDraft): Promise<void>;
}

export const events = { group: '', version: 'v1', resource: 'events' } as const;

const similarMax = 10;
const similarWindowMs = 600_000;
const burst = 25;
const refillMs = 300_000;
const rememberedMax = 4096;

interface Similar {
  messages: Set<string>;
  since: number;
}
interface Bucket {
  tokens: number;
  at: number;
}
interface Known {
  name: string;
  count: number;
  /** One write at a time per event, so that counts do not overtake each other. */
  tail: Promise<void>;
}

/** Keeps the newest entries of a map: the oldest insertion goes when there are too many. */
const remember = <V>(map: Map<string, V>, key: string, value: V): V => {
  map.delete(key);
  map.set(key, value);
  if (map.size > rememberedMax) {
    const oldest = map.keys().next().value;
    if (oldest !== undefined) map.delete(oldest);
  }
  return value;
};

/**
 * Aggregates as client-go's correlator does: the same event bumps a count; more than ten different messages of one
 * reason within ten minutes become one "combined" event; beyond 25 events of one component about one object, one in
 * five minutes.
 */
export const createEventRecorder = (clock: Clock): EventRecorder => {
  const known = new Map<string, Known>();
  const similar = new Map<string, Similar>();
  const buckets = new Map<string, Bucket>();

  const admitted = (key: string): boolean => {
    const now = clock.now();
    const bucket = buckets.get(key) ?? remember(buckets, key, { tokens: burst, at: now });
    bucket.tokens = Math.min(burst, bucket.tokens + (now - bucket.at) / refillMs);
    bucket.at = now;
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  };
  const messageOf = (group: string, message: string): string => {
    const now = clock.now();
    let entry = similar.get(group);
    if (!entry || now - entry.since > similarWindowMs) {
      entry = remember(similar, group, { messages: new Set(), since: now });
    }
    if (entry.messages.size < similarMax || entry.messages.has(message)) {
      entry.messages.add(message);
      return message;
    }
    return `(combined from similar events): ${message}`;
  };

  return {
    async record(cluster, client, component, draft) {
      const about = draft.regarding;
      const subject = [
        cluster,
        component,
        about.kind,
        about.metadata.namespace,
        about.metadata.name,
        about.metadata.uid,
      ];
      const subjectKey = subject.join('\n');
      const group = `${subjectKey}\n${draft.type}\n${draft.reason}`;
      const message = messageOf(group, draft.message);
      if (!admitted(subjectKey)) return;
      const combined = message !== draft.message;
      const key = combined ? `${group}\ncombined` : `${group}\n${message}`;
      const found = known.get(key);
      const now = timestamp(clock.now());
      const namespace = about.metadata.namespace || 'default';
      if (found) {
        found.count++;
        const body = { count: found.count, lastTimestamp: now, message };
        found.tail = found.tail.then(() => bump(client, namespace, found, body, () => known.delete(key)));
        return found.tail;
      }
      const name = `${about.metadata.name}.${clock.uuid().replaceAll('-', '').slice(0, 16)}`;
      const object = draftOf(draft, component, { name, namespace }, message, now);
      const entry = remember(known, key, { name, count: 1, tail: Promise.resolve() });
      entry.tail = client.create(events, object).then(
        () => {},
        () => void known.delete(key),
      );
      return entry.tail;
    },
  };
};

const bump = async (client: Client, namespace: string, entry: Known, body: object, forget: () => void) => {
  try {
    await client.patch(events, namespace, entry.name, { type: 'merge', body });
  } catch (error) {
    // Expired or deleted meanwhile: the next one starts anew.
    if (error instanceof StatusError) forget();
  }
};

const draftOf = (
  draft: EventDraft,
  component: string,
  id: { name: string; namespace: string },
  message: string,
  now: string,
): Event => {
  const about = draft.regarding;
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: id,
    involvedObject: {
      ...(about.apiVersion && { apiVersion: about.apiVersion }),
      ...(about.kind && { kind: about.kind }),
      ...(about.metadata.namespace && { namespace: about.metadata.namespace }),
      ...(about.metadata.name && { name: about.metadata.name }),
      ...(about.metadata.uid && { uid: about.metadata.uid }),
      ...(about.metadata.resourceVersion && { resourceVersion: about.metadata.resourceVersion }),
    },
    reason: draft.reason,
    message: message.slice(0, 1024),
    type: draft.type,
    count: 1,
    firstTimestamp: now,
    lastTimestamp: now,
    source: { component },
    reportingComponent: component,
    reportingInstance: '',
  };
};
