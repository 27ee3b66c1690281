import type { Pod, Container as SpecContainer } from '../functions/machinery/kinds.d.ts';
import { backoffLabel, type ContainerKind, type ObservedPod } from './observed.ts';
import type { Container } from './runtime/runtime.ts';

/** Crash back-off as kubelet keeps it: 10 s, doubled to 5 min, forgotten after 10 min of running. */
export const backoff = { firstMs: 10_000, maxMs: 300_000, forgetMs: 600_000 };

const carried = (run: Container): number => {
  const ranMs = (run.finishedAt ?? run.createdAt) - (run.startedAt ?? run.createdAt);
  return ranMs > backoff.forgetMs ? 0 : Number(run.labels[backoffLabel] ?? 0);
};

/** When a container that ended may start again (ms since the epoch): derived from the run, so restarts of the agent keep it. */
export const mayRestartAt = (run: Container): number => (run.finishedAt ?? run.createdAt) + carried(run);

/** The label of the next run: what the restart after it will wait. The first restart is immediate. */
export const nextBackoffMs = (previous: Container | undefined): number => {
  if (!previous) return 0;
  const before = carried(previous);
  return before === 0 ? backoff.firstMs : Math.min(before * 2, backoff.maxMs);
};

/** How long the wait of this run is, for the message of CrashLoopBackOff. */
export const backoffText = (run: Container): string => {
  const seconds = carried(run) / 1000;
  const minutes = Math.floor(seconds / 60);
  return minutes > 0 ? `${minutes}m${seconds % 60}s` : `${seconds}s`;
};

/** Whether an ended run is followed by another: by policy, or since it was stopped to start again with other resources. */
export const comesBack = (o: ObservedPod, kind: ContainerKind, container: SpecContainer, run: Container): boolean =>
  (o.restarting?.has(run.id) ?? false) || wantsRestart(o.pod, kind, container, run.exitCode ?? 137);

/** Whether an ended container is to run again (restartPolicy of the pod, of the container, and its restart rules). */
export const wantsRestart = (pod: Pod, kind: ContainerKind, container: SpecContainer, exitCode: number): boolean => {
  if (kind === 'ephemeral') return false;
  if (kind === 'sidecar') return true;
  for (const rule of container.restartPolicyRules ?? []) {
    const values = rule.exitCodes?.values ?? [];
    const holds = rule.exitCodes?.operator === 'In' ? values.includes(exitCode) : !values.includes(exitCode);
    if (rule.exitCodes && holds && rule.action === 'Restart') return true;
  }
  const policy = container.restartPolicy ?? pod.spec?.restartPolicy ?? 'Always';
  if (policy === 'Never') return false;
  if (kind === 'init' || policy === 'OnFailure') return exitCode !== 0;
  return true;
};
