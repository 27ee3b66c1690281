import { timestamp } from '../../clock/clock.ts';
import { kindSchema } from '../../machinery/facts.ts';
import type { Eviction, Pod, PodDisruptionBudget } from '../../machinery/kinds.d.ts';
import type { ObjectSchema } from '../../machinery/schema.ts';
import { labelSelector } from '../../machinery/selectors.ts';
import { badRequest, genericFailure, internalError, StatusError } from '../../machinery/status.ts';
import { type AnyObject, type Call, domainOf } from '../context.ts';
import type { ResourceInfo } from '../registry.ts';
import { decodeAs, parseRequest } from '../request-body.ts';
import { statusResponse } from '../respond.ts';
import { parseStored } from '../stored-object.ts';
import { deleteObject } from '../verbs/delete.ts';
import type { DeleteOptions } from '../verbs/delete-options.ts';
import { keyOfCall, load } from '../verbs/get.ts';
import { changeObject } from './change.ts';

const schema = kindSchema('policy', 'v1', 'Eviction') as ObjectSchema;
const EVICTION = { group: 'policy', version: 'v1', kind: 'Eviction' };

const isReady = (pod: Pod): boolean =>
  pod.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True') ?? false;
/** Pods that are through, or do not run yet, go without asking a budget. */
const ignoresBudgets = (pod: Pod): boolean =>
  ['Succeeded', 'Failed', 'Pending'].includes(pod.status?.phase ?? '') || Boolean(pod.metadata.deletionTimestamp);

const budgetsOf = async (call: Call, resource: ResourceInfo, pod: Pod): Promise<PodDisruptionBudget[]> => {
  const replica = await call.server.replicas.of(domainOf(call.info.cluster, resource));
  await replica.fresh();
  return [...replica.list({ namespace: call.info.namespace })]
    .map((stored) => parseStored(resource, stored.bytes) as unknown as PodDisruptionBudget)
    .filter((b) => b.spec?.selector && labelSelector(b.spec.selector).matches(pod.metadata.labels ?? {}));
};

const tooMany = (name: string, message: string): StatusError => {
  const error = genericFailure(429, 'TooManyRequests', message);
  const causes = [{ reason: 'DisruptionBudget', message: `The disruption budget ${name} needs to be respected` }];
  return new StatusError({ ...error.status, details: { causes } });
};

/** Takes one disruption from a budget. Throws 429 where none is left. */
const takeDisruption = (budget: PodDisruptionBudget, pod: Pod, now: number): void => {
  const name = budget.metadata.name ?? '';
  const status = budget.status ?? {};
  if ((status.observedGeneration ?? 0) < (budget.metadata.generation ?? 0)) {
    throw tooMany(name, "Cannot evict pod as it would violate the pod's disruption budget.");
  }
  const allowed = status.disruptionsAllowed ?? 0;
  if (allowed < 0) throw genericFailure(403, 'Forbidden', 'pdb disruptions allowed is negative');
  if (allowed === 0) throw tooMany(name, "Cannot evict pod as it would violate the pod's disruption budget.");
  const disruptedPods = { ...status.disruptedPods, [pod.metadata.name ?? '']: timestamp(now) };
  budget.status = { ...status, disruptionsAllowed: allowed - 1, disruptedPods } as NonNullable<
    PodDisruptionBudget['status']
  >;
};

const alwaysAllowed = (budget: PodDisruptionBudget, pod: Pod): boolean => {
  if (isReady(pod)) return false;
  if (budget.spec?.unhealthyPodEvictionPolicy === 'AlwaysAllow') return true;
  return (
    (budget.status?.currentHealthy ?? 0) >= (budget.status?.desiredHealthy ?? 0) &&
    (budget.status?.desiredHealthy ?? 0) > 0
  );
};

const consult = async (call: Call, pod: Pod): Promise<void> => {
  const resource = call.server.registry.find(call.info.cluster, 'policy', 'v1', 'poddisruptionbudgets');
  if (!resource || ignoresBudgets(pod)) return;
  const budgets = await budgetsOf(call, resource, pod);
  if (budgets.length > 1) {
    throw internalError(
      'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.',
    );
  }
  const [budget] = budgets;
  if (!budget || alwaysAllowed(budget, pod)) return;
  const info = {
    ...call.info,
    group: 'policy',
    resource: resource.resource,
    name: budget.metadata.name ?? '',
    subresource: 'status',
  };
  await changeObject({ ...call, info, resource }, (object: AnyObject) =>
    takeDisruption(object as unknown as PodDisruptionBudget, pod, call.server.clock.now()),
  );
};

/** POST pods/{name}/eviction: a delete that asks the pod's disruption budget first. Source: KEP-85, "API-initiated Eviction". */
export const eviction = async (call: Call): Promise<Response> => {
  const given = decodeAs(call, await parseRequest(call.request), EVICTION, schema) as unknown as Eviction;
  if (given.metadata.name !== call.info.name) throw badRequest('name in URL does not match name in Eviction object');
  const dry = given.deleteOptions?.dryRun?.includes('All') ?? false;
  const own: Call = dry ? { ...call, dryRun: true } : call;
  const stored = await load(own);
  const pod = parseStored(own.resource, stored.bytes) as unknown as Pod;
  await consult(own, pod);
  await deleteObject(own, keyOfCall(own), stored, (given.deleteOptions ?? {}) as DeleteOptions);
  const status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 } as const;
  return statusResponse(call.requestId, status, 201, call.accept, call.warnings);
};
