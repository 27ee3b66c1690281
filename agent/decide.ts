import type { Pod, Container as SpecContainer } from '../functions/machinery/kinds.d.ts';
import {
  type ContainerKind,
  currentSandbox,
  isRunning,
  isSidecar,
  isTerminal,
  type ObservedPod,
  resizeSetback,
  runsOf,
  specContainers,
} from './observed.ts';
import { resizeOf } from './resize.ts';
import { comesBack, mayRestartAt, nextBackoffMs } from './restart.ts';
import type { Container, Sandbox } from './runtime/runtime.ts';

/** What to do next for a pod. Each action is one operation of apply.ts; `key` is what `busy` holds while it runs. */
export type Action =
  | { do: 'volumes'; key: 'volumes' }
  | { do: 'startSandbox'; key: 'sandbox'; attempt: number }
  | { do: 'stopSandbox'; key: string; id: string; remove: boolean }
  | {
      do: 'startContainer';
      key: string;
      sandboxId: string;
      kind: ContainerKind;
      container: SpecContainer;
      attempt: number;
      backoffMs: number;
    }
  | {
      do: 'stopContainer';
      key: string;
      id: string;
      name: string;
      graceMs: number;
      preStop: boolean;
      message: string;
      /** It starts again with other resources. */
      resize?: boolean;
    }
  /** Gives a running container other cpu and memory; `to` is what it then has. */
  | { do: 'resizeContainer'; key: string; id: string; container: SpecContainer; to: string }
  | { do: 'removeContainer'; key: string; id: string }
  /** Containers and sandboxes are gone: unmount, remove directories and cgroups. */
  | { do: 'clean'; key: 'clean' }
  /** Delete the API object with grace 0. */
  | { do: 'delete'; key: 'delete' };

export interface PodPlan {
  actions: Action[];
  /** Look again at this time (ms since the epoch), even if nothing happens. */
  againAtMs?: number;
  /** Ends the pod for good: podStatus() makes it Failed with this reason. */
  fail?: { reason: string; message: string };
}

const started = (o: ObservedPod, container: SpecContainer, run: Container): boolean =>
  container.startupProbe ? (o.probes.get(run.id)?.started ?? false) : true;

const graceMs = (pod: Pod, now: number): number => {
  const total = (pod.metadata.deletionGracePeriodSeconds ?? pod.spec?.terminationGracePeriodSeconds ?? 30) * 1000;
  if (!pod.metadata.deletionTimestamp) return total;
  return Math.max(Math.min(Date.parse(pod.metadata.deletionTimestamp) - now, total), 1000);
};

/** The first time a restartable wait ends, over everything seen in one decision. */
const earliest = (times: number[]): number | undefined => (times.length ? Math.min(...times) : undefined);

/** Stops what runs: containers together, sidecars after them in reverse order, then the sandboxes. */
const stopAll = (o: ObservedPod, now: number, message: string): Action[] => {
  const actions: Action[] = [];
  const sidecars = (o.pod.spec?.initContainers ?? []).filter(isSidecar).map((c) => c.name);
  const running = o.sandboxes.flatMap((s) => s.containers.filter(isRunning));
  const main = running.filter((c) => !sidecars.includes(c.name));
  const last = [...sidecars].reverse().find((name) => running.some((c) => c.name === name));
  const next = main.length > 0 ? main : running.filter((c) => c.name === last);
  for (const run of next) {
    const key = `stop:${run.id}`;
    if (o.busy.has(key)) continue;
    actions.push({
      do: 'stopContainer',
      key,
      id: run.id,
      name: run.name,
      graceMs: graceMs(o.pod, now),
      preStop: true,
      message,
    });
  }
  if (running.length > 0) return actions;
  for (const sandbox of o.sandboxes) {
    const key = `stop:${sandbox.id}`;
    if (sandbox.ready && !o.busy.has(key)) actions.push({ do: 'stopSandbox', key, id: sandbox.id, remove: false });
  }
  return actions;
};

const settled = (o: ObservedPod): boolean =>
  !o.busy.has('sandbox') &&
  ![...o.busy].some((key) => key.startsWith('start:')) &&
  o.sandboxes.every((s) => !s.ready && !s.containers.some(isRunning));

/** Deleted, or gone from the API: stop, tell the last status (pods.ts does before `delete`), remove. */
const decideDeletion = (o: ObservedPod, now: number): PodPlan => {
  if (!settled(o)) return { actions: stopAll(o, now, 'Stopping container') };
  if (!o.gone && o.pod.metadata.deletionTimestamp && !o.busy.has('clean') && !o.busy.has('delete')) {
    return {
      actions: [
        { do: 'clean', key: 'clean' },
        { do: 'delete', key: 'delete' },
      ],
    };
  }
  if (!o.gone || o.busy.size > 0) return { actions: [] };
  const remove = o.sandboxes.map((s): Action => ({ do: 'stopSandbox', key: `stop:${s.id}`, id: s.id, remove: true }));
  return { actions: remove.length > 0 ? remove : [{ do: 'clean', key: 'clean' }] };
};

