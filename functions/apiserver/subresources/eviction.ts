import { timestamp } from '../../clock/clock.ts';
import { kindSchema } from '../../machinery/facts.ts';
import type { Eviction, Pod, PodDisruptionBudget } from '../../machinery/kinds.d.ts';
import type { ObjectSchema } from '../../machinery/schema.ts';
import { labelSelector } from '../../machinery/selectors.ts';
import { badRequest, genericFailure, internalError, StatusError, tooManyRequests } from '../../machinery/status.ts';
import type { Stored } from '../../store/store.ts';
import { admit, validate } from '../admission/admission.ts';
import { type AnyObject, type Call, domainOf } from '../context.ts';
import type { ResourceInfo } from '../registry.ts';
import { decodeAs, isObject, parseRequest } from '../request-body.ts';
import { outcomeResponse } from '../respond.ts';
import { parseStored } from '../stored-object.ts';
import { deleteObject } from '../verbs/delete.ts';
import { checkPreconditions, type DeleteOptions, dryRunRefused } from '../verbs/delete-options.ts';
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

const refusedByBudget = (why: string, retryAfterSeconds: number): StatusError => {
  const { status } = tooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", 0);
  const causes = [{ reason: 'DisruptionBudget', message: why }];
  return new StatusError({ ...status, details: { causes, ...(retryAfterSeconds > 0 && { retryAfterSeconds }) } });
};
/** The budget's status is older than its spec; of one that was never counted nobody knows when it will be. */
const stillProcessed = (name: string, observed: number): StatusError =>
  refusedByBudget(`The disruption budget ${name} is still being processed by the server.`, observed > 0 ? 10 : 0);

/** Takes one disruption from a budget. Throws 429 where none is left. */
const takeDisruption = (budget: PodDisruptionBudget, pod: Pod, now: number): void => {
  const name = budget.metadata.name ?? '';
  const status = budget.status ?? {};
  if ((status.observedGeneration ?? 0) < (budget.metadata.generation ?? 0)) {
    throw stillProcessed(name, status.observedGeneration ?? 0);
  }
  const allowed = status.disruptionsAllowed ?? 0;
  if (allowed < 0) throw genericFailure(403, 'Forbidden', 'pdb disruptions allowed is negative');
  if (allowed === 0) {
    const { desiredHealthy = 0, currentHealthy = 0 } = status;
    const why = `The disruption budget ${name} needs ${desiredHealthy} healthy pods and has ${currentHealthy} currently`;
    throw refusedByBudget(why, 0);
  }
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

const CONDITION = {
  type: 'DisruptionTarget',
  status: 'True',
  reason: 'EvictionByEvictionAPI',
  message: 'Eviction API: evicting',
} as const;

/** Says in the pod's status why it goes (KEP-3329), then deletes it. */
const markAndDelete = async (call: Call, stored: Stored, options: DeleteOptions): Promise<void> => {
  const mark = (object: AnyObject): void => {
    checkPreconditions(call, object, options);
    const pod = object as unknown as Pod;
    const conditions = pod.status?.conditions ?? [];
    const before = conditions.find((c) => c.type === CONDITION.type);
    if (before?.status === 'True' && before.reason === CONDITION.reason && before.message === CONDITION.message) return;
    const now = timestamp(call.server.clock.now());
    const lastTransitionTime = before?.status === 'True' && before.lastTransitionTime ? before.lastTransitionTime : now;
    const marked = { ...CONDITION, lastProbeTime: null as unknown as string, lastTransitionTime };
    const next = before ? conditions.map((c) => (c === before ? marked : c)) : [...conditions, marked];
    pod.status = { ...pod.status, conditions: next };
  };
  if (call.dryRun) {
    await deleteObject(call, keyOfCall(call), stored, options);
    return;
  }
  const pod = await changeObject(call, mark);
  const { resourceVersion = '' } = pod.metadata;
  const named = options.preconditions?.resourceVersion !== undefined;
  const bumped = named ? { ...options, preconditions: { ...options.preconditions, resourceVersion } } : options;
  await deleteObject(call, keyOfCall(call), await load(call), bumped);
};

const decodeEviction = async (call: Call): Promise<Eviction> => {
  const body = await parseRequest(call.request, 'Eviction');
  const old = isObject(body.value) && body.value.apiVersion === 'policy/v1beta1';
  const gvk = old ? { ...EVICTION, version: 'v1beta1' } : EVICTION;
  const given = decodeAs(call, body, gvk, schema);
  call.trail?.requestObject(given);
  return given as unknown as Eviction;
};

/** POST pods/{name}/eviction: a delete that asks the pod's disruption budget first. Source: KEP-85, "API-initiated Eviction". */
export const eviction = async (call: Call): Promise<Response> => {
  const given = await decodeEviction(call);
  const request = { call, operation: 'CREATE', subresource: 'eviction', object: given as AnyObject } as const;
  await admit(request);
  if (given.metadata?.name !== call.info.name) throw badRequest('name in URL does not match name in Eviction object');
  const options = (given.deleteOptions ?? {}) as DeleteOptions;
  const dry = options.dryRun ?? [];
  if (dry.some((value) => value !== 'All')) throw dryRunRefused(dry);
  if (call.dryRun && dry.length === 0 && given.deleteOptions?.dryRun)
    throw badRequest('the dry-run options in request and content do not match');
  await validate(request);
  const own: Call = dry.length > 0 ? { ...call, dryRun: true } : call;
  const stored = await load(own);
  await consult(own, parseStored(own.resource, stored.bytes) as unknown as Pod);
  await markAndDelete(own, stored, options);
  const status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 } as const;
  return outcomeResponse(call, status, 201);
};
