import type { Reader } from '../../client/reader.ts';
import { timestamp } from '../../clock/clock.ts';
import { percentOf, scaledValue } from '../../machinery/intstr.ts';
import type { Condition, Pod, PodDisruptionBudget } from '../../machinery/kinds.d.ts';
import { type GroupVersionResource, type KubeObject, keyOf } from '../../machinery/object.ts';
import { withCondition } from '../conditions.ts';
import type { Controller, EventDraft, Instant, Plan, WatchedChange } from '../controller.ts';
import { controllerOf, ownKey } from '../owners.ts';
import { isReady, isTerminating } from '../pods.ts';
import {
  deployments,
  podDisruptionBudgets,
  pods,
  replicaSets,
  replicationControllers,
  statefulSets,
} from '../resources.ts';
import { selects } from '../selector.ts';
import { statusWrite } from '../status-patch.ts';

export interface DisruptionObserved {
  budget: PodDisruptionBudget;
  /** What the budget selects, finished and terminating pods included. */
  pods: readonly Pod[];
  /** Pods that the controllers of these pods want, together. */
  scale: number;
  /** Names of pods without a controller: they have no scale. */
  unmanaged: readonly string[];
  /** A controller whose scale is not known: nothing may be disrupted then. */
  unknown?: string;
}

/** An eviction that was granted but whose pod is still here after this long is forgotten. */
const deletionMs = 120_000;

const scaled: Record<string, GroupVersionResource> = {
  'apps ReplicaSet': replicaSets,
  'apps Deployment': deployments,
  'apps StatefulSet': statefulSets,
  ' ReplicationController': replicationControllers,
};

type Scaled = KubeObject & { spec?: { replicas?: number } };

/** The object whose replicas count for a pod: its controller, or the Deployment above its ReplicaSet. */
const scaleOf = async (read: Reader, object: KubeObject): Promise<Scaled | undefined> => {
  const owner = controllerOf(object);
  if (!owner) return undefined;
  const [group] = owner.apiVersion.includes('/') ? owner.apiVersion.split('/') : [''];
  const resource = scaled[`${group} ${owner.kind}`];
  const found = resource && (await read.get<Scaled>(resource, object.metadata.namespace ?? '', owner.name));
  if (!found || found.metadata.uid !== owner.uid) return undefined;
  return resource === replicaSets ? ((await scaleOf(read, found)) ?? found) : found;
};

const observe = async (read: Reader, budget: PodDisruptionBudget): Promise<DisruptionObserved> => {
  const { namespace = '' } = budget.metadata;
  const list = await read.list<Pod>(pods, { namespace, matches: selects(budget.spec?.selector) });
  const scales = new Map<string, number>();
  const known = new Set<string>();
  const unmanaged: string[] = [];
  let unknown: string | undefined;
  for (const pod of list) {
    const owner = controllerOf(pod);
    if (!owner) unmanaged.push(pod.metadata.name ?? '');
    if (!owner || known.has(owner.uid)) continue;
    known.add(owner.uid);
    const found = await scaleOf(read, pod);
    if (found) scales.set(found.metadata.uid ?? '', found.spec?.replicas ?? 1);
    else if (!isTerminating(pod)) unknown = `${owner.kind} ${owner.name}`;
  }
  const scale = [...scales.values()].reduce((sum, one) => sum + one, 0);
  return { budget, pods: list, scale, unmanaged, ...(unknown !== undefined && { unknown }) };
};

/** How many pods there should be, and how many of them healthy. */
const wantedOf = ({ budget, pods: list, scale }: DisruptionObserved): { expected: number; desired: number } => {
  const { minAvailable, maxUnavailable } = budget.spec ?? {};
  if (maxUnavailable !== undefined) {
    return { expected: scale, desired: Math.max(0, scale - scaledValue(maxUnavailable, scale, 'up')) };
  }
  if (minAvailable === undefined) return { expected: list.length, desired: 0 };
  if (percentOf(minAvailable) === undefined) return { expected: list.length, desired: Number(minAvailable) };
  return { expected: scale, desired: scaledValue(minAvailable, scale, 'up') };
};

