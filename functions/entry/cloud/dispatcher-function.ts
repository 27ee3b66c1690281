// Lambda: the table's stream -> messages for controllers and scheduler.
import { log, openParts, openPlane, openQueue } from './compose.ts';
import type { StreamEvent } from './events.ts';
import { createDispatchHandler } from './handlers.ts';
import { createWork, type Work } from './work.ts';

const plane = openPlane();
const queue = openQueue();
const parts = openParts();
let work: Work | undefined;

export const handler = async (event: StreamEvent): Promise<void> => {
  work ??= createWork(await plane(), queue);
  return createDispatchHandler(work, parts, { log })(event);
};
