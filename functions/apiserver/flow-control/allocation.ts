/** One priority level's claim to seats. */
export interface Claim {
  /** What it never goes below, and never above: `target >= lower >= 0`, `upper >= lower`. */
  lower: number;
  upper: number;
  /** What it would like, in proportion to the others. */
  target: number;
}

/** Targets below are taken as this, so that shares of nothing are shares of something. */
const TARGET_MIN = 0.001;
const ROUNDS = 100;

/**
 * Shares out `sum` seats: everyone gets the same multiple of its target, within its bounds. Where the bounds leave no
 * room, everyone gets its bound. Source: KEP-1040, "Dispatching", the allocation of concurrency among levels.
 */
export const allocate = (sum: number, claims: readonly Claim[]): number[] => {
  const given = (multiple: number): number[] =>
    claims.map(({ lower, upper, target }) => Math.max(lower, Math.min(upper, multiple * Math.max(TARGET_MIN, target))));
  const total = (seats: readonly number[]): number => seats.reduce((a, b) => a + b, 0);
  const least = claims.map(({ lower }) => lower);
  if (total(least) >= sum) return least;
  const most = claims.map(({ upper }) => upper);
  if (total(most) <= sum) return most;
  let low = 0;
  let high = Math.max(...claims.map(({ upper, target }) => upper / Math.max(TARGET_MIN, target)));
  for (let i = 0; i < ROUNDS; i++) {
    const middle = (low + high) / 2;
    if (total(given(middle)) < sum) low = middle;
    else high = middle;
  }
  return given(high);
};

/** How much a level could have used since the last look: the integral of its seats in use and waited for, over time. */
export interface Demand {
  /** Seats in use and waited for, now. */
  seats: number;
  since: number;
  /** Of this period: when it began, the highest, and the sums that mean and deviation come from. */
  from: number;
  high: number;
  sum: number;
  squares: number;
  /** A slowly falling envelope of mean plus deviation. */
  smoothed: number;
}

export const createDemand = (now: number): Demand => ({
  seats: 0,
  since: now,
  from: now,
  high: 0,
  sum: 0,
  squares: 0,
  smoothed: 0,
});

/** Notes that the demand changes at `now`, in milliseconds. */
export const noteDemand = (demand: Demand, seats: number, now: number): void => {
  const ms = now - demand.since;
  if (ms > 0) {
    demand.sum += demand.seats * ms;
    demand.squares += demand.seats * demand.seats * ms;
    demand.since = now;
  }
  demand.seats = seats;
  if (seats > demand.high) demand.high = seats;
};

/** Half of what is remembered is forgotten in five minutes. */
const KEPT_PER_PERIOD = 0.977;
/** Limits are worked out anew after this long, in milliseconds. */
export const PERIOD_MS = 10_000;

export interface Observed {
  high: number;
  average: number;
  deviation: number;
  smoothed: number;
}

/** Ends a period of observation and begins the next. */
export const endPeriod = (demand: Demand, now: number): Observed => {
  noteDemand(demand, demand.seats, now);
  const ms = now - demand.from;
  const { high } = demand;
  const average = ms > 0 ? demand.sum / ms : 0;
  const deviation = ms > 0 ? Math.sqrt(Math.max(0, demand.squares / ms - average * average)) : 0;
  if (ms > 0) {
    const envelope = average + deviation;
    const kept = KEPT_PER_PERIOD ** Math.max(1, ms / PERIOD_MS);
    demand.smoothed = Math.max(envelope, kept * demand.smoothed + (1 - kept) * envelope);
  }
  Object.assign(demand, { from: now, high: demand.seats, sum: 0, squares: 0 });
  return { high, average, deviation, smoothed: demand.smoothed };
};
