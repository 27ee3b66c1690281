// The small form of zod: a function carries what it imports.
import * as z from 'zod/mini';

/** What the stack tells its functions, by environment variables. */
const schema = z.object({
  /** The DynamoDB table that holds everything. */
  SKIFF_TABLE: z.string().check(z.minLength(3)),
  /** URLs of the FIFO queues of the controllers and of the scheduler, and of the standard queue of timers. */
  SKIFF_WORK_QUEUE: z._default(z.string(), ''),
  SKIFF_SCHEDULER_QUEUE: z._default(z.string(), ''),
  SKIFF_TIMERS_QUEUE: z._default(z.string(), ''),
  /** Milliseconds that log entries stay: how far back a watch can begin. */
  SKIFF_RETENTION_MS: z._default(z.coerce.number().check(z.int(), z.minimum(60_000)), 3_600_000),
  /** Whether the function URL streams its answers; else a watch is a long poll. */
  SKIFF_STREAMING: z._default(z.stringbool(), false),
  /** The URL under which clients reach the API, once it is known. */
  SKIFF_URL: z._default(z.string(), ''),
  /** How the names of the queues begin that ring nodes; none does where empty. */
  SKIFF_BELLS: z._default(z.string(), ''),
  /** ARN of the KMS key under which secrets lie; what is stored lies plain where empty. */
  SKIFF_KMS_KEY: z._default(z.string(), ''),
  /** The URL of the gateway that reaches nodes, where the deployment has one. */
  SKIFF_GATEWAY: z._default(z.string(), ''),
});
export type Settings = z.infer<typeof schema>;

/** Reads the settings; throws one line that names what is wrong. */
export const readSettings = (environment: Record<string, string | undefined> = process.env): Settings => {
  const { data, error } = schema.safeParse(environment);
  if (data) return data;
  throw new Error(error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; '));
};
