import type { ContainerStatus, Pod } from '../../machinery/kinds.d.ts';
import type { KubeObject } from '../../machinery/object.ts';
import { age, humanDuration, NONE } from './format.ts';
import type { Printer } from './printer.ts';
import type { RowCondition } from './table.ts';

const sidecars = (pod: Pod): Set<string> =>
  new Set((pod.spec?.initContainers ?? []).filter((c) => c.restartPolicy === 'Always').map((c) => c.name));

const lastFinished = (s: ContainerStatus): number => Date.parse(s.lastState?.terminated?.finishedAt ?? '') || 0;

interface Summary {
  reason: string;
  ready: number;
  total: number;
  restarts: number;
  lastRestart: number;
}

/** Why the first unfinished init container holds the pod back; undefined when none does. */
const initializing = (pod: Pod, s: Summary): boolean => {
  const restartable = sidecars(pod);
  let sidecarRestarts = 0;
  let sidecarLast = 0;
  let holds = false;
  for (const [i, c] of (pod.status?.initContainerStatuses ?? []).entries()) {
    s.restarts += c.restartCount ?? 0;
    s.lastRestart = Math.max(s.lastRestart, lastFinished(c));
    if (restartable.has(c.name)) {
      sidecarRestarts += c.restartCount ?? 0;
      sidecarLast = Math.max(sidecarLast, lastFinished(c));
    }
    const { terminated, waiting } = c.state ?? {};
    if (terminated?.exitCode === 0) continue;
    if (restartable.has(c.name) && c.started) {
      if (c.ready) s.ready++;
      continue;
    }
    if (terminated) {
      s.reason = terminated.reason
        ? `Init:${terminated.reason}`
        : terminated.signal
          ? `Init:Signal:${terminated.signal}`
          : `Init:ExitCode:${terminated.exitCode}`;
    } else if (waiting?.reason && waiting.reason !== 'PodInitializing') s.reason = `Init:${waiting.reason}`;
    else s.reason = `Init:${i}/${pod.spec?.initContainers?.length ?? 0}`;
    holds = true;
    break;
  }
  if (!holds) {
    s.restarts = sidecarRestarts;
    s.lastRestart = sidecarLast;
  }
  return holds;
};

const runningReason = (pod: Pod, s: Summary): void => {
  let running = false;
  for (const c of [...(pod.status?.containerStatuses ?? [])].reverse()) {
    s.restarts += c.restartCount ?? 0;
    s.lastRestart = Math.max(s.lastRestart, lastFinished(c));
    const { waiting, terminated } = c.state ?? {};
    if (waiting?.reason) s.reason = waiting.reason;
    else if (terminated?.reason) s.reason = terminated.reason;
    else if (terminated)
      s.reason = terminated.signal ? `Signal:${terminated.signal}` : `ExitCode:${terminated.exitCode}`;
    else if (c.ready && c.state?.running) {
      running = true;
      s.ready++;
    }
  }
  if (s.reason === 'Completed' && running) {
    const ready = pod.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True');
    s.reason = ready ? 'Running' : 'NotReady';
  }
};

const summarise = (pod: Pod): Summary => {
  const s: Summary = {
    reason: pod.status?.reason || pod.status?.phase || '',
    ready: 0,
    total: (pod.spec?.containers.length ?? 0) + sidecars(pod).size,
    restarts: 0,
    lastRestart: 0,
  };
  const gated = pod.status?.conditions?.some((c) => c.type === 'PodScheduled' && c.reason === 'SchedulingGated');
  if (gated) s.reason = 'SchedulingGated';
  const holds = initializing(pod, s);
  const initialized = pod.status?.conditions?.some((c) => c.type === 'Initialized' && c.status === 'True');
  if (!holds || initialized) runningReason(pod, s);
  const finished = pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
  if (pod.metadata.deletionTimestamp && pod.status?.reason === 'NodeLost') s.reason = 'Unknown';
  else if (pod.metadata.deletionTimestamp && !finished) s.reason = 'Terminating';
  return s;
};

const readinessGates = (pod: Pod): string => {
  const gates = pod.spec?.readinessGates ?? [];
  if (gates.length === 0) return NONE;
  const met = gates.filter((g) =>
    pod.status?.conditions?.some((c) => c.type === g.conditionType && c.status === 'True'),
  ).length;
  return `${met}/${gates.length}`;
};

const completed = (object: KubeObject): RowCondition[] | undefined => {
  const phase = (object as Pod).status?.phase;
  if (phase !== 'Succeeded' && phase !== 'Failed') return undefined;
  return [
    {
      type: 'Completed',
      status: 'True',
      reason: phase,
      message: phase === 'Succeeded' ? 'The pod has completed successfully.' : 'The pod failed.',
    },
  ];
};

export const podPrinter: Printer = {
  cells: (object, now) => {
    const pod = object as Pod;
    const s = summarise(pod);
    const restarts =
      s.restarts > 0 && s.lastRestart
        ? `${s.restarts} (${humanDuration(now - s.lastRestart)} ago)`
        : String(s.restarts);
    return [
      pod.metadata.name ?? '',
      `${s.ready}/${s.total}`,
      s.reason,
      restarts,
      age(pod.metadata.creationTimestamp, now),
      pod.status?.podIPs?.[0]?.ip || pod.status?.podIP || NONE,
      pod.spec?.nodeName || NONE,
      pod.status?.nominatedNodeName || NONE,
      readinessGates(pod),
    ];
  },
  conditions: completed,
};
