import { timestamp } from '../functions/clock/clock.ts';
import type { ContainerStatus, Pod, PodCondition } from '../functions/machinery/kinds.d.ts';
import { type ContainerKind, currentSandbox, type ObservedPod, resizeSetback, specContainers } from './observed.ts';
import { resizing } from './resize.ts';

interface Seen {
  initialized: boolean;
  phase: string;
  inits: { kind: ContainerKind; status: ContainerStatus; done: boolean }[];
  mains: ContainerStatus[];
}
type Verdict = { status: 'True' | 'False'; reason?: string; message?: string };

const finished = (phase: string): Verdict | undefined => {
  if (phase === 'Succeeded') return { status: 'False', reason: 'PodCompleted' };
  if (phase === 'Failed') return { status: 'False', reason: 'PodFailed' };
  return undefined;
};

const initializedVerdict = (seen: Seen): Verdict => {
  if (seen.initialized) return { status: 'True', ...(seen.phase === 'Succeeded' && { reason: 'PodCompleted' }) };
  const names = seen.inits.filter((i) => !i.done).map((i) => i.status.name);
  const message = `containers with incomplete status: [${names.join(' ')}]`;
  return { status: 'False', reason: 'ContainersNotInitialized', message };
};

const containersReady = (seen: Seen): Verdict => {
  const over = finished(seen.phase);
  if (over) return over;
  const waits = [...seen.inits.filter((i) => i.kind === 'sidecar').map((i) => i.status), ...seen.mains];
  const unready = waits.filter((s) => !s.ready).map((s) => s.name);
  if (unready.length === 0) return { status: 'True' };
  const message = `containers with unready status: [${unready.join(' ')}]`;
  return { status: 'False', reason: 'ContainersNotReady', message };
};

const readyVerdict = (pod: Pod, containers: Verdict): Verdict => {
  if (containers.status === 'False') return containers;
  const lacking: string[] = [];
  for (const gate of pod.spec?.readinessGates ?? []) {
    const found = pod.status?.conditions?.find((c) => c.type === gate.conditionType);
    if (!found) lacking.push(`corresponding condition of pod readiness gate "${gate.conditionType}" does not exist.`);
    else if (found.status !== 'True') {
      lacking.push(`the status of pod readiness gate "${gate.conditionType}" is not "True", but ${found.status}`);
    }
  }
  if (lacking.length === 0) return { status: 'True' };
  return { status: 'False', reason: 'ReadinessGatesNotReady', message: lacking.join(', ') };
};

/** Why the last try to resize a container failed. */
const resizeError = (o: ObservedPod): { reason?: string; message?: string } => {
  const failed = specContainers(o.pod).flatMap(({ container }) => o.setbacks.get(resizeSetback(container.name)) ?? []);
  const [first] = failed;
  return first ? { reason: 'Error', message: first.message } : {};
};

/**
 * The conditions that kubelet owns; a transition time moves only when the status does. The others (DisruptionTarget,
 * readiness gates) belong to their writers and stay, since the patch merges by type.
 */
export const podConditions = (o: ObservedPod, seen: Seen, now: number): PodCondition[] => {
  const { pod } = o;
  const generation = pod.metadata.generation;
  const sandbox = currentSandbox(o.sandboxes);
  const condition = (type: string, verdict: Verdict): PodCondition => {
    const was = pod.status?.conditions?.find((c) => c.type === type);
    const lastTransitionTime =
      was?.status === verdict.status && was.lastTransitionTime ? was.lastTransitionTime : timestamp(now);
    return {
      type,
      ...verdict,
      lastTransitionTime,
      ...(generation !== undefined && { observedGeneration: generation }),
    };
  };
  const scheduled = pod.status?.conditions?.find((c) => c.type === 'PodScheduled')?.status === 'True';
  const containers = containersReady(seen);
  return [
    condition('PodReadyToStartContainers', { status: sandbox?.ready ? 'True' : 'False' }),
    ...(o.refused ? [] : [condition('Initialized', initializedVerdict(seen))]),
    ...(o.refused ? [] : [condition('Ready', readyVerdict(pod, containers)), condition('ContainersReady', containers)]),
    ...(scheduled ? [] : [condition('PodScheduled', { status: 'True' })]),
    ...(o.pendingResize ? [condition('PodResizePending', { status: 'True', ...o.pendingResize })] : []),
    ...(resizing(o) ? [condition('PodResizeInProgress', { status: 'True', ...resizeError(o) })] : []),
  ];
};
