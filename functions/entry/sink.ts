import type { Writable } from 'node:stream';
import type { Sink } from '../apiserver/plain-response.ts';

interface Waiting {
  flush(): void;
}

let waiting: Waiting[] = [];
const flushAll = (): void => {
  const all = waiting;
  waiting = [];
  for (const one of all) one.flush();
};

/** Writes what is sent in one turn of the event loop at once, for all sinks together. */
export const createSink = (out: Writable): Sink => {
  let frames: Uint8Array[] = [];
  let bytes = 0;
  let ended = false;
  const flush = (): void => {
    const all = frames;
    if (all.length === 0 || out.destroyed) return;
    const length = bytes;
    frames = [];
    bytes = 0;
    out.write(all.length === 1 ? all[0] : Buffer.concat(all, length));
  };
  const entry: Waiting = { flush };
  return {
    send: (frame) => {
      if (ended || out.destroyed) return;
      if (frames.length === 0 && waiting.push(entry) === 1) setImmediate(flushAll);
      frames.push(frame);
      bytes += frame.byteLength;
    },
    get unread() {
      return bytes + out.writableLength;
    },
    end: () => {
      if (ended) return;
      ended = true;
      flush();
      out.end();
    },
  };
};
