/** How long refused clients are told to stay away, in seconds: twice as long while many are refused, up to half a minute. */
export interface RetryAfter {
  /** Notes that a request of a level is refused at `now` (milliseconds), and returns the seconds to tell. */
  refused(level: string, now: number): number;
}

const SECONDS_MAX = 32;
/** So many refusals for each second of the present answer double it. */
const REFUSALS_PER_SECOND = 3;

interface History {
  seconds: number;
  raisedAt: number;
  /** Refusals of the current second and of those before. */
  second: number;
  count: number;
  before: { second: number; count: number }[];
}

const turnTo = (history: History, second: number): void => {
  history.before.push({ second: history.second, count: history.count });
  history.second = second;
  history.count = 1;
  const oldest = second - Math.min(SECONDS_MAX, 2 * history.seconds);
  history.before = history.before.filter((one) => one.second >= oldest);
  const { seconds } = history;
  let lately = 0;
  for (const one of history.before) if (second - one.second <= seconds) lately += one.count;
  if (second - history.raisedAt >= seconds && lately >= REFUSALS_PER_SECOND * seconds) {
    history.seconds = Math.min(SECONDS_MAX, seconds * 2);
    history.raisedAt = second;
  } else if (lately < seconds && seconds > 1) history.seconds--;
};

/** Doubles and falls by one as upstream's tracker of dropped requests does. */
export const createRetryAfter = (): RetryAfter => {
  const levels = new Map<string, History>();
  return {
    refused: (level, now) => {
      const second = Math.floor(now / 1000);
      const history = levels.get(level);
      if (!history) {
        levels.set(level, { seconds: 1, raisedAt: 0, second, count: 1, before: [] });
        return 1;
      }
      if (history.second === second) history.count++;
      else turnTo(history, second);
      return history.seconds;
    },
  };
};
