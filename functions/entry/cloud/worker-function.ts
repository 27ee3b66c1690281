// Lambda: the FIFO queues of controllers and scheduler -> keys looked at.
import { loadAuthority } from './authority.ts';
import { log, openMergedQueue, openPlane } from './compose.ts';
import type { LambdaContext, SqsEvent } from './events.ts';
import { createWorkHandler } from './handlers.ts';
import { createWork, type Work } from './work.ts';

const plane = openPlane();
const queue = openMergedQueue();
let work: Work | undefined;

export const handler = async (event: SqsEvent, context?: LambdaContext) => {
  if (!work) {
    const opened = await plane();
    work = createWork(opened, queue, await loadAuthority(opened.store));
  }
  return createWorkHandler(work, { log })(event, context);
};
