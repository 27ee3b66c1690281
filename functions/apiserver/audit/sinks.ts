import { resolve } from 'node:path';
import type { Clock } from '../../clock/clock.ts';
import { readConnection } from '../authz/webhook/connection.ts';
import type { Backend } from './backend.ts';
import { createBatches } from './batches.ts';
import { openLogFile } from './log-file.ts';
import { createLogSink, type LineWriter, lineOf } from './log-sink.ts';
import type { AuditSinkConfig, LogConfig, WebhookSinkConfig } from './sink-document.ts';
import { truncating } from './truncation.ts';
import { createWebhook } from './webhook.ts';

export interface SinkOptions {
  clock: Clock;
  /** Relative paths are of this folder. */
  directory: string;
  /** Each event is written before its request goes on; for functions, which are frozen once they have answered. */
  immediate: boolean;
  /** Events that were not kept, by what should have kept them. */
  onLost(plugin: string, error: Error, events: number): void;
  log(line: string): void;
}

const MIB = 1024 * 1024;
const DAY_MS = 24 * 3600 * 1000;
const DELIVERIES_MAX = 10;
const CLOSE_MS_MAX = 5_000;
/** Lines that one write of the mode `batch` takes. */
const LINES_MAX = 1000;

const standardOutput = (): LineWriter => ({
  write: (lines) => void process.stdout.write(lines),
  writeLater: (lines) =>
    new Promise((done, reject) => {
      process.stdout.write(lines, (error) => (error ? reject(error) : done()));
    }),
  close: () => undefined,
});

const writerOf = (config: LogConfig, { clock, directory, log }: SinkOptions): LineWriter => {
  if (config.path === '-') return standardOutput();
  return openLogFile({
    path: resolve(directory, config.path),
    bytesMax: config.maxSizeMB * MIB,
    backupsMax: config.maxBackups,
    ageMsMax: config.maxAgeDays * DAY_MS,
    compress: config.compress,
    now: () => clock.now(),
    onFault: (error) => log(`old audit logs: ${error.message}`),
  });
};

const logSink = (config: LogConfig, options: SinkOptions): Backend => {
  const writer = writerOf(config, options);
  const lost = (error: Error, events: number) => options.onLost('log', error, events);
  if (config.mode !== 'batch') {
    const sink = createLogSink({ config, writer, immediate: options.immediate, onFault: lost });
    return truncating(config.truncate, sink, (error, events) => options.onLost('truncate', error, events));
  }
  const batches = createBatches({
    bufferSize: config.batch.bufferSize,
    maxBatchSize: LINES_MAX,
    maxBatchWaitMs: 0,
    deliveriesMax: 1,
    deliver: (events) =>
      writer.writeLater(Buffer.from(events.map((event) => lineOf(event, config.format)).join(''))).then(
        () => true,
        (error: Error) => {
          lost(error, events.length);
          return false;
        },
      ),
    onFault: (error, events) => options.onLost('buffered', error, events),
    now: () => performance.now(),
    closeMsMax: CLOSE_MS_MAX,
  });
  const closed = {
    ...batches,
    close: async () => {
      await batches.close();
      writer.close();
    },
  };
  return truncating(config.truncate, closed, (error, events) => options.onLost('truncate', error, events));
};

const webhookSink = async (config: WebhookSinkConfig, options: SinkOptions): Promise<Backend> => {
  const { mode, batch, truncate } = config;
  const webhook = createWebhook({
    connection: await readConnection(
      config.kubeconfig.startsWith('data:') ? config.kubeconfig : resolve(options.directory, config.kubeconfig),
    ),
    initialBackoffMs: config.initialBackoff,
    batchMax: truncate.enabled ? truncate.maxBatchSize : Number.POSITIVE_INFINITY,
    onFault: (error, events) => options.onLost('webhook', error, events),
    random: () => options.clock.random(),
  });
  const truncated = (backend: Backend) =>
    truncating(truncate, backend, (error, events) => options.onLost('truncate', error, events));
  if (mode !== 'batch') {
    const strict = mode === 'blocking-strict';
    return truncated({
      process: async (event) => (await webhook.send([event])) || !strict,
      flush: async () => undefined,
      close: async () => webhook.close(),
    });
  }
  const batches = createBatches({
    bufferSize: batch.bufferSize,
    maxBatchSize: batch.maxBatchSize,
    maxBatchWaitMs: batch.maxBatchWait,
    throttle: batch.throttle.enabled ? batch.throttle : undefined,
    deliveriesMax: DELIVERIES_MAX,
    deliver: webhook.send,
    onFault: (error, events) => options.onLost('buffered', error, events),
    now: () => performance.now(),
    closeMsMax: CLOSE_MS_MAX,
  });
  const close = async () => {
    await batches.close();
    webhook.close();
  };
  return truncated({ ...batches, close });
};

/** One backend of several: each takes every event. */
const union = (backends: readonly Backend[]): Backend => {
  const [only] = backends;
  if (only && backends.length === 1) return only;
  return {
    process: (event) => {
      let all = true;
      let waiting: Promise<boolean> | undefined;
      for (const backend of backends) {
        const kept = backend.process(event);
        if (typeof kept === 'boolean') all = kept && all;
        else waiting = kept;
      }
      return waiting ? waiting.then((kept) => kept && all) : all;
    },
    flush: async () => void (await Promise.all(backends.map((one) => one.flush()))),
    close: async () => void (await Promise.all(backends.map((one) => one.close()))),
  };
};

/** Opens what a document names. Rejects where a file cannot be written or a kubeconfig leads nowhere. */
export const openSinks = async (config: AuditSinkConfig, options: SinkOptions): Promise<Backend> => {
  const webhook = config.webhook && (await webhookSink(config.webhook, options));
  const log = config.log && logSink(config.log, options);
  return union([log, webhook].filter((one) => one !== undefined));
};
