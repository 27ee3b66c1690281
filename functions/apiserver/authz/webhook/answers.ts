import type { ReviewStatus } from './review.ts';

interface Kept {
  status: ReviewStatus;
  /** Milliseconds of the clock. */
  until: number;
}

/** Answers of a webhook about one cluster, for a while. */
export interface Answers {
  find(key: string): ReviewStatus | undefined;
  keep(key: string, status: ReviewStatus, ms: number): void;
}

/** As many as upstream keeps. */
export const ANSWERS_MAX = 8192;

/** The answer that was not asked for longest goes first. */
export const createAnswers = (clock: { now(): number }, max = ANSWERS_MAX): Answers => {
  const kept = new Map<string, Kept>();
  return {
    find: (key) => {
      const found = kept.get(key);
      if (!found) return undefined;
      kept.delete(key);
      if (found.until <= clock.now()) return undefined;
      kept.set(key, found);
      return found.status;
    },
    keep: (key, status, ms) => {
      if (ms <= 0) return;
      kept.delete(key);
      kept.set(key, { status, until: clock.now() + ms });
      for (const oldest of kept.keys()) {
        if (kept.size <= max) break;
        kept.delete(oldest);
      }
    },
  };
};
