import type { JsonObject } from '../../machinery/object.ts';
import { encodeWatchFrame } from '../../machinery/protobuf/codec.ts';
import { expired, type Status, StatusError } from '../../machinery/status.ts';
import type { Replica } from '../../store/replica-port.ts';
import type { Change, Stored } from '../../store/store.ts';
import { type Call, domainOf } from '../context.ts';
import { contentTypes, includeObject } from '../negotiate.ts';
import { plainResponse, type StreamedBody } from '../plain-response.ts';
import { headersOf, shaped } from '../respond.ts';
import { bytesToSend, parseStored, readied, serializer } from '../stored-object.ts';
import { type ListOptions, listOptions } from './list-options.ts';
import { type Matcher, matcherOf, matchesConverted, readiedToMatch } from './select.ts';

/** A watcher that has so many bytes unread is ended; it resumes from its last resourceVersion. */
const unreadBytesMax = 8 * 1024 * 1024;
const bookmarkMs = 60_000;
type EventType = 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';

/** Frames of a stored state, by event type and encoding, shared by every watcher that sends them. */
const frames = new WeakMap<Stored, Map<string, Uint8Array>>();
const newline = Buffer.from('}\n');

const makeFrame = (call: Call, type: EventType, stored: Stored, withColumns: boolean): Uint8Array => {
  const { accept, resource } = call;
  if (accept.media === 'json' && !accept.as)
    return Buffer.concat([Buffer.from(`{"type":"${type}","object":`), bytesToSend(resource, stored), newline]);
  const object = shaped(call, parseStored(resource, stored.bytes), withColumns);
  return valueFrame(call, type, object);
};

const valueFrame = (call: Call, type: string, object: object): Uint8Array => {
  if (call.accept.media === 'protobuf') {
    const frame = encodeWatchFrame(type, object as JsonObject);
    if (frame) return frame;
  }
  return Buffer.from(`${JSON.stringify({ type, object })}\n`);
};

const frameOf = (call: Call, type: EventType, stored: Stored, events: Events): Uint8Array => {
  const { accept, resource } = call;
  if (accept.as) {
    const withColumns = !events.columnsSent;
    events.columnsSent = true;
    return makeFrame(call, type, stored, withColumns);
  }
  const id = `${type} ${accept.media} ${resource.group}/${resource.version} ${resource.definition?.id ?? ''}`;
  let byId = frames.get(stored);
  if (!byId) {
    byId = new Map();
    frames.set(stored, byId);
  }
  const known = byId.get(id);
  if (known) return known;
  const made = makeFrame(call, type, stored, false);
  byId.set(id, made);
  keptFrames.push({ stored, bytes: made.byteLength });
  keptBytes += made.byteLength;
  while (keptBytes > frameBytesMax) dropOldestFrames();
  return made;
};

/** Frames are shared for as long as one change goes round; kept with every state they would double the memory. */
const frameBytesMax = 8 * 1024 * 1024;
let keptFrames: { stored: Stored; bytes: number }[] = [];
let keptBytes = 0;

const dropOldestFrames = (): void => {
  const half = (keptFrames.length >> 1) + 1;
  for (const { stored, bytes } of keptFrames.slice(0, half)) {
    frames.delete(stored);
    keptBytes -= bytes;
  }
  keptFrames = keptFrames.slice(half);
};

const bookmark = (call: Call, revision: bigint, initialEnd: boolean): Uint8Array => {
  const { resource } = call;
  const metadata = {
    resourceVersion: String(revision),
    ...(initialEnd && { annotations: { 'k8s.io/initial-events-end': 'true' } }),
  };
  const object = {
    kind: resource.kind,
    apiVersion: resource.group ? `${resource.group}/${resource.version}` : resource.version,
    metadata,
  };
  return valueFrame(call, 'BOOKMARK', shaped(call, object, false));
};

const statesLeft = new WeakMap<Stored, Stored>();
/** An object that left a selection is shown as it was last selected, at the revision at which it left. */
const stateLeft = (call: Call, { stored, previous }: Change): Stored => {
  if (!previous) return stored;
  const known = statesLeft.get(stored);
  if (known) return known;
  const bytes = serializer(call.resource, parseStored(call.resource, previous.bytes))(stored.revision);
  const made = { ...stored, bytes, index: previous.index };
  statesLeft.set(stored, made);
  return made;
};

