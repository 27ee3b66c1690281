import type { RequestInfo } from '../request-info.ts';
import type { ClusterFlow } from './cluster-flow.ts';
import { isIdle, type Level, type Turn } from './level.ts';

/**
 * What upstream shows under /debug/api_priority_and_fairness/: levels, queues and requests as text tables.
 * Source: the Kubernetes guide to flow control, "Observability".
 */

const PREFIX = '/debug/api_priority_and_fairness/';

/** Columns as wide as their widest cell, each cell but the last followed by a comma. */
const table = (rows: readonly (readonly string[])[]): string => {
  const cells = rows.map((row) => row.map((cell, i) => (i < row.length - 1 ? `${cell},` : cell)));
  const widths: number[] = [];
  for (const row of cells)
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, cell.length + 1, 8);
    });
  return cells
    .map((row) => `${row.map((cell, i) => (i < row.length - 1 ? cell.padEnd(widths[i] ?? 0) : cell)).join('')}\n`)
    .join('');
};

const seatSeconds = (seatMs: number): string => `${(seatMs / 1000).toFixed(8)}ss`;
const time = (ms: number): string => new Date(ms).toISOString();

const LEVELS =
  'PriorityLevelName ActiveQueues IsIdle IsQuiescing WaitingRequests ExecutingRequests DispatchedRequests RejectedRequests TimedoutRequests CancelledRequests'.split(
    ' ',
  );

const inOrder = (flow: ClusterFlow): Level[] =>
  [...flow.levels.values()].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));

const levels = (flow: ClusterFlow): string =>
  table([
    LEVELS,
    ...inOrder(flow).map((level) => [
      level.name,
      `${level.active.filter(({ length }) => length > 0).length}`,
      `${isIdle(level)}`,
      `${level.leaving}`,
      `${level.waiting}`,
      `${level.executing}`,
      `${level.totals.dispatched}`,
      `${level.totals.refused}`,
      `${level.totals.timedOut}`,
      `${level.totals.cancelled}`,
    ]),
  ]);

const QUEUES =
  'PriorityLevelName Index PendingRequests ExecutingRequests SeatsInUse NextDispatchR InitialSeatsSum MaxSeatsSum TotalWorkSum'.split(
    ' ',
  );

/** Queues that hold nothing are not there; upstream shows them as zeros, and so does this. */
const queues = (flow: ClusterFlow): string => {
  const rows: string[][] = [QUEUES];
  for (const level of inOrder(flow)) {
    const count = Math.max(level.settings.queues, ...level.active.map(({ index }) => index + 1));
    const byIndex = new Map(level.active.map((queue) => [queue.index, queue]));
    for (let i = 0; i < count; i++) {
      const queue = byIndex.get(i);
      let initial = 0;
      for (let turn = queue?.first; turn; turn = turn.next) initial += turn.initialSeats;
      const { length = 0, executing = 0, seatsInUse = 0, nextR = 0, waitingSeats = 0, waitingWork = 0 } = queue ?? {};
      const numbers = [i, length, executing, seatsInUse].map(String);
      const seats = [seatSeconds(nextR), `${initial}`, `${waitingSeats}`, seatSeconds(waitingWork)];
      rows.push([level.name, ...numbers, ...seats]);
    }
  }
  return table(rows);
};

const REQUESTS =
  'PriorityLevelName FlowSchemaName QueueIndex RequestIndexInQueue FlowDistingsher ArriveTime InitialSeats FinalSeats AdditionalLatency StartTime'.split(
    ' ',
  );
const DETAILS = 'UserName Verb APIPath Namespace Name APIVersion Resource SubResource'.split(' ');

/** How Go writes a request that has not begun. */
const NEVER = '0001-01-01T00:00:00Z';

const flowOf = ({ schema, username, info }: Turn): string =>
  schema.by === 'ByUser' ? username : schema.by === 'ByNamespace' ? info.namespace : '';

const rowOf = (turn: Turn, queue: number, place: number, isDetailed: boolean): string[] => {
  const { level, schema, info } = turn;
  const row = [
    level.name,
    schema.name,
    `${queue}`,
    `${place}`,
    queue < 0 ? '' : flowOf(turn),
    time(turn.arrivedAt),
    `${turn.initialSeats}`,
    `${turn.finalSeats}`,
    turn.extraMs === 0 ? '0s' : `${turn.extraMs}ms`,
    turn.startedAt === 0 ? NEVER : time(turn.startedAt),
  ];
  if (!isDetailed) return row;
  const version = info.group === '' ? info.version : `${info.group}/${info.version}`;
  return [
    ...row,
    turn.username,
    info.verb,
    info.path,
    info.namespace,
    info.name,
    version,
    info.resource,
    info.subresource,
  ];
};

const requests = (flow: ClusterFlow, isDetailed: boolean): string => {
  const rows = [isDetailed ? [...REQUESTS, ...DETAILS] : REQUESTS];
  for (const level of inOrder(flow)) {
    for (const { index, first } of level.active) {
      let place = 0;
      for (let turn = first; turn; turn = turn.next) rows.push(rowOf(turn, index, place++, isDetailed));
    }
    for (const turn of level.running) rows.push(rowOf(turn, turn.queue?.index ?? -1, -1, isDetailed));
  }
  return table(rows);
};

/** The text at a path below /debug/api_priority_and_fairness/; undefined for any other path. */
export const dumpOf = (flow: ClusterFlow, { path, query }: RequestInfo): string | undefined => {
  switch (path.startsWith(PREFIX) ? path.slice(PREFIX.length) : '') {
    case 'dump_priority_levels':
      return levels(flow);
    case 'dump_queues':
      return queues(flow);
    case 'dump_requests':
      return requests(flow, (query.get('includeRequestDetails') ?? '') !== '');
    default:
      return undefined;
  }
};
