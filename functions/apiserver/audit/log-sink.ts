import type { Backend } from './backend.ts';
import type { AuditEvent } from './event.ts';
import type { LogConfig } from './sink-document.ts';

/** Where lines go: a file or standard output. Throws where they could not be written. */
export interface LineWriter {
  write(lines: Uint8Array): void;
  /** The same, beside the event loop. */
  writeLater(lines: Uint8Array): Promise<void>;
  close(): void;
}

export interface LogSinkOptions {
  config: Pick<LogConfig, 'format' | 'mode'>;
  writer: LineWriter;
  /** Each event is written before the request goes on: for functions, which are frozen once they have answered. */
  immediate: boolean;
  onFault(error: Error, events: number): void;
}

/** An event as its line. */
export const lineOf = (event: AuditEvent, format: LogConfig['format']): string =>
  `${format === 'legacy' ? event.legacy() : event.json}\n`;

/** What is waiting is written at the latest when it takes so many bytes. */
const PENDING_BYTES = 256 * 1024;
/** How long an event waits at most to be written with others, in milliseconds. */
const GATHERED_MS = 5;
/** Bytes that one UTF-16 unit takes in UTF-8 at most. */
const BYTES_PER_UNIT = 3;

/**
 * Writes events as lines. In the mode `blocking` all events of five milliseconds are one write; in `blocking-strict` each is
 * written at once, and whether it was is the answer.
 */
export const createLogSink = ({ config, writer, immediate, onFault }: LogSinkOptions): Backend => {
  // Bytes at once: texts that wait would be copied by every collection of garbage.
  let pending: Buffer | undefined;
  let length = 0;
  let count = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const atOnce = immediate || config.mode === 'blocking-strict';
  const write = (lines: Uint8Array, events: number): boolean => {
    try {
      writer.write(lines);
      return true;
    } catch (error) {
      onFault(error as Error, events);
      return false;
    }
  };
  const flush = (): void => {
    clearTimeout(timer);
    timer = undefined;
    if (count === 0 || !pending) return;
    const events = count;
    count = 0;
    write(pending.subarray(0, length), events);
    length = 0;
  };
  return {
    process: (event) => {
      const line = lineOf(event, config.format);
      if (atOnce) return write(Buffer.from(line), 1);
      const most = line.length * BYTES_PER_UNIT;
      if (length + most > PENDING_BYTES) flush();
      if (most > PENDING_BYTES) return write(Buffer.from(line), 1) || true;
      pending ??= Buffer.allocUnsafeSlow(PENDING_BYTES);
      length += pending.write(line, length);
      count++;
      timer ??= setTimeout(flush, GATHERED_MS);
      return true;
    },
    flush: async () => flush(),
    close: async () => {
      flush();
      writer.close();
    },
  };
};
