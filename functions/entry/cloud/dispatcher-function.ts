// Lambda: the table's stream -> messages for controllers and scheduler.
import type { Change, Domain } from '../../store/store.ts';
import { log, openBells, openOwnTable, openParts, openPlane, openQueue } from './compose.ts';
import type { StreamEvent } from './events.ts';
import { createFreshReader } from './fresh-reader.ts';
import { createDispatchHandler } from './handlers.ts';
import { createWork, type Work } from './work.ts';

const NODES = { group: '', resource: 'nodes' };
const plane = openPlane();
const queue = openQueue();
const parts = openParts();
const bells = openBells();
let work: Work | undefined;

export const handler = async (event: StreamEvent): Promise<void> => {
  const opened = await plane();
  work ??= createWork(opened, queue);
  const ring =
    bells &&
    ((domain: Domain, changes: readonly Change[]) =>
      bells.changed(domain, changes, async (cluster) => {
        const all = await createFreshReader(opened.replicas, cluster).list(NODES);
        return all.map(({ metadata }) => metadata.name ?? '');
      }));
  const { store, fresh } = await openOwnTable();
  await fresh();
  return createDispatchHandler(work, parts, { log, opened: store.opened, ...(ring && { ring }) })(event);
};