/** Pods that were granted an eviction and do not show it yet, with the moment of the grant. */
const disruptedOf = (budget: PodDisruptionBudget, list: readonly Pod[], now: Instant, events: EventDraft[]) => {
  const left: Record<string, string> = {};
  let wait: number | undefined;
  for (const pod of list) {
    const name = pod.metadata.name ?? '';
    const granted = budget.status?.disruptedPods?.[name];
    if (granted === undefined || isTerminating(pod)) continue;
    const remains = Date.parse(granted) + deletionMs - now;
    if (remains <= 0) {
      const message = 'Pod was expected by PDB to be deleted but it was not';
      events.push({ regarding: pod, type: 'Warning', reason: 'NotDeleted', message });
      continue;
    }
    left[name] = granted;
    wait = Math.min(wait ?? remains, remains);
  }
  return { left, wait };
};

const decide = (observed: DisruptionObserved, now: Instant): Plan => {
  const { budget, pods: list, unmanaged, unknown } = observed;
  const events: EventDraft[] = [];
  const tell = (type: EventDraft['type'], reason: string, message: string) =>
    events.push({ regarding: budget, type, reason, message });
  const generation = budget.metadata.generation;
  const condition = (allowed: boolean, reason: string): Condition[] =>
    withCondition<Condition>(budget.status?.conditions, {
      type: 'DisruptionAllowed',
      status: allowed ? 'True' : 'False',
      reason,
      message: unknown === undefined ? '' : `the scale of ${unknown} is not known`,
      lastTransitionTime: timestamp(now),
      ...(generation !== undefined && { observedGeneration: generation }),
    });
  const byScale = budget.spec?.maxUnavailable !== undefined || percentOf(budget.spec?.minAvailable ?? 0) !== undefined;
  if (list.length === 0) tell('Normal', 'NoPods', 'No matching pods found');
  if (unknown !== undefined && byScale) {
    tell('Warning', 'CalculateExpectedPodCountFailed', `Failed to calculate the number of expected pods: ${unknown}`);
    const status = { ...budget.status, disruptionsAllowed: 0, conditions: condition(false, 'SyncFailed') };
    return { writes: statusWrite(budget, podDisruptionBudgets, status), events };
  }
  if (unmanaged.length > 0 && byScale) {
    tell(
      'Warning',
      'UnmanagedPods',
      `Pods selected by this PodDisruptionBudget (selector) are unmanaged: ${unmanaged.join(', ')}`,
    );
  }
  const { left, wait } = disruptedOf(budget, list, now, events);
  const healthy = list.filter((pod) => !isTerminating(pod) && !left[pod.metadata.name ?? ''] && isReady(pod)).length;
  const { expected, desired } = wantedOf(observed);
  const allowed = expected > 0 ? Math.max(0, healthy - desired) : 0;
  const status = {
    ...(generation !== undefined && { observedGeneration: generation }),
    ...(Object.keys(left).length > 0 && { disruptedPods: left }),
    disruptionsAllowed: allowed,
    currentHealthy: healthy,
    desiredHealthy: desired,
    expectedPods: expected,
    conditions: condition(allowed > 0, allowed > 0 ? 'SufficientPods' : 'InsufficientPods'),
  };
  const writes = statusWrite(budget, podDisruptionBudgets, status);
  return { writes, events, ...(wait !== undefined && { again: { afterMs: wait } }) };
};

/** The budgets that select a pod as it is or as it was. */
const podKeys = async ({ object, previous }: WatchedChange, read: Reader): Promise<string[]> => {
  const { namespace = '' } = object.metadata;
  const budgets = await read.list<PodDisruptionBudget>(podDisruptionBudgets, { namespace });
  return budgets
    .filter(({ spec }) => [object, previous].some((pod) => pod && selects(spec?.selector)(pod.metadata.labels)))
    .map((budget) => keyOf(namespace, budget.metadata.name ?? ''));
};

/** Keeps the status of disruption budgets: how many healthy pods an eviction may still take. */
export const disruptionController: Controller<DisruptionObserved> = {
  name: 'disruption',
  component: 'controllermanager',
  watches: [
    { resource: podDisruptionBudgets, keys: ownKey },
    { resource: pods, keys: podKeys },
  ],
  async observe(read, key) {
    const budget = await read.get<PodDisruptionBudget>(podDisruptionBudgets, key.namespace, key.name);
    return budget && !budget.metadata.deletionTimestamp ? observe(read, budget) : undefined;
  },
  decide,
};
