/**
 * Work for one consumer group: "look at this key". At least once, one at a time per group id, possibly late, twice or
 * out of order. Adapters: memory.ts (embedded), sqs.ts (SQS FIFO; message group = `group`).
 */
export interface Message {
  cluster: string;
  /** `deployment`, `scheduler`...: which consumer. */
  consumer: string;
  /** The key to look at: `namespace/name` or `name`. */
  key: string;
}

export interface Queue {
  /** Idempotent while the same message waits. `delayMs` postpones; an earlier send of the same message wins. */
  send(messages: Message[], delayMs?: number): Promise<void>;
  /** Handles until aborted. A rejected handler means: deliver again later, with back-off. */
  run(handle: (message: Message) => Promise<void>, signal: AbortSignal): Promise<void>;
}
