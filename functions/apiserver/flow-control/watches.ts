import type { Clock } from '../../clock/clock.ts';
import type { StreamedBody } from '../plain-response.ts';

/** Counts a watch while somebody reads it. */
export const countWatcher =
  (watchers: Map<string, number>, resource: string, run: StreamedBody): StreamedBody =>
  (sink, signal) => {
    watchers.set(resource, (watchers.get(resource) ?? 0) + 1);
    let open = true;
    const close = (): void => {
      if (!open) return;
      open = false;
      const left = (watchers.get(resource) ?? 1) - 1;
      if (left > 0) watchers.set(resource, left);
      else watchers.delete(resource);
    };
    signal.addEventListener('abort', close, { once: true });
    if (signal.aborted) close();
    run(
      {
        send: (bytes) => sink.send(bytes),
        get unread() {
          return sink.unread;
        },
        end: () => {
          close();
          sink.end();
        },
      },
      signal,
    );
  };

/** A list that nobody takes, or that has nothing in it, is over after this long. */
const INITIAL_MS = 100;

/** Calls back once when the initial events of a watch have been sent: in one go, so with the first of them. */
export const onInitialEvents = (run: StreamedBody, clock: Pick<Clock, 'after'>, sent: () => void): StreamedBody => {
  let told = false;
  const tell = (): void => {
    if (told) return;
    told = true;
    stop();
    sent();
  };
  const stop = clock.after(INITIAL_MS, tell);
  return (sink, signal) => {
    signal.addEventListener('abort', tell, { once: true });
    run(
      {
        send: (bytes) => {
          sink.send(bytes);
          tell();
        },
        get unread() {
          return sink.unread;
        },
        end: () => {
          tell();
          sink.end();
        },
      },
      signal,
    );
  };
};
