import type { ResourceQuota } from '../../../machinery/kinds.d.ts';
import type { KubeObject } from '../../../machinery/object.ts';
import { compareQuantity } from '../../../machinery/quantity.ts';
import { type Amounts, addAmounts, amountsText, growth, masked } from '../../../machinery/quota/amounts.ts';
import type { QuotaEvaluator } from '../../../machinery/quota/evaluator.ts';
import { inScopes, scopesOf } from '../../../machinery/quota/evaluators.ts';

/** A write and how its objects count. */
export interface Measured {
  evaluator: QuotaEvaluator;
  operation: 'CREATE' | 'UPDATE';
  subresource: string;
  object: KubeObject;
  old?: KubeObject;
}

/** What a write adds to quotas, by quota; or why it may not. */
export type Verdict = { ok: true; charges: { quota: ResourceQuota; amounts: Amounts }[] } | { ok: false; why: string };

const namesText = (names: readonly string[]): string => [...names].sort().join(',');

/** Quotas that count the object, or why one of them cannot take it. */
const interested = (quotas: readonly ResourceQuota[], write: Measured): ResourceQuota[] | string => {
  const { evaluator, object } = write;
  const found: ResourceQuota[] = [];
  for (const quota of quotas) {
    const hard = quota.status?.hard ?? {};
    const limits = Object.keys(hard).filter((name) => evaluator.measures(name));
    if (limits.length === 0 || !inScopes(evaluator, scopesOf(quota), object)) continue;
    const missing = evaluator.missing?.(limits, object);
    if (missing) return `failed quota: ${quota.metadata.name}: ${missing}`;
    if (limits.some((name) => quota.status?.used?.[name] === undefined))
      return `status unknown for quota: ${quota.metadata.name}, resources: ${namesText(limits)}`;
    found.push(quota);
  }
  return found;
};

const exceeded = (quota: ResourceQuota, requested: Amounts, used: Amounts): string | undefined => {
  const hard = (quota.status?.hard ?? {}) as Amounts;
  const over = (name: string): boolean =>
    requested[name] !== undefined && compareQuantity(used[name] as string, hard[name] as string) > 0;
  const names = Object.keys(requested).filter(over);
  if (names.length === 0) return undefined;
  const pick = (amounts: Amounts): string =>
    amountsText(Object.fromEntries(names.map((name) => [name, amounts[name] as string])));
  const before = (quota.status?.used ?? {}) as Amounts;
  return `exceeded quota: ${quota.metadata.name}, requested: ${pick(requested)}, used: ${pick(before)}, limited: ${pick(hard)}`;
};

/**
 * Whether quotas take a write, by their status as it is. Pure. An update is charged by what it adds; one that a quota did
 * not count before, by all it uses. Claims whose status grows are counted and never refused.
 */
export const evaluate = (quotas: readonly ResourceQuota[], write: Measured, now: number): Verdict => {
  const counting = interested(quotas, write);
  if (typeof counting === 'string') return { ok: false, why: counting };
  if (counting.length === 0) return { ok: true, charges: [] };
  const { evaluator, object, old } = write;
  const usage = evaluator.usage(object, now);
  const negative = Object.keys(usage).filter((name) => compareQuantity(usage[name] as string, '0') < 0);
  if (negative.length) return { ok: false, why: `quota usage is negative for resource(s): ${namesText(negative)}` };
  const more = write.operation === 'UPDATE' && old ? growth(usage, evaluator.usage(old, now)) : usage;
  const charges: { quota: ResourceQuota; amounts: Amounts }[] = [];
  for (const quota of counting) {
    const countedBefore = write.operation === 'UPDATE' && old && inScopes(evaluator, scopesOf(quota), old);
    const hard = quota.status?.hard ?? {};
    const requested = masked(countedBefore ? more : usage, (name) => name in hard);
    if (Object.keys(requested).length === 0) continue;
    const after = addAmounts((quota.status?.used ?? {}) as Amounts, requested);
    const why = write.subresource === 'status' ? undefined : exceeded(quota, requested, after);
    if (why) return { ok: false, why };
    charges.push({ quota, amounts: requested });
  }
  return { ok: true, charges };
};
