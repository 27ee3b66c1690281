import type { Clock } from '../../clock/clock.ts';
import type { Queue } from '../../queue/queue.ts';
import { readMessage, readTimer } from '../../queue/sqs.ts';
import { changesOfRecords, type ReadParts } from '../../store/dynamodb-stream.ts';
import type { Change, Domain } from '../../store/store.ts';
import type { BatchAnswer, LambdaContext, SqsEvent, StreamEvent } from './events.ts';
import type { Work } from './work.ts';

/** Time that a batch leaves unused, in milliseconds: what has not begun by then comes again. */
const RESERVE_MS = 2_000;
/** A timer that is due within this time is due: SQS counts in seconds. */
const SLACK_MS = 500;

export interface HandlerOptions {
  log(line: string): void;
}

const told = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : String(error));

/**
 * Looks at the keys of a batch, one after another. A message that fails comes again, and so do those of its group after
 * it, which a FIFO queue must not overtake; the others are done. A key that the batch names twice is looked at once.
 */
export const createWorkHandler =
  (work: Pick<Work, 'handle'>, { log }: HandlerOptions) =>
  async (event: SqsEvent, context?: LambdaContext): Promise<BatchAnswer> => {
    const failed = new Set<string>();
    const done = new Set<string>();
    const batchItemFailures: BatchAnswer['batchItemFailures'] = [];
    for (const { messageId, body, attributes } of event.Records) {
      const group = attributes?.MessageGroupId ?? body;
      const late = (context?.getRemainingTimeInMillis() ?? Infinity) < RESERVE_MS;
      if (!late && !failed.has(group)) {
        if (done.has(body)) continue;
        try {
          await work.handle(readMessage(body));
          done.add(body);
          continue;
        } catch (error) {
          log(`${body}: ${told(error)}`);
        }
      }
      failed.add(group);
      batchItemFailures.push({ itemIdentifier: messageId });
    }
    log(`handled ${event.Records.length - batchItemFailures.length} of ${event.Records.length} messages`);
    return { batchItemFailures };
  };

export interface DispatchOptions extends HandlerOptions {
  /** The changes with the values decrypted that lie encrypted in the table. */
  opened?(domain: Domain, changes: Change[]): Promise<Change[]>;
  /** Tells the nodes that a domain's changes concern. */
  ring?(domain: Domain, changes: readonly Change[]): Promise<void>;
}

/**
 * Sends what the committed changes of a batch of stream records wake. Rejects as a whole, so that the stream brings it again;
 * where the key of some values is out of reach the changes of all others have been sent by then.
 */
export const createDispatchHandler =
  (work: Pick<Work, 'dispatcher'>, parts: ReadParts, { log, ring, opened }: DispatchOptions) =>
  async (event: StreamEvent): Promise<void> => {
    const found = await changesOfRecords(event.Records, parts);
    let changed = 0;
    const closed: unknown[] = [];
    for (const { domain, changes: stored } of found) {
      const changes = opened ? await opened(domain, stored).catch((error: unknown) => void closed.push(error)) : stored;
      if (!changes) continue;
      changed += changes.length;
      // A node that did not hear its bell looks by itself after a while.
      const rung = ring?.(domain, changes).catch((error) => log(`bell of ${domain.cluster}: ${told(error)}`));
      await Promise.all([work.dispatcher.changed(domain, changes), rung]);
    }
    if (closed.length > 0) throw closed[0];
    log(`dispatched ${changed} changes of ${event.Records.length} records`);
  };

/** Passes timers on whose time has come, and puts the others back for what is left. */
export const createTimersHandler =
  (queue: Pick<Queue, 'send'>, clock: Clock, { log }: HandlerOptions) =>
  async (event: SqsEvent): Promise<BatchAnswer> => {
    const batchItemFailures: BatchAnswer['batchItemFailures'] = [];
    for (const { messageId, body } of event.Records) {
      try {
        const { message, due } = readTimer(body);
        const left = due - clock.now();
        await queue.send([message], left > SLACK_MS ? left : 0);
      } catch (error) {
        log(`${body}: ${told(error)}`);
        batchItemFailures.push({ itemIdentifier: messageId });
      }
    }
    log(`passed on ${event.Records.length} timers`);
    return { batchItemFailures };
  };
