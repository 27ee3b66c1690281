import type { Backend } from './backend.ts';
import type { AuditEvent } from './event.ts';

export interface BatchOptions {
  /** Events that may wait; those that come beyond it are dropped and counted. */
  bufferSize: number;
  maxBatchSize: number;
  /** The longest that an event waits for others, in milliseconds. */
  maxBatchWaitMs: number;
  /** Batches per second, and how many at once after a pause. */
  throttle?: { qps: number; burst: number } | undefined;
  /** Batches that are on their way at the same time. */
  deliveriesMax: number;
  /** Never rejects; false where the batch is lost. */
  deliver(events: readonly AuditEvent[]): Promise<boolean>;
  onFault(error: Error, events: number): void;
  /** Milliseconds, monotonic. */
  now(): number;
  /** What close() waits at most for what is left, in milliseconds. */
  closeMsMax: number;
}

/** What waits may take so many characters at most, whatever its number. */
const BUFFER_CHARACTERS_MAX = 64 << 20;

/** A token bucket: resolves into how long to wait for the next token, in milliseconds; 0 takes it. */
const createBucket = (qps: number, burst: number, now: () => number) => {
  let tokens = burst;
  let at = now();
  return (): number => {
    const time = now();
    tokens = Math.min(burst, tokens + ((time - at) / 1000) * qps);
    at = time;
    if (tokens < 1) return ((1 - tokens) / qps) * 1000;
    tokens--;
    return 0;
  };
};

/** Gathers events and delivers them in batches, beside the requests that they tell of. */
export const createBatches = (options: BatchOptions): Backend => {
  const { bufferSize, maxBatchSize, maxBatchWaitMs, throttle, deliveriesMax, deliver, onFault, now } = options;
  const take = throttle ? createBucket(throttle.qps, throttle.burst, now) : () => 0;
  let waiting: AuditEvent[] = [];
  let characters = 0;
  let deliveries = 0;
  let hurried = false;
  let closed = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let idle: (() => void)[] = [];

  const later = (ms: number, then: () => void): void => {
    if (timer) return;
    timer = setTimeout(() => {
      timer = undefined;
      then();
    }, ms);
    timer.unref();
  };
  const due = (): void => {
    hurried = true;
    pump();
  };
  const next = (): readonly AuditEvent[] => {
    const batch = waiting.slice(0, maxBatchSize);
    waiting = waiting.slice(maxBatchSize);
    for (const { json } of batch) characters -= json.length;
    return batch;
  };
  const pump = (): void => {
    while (deliveries < deliveriesMax && waiting.length > 0 && (hurried || waiting.length >= maxBatchSize)) {
      const ms = take();
      if (ms > 0) {
        if (timer) clearTimeout(timer);
        timer = undefined;
        later(ms, pump);
        return;
      }
      deliveries++;
      void deliver(next()).finally(() => {
        deliveries--;
        pump();
      });
    }
    if (waiting.length === 0) hurried = false;
    else if (!hurried) later(maxBatchWaitMs, due);
    if (waiting.length > 0 || deliveries > 0) return;
    for (const resolve of idle) resolve();
    idle = [];
  };
  const flush = (): Promise<void> =>
    new Promise((resolve) => {
      idle.push(resolve);
      due();
    });
  return {
    process: (event) => {
      if (closed) onFault(new Error('audit backend shut down'), 1);
      else if (waiting.length >= bufferSize || characters + event.json.length > BUFFER_CHARACTERS_MAX)
        onFault(new Error('audit buffer queue blocked'), 1);
      else {
        waiting.push(event);
        characters += event.json.length;
        if (waiting.length >= maxBatchSize) pump();
        else if (!timer) later(maxBatchWaitMs, due);
      }
      return true;
    },
    flush,
    close: async () => {
      closed = true;
      let late: ReturnType<typeof setTimeout> | undefined;
      const over = new Promise<void>((resolve) => {
        late = setTimeout(resolve, options.closeMsMax);
      });
      await Promise.race([flush(), over]);
      clearTimeout(late);
      clearTimeout(timer);
      if (waiting.length > 0) onFault(new Error('audit backend shut down'), waiting.length);
      waiting = [];
    },
  };
};
