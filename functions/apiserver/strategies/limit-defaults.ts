import type { LimitRangeItem } from '../../machinery/kinds.d.ts';

const fill = (into: Record<string, string>, from: Record<string, string> | undefined): void => {
  for (const name in from) into[name] ??= from[name] as string;
};

/** A Container item: the default limit is the max, the default request is the default limit, then the min. */
export const containerLimitDefaults = (item: LimitRangeItem): void => {
  if (item.type !== 'Container') return;
  const limit = item.default ?? {};
  fill(limit, item.max);
  const request = item.defaultRequest ?? {};
  fill(request, limit);
  fill(request, item.min);
  for (const _ in limit) item.default = limit;
  for (const _ in request) item.defaultRequest = request;
};
