import type { Clock } from '../clock/clock.ts';
import type { Message, Queue } from './queue.ts';

export interface MemoryQueueOptions {
  clock: Clock;
  /** Handlers at the same time, each on another (cluster, consumer, key). */
  workers?: number;
  /** The least time between two deliveries of one message: what comes in between is handled in one go. */
  spacingMs?: number;
  /** Told of every handler that failed; the message comes again by itself. */
  onFailure?: (message: Message, error: unknown, failures: number) => void;
}

export interface MemoryQueue extends Queue {
  /** Nothing is ready and nothing is being handled (delayed messages may wait). */
  idle(): boolean;
  /** Messages that are ready now. */
  depth(): number;
}

const backoffFirstMs = 5;
const backoffMaxMs = 1_000_000;

interface Entry {
  message: Message;
  state: 'waiting' | 'ready' | 'running';
  /** Sent again while it was running: ready again afterwards, or after this delay. */
  againMs: number | undefined;
  failures: number;
  dueAt: number;
  cancel: (() => void) | undefined;
  lastDoneAt: number;
}

/** Ready entries, first in first out within a cluster, clusters taking turns. */
const createReady = () => {
  const lanes = new Map<string, { entries: Entry[]; head: number }>();
  let size = 0;
  return {
    size: () => size,
    push(entry: Entry) {
      size++;
      const lane = lanes.get(entry.message.cluster);
      if (lane) lane.entries.push(entry);
      else lanes.set(entry.message.cluster, { entries: [entry], head: 0 });
    },
    shift(): Entry | undefined {
      const first = lanes.entries().next().value;
      if (!first) return undefined;
      const [cluster, lane] = first;
      const entry = lane.entries[lane.head++];
      size--;
      // To the back of the turn, so that one busy cluster does not hold up the others.
      lanes.delete(cluster);
      if (lane.head > 1024 && lane.head * 2 > lane.entries.length) {
        lane.entries.splice(0, lane.head);
        lane.head = 0;
      }
      if (lane.head < lane.entries.length) lanes.set(cluster, lane);
      return entry;
    },
  };
};

/**
 * The queue of one process. A message is one entry however often it is sent; one handler at a time per message; a failed
 * handler gets the message again after 5 ms, doubling up to about 16 minutes, as client-go's default limiter does.
 */
export const createMemoryQueue = (options: MemoryQueueOptions): MemoryQueue => {
  const { clock } = options;
  const entries = new Map<string, Entry>();
  const ready = createReady();
  let running = 0;
  let wake: (() => void) | undefined;
  const idOf = (m: Message) => `${m.cluster}\n${m.consumer}\n${m.key}`;

  const makeReady = (entry: Entry) => {
    entry.cancel?.();
    entry.cancel = undefined;
    entry.state = 'ready';
    ready.push(entry);
    wake?.();
  };
  const schedule = (entry: Entry, delayMs: number) => {
    const dueAt = Math.max(clock.now() + delayMs, entry.lastDoneAt + (options.spacingMs ?? 0));
    if (entry.cancel && entry.dueAt <= dueAt) return;
    entry.cancel?.();
    entry.state = 'waiting';
    entry.dueAt = dueAt;
    if (dueAt <= clock.now()) return makeReady(entry);
    entry.cancel = clock.after(dueAt - clock.now(), () => {
      entry.cancel = undefined;
      makeReady(entry);
    });
  };
  const put = (message: Message, delayMs: number) => {
    const id = idOf(message);
    let entry = entries.get(id);
    if (!entry) {
      entry = {
        message,
        state: 'waiting',
        againMs: undefined,
        failures: 0,
        dueAt: 0,
        cancel: undefined,
        lastDoneAt: Number.NEGATIVE_INFINITY,
      };
      entries.set(id, entry);
    }
    if (entry.state === 'ready') return;
    if (entry.state === 'running') entry.againMs = Math.min(entry.againMs ?? Number.POSITIVE_INFINITY, delayMs);
    else schedule(entry, delayMs);
  };
  const finish = (entry: Entry, failed: boolean) => {
    running--;
    entry.lastDoneAt = clock.now();
    entry.state = 'waiting';
    const again = entry.againMs;
    entry.againMs = undefined;
    if (failed) {
      const delay = Math.min(backoffMaxMs, backoffFirstMs * 2 ** Math.min(entry.failures++, 30));
      schedule(entry, again === undefined ? delay : Math.min(again, delay));
      return;
    }
    entry.failures = 0;
    if (again !== undefined) schedule(entry, again);
    else if (options.spacingMs) retire(entry, options.spacingMs);
    else entries.delete(idOf(entry.message));
  };
  /** Forgets an entry once its spacing has passed without another send. */
  const retire = (entry: Entry, afterMs: number) => {
    clock.after(afterMs, () => {
      if (entry.state === 'waiting' && !entry.cancel) entries.delete(idOf(entry.message));
    });
  };

  return {
    async send(messages, delayMs = 0) {
      for (const message of messages) put(message, delayMs);
    },
    idle: () => running === 0 && ready.size() === 0,
    depth: () => ready.size(),
    async run(handle, signal) {
      const workers = options.workers ?? 16;
      const start = (entry: Entry) => {
        running++;
        entry.state = 'running';
        handle(entry.message).then(
          () => {
            finish(entry, false);
            wake?.();
          },
          (error) => {
            options.onFailure?.(entry.message, error, entry.failures + 1);
            finish(entry, true);
            wake?.();
          },
        );
      };
      const stop = () => wake?.();
      signal.addEventListener('abort', stop, { once: true });
      while (!signal.aborted) {
        for (let entry = running < workers ? ready.shift() : undefined; entry; ) {
          start(entry);
          entry = running < workers ? ready.shift() : undefined;
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
          if (signal.aborted || (running < workers && ready.size() > 0)) resolve();
        });
        wake = undefined;
      }
    },
  };
};