/** What a change is to a watcher that sees only what `matches`: leaving the selection is a DELETED, entering an ADDED. */
const eventOf = (change: Change, matches: Matcher): EventType | undefined => {
  const { key, index } = change.stored;
  const before = change.previousIndex ?? change.previous?.index;
  const was = before !== undefined && (!matches || matches(key, before));
  if (change.type === 'delete') return was ? 'DELETED' : undefined;
  const is = !matches || matches(key, index);
  if (is) return was ? 'MODIFIED' : 'ADDED';
  return was ? 'DELETED' : undefined;
};

interface Events {
  send(frame: Uint8Array): void;
  /** Ends the watch. */
  end(): void;
  /** A Table's columns stand in the first event only. */
  columnsSent: boolean;
  readonly full: boolean;
}

const expiredFrame = (call: Call, after: bigint, replica: Replica): Uint8Array => {
  const status: Status = expired(`too old resource version: ${after} (${replica.revision})`).status;
  return valueFrame(call, 'ERROR', status);
};

/** Follows the replica as it is advanced, with no work per watcher besides its own events; ends when aborted or full. */
const live = (call: Call, replica: Replica, pass: (change: Change) => void, events: Events, signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    const finish = () => {
      stop();
      signal.removeEventListener('abort', finish);
      resolve();
    };
    const stop = replica.onApplied(
      (changes) => {
        for (const change of changes) pass(change);
        if (events.full) finish();
      },
      () => {
        events.send(expiredFrame(call, replica.revision, replica));
        finish();
      },
    );
    signal.addEventListener('abort', finish);
    if (signal.aborted) finish();
  });

/** Sends a bookmark a minute while the watch lasts. */
const bookmarks = (call: Call, replica: Replica, events: Events, signal: AbortSignal): void => {
  const again = () => {
    const cancel = call.server.clock.after(bookmarkMs, () => {
      signal.removeEventListener('abort', cancel);
      if (signal.aborted) return;
      events.send(bookmark(call, replica.revision, false));
      again();
    });
    signal.addEventListener('abort', cancel, { once: true });
  };
  again();
};

/** Tells of changes one after the other, each once its states are converted; what cannot be converted ends the watch. */
const inOrder = (call: Call, pass: (change: Change) => void, events: Events): ((change: Change) => void) => {
  let last = Promise.resolve();
  const told = async (change: Change): Promise<void> => {
    await readiedToMatch(call, change.previous ? [change.stored, change.previous] : [change.stored]);
    pass(change);
  };
  return (change) => {
    last = last
      .then(() => told(change))
      .catch((error) => {
        if (error instanceof StatusError) events.send(valueFrame(call, 'ERROR', error.status));
        else call.server.onFault?.(error, call.requestId, call.info);
        events.end();
      });
  };
};

/** An object that left a selection, from its converted form. */
const frameLeft = (call: Call, { stored, previous }: Change, events: Events): Uint8Array => {
  const object = parseStored(call.resource, (previous ?? stored).bytes);
  object.metadata.resourceVersion = `${stored.revision}`;
  const withColumns = !events.columnsSent;
  events.columnsSent = true;
  return valueFrame(call, 'DELETED', shaped(call, object, withColumns));
};

/** A state that cannot be read ends the watch that would show it, and no other. */
const guarded =
  (call: Call, pass: (change: Change) => void, events: Events) =>
  (change: Change): void => {
    try {
      pass(change);
    } catch (error) {
      if (error instanceof StatusError) events.send(valueFrame(call, 'ERROR', error.status));
      else call.server.onFault?.(error, call.requestId, call.info);
      events.end();
    }
  };

