import type { Pod, ResourceQuota } from '../../machinery/kinds.d.ts';
import { addQuantity, compareQuantity, formatQuantity, parseQuantity } from '../../machinery/quantity.ts';

/** Amounts by the name of a quota's resource, such as `requests.cpu` or `pods`. */
export type Usage = Record<string, string>;

type Amounts = Record<string, string | number>;

export const add = (a: string | number | undefined, b: string | number): string =>
  a === undefined ? String(b) : formatQuantity(addQuantity(parseQuantity(String(a)), parseQuantity(String(b))));

const sum = (list: readonly (Amounts | undefined)[]): Amounts => {
  const total: Amounts = {};
  for (const amounts of list)
    for (const [key, value] of Object.entries(amounts ?? {})) total[key] = add(total[key], value);
  return total;
};

const most = (a: Amounts, b: Amounts): Amounts => {
  const result = { ...a };
  for (const [key, value] of Object.entries(b)) {
    const known = result[key];
    if (known === undefined || compareQuantity(String(known), String(value)) < 0) result[key] = value;
  }
  return result;
};

/** What a pod holds at once: its containers and sidecars together, or its largest init container (KEP-753), and overhead. */
const held = (pod: Pod, of: 'requests' | 'limits'): Amounts => {
  const amounts = (container: { resources?: object }): Amounts =>
    ((container.resources as Record<string, Amounts> | undefined)?.[of] ?? {}) as Amounts;
  const inits = pod.spec?.initContainers ?? [];
  let sidecars: Amounts = {};
  let peak: Amounts = {};
  for (const container of inits) {
    const both = sum([sidecars, amounts(container)]);
    peak = most(peak, both);
    if (container.restartPolicy === 'Always') sidecars = both;
  }
  const running = sum([sidecars, ...(pod.spec?.containers ?? []).map(amounts)]);
  const all = { ...most(running, peak), ...(pod.spec?.resources ? amounts(pod.spec) : {}) };
  const overhead = (pod.spec?.overhead ?? {}) as Amounts;
  return of === 'requests' ? sum([all, overhead]) : all;
};

/** Finished pods hold nothing; nor do those whose grace period to leave is over. */
export const holdsNothing = (pod: Pod, now: number): boolean => {
  if (pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed') return true;
  const { deletionTimestamp, deletionGracePeriodSeconds } = pod.metadata;
  return (
    deletionTimestamp !== undefined && (deletionGracePeriodSeconds ?? 0) > 0 && Date.parse(deletionTimestamp) < now
  );
};

export const podUsage = (pod: Pod): Usage => {
  const usage: Usage = { pods: '1' };
  for (const [key, value] of Object.entries(held(pod, 'requests'))) {
    usage[`requests.${key}`] = String(value);
    if (['cpu', 'memory', 'ephemeral-storage'].includes(key) || key.startsWith('hugepages-'))
      usage[key] = String(value);
  }
  for (const [key, value] of Object.entries(held(pod, 'limits'))) usage[`limits.${key}`] = String(value);
  return usage;
};

const isBestEffort = (pod: Pod): boolean =>
  [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? []), ...(pod.spec ? [pod.spec] : [])].every(
    ({ resources }) => Object.keys({ ...resources?.requests, ...resources?.limits }).length === 0,
  );

const reachesOut = (pod: Pod): boolean => {
  const { podAffinity, podAntiAffinity } = pod.spec?.affinity ?? {};
  const terms = [podAffinity, podAntiAffinity].flatMap((one) => [
    ...(one?.requiredDuringSchedulingIgnoredDuringExecution ?? []),
    ...(one?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map((weighted) => weighted.podAffinityTerm),
  ]);
  return terms.some((term) => (term.namespaces?.length ?? 0) > 0 || term.namespaceSelector !== undefined);
};

const inScope = (pod: Pod, scope: string, operator: string, values: readonly string[]): boolean => {
  const terminating = pod.spec?.activeDeadlineSeconds !== undefined;
  if (scope === 'Terminating') return terminating;
  if (scope === 'NotTerminating') return !terminating;
  if (scope === 'BestEffort') return isBestEffort(pod);
  if (scope === 'NotBestEffort') return !isBestEffort(pod);
  if (scope === 'CrossNamespacePodAffinity') return reachesOut(pod);
  const name = pod.spec?.priorityClassName ?? '';
  if (operator === 'Exists') return name !== '';
  if (operator === 'DoesNotExist') return name === '';
  return operator === 'In' ? values.includes(name) : !values.includes(name);
};

/** Whether the quota counts the pod: every one of its scopes has to hold. */
export const counts = ({ spec }: ResourceQuota, pod: Pod): boolean =>
  (spec?.scopes ?? []).every((scope) => inScope(pod, scope, 'Exists', [])) &&
  (spec?.scopeSelector?.matchExpressions ?? []).every((r) => inScope(pod, r.scopeName, r.operator, r.values ?? []));
