import { timestamp } from '../../clock/clock.ts';
import type { CustomResourceDefinition } from '../../machinery/kinds.d.ts';
import { approvalCondition, isProtectedGroup } from './approval.ts';
import { type Condition, conditionOf, isTrue, type Status, withConditionSet } from './conditions.ts';
import { acceptNames, hasItsNames } from './names.ts';

/**
 * What becomes of a CustomResourceDefinition's status, as pure functions. Source: apiextensions.k8s.io/v1, and the
 * documentation page "Extend the Kubernetes API with CustomResourceDefinitions".
 */

/** Holds a definition until its objects are gone. */
export const CLEANUP = 'customresourcecleanup.apiextensions.k8s.io';

const established = (crd: CustomResourceDefinition, accepted: Condition): Condition | undefined => {
  if (isTrue(crd, 'Established')) return undefined;
  if (accepted.status === 'True') {
    const reason = 'InitialNamesAccepted';
    return { type: 'Established', status: 'True', reason, message: 'the initial names have been accepted' };
  }
  if (conditionOf(crd, 'Established')) return undefined;
  return { type: 'Established', status: 'False', reason: 'NotAccepted', message: 'not all names are accepted' };
};

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

/**
 * The status that a definition should have beside the others of its cluster: names, NamesAccepted, Established, and the
 * approval of protected groups. Undefined where it already has it.
 */
export const nextStatus = (
  crd: CustomResourceDefinition,
  all: readonly CustomResourceDefinition[],
  now: number,
): Status | undefined => {
  const isSettled = isTrue(crd, 'NamesAccepted') && isTrue(crd, 'Established') && hasItsNames(crd);
  if (isSettled && !isProtectedGroup(crd.spec.group)) return undefined;
  const { names, condition } = acceptNames(crd, all);
  let conditions = crd.status?.conditions;
  for (const next of [condition, established(crd, condition), approvalCondition(crd)]) {
    if (!next) continue;
    const old = conditions?.find((c) => c.type === next.type);
    const isKnown =
      old?.status === next.status && (old.reason ?? '') === next.reason && (old.message ?? '') === next.message;
    if (!isKnown) conditions = withConditionSet(conditions, next, now);
  }
  if (same(conditions, crd.status?.conditions) && same(names, crd.status?.acceptedNames)) return undefined;
  return { ...crd.status, conditions: conditions ?? [], acceptedNames: names };
};

/** True where its objects are to be deleted before it may go. */
export const isCleaningUp = (crd: CustomResourceDefinition): boolean =>
  crd.metadata.deletionTimestamp !== undefined && (crd.metadata.finalizers?.includes(CLEANUP) ?? false);

const terminating = (status: 'True' | 'False', reason: string, message: string): Condition => ({
  type: 'Terminating',
  status,
  reason,
  message,
});

/** The Terminating condition at each step of a deletion. */
export const TERMINATING = {
  pending: terminating(
    'True',
    'InstanceDeletionPending',
    'CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon',
  ),
  inProgress: terminating('True', 'InstanceDeletionInProgress', 'CustomResource deletion is in progress'),
  remaining: terminating(
    'True',
    'InstanceDeletionCheck',
    'could not confirm zero CustomResources remaining: timed out waiting for the condition',
  ),
  completed: terminating('False', 'InstanceDeletionCompleted', 'removed all instances'),
  neverEstablished: terminating('False', 'NeverEstablished', 'resource was never established'),
};

/** What the first delete of a definition does to it: the engine then only stores it. */
export const markDefinitionDeleted = (crd: CustomResourceDefinition, now: number): void => {
  crd.metadata.deletionTimestamp = timestamp(now);
  const finalizers = crd.metadata.finalizers ?? [];
  if (!finalizers.includes(CLEANUP)) crd.metadata.finalizers = [...finalizers, CLEANUP];
  crd.status = withTerminating(crd, TERMINATING.pending, now).status ?? {};
};

/** The definition with its Terminating condition set. */
export const withTerminating = (
  crd: CustomResourceDefinition,
  condition: Condition,
  now: number,
): CustomResourceDefinition => ({
  ...crd,
  status: { ...crd.status, conditions: withConditionSet(crd.status?.conditions, condition, now) },
});

/** The definition without the finalizer that waited for its objects. */
export const withoutCleanup = (crd: CustomResourceDefinition): CustomResourceDefinition => {
  const { finalizers = [], ...metadata } = crd.metadata;
  const left = finalizers.filter((name) => name !== CLEANUP);
  return { ...crd, metadata: left.length > 0 ? { ...metadata, finalizers: left } : metadata };
};
