import type { JobSpec } from '../../machinery/kinds.d.ts';
import { cause } from '../../machinery/status.ts';
import { at, type Causes, nonNegative } from './checks.ts';

/** How many indexes `0,2-4` names; a message where it is malformed, out of order or beyond the completions. */
export const countIndexes = (text: string, completions: number): number | string => {
  if (text === '') return 0;
  let last = -1;
  let total = 0;
  for (const part of text.split(',')) {
    const m = /^(\d+)(?:-(\d+))?$/.exec(part);
    if (!m) return `cannot convert string to integer for index: "${part}"`;
    const from = Number(m[1]);
    const to = m[2] === undefined ? from : Number(m[2]);
    if (from <= last) return `non-increasing order, previous: ${last}, current: ${from}`;
    if (m[2] !== undefined && to <= from) return `non-increasing order, previous: ${from}, current: ${to}`;
    if (to >= completions) return `too large index: "${to}"`;
    last = to;
    total += to - from + 1;
  }
  return total;
};

/** successPolicy of an indexed job (KEP-3998). */
export const checkSuccessPolicy = (out: Causes, path: string, spec: JobSpec): void => {
  const rules = spec.successPolicy?.rules ?? [];
  const completions = spec.completions ?? 0;
  if (rules.length === 0) out.push(cause.required(`${path}.rules`, 'at least one rules must be specified'));
  if (rules.length > 20) out.push(cause.tooMany(`${path}.rules`, rules.length, 20));
  rules.forEach((rule, i) => {
    const where = at(`${path}.rules`, i);
    const { succeededIndexes: indexes, succeededCount: count } = rule;
    if (indexes === undefined && count === undefined) {
      out.push(cause.required(where, 'at least one of succeededCount or succeededIndexes must be specified'));
    }
    // Indexes that cannot be read count as none.
    let total = indexes === undefined ? undefined : 0;
    if (indexes !== undefined) {
      if (indexes.length > 65536) out.push(cause.tooLong(`${where}.succeededIndexes`, 65536));
      const counted = countIndexes(indexes, completions);
      if (typeof counted === 'number') total = counted;
      else out.push(cause.invalid(`${where}.succeededIndexes`, indexes, `error parsing succeededIndexes: ${counted}`));
    }
    if (count === undefined) return;
    nonNegative(out, `${where}.succeededCount`, count);
    for (const most of [completions, total]) {
      if (most === undefined || count <= most) continue;
      out.push(cause.invalid(`${where}.succeededCount`, count, `must be less than or equal to ${most}`));
    }
  });
};
