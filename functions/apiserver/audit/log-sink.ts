import type { Backend } from './backend.ts';
import type { AuditEvent } from './event.ts';
import type { LogConfig } from './sink-document.ts';

/** Where lines go: a file or standard output. Throws where they could not be written. */
export interface LineWriter {
  write(lines: string): void;
  /** The same, beside the event loop. */
  writeLater(lines: string): Promise<void>;
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

/** What is waiting is written at the latest when there is so much of it, in characters. */
const PENDING_MAX = 1 << 20;

/**
 * Writes events as lines. In the mode `blocking` all events of one turn of the event loop are one write at its end; in
 * `blocking-strict` each is written at once, and whether it was is the answer.
 */
export const createLogSink = ({ config, writer, immediate, onFault }: LogSinkOptions): Backend => {
  let pending = '';
  let count = 0;
  let scheduled = false;
  const atOnce = immediate || config.mode === 'blocking-strict';
  const write = (lines: string, events: number): boolean => {
    try {
      writer.write(lines);
      return true;
    } catch (error) {
      onFault(error as Error, events);
      return false;
    }
  };
  const flush = (): void => {
    scheduled = false;
    if (count === 0) return;
    const [lines, events] = [pending, count];
    pending = '';
    count = 0;
    write(lines, events);
  };
  return {
    process: (event) => {
      if (atOnce) return write(lineOf(event, config.format), 1);
      pending += lineOf(event, config.format);
      count++;
      if (pending.length >= PENDING_MAX) flush();
      else if (!scheduled) {
        scheduled = true;
        setImmediate(flush);
      }
      return true;
    },
    flush: async () => flush(),
    close: async () => {
      flush();
      writer.close();
    },
  };
};