const pump = async (
  call: Call,
  replica: Replica,
  after: bigint,
  matches: Matcher,
  options: ListOptions,
  events: Events,
  signal: AbortSignal,
): Promise<void> => {
  const prefix = call.resource.namespaced && call.info.namespace ? `${call.info.namespace}/` : '';
  const followed = replica.follow(after, signal);
  if (followed === 'expired') {
    events.send(expiredFrame(call, after, replica));
    return;
  }
  if (options.bookmarks) bookmarks(call, replica, events, signal);
  const pass = (change: Change): void => {
    if (prefix && !change.stored.key.startsWith(prefix)) return;
    const type = eventOf(change, matches);
    if (!type) return;
    const left = type === 'DELETED' && change.type === 'put';
    if (left && call.resource.convert?.prepare) events.send(frameLeft(call, change, events));
    else events.send(frameOf(call, type, left ? stateLeft(call, change) : change.stored, events));
  };
  const deliver = call.resource.convert?.prepare ? inOrder(call, pass, events) : guarded(call, pass, events);
  let reached = after;
  let rest: Promise<void> | undefined;
  if (reached === replica.revision) rest = live(call, replica, deliver, events, signal);
  else
    for await (const one of followed) {
      if (events.full || signal.aborted) return;
      if (one.type === 'change') {
        deliver(one.change);
        reached = one.change.stored.revision;
      } else reached = one.revision;
      if (reached !== replica.revision) continue;
      rest = live(call, replica, deliver, events, signal);
      break;
    }
  await rest;
};

const stream =
  (call: Call, run: (events: Events, signal: AbortSignal) => Promise<void>, timeoutMs: number): StreamedBody =>
  (sink, gone) => {
    const abort = new AbortController();
    const end = () => abort.abort();
    const stop = call.server.clock.after(timeoutMs, end);
    gone.addEventListener('abort', end, { once: true });
    call.request.signal.addEventListener('abort', end, { once: true });
    const defined = call.resource.definition?.ended;
    defined?.addEventListener('abort', end, { once: true });
    if (defined?.aborted) end();
    const events: Events = {
      columnsSent: false,
      end,
      send: (frame) => {
        if (!abort.signal.aborted) sink.send(frame);
      },
      get full() {
        return sink.unread > unreadBytesMax;
      },
    };
    const done = () => {
      stop();
      defined?.removeEventListener('abort', end);
      abort.abort();
      sink.end();
    };
    run(events, abort.signal).then(done, (error) => {
      if (error instanceof StatusError) events.send(valueFrame(call, 'ERROR', error.status));
      else if (!abort.signal.aborted) call.server.onFault?.(error, call.requestId, call.info);
      done();
    });
  };

/** How long to wait before the first bytes of a watch from a version that has not come. */
const start = async (
  call: Call,
  replica: Replica,
  matches: Matcher,
  options: ListOptions,
  sink: Events,
  signal: AbortSignal,
): Promise<void> => {
  const initial = options.sendInitialEvents ?? !options.revision;
  if (!initial) {
    const head = await replica.fresh();
    // Without initial events, no version means from now on.
    const from = options.revision || head;
    while (replica.revision < from && !signal.aborted) await replica.atLeast(from, 200);
    if (!signal.aborted) await pump(call, replica, from, matches, options, sink, signal);
    return;
  }
  const revision = options.revision === 0n ? replica.revision : await replica.fresh();
  const namespace = call.resource.namespaced ? call.info.namespace : '';
  if (matchesConverted(call)) await readiedToMatch(call, replica.list({}));
  const items = replica.list({ ...(namespace && { namespace }), ...(matches && { matches }) });
  await readied(call.resource, items);
  for (const item of items) sink.send(frameOf(call, 'ADDED', item, sink));
  if (options.sendInitialEvents && options.bookmarks) sink.send(bookmark(call, revision, true));
  await pump(call, replica, revision, matches, options, sink, signal);
};

export const watch = async (call: Call): Promise<Response> => {
  const options = listOptions(call.info.query, true);
  const matches = matcherOf(call);
  if (call.accept.as === 'Table') includeObject(call.info.query);
  const replica = await call.server.replicas.of(domainOf(call.info.cluster, call.resource));
  const longest = call.server.watchMsMax ?? 3_600_000;
  const timeoutMs = Math.min(options.timeoutMs ?? longest * (0.5 + call.server.clock.random() / 2), longest);
  const type = call.accept.media === 'json' ? contentTypes.json : `${contentTypes[call.accept.media]};stream=watch`;
  const body = stream(call, (sink, signal) => start(call, replica, matches, options, sink, signal), timeoutMs);
  return plainResponse({ status: 200, headers: headersOf(call, type), body });
};