const deadline = (o: ObservedPod): number | undefined => {
  const seconds = o.pod.spec?.activeDeadlineSeconds;
  const start = o.pod.status?.startTime;
  return seconds === undefined || !start ? undefined : Date.parse(start) + seconds * 1000;
};

interface Step {
  actions: Action[];
  waits: number[];
  /** Later containers must not start yet. */
  hold: boolean;
}

/** What a running container needs to have the resources its pod was granted. */
const decideResize = (
  o: ObservedPod,
  kind: ContainerKind,
  container: SpecContainer,
  run: Container,
  now: number,
): Pick<Step, 'actions' | 'waits'> => {
  const none = { actions: [], waits: [] };
  if (kind !== 'container' && kind !== 'sidecar') return none;
  const resize = resizeOf(o, container, run);
  const stopKey = `stop:${run.id}`;
  if (!resize || o.busy.has(stopKey)) return none;
  if (resize.restart) {
    const graceMs = (o.pod.spec?.terminationGracePeriodSeconds ?? 30) * 1000;
    const message = `Container ${container.name} resize requires restart`;
    const stop = { do: 'stopContainer', key: stopKey, id: run.id, name: run.name, graceMs, preStop: true } as const;
    return { ...none, actions: [{ ...stop, message, resize: true }] };
  }
  const key = `resize:${run.id}`;
  const untilMs = o.setbacks.get(resizeSetback(container.name))?.untilMs ?? 0;
  if (untilMs > now) return { ...none, waits: [untilMs] };
  if (o.busy.has(key)) return none;
  return { ...none, actions: [{ do: 'resizeContainer', key, id: run.id, container, to: resize.to }] };
};

/** One container of the spec against its newest run: start, restart, stop for a failed probe, or leave it. */
const decideContainer = (
  o: ObservedPod,
  sandbox: Sandbox,
  kind: ContainerKind,
  container: SpecContainer,
  now: number,
): Step => {
  const runs = runsOf(o.sandboxes, container.name);
  const run = runs[0];
  const startKey = `start:${container.name}`;
  const idle: Step = { actions: [], waits: [], hold: kind === 'init' || kind === 'sidecar' };
  if (o.busy.has(startKey)) return { ...idle, hold: true };
  if (run && isRunning(run) && sandbox.containers.includes(run)) {
    const failed = o.probes.get(run.id)?.failed;
    const key = `stop:${run.id}`;
    if (failed && !o.busy.has(key)) {
      const probe = failed === 'startup' ? container.startupProbe : container.livenessProbe;
      const grace = probe?.terminationGracePeriodSeconds ?? o.pod.spec?.terminationGracePeriodSeconds ?? 30;
      const message = `Container ${container.name} failed ${failed} probe, will be restarted`;
      const stop = { do: 'stopContainer', key, id: run.id, name: run.name, graceMs: grace * 1000 } as const;
      return { ...idle, actions: [{ ...stop, preStop: true, message }] };
    }
    const hold = kind === 'init' || (kind === 'sidecar' && !started(o, container, run));
    return { ...idle, ...decideResize(o, kind, container, run, now), hold };
  }
  const ended = run !== undefined && run.state !== 'created';
  if (ended && kind === 'init' && run.exitCode === 0) return { ...idle, hold: false };
  if (ended && !comesBack(o, kind, container, run)) return { ...idle, hold: kind === 'init' };
  const setback = o.setbacks.get(container.name);
  const notBefore = Math.max(setback?.untilMs ?? 0, ended ? mayRestartAt(run) : 0);
  // A container whose sandbox went away, or that was resized, restarts at once: it did not fail by itself.
  const moved = run !== undefined && (!sandbox.containers.includes(run) || (o.restarting?.has(run.id) ?? false));
  if (notBefore > now && !(moved && !setback)) return { ...idle, waits: [notBefore] };
  const known = o.pod.status?.containerStatuses?.find((s) => s.name === container.name);
  const attempt = run ? run.attempt + 1 : known?.containerID ? known.restartCount + 1 : 0;
  const backoffMs = nextBackoffMs(moved ? undefined : run);
  const start = { do: 'startContainer', key: startKey, sandboxId: sandbox.id, kind, container, attempt } as const;
  return { actions: [{ ...start, backoffMs }], waits: [], hold: true };
};

