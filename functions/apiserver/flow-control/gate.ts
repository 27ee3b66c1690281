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

/** Seats' worth of requests that are begun in one turn of the event loop. */
export const SEATS_PER_TURN = 32;
/** What is left in a turn when the next one is asked for: until then a request costs a subtraction. */
const LOW = SEATS_PER_TURN / 2;
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

/** `nextLoop` calls back in the next turn of the event loop. */
export const createGate = (nextLoop: (callback: () => void) => void): Gate => {
  const lanes = new Set<Lane>();
  let left = SEATS_PER_TURN;
  let asked = false;
  /** What the lane had that was served last: whoever comes after a pause begins here, and has saved nothing up. */
  let floor = 0;
  let waiting = 0;

  const least = (): Lane | undefined => {
    let found: Lane | undefined;
    for (const lane of lanes) if (!found || lane.spent < found.spent) found = lane;
    return found;
  };
  const spend = (lane: Lane, seats: number): void => {
    if (lane.spent > floor) floor = lane.spent;
    else lane.spent = floor;
    lane.spent += seats;
    left -= seats;
  };
  const ask = (): void => {
    if (asked) return;
    asked = true;
    nextLoop(turnOver);
  };
  const turnOver = (): void => {
    asked = false;
    left = SEATS_PER_TURN;
    while (left > 0 && waiting > 0) {
      const lane = least();
      const turn = lane && nextOf(lane);
      if (!lane || !turn) break;
      waiting--;
      spend(lane, turn.seats);
      if (lane.waiting === 0) lanes.delete(lane);
      turn.resume?.();
    }
    if (left <= LOW || waiting > 0) ask();
  };
  return {
    pass: (lane, turn) => {
      if (left > 0) {
        spend(lane, turn.seats);
        if (left <= LOW) ask();
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
