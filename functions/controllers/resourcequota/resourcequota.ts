import type { ResourceQuota } from '../../machinery/kinds.d.ts';
import { type GroupResource, type KubeObject, keyOf } from '../../machinery/object.ts';
import { addQuantity, formatQuantity, parseQuantity, type Quantity } from '../../machinery/quantity.ts';
import type { Amounts } from '../../machinery/quota/amounts.ts';
import { chargeMsMax, type QuotaCharge, quotaCharges } from '../../machinery/quota/charges.ts';
import type { QuotaEvaluator } from '../../machinery/quota/evaluator.ts';
import { evaluatorOf, inScopes, measuredBy, quotaType, scopesOf } from '../../machinery/quota/evaluators.ts';
import type { Controller, Instant, Plan, WatchedChange } from '../controller.ts';
import { resourceQuotas } from '../resources.ts';
import { sameJson, statusWrite } from '../status-patch.ts';

export interface QuotaObserved {
  quota: ResourceQuota;
  /** Notes of writes that are charged and may not be stored yet. */
  charges: readonly QuotaCharge[];
  /** Objects of the namespace by `resource` or `resource.group`, of every type that the quota limits. */
  objects: ReadonlyMap<string, readonly KubeObject[]>;
}

const typeOf = (type: string): GroupResource => {
  const [resource = '', ...group] = type.split('.');
  return { group: group.join('.'), resource };
};
const limitsOf = (quota: ResourceQuota): string[] => Object.keys(quota.spec?.hard ?? {});

/** What stored states count for; of pods that are on their way out it changes with the time. */
const known = new WeakMap<KubeObject, Amounts>();
const usageOf = (evaluator: QuotaEvaluator, object: KubeObject, now: Instant): Amounts => {
  if (object.metadata.deletionTimestamp) return evaluator.usage(object, now);
  let usage = known.get(object);
  if (!usage) {
    usage = evaluator.usage(object, now);
    known.set(object, usage);
  }
  return usage;
};

const usedBy = (quota: ResourceQuota, objects: QuotaObserved['objects'], now: Instant): Amounts => {
  const scopes = scopesOf(quota);
  const totals = new Map<string, Quantity>();
  for (const limit of limitsOf(quota)) if (measuredBy(limit) !== undefined) totals.set(limit, parseQuantity('0'));
  for (const [type, list] of objects) {
    const evaluator = evaluatorOf(typeOf(type));
    if (!evaluator) continue;
    for (const object of list) {
      if (!inScopes(evaluator, scopes, object)) continue;
      const usage = usageOf(evaluator, object, now);
      for (const name in usage) {
        const total = totals.get(name);
        if (total) totals.set(name, addQuantity(total, usage[name] as string));
      }
    }
  }
  return Object.fromEntries([...totals].map(([name, total]) => [name, formatQuantity(total)]));
};

const onItsWay = ({ quota, charges }: QuotaObserved, now: Instant): boolean =>
  charges.some(({ quotas, at }) => now - at <= chargeMsMax && quotas.includes(quota.metadata.name ?? ''));

/** How soon a count is tried again that a write on its way put off. */
const retryMs = 200;
/** By then every server knows of a quota: what it let pass without a charge before is counted. */
const settledMs = 3_000;

const decide = (observed: QuotaObserved, now: Instant): Plan => {
  const { quota, objects } = observed;
  if (onItsWay(observed, now)) return { writes: [], again: { afterMs: retryMs } };
  const hard = quota.spec?.hard ?? {};
  const writes = statusWrite(quota, resourceQuotas, { hard, used: usedBy(quota, objects, now) });
  return sameJson(quota.status?.hard ?? {}, hard) ? { writes } : { writes, again: { afterMs: settledMs } };
};

/** Quotas are charged when objects are made; what may lower a usage makes them be counted anew. */
const mayLower = ({ resource, previous, deleted }: WatchedChange): boolean => {
  const evaluator = evaluatorOf(resource);
  return evaluator !== undefined && (deleted || (previous !== undefined && evaluator.replenishes !== undefined));
};
const lowers = ({ resource, object, previous, deleted }: WatchedChange): boolean =>
  deleted || (previous !== undefined && (evaluatorOf(resource)?.replenishes?.(object, previous) ?? false));

/** Keeps status.used of quotas: what the objects of their namespace hold. */
export const resourceQuotaController: Controller<QuotaObserved> = {
  name: 'resourcequota',
  watches: [
    {
      resource: resourceQuotas,
      keys({ object, previous }) {
        const quota = object as ResourceQuota;
        const known = previous as ResourceQuota | undefined;
        const same = known && sameJson(known.spec, quota.spec) && sameJson(known.status?.hard, quota.status?.hard);
        return same ? [] : [keyOf(quota.metadata.namespace, quota.metadata.name ?? '')];
      },
    },
    {
      resource: { group: '*', resource: '*' },
      async keys(change, read) {
        const { namespace } = change.object.metadata;
        if (!namespace || !mayLower(change)) return [];
        const quotas = await read.list<ResourceQuota>(resourceQuotas, { namespace });
        if (quotas.length === 0 || !lowers(change)) return [];
        const type = quotaType(change.resource);
        return quotas
          .filter((quota) => limitsOf(quota).some((limit) => measuredBy(limit) === type))
          .map((quota) => keyOf(namespace, quota.metadata.name ?? ''));
      },
    },
  ],
  async observe(read, key) {
    const quota = await read.get<ResourceQuota>(resourceQuotas, key.namespace, key.name);
    if (!quota) return undefined;
    // In this order: a charge that the quota holds and no note explains any more is of an object that is stored.
    await read.fresh(quotaCharges);
    const charges = await read.list<QuotaCharge>(quotaCharges, { namespace: key.namespace });
    const objects = new Map<string, readonly KubeObject[]>();
    for (const limit of limitsOf(quota)) {
      const type = measuredBy(limit);
      if (type === undefined || objects.has(type)) continue;
      await read.fresh(typeOf(type));
      objects.set(type, await read.list(typeOf(type), { namespace: key.namespace }));
    }
    return { quota, charges, objects };
  },
  decide,
};
