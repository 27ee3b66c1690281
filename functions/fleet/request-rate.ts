/** Requests per second of each cluster, counted in one process: a token bucket that holds what two seconds bring. */
export interface RequestRate {
  /** Takes one request of a cluster; the seconds to wait, at least 1, where there is none to take. */
  take(cluster: string, perSecond: number): number | undefined;
  forget(cluster: string): void;
  /** Clusters that are remembered. */
  readonly size: number;
}

interface Bucket {
  tokens: number;
  at: number;
  max: number;
}

const BURST_SECONDS = 2;
/** Buckets that have filled up again say nothing: they go, when so many requests have been counted. */
const SWEEP_REQUESTS = 1000;

/** `clock.now()` is in milliseconds. */
export const createRequestRate = (clock: { now(): number }): RequestRate => {
  const buckets = new Map<string, Bucket>();
  let counted = 0;
  const sweep = (now: number): void => {
    for (const [cluster, { at }] of buckets) if (now - at > BURST_SECONDS * 1000) buckets.delete(cluster);
  };
  return {
    take: (cluster, perSecond) => {
      const now = clock.now();
      counted++;
      if (counted % SWEEP_REQUESTS === 0) sweep(now);
      const max = perSecond * BURST_SECONDS;
      const bucket = buckets.get(cluster) ?? { tokens: max, at: now, max };
      if (bucket.max !== max) Object.assign(bucket, { max, tokens: Math.min(bucket.tokens, max) });
      bucket.tokens = Math.min(max, bucket.tokens + (Math.max(0, now - bucket.at) / 1000) * perSecond);
      bucket.at = now;
      buckets.set(cluster, bucket);
      if (bucket.tokens < 1) return Math.max(1, Math.ceil((1 - bucket.tokens) / perSecond));
      bucket.tokens--;
      return undefined;
    },
    forget: (cluster) => void buckets.delete(cluster),
    get size() {
      return buckets.size;
    },
  };
};
