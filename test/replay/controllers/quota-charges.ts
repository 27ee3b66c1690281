import { evaluate } from '../../../functions/apiserver/admission/resourcequota/evaluate.ts';
import type { FakeChange, FakeCluster } from '../../../functions/client/fake.ts';
import { resourceQuotas } from '../../../functions/controllers/resources.ts';
import type { ResourceQuota } from '../../../functions/machinery/kinds.d.ts';
import { type Amounts, addAmounts } from '../../../functions/machinery/quota/amounts.ts';
import { evaluatorOf } from '../../../functions/machinery/quota/evaluators.ts';

/** The admission plugin ResourceQuota, which the recording's API server ran: new objects are charged to their quotas. */
export const chargeQuotas = async (api: FakeCluster, change: FakeChange, now: number): Promise<void> => {
  const { resource, object, previous, deleted } = change;
  const { namespace = '' } = object.metadata;
  const evaluator = evaluatorOf(resource);
  if (previous || deleted || !evaluator) return;
  const all = api.all(resourceQuotas) as ResourceQuota[];
  const quotas = all.filter((quota) => quota.metadata.namespace === namespace);
  const verdict = evaluate(quotas, { evaluator, operation: 'CREATE', subresource: '', object }, now);
  for (const { quota, amounts } of verdict.ok ? verdict.charges : []) {
    const used = addAmounts((quota.status?.used ?? {}) as Amounts, amounts);
    const name = quota.metadata.name ?? '';
    const patch = { type: 'merge', body: { status: { used } } } as const;
    await api.client.patch(resourceQuotas, namespace, name, patch, { subresource: 'status' });
  }
};
