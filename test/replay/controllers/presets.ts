import { timestamp } from '../../../functions/clock/clock.ts';
import type { Pod, PodStatus } from '../../../functions/machinery/kinds.d.ts';

export interface PodPreset {
  status: string;
  exitCode?: number;
  reason?: string;
  restarts?: number;
  conditions?: { type: string; status: string; reason?: string }[];
  /** The node that the pod is bound to in the same step. */
  bind?: string;
}

const all = ['Initialized', 'Ready', 'ContainersReady', 'PodScheduled'];
const addresses = new Map<string, string>();

const addressOf = (uid: string): string => {
  let ip = addresses.get(uid);
  if (!ip) {
    const n = addresses.size + 1;
    ip = `10.201.${Math.floor(n / 250)}.${(n % 250) + 1}`;
    addresses.set(uid, ip);
  }
  return ip;
};

/** The status that the harness' kubelet reports for a preset. */
export const podStatus = (pod: Pod, step: PodPreset, now: number): PodStatus => {
  const time = timestamp(now);
  const before = pod.status?.conditions ?? [];
  const ready = step.status === 'Ready';
  const scheduledOnly = step.status === 'Bound' || step.status === 'Pending';
  const values = (step.status === 'Bound' ? ['PodScheduled'] : all).map((type) => {
    const on = type === 'Initialized' || type === 'PodScheduled' || ready;
    const status = on ? 'True' : 'False';
    const old = before.find((condition) => condition.type === type);
    return { type, status, lastTransitionTime: old?.status === status ? (old.lastTransitionTime ?? time) : time };
  });
  const conditions = step.status === 'Pending' && !step.bind ? before : values;
  const kept = before.filter((c) => !conditions.some((v) => v.type === c.type));
  const extra = (step.conditions ?? []).map((condition) => ({ ...condition, lastTransitionTime: time }));
  const finished = step.status === 'Succeeded' || step.status === 'Failed';
  const phase = finished ? step.status : scheduledOnly ? 'Pending' : 'Running';
  const exitCode = step.exitCode ?? (step.status === 'Failed' ? 1 : 0);
  return {
    phase,
    conditions: [...conditions, ...kept, ...extra],
    ...(step.reason && { reason: step.reason }),
    ...(!scheduledOnly && {
      podIP: addressOf(pod.metadata.uid ?? ''),
      podIPs: [{ ip: addressOf(pod.metadata.uid ?? '') }],
    }),
    containerStatuses: (pod.spec?.containers ?? []).map(({ name, image }) => ({
      name,
      image: image ?? '',
      imageID: '',
      ready,
      restartCount: step.restarts ?? 0,
      state: finished
        ? { terminated: { exitCode, finishedAt: time } }
        : scheduledOnly
          ? {}
          : { running: { startedAt: time } },
    })),
  };
};
