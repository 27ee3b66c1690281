import type { RequestInfo } from '../request-info.ts';
import { createDemand, type Demand, noteDemand } from './allocation.ts';
import { dealHand, type ShuffleSeed } from './shuffle.ts';

/**
 * A priority level: so many seats, and queues in front of them. Requests take seats while any are free; after that they
 * wait, and the queue is next that has had least. How much that is is told by start tags, as in start-time fair queuing
 * (Goyal, Vin, Cheng 1996), which is fair whatever the speed of the server: KEP-1040's virtual time goes by the clock and
 * takes all seats of a level to work side by side, which in one thread they do not.
 */

/** Why a request was refused, in upstream's words. */
export type Refusal = 'queue-full' | 'concurrency-limit' | 'time-out' | 'cancelled';

/** What is counted of one flow schema. */
export interface SchemaCounts {
  dispatched: number;
  executing: number;
  executingSeats: number;
  waiting: number;
  waitingSeats: number;
  refused: Map<Refusal, number>;
  /** How long requests have waited, those that had to: so many up to each of WAIT_SECONDS, and above. */
  waits: { counts: number[]; seconds: number };
}

export interface Schema {
  name: string;
  uid: string;
  level: Level;
  /** What tells the flows of the schema apart. */
  by: 'ByUser' | 'ByNamespace' | '';
  counts: SchemaCounts;
}

/** One request's way through flow control. Times are in milliseconds. */
export interface Turn {
  readonly schema: Schema;
  readonly level: Level;
  readonly info: RequestInfo;
  readonly username: string;
  /** Seats that it takes: the greater of what it takes while it runs and after. */
  readonly seats: number;
  readonly initialSeats: number;
  /** Watchers still have work with it when it is over: so many seats for so long. */
  readonly finalSeats: number;
  readonly extraMs: number;
  readonly arrivedAt: number;
  startedAt: number;
  state: 'waiting' | 'running' | 'lingering' | 'over';
  refusal: Refusal | undefined;
  /** Called when a request that had to wait may go on, or is refused. */
  resume: (() => void) | undefined;
  /** The virtual time at which it came. */
  arrivalR: number;
  queue: Queue | undefined;
  previous: Turn | undefined;
  next: Turn | undefined;
}

/** Requests that wait in order, and what runs of those that did. */
export interface Queue {
  index: number;
  first: Turn | undefined;
  last: Turn | undefined;
  length: number;
  waitingSeats: number;
  waitingWork: number;
  executing: number;
  seatsInUse: number;
  /** Start tag of its next request: what it has had, or the virtual time at which that one came. */
  nextR: number;
  /** When it was last served: of two queues that are due at once the other one goes first. */
  servedAt: number;
}

export interface LevelSettings {
  uid: string;
  exempt: boolean;
  /** 0: what finds no seat is refused at once. */
  queues: number;
  handSize: number;
  queueLengthMax: number;
  shares: number;
  /** Percent of its nominal seats; undefined for borrowing without limit. */
  lendable: number;
  borrowable: number | undefined;
}

export interface Level {
  readonly name: string;
  settings: LevelSettings;
  /** Its object has gone: it ends when the last of its requests has. */
  leaving: boolean;
  nominal: number;
  lower: number;
  upper: number;
  /** Seats to give out now, after lending and borrowing. */
  limit: number;
  seatsInUse: number;
  executing: number;
  waiting: number;
  waitingSeats: number;
  /** Queues with requests that wait or run. */
  active: Queue[];
  /** Virtual time: the start tag of the request that left a queue last, in seat-milliseconds. */
  r: number;
  served: number;
  /** Requests that have seats and wait for the process to begin them (gate.ts), in order. */
  paced: Turn[];
  pacedFrom: number;
  running: Set<Turn>;
  totals: { dispatched: number; refused: number; timedOut: number; cancelled: number };
  demand: Demand;
}

/** Bounds of the histogram of waits: upstream's. */
export const WAIT_SECONDS = [0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30];

const noteWait = ({ schema, arrivedAt }: Turn, now: number): void => {
  const { waits } = schema.counts;
  const seconds = (now - arrivedAt) / 1000;
  let i = 0;
  while (i < WAIT_SECONDS.length && seconds > (WAIT_SECONDS[i] ?? 0)) i++;
  waits.counts[i] = (waits.counts[i] ?? 0) + 1;
  waits.seconds += seconds;
};

