// Lambda: the standard queue of timers -> the queues that they are due to.
import { clock, log, openQueue } from './compose.ts';
import { createTimersHandler } from './handlers.ts';

export const handler = createTimersHandler(openQueue(), clock, { log });
