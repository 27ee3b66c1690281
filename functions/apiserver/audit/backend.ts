import type { AuditEvent } from './event.ts';

/** Takes events one by one: false where one was not kept, a promise where the request is to wait for it. */
export interface Backend {
  process(event: AuditEvent): boolean | Promise<boolean>;
  /** Resolves when what was taken so far is written, sent or given up. */
  flush(): Promise<void>;
  /** Flushes, and takes no more. */
  close(): Promise<void>;
}
