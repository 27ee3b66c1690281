import type { Clock } from './clock.ts';

export interface SimulatedClock extends Clock {
  /** Runs every timer that falls due within `ms`, in order, letting promises settle between them. */
  advance(ms: number): Promise<void>;
  /** When the next timer is due, in milliseconds since the epoch; undefined when nothing waits. */
  next(): number | undefined;
}

export interface SimulatedClockOptions {
  /** Milliseconds since the epoch. */
  start?: number;
  seed?: number;
}

/** A generator of numbers in [0, 1) that repeats for a seed (mulberry32). */
export const seededRandom = (seed: number): (() => number) => {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
};

/** Lets every promise and setImmediate callback that is due run. */
export const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Time stands still until advance() is called; ids and numbers come from the seed. */
export const createSimulatedClock = (options: SimulatedClockOptions = {}): SimulatedClock => {
  let now = options.start ?? Date.UTC(2026, 0, 1);
  let order = 0;
  const random = seededRandom(options.seed ?? 1);
  const timers = new Set<{ due: number; order: number; callback: () => void }>();
  const earliest = () => {
    let first: { due: number; order: number; callback: () => void } | undefined;
    for (const timer of timers) {
      if (!first || timer.due < first.due || (timer.due === first.due && timer.order < first.order)) first = timer;
    }
    return first;
  };
  const after = (ms: number, callback: () => void) => {
    const timer = { due: now + Math.max(0, ms), order: order++, callback };
    timers.add(timer);
    return () => void timers.delete(timer);
  };
  return {
    now: () => now,
    after,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason);
        const abort = () => {
          cancel();
          reject(signal?.reason);
        };
        const cancel = after(ms, () => {
          signal?.removeEventListener('abort', abort);
          resolve();
        });
        signal?.addEventListener('abort', abort, { once: true });
      }),
    uuid: () => {
      const hex = () =>
        Math.floor(random() * 0x10000)
          .toString(16)
          .padStart(4, '0');
      return `${hex()}${hex()}-${hex()}-4${hex().slice(1)}-a${hex().slice(1)}-${hex()}${hex()}${hex()}`;
    },
    random,
    next: () => earliest()?.due,
    async advance(ms) {
      await settle();
      const until = now + ms;
      for (let timer = earliest(); timer && timer.due <= until; timer = earliest()) {
        timers.delete(timer);
        now = Math.max(now, timer.due);
        timer.callback();
        await settle();
      }
      now = until;
      await settle();
    },
  };
};