/** Old runs beyond the one that lastState needs, when nothing else works on them. */
const removeOldRuns = (o: ObservedPod): Action[] =>
  specContainers(o.pod).flatMap(({ container }) =>
    runsOf(o.sandboxes, container.name)
      .slice(2)
      .filter((run) => !isRunning(run) && !o.busy.has(`remove:${run.id}`))
      .map((run): Action => ({ do: 'removeContainer', key: `remove:${run.id}`, id: run.id })),
  );

/** The sandbox before the current one keeps the runs that lastState shows; older ones go. */
const removeOldSandboxes = (o: ObservedPod, current: Sandbox): Action[] =>
  o.sandboxes
    .filter((s) => s.attempt < current.attempt - 1 && !o.busy.has(`stop:${s.id}`))
    .map((s) => ({ do: 'stopSandbox', key: `stop:${s.id}`, id: s.id, remove: true }));

/** True when no container of the pod will run again. */
export const isFinished = (o: ObservedPod): boolean => {
  const specs = specContainers(o.pod).filter((s) => s.kind === 'init' || s.kind === 'container');
  const ended = ({ kind, container }: (typeof specs)[number]): Container | undefined => {
    const run = runsOf(o.sandboxes, container.name)[0];
    if (run?.state !== 'exited') return undefined;
    if (kind === 'init' && run.exitCode === 0) return run;
    return comesBack(o, kind, container, run) ? undefined : run;
  };
  const inits = specs.filter((s) => s.kind === 'init').map(ended);
  if (inits.some((run) => run !== undefined && run.exitCode !== 0)) return true;
  const mains = specs.filter((s) => s.kind === 'container');
  return mains.length > 0 && mains.every((s) => ended(s) !== undefined);
};

const decideSandbox = (o: ObservedPod, sandbox: Sandbox | undefined, now: number): PodPlan => {
  const setback = o.setbacks.get('');
  if (setback && setback.untilMs > now) return { actions: [], againAtMs: setback.untilMs };
  if (!o.volumesReady) return { actions: o.busy.has('volumes') ? [] : [{ do: 'volumes', key: 'volumes' }] };
  if (o.busy.has('sandbox')) return { actions: [] };
  return { actions: [{ do: 'startSandbox', key: 'sandbox', attempt: sandbox ? sandbox.attempt + 1 : 0 }] };
};

/**
 * The next operations for one pod: pure, and idempotent, since what is under way is in `busy` and what happened is in the
 * sandboxes. Order as kubelet's: volumes, sandbox, init containers one by one (a sidecar holds the next until started),
 * containers in order, ephemeral ones last.
 */
export const decide = (o: ObservedPod, now: number): PodPlan => {
  if (o.gone || o.pod.metadata.deletionTimestamp) return decideDeletion(o, now);
  if (o.refused) return { actions: [], fail: o.refused };
  if (isTerminal(o.pod)) return { actions: settled(o) ? [] : stopAll(o, now, 'Stopping container') };
  const endsAt = deadline(o);
  if (endsAt !== undefined && endsAt <= now) {
    const fail = {
      reason: 'DeadlineExceeded',
      message: 'Pod was active on the node longer than the specified deadline',
    };
    return { actions: stopAll(o, now, fail.message), fail };
  }
  const waits = endsAt === undefined ? [] : [endsAt];
  if (isFinished(o)) return { actions: stopAll(o, now, 'Stopping container') };
  const sandbox = currentSandbox(o.sandboxes);
  if (!sandbox?.ready) {
    const plan = decideSandbox(o, sandbox, now);
    const again = earliest([...waits, ...(plan.againAtMs === undefined ? [] : [plan.againAtMs])]);
    return { ...plan, ...(again !== undefined && { againAtMs: again }) };
  }
  const actions: Action[] = [];
  const initialized = specContainers(o.pod).some(
    (s) => s.kind === 'container' && sandbox.containers.some((c) => c.name === s.container.name),
  );
  for (const { kind, container } of specContainers(o.pod)) {
    // Once the containers run, an init container is never run again, and sidecars no longer hold anything.
    if (initialized && kind === 'init') continue;
    const step = decideContainer(o, sandbox, kind, container, now);
    actions.push(...step.actions);
    waits.push(...step.waits);
    const starting = step.actions.some((a) => a.do === 'startContainer') || o.busy.has(`start:${container.name}`);
    if ((step.hold && !(initialized && kind === 'sidecar')) || starting) break;
  }
  actions.push(...removeOldRuns(o), ...removeOldSandboxes(o, sandbox));
  const again = earliest(waits);
  return { actions, ...(again !== undefined && { againAtMs: again }) };
};