/** How long a request is taken to run before it has, in milliseconds. */
const SERVICE_MS = 3;

export const createLevel = (name: string, settings: LevelSettings, now: number): Level => ({
  name,
  settings,
  leaving: false,
  nominal: 0,
  lower: 0,
  upper: 0,
  limit: 0,
  seatsInUse: 0,
  executing: 0,
  waiting: 0,
  waitingSeats: 0,
  active: [],
  r: 0,
  served: 0,
  paced: [],
  pacedFrom: 0,
  running: new Set(),
  totals: { dispatched: 0, refused: 0, timedOut: 0, cancelled: 0 },
  demand: createDemand(now),
});

export const isIdle = (level: Level): boolean => level.waiting === 0 && level.executing === 0 && level.seatsInUse === 0;

const workOf = (turn: Turn): number => turn.initialSeats * SERVICE_MS + turn.finalSeats * turn.extraMs;

const noteSeats = (level: Level, now: number): void =>
  noteDemand(level.demand, level.seatsInUse + level.waitingSeats, now);

const fits = ({ settings, limit, executing, seatsInUse }: Level, seats: number): boolean => {
  if (settings.exempt) return true;
  // What is wider than the level goes alone.
  if (seats > limit) return executing === 0 && seatsInUse === 0;
  return seatsInUse + seats <= limit;
};

const take = (level: Level, turn: Turn, now: number): void => {
  const { counts } = turn.schema;
  level.executing++;
  level.seatsInUse += turn.seats;
  level.totals.dispatched++;
  level.running.add(turn);
  counts.dispatched++;
  counts.executing++;
  counts.executingSeats += turn.seats;
  turn.state = 'running';
  turn.startedAt = now;
};

export const noteRefusal = ({ level, schema }: Turn, why: Refusal): void => {
  const { refused } = schema.counts;
  level.totals.refused++;
  if (why === 'time-out') level.totals.timedOut++;
  if (why === 'cancelled') level.totals.cancelled++;
  refused.set(why, (refused.get(why) ?? 0) + 1);
};

const refuse = (turn: Turn, why: Refusal): void => {
  turn.state = 'over';
  turn.refusal = why;
  noteRefusal(turn, why);
};

/** No request is due before it came: what a queue left unused is not saved up. */
const bound = (queue: Queue): void => {
  if (queue.first && queue.nextR < queue.first.arrivalR) queue.nextR = queue.first.arrivalR;
};

const hand: number[] = [];

/** The least loaded queue of the flow's hand. */
const queueFor = (level: Level, turn: Turn, flow: string, seed: ShuffleSeed): Queue => {
  const { queues, handSize } = level.settings;
  dealHand(seed, turn.schema.name, flow, queues, Math.min(handSize, queues), hand);
  let best: Queue | undefined;
  let index = hand[level.served % hand.length] ?? 0;
  for (const one of hand) {
    const queue = level.active.find((active) => active.index === one);
    if (!queue) {
      // Nothing is less loaded than a queue that is not there.
      best = undefined;
      index = one;
      break;
    }
    if (!best || queue.waitingWork < best.waitingWork) best = queue;
  }
  if (best) return best;
  const made: Queue = {
    index,
    first: undefined,
    last: undefined,
    length: 0,
    waitingSeats: 0,
    waitingWork: 0,
    executing: 0,
    seatsInUse: 0,
    nextR: level.r,
    servedAt: 0,
  };
  level.active.push(made);
  return made;
};

const unlink = (level: Level, queue: Queue, turn: Turn): void => {
  const { previous, next } = turn;
  if (previous) previous.next = next;
  else queue.first = next;
  if (next) next.previous = previous;
  else queue.last = previous;
  turn.previous = turn.next = undefined;
  queue.length--;
  queue.waitingSeats -= turn.seats;
  queue.waitingWork -= workOf(turn);
  level.waiting--;
  level.waitingSeats -= turn.seats;
  turn.schema.counts.waiting--;
  turn.schema.counts.waitingSeats -= turn.seats;
};

