import type { RequestInfo } from '../request-info.ts';

/** How long a request may take where it does not say, in milliseconds, and the part of it that it may wait. */
const REQUEST_MS = 60_000;
const PART = 1 / 4;

const units: Record<string, number> = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Go's durations (`1m30s`); undefined for anything else. */
const milliseconds = (text: string): number | undefined => {
  if (!/^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(text)) return undefined;
  let sum = 0;
  for (const [, value, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g))
    sum += Number(value) * (units[unit ?? ''] ?? 0);
  return sum;
};

/** How long a request may wait for seats: a quarter of its `timeout`, which is at most a minute; of a minute for a watch. */
export const waitMs = ({ verb, query }: RequestInfo): number => {
  const given = verb === 'watch' ? undefined : milliseconds(query.get('timeout') ?? '');
  return (given ? Math.min(given, REQUEST_MS) : REQUEST_MS) * PART;
};
