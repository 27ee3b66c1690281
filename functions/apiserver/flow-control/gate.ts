import type { Level, Turn } from './level.ts';

/**
 * How requests of many clusters share one thread. Seats say how many requests of a cluster are under way; what they all
 * compete for is the thread, so in one turn of its event loop only so many seats' worth of requests are begun. The rest
 * begins in the next turns, cluster by cluster, each time the one that had least; between two turns the loop reads what
 * has come in, so that the first request of a quiet cluster is behind one turn's work and not behind a flood.
 */
export interface Gate {
  /** True: begin now. Otherwise the turn's `resume` is called in one of the next turns of the loop. */
  pass(lane: Lane, turn: Turn): boolean;
  /** Requests that wait to be begun. */
  readonly waiting: number;
}

/** A cluster's place at the gate. */
export interface Lane {
  /** Seats begun so far, on a clock that all lanes share. */
  spent: number;
  waiting: number;
  /** Levels with requests that wait: the exempt one first, the others in turns. */
  levels: Level[];
}

export const createLane = (): Lane => ({ spent: 0, waiting: 0, levels: [] });

/** Seats' worth of requests that are begun in one turn of the event loop, at most and at least. */
export const SEATS_PER_TURN = 32;
const SEATS_PER_TURN_MIN = 4;
/** A turn is to take this long, in milliseconds: with more, fewer requests are begun in the next. */
const TURN_MS = 5;
/** Requests begun so long ago leave their places in the list. */
const GONE_MAX = 64;

const joined = (lane: Lane, turn: Turn): void => {
  const { level } = turn;
  if (level.paced.length === level.pacedFrom) {
    if (level.settings.exempt) lane.levels.unshift(level);
    else lane.levels.push(level);
  }
  level.paced.push(turn);
  lane.waiting++;
};

const nextOf = (lane: Lane): Turn | undefined => {
  const level = lane.levels[0];
  const turn = level?.paced[level.pacedFrom];
  if (!level || !turn) return undefined;
  level.pacedFrom++;
  lane.waiting--;
  if (level.pacedFrom === level.paced.length) {
    level.paced = [];
    level.pacedFrom = 0;
    lane.levels.shift();
  } else {
    if (level.pacedFrom > GONE_MAX) {
      level.paced.splice(0, level.pacedFrom);
      level.pacedFrom = 0;
    }
    if (!level.settings.exempt && lane.levels.length > 1) {
      lane.levels.shift();
      lane.levels.push(level);
    }
  }
  return turn;
};

/** `nextLoop` calls back in the next turn of the event loop; `elapsed` tells milliseconds from any point in time. */
export const createGate = (nextLoop: (callback: () => void) => void, elapsed: () => number): Gate => {
  const lanes = new Set<Lane>();
  let seats = SEATS_PER_TURN;
  let left = seats;
  /** When the last turn began in which requests waited. */
  let busySince = Number.NaN;
  let asked = false;
  /** What the lane had that was served last: whoever comes after a pause begins here, and has saved nothing up. */
  let floor = 0;
  let waiting = 0;

  const least = (): Lane | undefined => {
    let found: Lane | undefined;
    for (const lane of lanes) if (!found || lane.spent < found.spent) found = lane;
    return found;
  };
  const spend = (lane: Lane, taken: number): void => {
    if (lane.spent > floor) floor = lane.spent;
    else lane.spent = floor;
    lane.spent += taken;
    left -= taken;
  };
  const ask = (): void => {
    if (asked) return;
    asked = true;
    nextLoop(turnOver);
  };
  /** Fewer requests in each turn while turns are long: half as many, and then a few more each time that they are short. */
  const pace = (): void => {
    const now = elapsed();
    const ms = now - busySince;
    if (Number.isNaN(ms)) seats = SEATS_PER_TURN;
    else if (ms > 2 * TURN_MS) seats = Math.max(SEATS_PER_TURN_MIN, seats >> 1);
    else if (ms < TURN_MS) seats = Math.min(SEATS_PER_TURN, seats + 2);
    busySince = waiting > 0 ? now : Number.NaN;
  };
  const turnOver = (): void => {
    asked = false;
    pace();
    left = seats;
    while (left > 0 && waiting > 0) {
      const lane = least();
      const turn = lane && nextOf(lane);
      if (!lane || !turn) break;
      waiting--;
      spend(lane, turn.seats);
      if (lane.waiting === 0) lanes.delete(lane);
      turn.resume?.();
    }
    if (left <= seats >> 1) ask();
  };
  return {
    pass: (lane, turn) => {
      if (left > 0) {
        spend(lane, turn.seats);
        // Until half of them are gone a request costs a subtraction.
        if (left <= seats >> 1) ask();
        return true;
      }
      if (lane.waiting === 0) {
        lanes.add(lane);
        if (lane.spent < floor) lane.spent = floor;
      }
      joined(lane, turn);
      waiting++;
      ask();
      return false;
    },
    get waiting() {
      return waiting;
    },
  };
};
