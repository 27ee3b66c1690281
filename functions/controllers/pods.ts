import type { OwnerReference, Pod, PodTemplateSpec } from '../machinery/kinds.d.ts';
import type { KubeObject } from '../machinery/object.ts';
import { conditionOf } from './conditions.ts';
import type { EventDraft, PlannedWrite } from './controller.ts';
import { expectsOf, targetOf } from './owners.ts';
import { pods } from './resources.ts';

export const isTerminating = (pod: KubeObject): boolean => pod.metadata.deletionTimestamp !== undefined;
export const isFinished = (pod: Pod): boolean => pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
/** Neither finished nor being deleted. */
export const isActive = (pod: Pod): boolean => !isFinished(pod) && !isTerminating(pod);
export const isReady = (pod: Pod): boolean => conditionOf(pod.status?.conditions, 'Ready')?.status === 'True';

/** When the pod became ready, in milliseconds since the epoch; undefined when it is not. */
export const readySince = (pod: Pod): number | undefined => {
  const ready = conditionOf(pod.status?.conditions, 'Ready');
  if (ready?.status !== 'True') return undefined;
  return ready.lastTransitionTime ? Date.parse(ready.lastTransitionTime) : 0;
};

/** Ready for at least minReadySeconds. */
export const isAvailable = (pod: Pod, minReadySeconds: number, now: number): boolean => {
  const since = readySince(pod);
  return since !== undefined && (minReadySeconds === 0 || (since > 0 && since + minReadySeconds * 1000 <= now));
};

/** Milliseconds until the next of these ready pods becomes available; undefined when none will by time alone. */
export const nextAvailableMs = (list: readonly Pod[], minReadySeconds: number, now: number): number | undefined => {
  let next: number | undefined;
  for (const pod of minReadySeconds > 0 ? list : []) {
    const since = readySince(pod);
    if (since === undefined || isAvailable(pod, minReadySeconds, now)) continue;
    const wait = since + minReadySeconds * 1000 - now;
    if (next === undefined || wait < next) next = wait;
  }
  return next;
};

/** A pod from a workload's template, to be created with a generated name. */
export const podFromTemplate = (
  template: PodTemplateSpec | undefined,
  namespace: string,
  generateName: string,
  owner: OwnerReference,
): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    namespace,
    generateName,
    ...(template?.metadata?.labels && { labels: template.metadata.labels }),
    ...(template?.metadata?.annotations && { annotations: template.metadata.annotations }),
    ...(template?.metadata?.finalizers && { finalizers: template.metadata.finalizers }),
    ownerReferences: [owner],
  },
  ...(template?.spec && { spec: template.spec }),
});

const about = (regarding: KubeObject, type: EventDraft['type'], reason: string, message: string): EventDraft => ({
  regarding,
  type,
  reason,
  message,
});

/** A create with the events that upstream's pod control records about the owner. */
export const createPod = (owner: KubeObject, pod: Pod): PlannedWrite => ({
  op: 'create',
  resource: pods,
  object: pod,
  done: (result) => about(owner, 'Normal', 'SuccessfulCreate', `Created pod: ${result.metadata.name}`),
  failed: (status) =>
    status.details?.causes?.some((cause) => cause.reason === 'NamespaceTerminating')
      ? undefined
      : about(owner, 'Warning', 'FailedCreate', `Error creating: ${status.message}`),
});

export const deletePod = (owner: KubeObject, pod: Pod): PlannedWrite => ({
  op: 'delete',
  resource: pods,
  target: targetOf(pod),
  expects: { uid: expectsOf(pod).uid },
  done: () => about(owner, 'Normal', 'SuccessfulDelete', `Deleted pod: ${pod.metadata.name}`),
  failed: (status) => about(owner, 'Warning', 'FailedDelete', `Error deleting: ${status.message}`),
});
