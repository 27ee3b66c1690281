/** Time and ids are inputs: everything that waits or stamps takes this port. Adapters: system.ts, simulated.ts. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Resolves after `ms`, or rejects with the signal's reason when aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls back after `ms` unless the returned function is called first. */
  after(ms: number, callback: () => void): () => void;
  /** A random UUID (v4), or a seeded one under simulation. */
  uuid(): string;
  /** A number in [0, 1). */
  random(): number;
}

/** RFC 3339 with whole seconds, as metav1.Time is written. */
export const timestamp = (ms: number): string => {
  const second = Math.floor(ms / 1000);
  if (second !== lastSecond) {
    lastText = `${new Date(ms).toISOString().slice(0, 19)}Z`;
    lastSecond = second;
  }
  return lastText;
};
/** Under load the same second is asked for many times. */
let lastSecond = Number.NaN;
let lastText = '';
/** RFC 3339 with microseconds, as metav1.MicroTime is written. */
export const microTimestamp = (ms: number): string => {
  if (ms === lastMs) return lastMicro;
  const second = Math.floor(ms / 1000);
  if (second !== microSecond) {
    microText = new Date(ms).toISOString().slice(0, 20);
    microSecond = second;
  }
  lastMs = ms;
  lastMicro = `${microText}${String(Math.floor(ms) - second * 1000).padStart(3, '0')}000Z`;
  return lastMicro;
};
/** Of an own second: other times are asked for in between. */
let microSecond = Number.NaN;
let microText = '';
let lastMs = Number.NaN;
let lastMicro = '';
