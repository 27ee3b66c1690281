import type { Clock } from '../clock/clock.ts';
import type { Message, Queue } from './queue.ts';

/** When the next timer of a key is due, in milliseconds since the epoch, as all processes know it. */
export interface TimerRecords {
  get(message: Message): Promise<number | undefined>;
  put(message: Message, due: number): Promise<void>;
}

/**
 * A queue in whose place an earlier timer of the same message wins, though the queue itself knows of none: without it every
 * look that asks to be repeated would begin a chain of looks of its own, and they would add up for ever. A timer that was
 * sent and not recorded is a second chain, which ends when it is next looked at.
 */
export const mergedTimers = (queue: Pick<Queue, 'send'>, records: TimerRecords, clock: Clock): Pick<Queue, 'send'> => {
  const postpone = async (message: Message, delayMs: number): Promise<void> => {
    const now = clock.now();
    const known = await records.get(message);
    // One that is overdue may be lost: it does not count.
    if (known !== undefined && known > now && known <= now + delayMs) return;
    await queue.send([message], delayMs);
    await records.put(message, now + delayMs);
  };
  return {
    send: async (messages, delayMs = 0) => {
      if (delayMs <= 0) return queue.send(messages);
      await Promise.all(messages.map((message) => postpone(message, delayMs)));
    },
  };
};
