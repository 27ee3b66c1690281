import type { Pod, PodAffinityTerm } from '../kinds.d.ts';
import type { KubeObject } from '../object.ts';
import { signOf } from '../quantity.ts';
import { type Amounts, addAmounts } from './amounts.ts';
import { matchesName, type QuotaEvaluator, type QuotaScope } from './evaluator.ts';
import { podLimits, podRequests, setsPodResources } from './pod-resources.ts';

const standard = new Set([
  'count/pods',
  'pods',
  ...['cpu', 'memory', 'ephemeral-storage'].flatMap((name) => [name, `requests.${name}`, `limits.${name}`]),
]);
/** Names of native resources have no domain, or one of kubernetes.io. */
const isNative = (name: string): boolean => !name.includes('/') || name.includes('kubernetes.io/');
const isExtended = (limit: string): boolean =>
  limit.startsWith('requests.') &&
  (!isNative(limit) || limit.startsWith('requests.deviceclass.resource.kubernetes.io/'));

const measures = (limit: string): boolean =>
  standard.has(limit) || limit.startsWith('hugepages-') || limit.startsWith('requests.hugepages-') || isExtended(limit);

const compute = ['cpu', 'memory', 'ephemeral-storage'];

const computeUsage = (requests: Amounts, limits: Amounts): Amounts => {
  const usage: Amounts = { pods: '1' };
  for (const name in requests) {
    const value = requests[name] as string;
    if (compute.includes(name) || name.startsWith('hugepages-')) {
      usage[name] = value;
      usage[`requests.${name}`] = value;
    } else if (!isNative(name) || name.startsWith('deviceclass.resource.kubernetes.io/'))
      usage[`requests.${name}`] = value;
  }
  for (const name of compute) if (limits[name] !== undefined) usage[`limits.${name}`] = limits[name];
  return usage;
};

const hasEnded = ({ status }: Pod): boolean => status?.phase === 'Succeeded' || status?.phase === 'Failed';

/** Finished pods hold nothing; nor do those whose grace period to leave has been over for as long again. */
export const holdsNothing = (pod: Pod, now: number): boolean => {
  if (hasEnded(pod)) return true;
  const { deletionTimestamp, deletionGracePeriodSeconds } = pod.metadata;
  if (deletionTimestamp === undefined || deletionGracePeriodSeconds === undefined) return false;
  return now > Date.parse(deletionTimestamp) + deletionGracePeriodSeconds * 1000;
};

/** What a pod counts for. `count/pods` counts every stored pod, all else those that have not ended. */
export const podUsage = (pod: Pod, now: number): Amounts => {
  const stored: Amounts = { 'count/pods': '1' };
  return holdsNothing(pod, now) ? stored : addAmounts(stored, computeUsage(podRequests(pod), podLimits(pod)));
};

const isBestEffort = ({ spec, status }: Pod): boolean => {
  if (status?.qosClass) return status.qosClass === 'BestEffort';
  const parts = spec?.resources ? [spec] : [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])];
  return parts.every(({ resources }) =>
    ['cpu', 'memory'].every((name) =>
      [resources?.requests?.[name], resources?.limits?.[name]].every((value) => !value || signOf(value) <= 0),
    ),
  );
};

const isTerminating = ({ spec }: Pod): boolean => (spec?.activeDeadlineSeconds ?? -1) >= 0;

const reachesOut = ({ spec }: Pod): boolean => {
  const crosses = (term: PodAffinityTerm): boolean =>
    (term.namespaces?.length ?? 0) > 0 || term.namespaceSelector !== undefined;
  return [spec?.affinity?.podAffinity, spec?.affinity?.podAntiAffinity].some(
    (one) =>
      one?.requiredDuringSchedulingIgnoredDuringExecution?.some(crosses) ||
      one?.preferredDuringSchedulingIgnoredDuringExecution?.some(({ podAffinityTerm }) => crosses(podAffinityTerm)),
  );
};

const inScope = (scope: QuotaScope, object: KubeObject): boolean => {
  const pod = object as Pod;
  switch (scope.scopeName) {
    case 'Terminating':
      return isTerminating(pod);
    case 'NotTerminating':
      return !isTerminating(pod);
    case 'BestEffort':
      return isBestEffort(pod);
    case 'NotBestEffort':
      return !isBestEffort(pod);
    case 'CrossNamespacePodAffinity':
      return reachesOut(pod);
    case 'PriorityClass':
      return matchesName(scope, pod.spec?.priorityClassName ?? '');
    default:
      return false;
  }
};

/** Where cpu or memory is limited, every container must say how much it wants; not so for any other resource. */
const demanded = ['cpu', 'memory'].flatMap((name) => [name, `requests.${name}`, `limits.${name}`]).sort();

const missing = (limits: readonly string[], object: KubeObject): string | undefined => {
  const pod = object as Pod;
  if (setsPodResources(pod)) return undefined;
  const containers = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
  const said = containers.map(({ name, resources }) => ({
    name,
    usage: computeUsage((resources?.requests ?? {}) as Amounts, (resources?.limits ?? {}) as Amounts),
  }));
  const lacking: string[] = [];
  for (const name of demanded) {
    if (!limits.includes(name)) continue;
    const without = new Set(said.filter(({ usage }) => usage[name] === undefined).map((one) => one.name));
    if (without.size) lacking.push(`${name} for: ${[...without].sort().join(',')}`);
  }
  return lacking.length ? `must specify ${lacking.join('; ')}` : undefined;
};

const statusResources = (pod: Pod): string =>
  JSON.stringify(
    [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])].map((one) => [
      one.name,
      one.resources,
      one.allocatedResources,
    ]),
  );

/** How pods count against quotas. */
export const podQuota: QuotaEvaluator = {
  measures,
  usage: (object, now) => podUsage(object as Pod, now),
  handles: ({ operation, subresource, object, old }) => {
    if (subresource === 'resize') return operation === 'UPDATE';
    if (subresource !== '') return false;
    return operation === 'CREATE' || (old !== undefined && isTerminating(object as Pod) !== isTerminating(old as Pod));
  },
  inScope,
  missing,
  replenishes: (next, old) =>
    statusResources(next as Pod) !== statusResources(old as Pod) ||
    isTerminating(next as Pod) !== isTerminating(old as Pod) ||
    (!hasEnded(old as Pod) && hasEnded(next as Pod)),
};