const forgetIfIdle = (level: Level, queue: Queue): void => {
  if (queue.length > 0 || queue.executing > 0 || queue.seatsInUse > 0) return;
  const at = level.active.indexOf(queue);
  if (at >= 0) level.active.splice(at, 1);
};

/**
 * Takes a request in: it has its seats when its state is `running`, waits (`waiting`) or is refused (`over`). Whoever waits
 * comes out of `nextTurn` or goes by `withdraw`.
 */
export const enter = (level: Level, turn: Turn, flow: string, seed: ShuffleSeed, now: number): void => {
  if (level.settings.exempt || (level.waiting === 0 && fits(level, turn.seats))) {
    take(level, turn, now);
    noteSeats(level, now);
    return;
  }
  if (level.settings.queues === 0) {
    refuse(turn, 'concurrency-limit');
    return;
  }
  const queue = queueFor(level, turn, flow, seed);
  if (queue.length >= level.settings.queueLengthMax) {
    refuse(turn, 'queue-full');
    return;
  }
  turn.queue = queue;
  turn.state = 'waiting';
  turn.arrivalR = level.r;
  turn.previous = queue.last;
  if (queue.last) queue.last.next = turn;
  else queue.first = turn;
  queue.last = turn;
  queue.length++;
  queue.waitingSeats += turn.seats;
  queue.waitingWork += workOf(turn);
  level.waiting++;
  level.waitingSeats += turn.seats;
  turn.schema.counts.waiting++;
  turn.schema.counts.waitingSeats += turn.seats;
  bound(queue);
  noteSeats(level, now);
};

/** The queue whose first request has the lowest start tag; of equal ones the one that was served longest ago. */
const dueQueue = (level: Level): Queue | undefined => {
  let best: Queue | undefined;
  for (const queue of level.active) {
    if (!queue.first) continue;
    if (!best || queue.nextR < best.nextR || (queue.nextR === best.nextR && queue.servedAt < best.servedAt))
      best = queue;
  }
  return best;
};

/** Gives its seats to the next request that waits; undefined while there are none for it. */
export const nextTurn = (level: Level, now: number): Turn | undefined => {
  if (level.waiting === 0 || level.seatsInUse >= level.limit) return undefined;
  const queue = dueQueue(level);
  const turn = queue?.first;
  if (!queue || !turn || !fits(level, turn.seats)) return undefined;
  unlink(level, queue, turn);
  queue.executing++;
  queue.seatsInUse += turn.seats;
  if (queue.nextR > level.r) level.r = queue.nextR;
  queue.nextR += workOf(turn);
  queue.servedAt = ++level.served;
  bound(queue);
  take(level, turn, now);
  noteWait(turn, now);
  noteSeats(level, now);
  return turn;
};

/** Takes a request that waits out of its queue. */
export const withdraw = (level: Level, turn: Turn, why: Refusal, now: number): void => {
  const { queue } = turn;
  if (!queue || turn.state !== 'waiting') return;
  unlink(level, queue, turn);
  bound(queue);
  forgetIfIdle(level, queue);
  refuse(turn, why);
  noteWait(turn, now);
  noteSeats(level, now);
};

/** A request is answered. Its seats stay taken (`lingering`) where its watchers have work with it: `release` frees them. */
export const finish = (level: Level, turn: Turn, now: number): void => {
  if (turn.state !== 'running') return;
  const { queue } = turn;
  level.executing--;
  level.running.delete(turn);
  turn.schema.counts.executing--;
  if (queue) {
    queue.executing--;
    queue.nextR -= turn.initialSeats * (SERVICE_MS - (now - turn.startedAt));
    bound(queue);
  }
  turn.state = 'lingering';
  if (turn.extraMs === 0) release(level, turn, now);
};

export const release = (level: Level, turn: Turn, now: number): void => {
  if (turn.state !== 'lingering') return;
  turn.state = 'over';
  level.seatsInUse -= turn.seats;
  turn.schema.counts.executingSeats -= turn.seats;
  const { queue } = turn;
  if (queue) {
    queue.seatsInUse -= turn.seats;
    forgetIfIdle(level, queue);
  }
  noteSeats(level, now);
};
