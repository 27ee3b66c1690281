import * as z from 'zod';
import { faultsOf } from './policy.ts';

/**
 * `skiff.dev/v1 AuditSink`: where audit events go. Upstream has flags for it (`--audit-log-*`, `--audit-webhook-*`); each
 * field is one of them, with its default.
 */

const SECOND_MS = 1000;
const UNITS: Readonly<Record<string, number>> = { ms: 1, s: SECOND_MS, m: 60 * SECOND_MS, h: 3600 * SECOND_MS };

/** `30s`, `1m30s`, `500ms` as milliseconds. */
const duration = z.string().transform((text, context): number => {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  if (parts.length > 0 && parts.map(([whole]) => whole).join('') === text)
    return parts.reduce((sum, [, count, unit]) => sum + Number(count) * (UNITS[unit ?? ''] ?? 0), 0);
  context.addIssue({ code: 'custom', message: `${JSON.stringify(text)} is no duration: 30s, 1m30s, 500ms...` });
  return z.NEVER;
});

const mode = z.enum(['batch', 'blocking', 'blocking-strict']);
const positive = z.number().int().positive();
const orNone = z.number().int().nonnegative();

const MIB = 1024 * 1024;
const truncate = z
  .strictObject({
    enabled: z.boolean().default(false),
    /** Bytes of one event, and of one batch. */
    maxEventSize: positive.default(100 * 1024),
    maxBatchSize: positive.default(10 * MIB),
  })
  .refine((given) => given.maxBatchSize >= given.maxEventSize, {
    path: ['maxBatchSize'],
    message: 'must not be less than maxEventSize',
  });

const bufferSize = positive.default(10_000);
const log = z.strictObject({
  /** `-` is standard output. A relative path is of the directory that the control plane keeps its data in. */
  path: z.string().min(1),
  format: z.enum(['json', 'legacy']).default('json'),
  mode: mode.default('blocking'),
  /** Rotated files older than this are removed; 0 keeps them. */
  maxAgeDays: orNone.default(366),
  /** So many rotated files are kept; 0 keeps all. */
  maxBackups: orNone.default(100),
  /** A file is rotated before it grows beyond this; 0 never. */
  maxSizeMB: orNone.default(100),
  compress: z.boolean().default(false),
  batch: z.strictObject({ bufferSize }).prefault({}),
  truncate: truncate.prefault({}),
});

const throttle = z.strictObject({
  enabled: z.boolean().default(true),
  /** Batches per second, and at once after a pause. */
  qps: z.number().positive().default(10),
  burst: positive.default(15),
});

const webhook = z.strictObject({
  /** The path of a kubeconfig, or `data:;base64,...` of its text. Its current context says whom to send events to, and as whom. */
  kubeconfig: z.string().min(1),
  mode: mode.default('batch'),
  initialBackoff: duration.prefault('10s'),
  batch: z
    .strictObject({
      bufferSize,
      maxBatchSize: positive.default(400),
      maxBatchWait: duration.prefault('30s'),
      throttle: throttle.prefault({}),
    })
    .prefault({}),
  truncate: truncate.prefault({}),
});

const document = z
  .strictObject({
    apiVersion: z.literal('skiff.dev/v1'),
    kind: z.literal('AuditSink'),
    metadata: z.unknown().optional(),
    log: log.optional(),
    webhook: webhook.optional(),
  })
  .refine((given) => given.log || given.webhook, { message: 'neither log nor webhook says where events go' });

export type LogConfig = z.infer<typeof log>;
export type WebhookSinkConfig = z.infer<typeof webhook>;
export type TruncateConfig = z.infer<typeof truncate>;
export interface AuditSinkConfig {
  log?: LogConfig | undefined;
  webhook?: WebhookSinkConfig | undefined;
}

/** Reads an AuditSink. Throws an Error that names the fields. */
export const parseAuditSink = (given: unknown): AuditSinkConfig => {
  const read = document.safeParse(given);
  if (!read.success) throw new Error(faultsOf(read.error));
  return { log: read.data.log, webhook: read.data.webhook };
};

/** The log of a deployment whose policy comes without an AuditSink. */
export const defaultSink = (path: string): AuditSinkConfig => ({ log: log.parse({ path }) });
