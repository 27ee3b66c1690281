import { timestamp } from '../functions/clock/clock.ts';
import type {
  ContainerState,
  ContainerStatus,
  Pod,
  PodCondition,
  PodStatus,
  Container as SpecContainer,
} from '../functions/machinery/kinds.d.ts';
import { podConditions } from './conditions.ts';
import type { PodPlan } from './decide.ts';
import {
  type ContainerKind,
  currentSandbox,
  isRunning,
  isTerminal,
  type ObservedPod,
  runsOf,
  specContainers,
} from './observed.ts';
import { actualCompute } from './resize.ts';
import { backoffText, comesBack, mayRestartAt } from './restart.ts';
import type { Container } from './runtime/runtime.ts';

const time = (ms: number | undefined): string | undefined => (ms === undefined ? undefined : timestamp(ms));

/** A container's id as the API shows it: `containerd://0f1e...`. */
const shownId = (o: ObservedPod, run: Container): string => `${o.idPrefix ?? ''}${run.id}`;

const terminated = (o: ObservedPod, run: Container): ContainerState => {
  const message = o.messages.get(run.id);
  const startedAt = time(run.startedAt ?? run.createdAt);
  const finishedAt = time(run.finishedAt ?? run.createdAt);
  const text = message || run.message;
  const exitCode = run.exitCode ?? 137;
  return {
    terminated: {
      exitCode,
      reason:
        run.state === 'unknown' ? 'ContainerStatusUnknown' : (run.reason ?? (exitCode === 0 ? 'Completed' : 'Error')),
      ...(text && { message: text }),
      ...(startedAt && { startedAt }),
      ...(finishedAt && { finishedAt }),
      containerID: shownId(o, run),
    },
  };
};

/** Where the pod stands before its containers: what a container that never ran waits for. */
const waitingReason = (o: ObservedPod, kind: ContainerKind, initialized: boolean): string =>
  kind !== 'ephemeral' && !initialized && specContainers(o.pod).some((s) => s.kind === 'init' || s.kind === 'sidecar')
    ? 'PodInitializing'
    : 'ContainerCreating';

const waitingState = (o: ObservedPod, name: string, fallback: string): ContainerState => {
  const setback = o.setbacks.get(name) ?? o.setbacks.get('');
  if (setback && setback.reason !== 'FailedMount' && setback.reason !== 'FailedCreatePodSandBox') {
    return { waiting: { reason: setback.reason, ...(setback.message && { message: setback.message }) } };
  }
  return { waiting: { reason: fallback } };
};

const mountsOf = (container: SpecContainer): Pick<ContainerStatus, 'volumeMounts'> =>
  container.volumeMounts?.length
    ? {
        volumeMounts: container.volumeMounts.map((m) => ({
          name: m.name,
          mountPath: m.mountPath,
          ...(m.readOnly && { readOnly: true, recursiveReadOnly: 'Disabled' }),
        })),
      }
    : {};

/** What was granted, and of cpu and memory what a running container has of it. */
const resourcesOf = (
  o: ObservedPod,
  container: SpecContainer,
  run: Container | undefined,
): Pick<ContainerStatus, 'resources' | 'allocatedResources'> => {
  const { resources } = container;
  const actual = run && isRunning(run) ? actualCompute(o, run) : undefined;
  const shown = (part: 'requests' | 'limits') => {
    const { cpu: _cpu, memory: _memory, ...rest } = resources?.[part] ?? {};
    const amounts = { ...rest, ...actual?.[part] };
    return Object.keys(amounts).length > 0 ? { [part]: amounts } : {};
  };
  return {
    ...(resources?.requests && { allocatedResources: resources.requests }),
    resources: actual
      ? { ...(resources?.claims && { claims: resources.claims }), ...shown('limits'), ...shown('requests') }
      : (resources ?? {}),
  };
};

const crashLoop = (o: ObservedPod, run: Container, name: string): ContainerState => {
  const { metadata } = o.pod;
  const who = `${metadata.name}_${metadata.namespace}(${metadata.uid})`;
  const message = `back-off ${backoffText(run)} restarting failed container=${name} pod=${who}`;
  return { waiting: { reason: 'CrashLoopBackOff', message } };
};

/** Kubelet's convertStatusToAPIStatus for one container, from its runs, newest first. */
const containerStatus = (
  o: ObservedPod,
  kind: ContainerKind,
  container: SpecContainer,
  initialized: boolean,
  now: number,
): ContainerStatus => {
  const [run, previous] = runsOf(o.sandboxes, container.name);
  const probe = run && o.probes.get(run.id);
  const lastState: ContainerState = previous ? terminated(o, previous) : {};
  const fixed = { name: container.name, ...mountsOf(container), ...resourcesOf(o, container, run) };
  if (!run) {
    const state = waitingState(o, container.name, waitingReason(o, kind, initialized));
    const image = container.image ?? '';
    return { ...fixed, image, imageID: '', ready: false, started: false, restartCount: 0, state, lastState };
  }
  const known = { ...fixed, image: container.image ?? run.image, imageID: run.imageId, containerID: shownId(o, run) };
  const restartCount = run.attempt;
  if (isRunning(run)) {
    const isStarted = container.startupProbe ? (probe?.started ?? false) : true;
    const passes = container.readinessProbe ? (probe?.ready ?? false) : true;
    const startedAt = time(run.startedAt ?? run.createdAt);
    const state: ContainerState = { running: { ...(startedAt && { startedAt }) } };
    const ready = kind === 'init' || kind === 'ephemeral' ? false : isStarted && passes && !probe?.failed;
    return { ...known, ready, started: isStarted, restartCount, state, lastState };
  }
  const ended = terminated(o, run);
  const done = { ...known, restartCount, started: false };
  const willRestart =
    !isTerminal(o.pod) &&
    !o.pod.metadata.deletionTimestamp &&
    !o.gone &&
    !(kind === 'init' && run.exitCode === 0) &&
    comesBack(o, kind, container, run);
  const setback = o.setbacks.get(container.name);
  if (willRestart && setback) {
    return { ...done, ready: false, state: waitingState(o, container.name, setback.reason), lastState: ended };
  }
  if (willRestart && mayRestartAt(run) > now) {
    return { ...done, ready: false, state: crashLoop(o, run, container.name), lastState: ended };
  }
  return { ...done, ready: kind === 'init' && run.exitCode === 0, state: ended, lastState };
};

const initDone = (status: ContainerStatus, kind: ContainerKind): boolean =>
  kind === 'sidecar' ? status.started === true : status.state?.terminated?.exitCode === 0;

/** Kubelet's getPhase. A terminal phase stays. */
const phaseOf = (pod: Pod, initialized: boolean, inits: ContainerStatus[], mains: ContainerStatus[]): string => {
  const policy = pod.spec?.restartPolicy ?? 'Always';
  if (!initialized) {
    const sidecars = new Set(
      (pod.spec?.initContainers ?? []).filter((c) => c.restartPolicy === 'Always').map((c) => c.name),
    );
    const broken = inits.some((s) => !sidecars.has(s.name) && (s.state?.terminated?.exitCode ?? 0) !== 0);
    return broken && policy === 'Never' ? 'Failed' : 'Pending';
  }
  const ends = mains.map((s) => s.state?.terminated ?? (s.state?.waiting ? s.lastState?.terminated : undefined));
  if (mains.some((s, i) => s.state?.waiting && !ends[i])) return 'Pending';
  if (mains.some((s) => s.state?.running)) return 'Running';
  const succeeded = ends.every((end) => end?.exitCode === 0);
  if (pod.metadata.deletionTimestamp) return succeeded ? 'Succeeded' : 'Failed';
  const waiting = mains.some((s) => s.state?.waiting);
  if (policy === 'Always' || waiting) return 'Running';
  if (succeeded) return 'Succeeded';
  return policy === 'Never' ? 'Failed' : 'Running';
};

/** Whether the init containers (and sidecars) let the containers run: once one has run, for the sandbox's whole life. */
const isInitialized = (o: ObservedPod, inits: { kind: ContainerKind; status: ContainerStatus }[]): boolean =>
  inits.every((i) => initDone(i.status, i.kind)) ||
  (currentSandbox(o.sandboxes)?.containers.some((c) => o.pod.spec?.containers.some((s) => s.name === c.name)) ?? false);

const statusesOf = (o: ObservedPod, now: number) => {
  const specs = specContainers(o.pod);
  const isInit = (s: (typeof specs)[number]) => s.kind === 'init' || s.kind === 'sidecar';
  const inits = specs
    .filter(isInit)
    .map((s) => ({ kind: s.kind, status: containerStatus(o, s.kind, s.container, false, now) }));
  const initialized = isInitialized(o, inits);
  const of = (kind: ContainerKind) =>
    specs.filter((s) => s.kind === kind).map((s) => containerStatus(o, kind, s.container, initialized, now));
  return { inits, initialized, mains: of('container'), ephemeral: of('ephemeral') };
};

/**
 * The status that the API should hold for what was observed: phase, conditions, container statuses, addresses. Pure; all
 * from the runtime and the previous status, so that an agent that restarts writes the same. API convention: "Spec and
 * Status"; the pod lifecycle page for phases.
 */
export const podStatus = (o: ObservedPod, plan: Pick<PodPlan, 'fail'>, now: number): PodStatus => {
  const { pod } = o;
  const { inits, initialized, mains, ephemeral } = statusesOf(o, now);
  const before = pod.status ?? {};
  const sandbox = currentSandbox(o.sandboxes);
  const ips = pod.spec?.hostNetwork ? (sandbox ? o.hostIPs : []) : (sandbox?.ips ?? []);
  const addresses = ips.length > 0 ? ips : (before.podIPs ?? []).map((p) => p.ip);
  const fail = plan.fail;
  const phase = isTerminal(pod)
    ? (before.phase ?? 'Failed')
    : fail
      ? 'Failed'
      : phaseOf(
          pod,
          initialized,
          inits.map((i) => i.status),
          mains,
        );
  const generation = pod.metadata.generation;
  const status: PodStatus = {
    phase,
    ...(fail ? { reason: fail.reason, message: fail.message } : {}),
    startTime: before.startTime ?? timestamp(now),
    ...(o.hostIPs[0] && { hostIP: o.hostIPs[0], hostIPs: o.hostIPs.map((ip) => ({ ip })) }),
    ...(addresses[0] && { podIP: addresses[0], podIPs: addresses.map((ip) => ({ ip })) }),
    ...(generation !== undefined && { observedGeneration: generation }),
  };
  if (!o.refused) {
    if (inits.length > 0) status.initContainerStatuses = inits.map((i) => i.status);
    status.containerStatuses = mains;
    if (ephemeral.length > 0) status.ephemeralContainerStatuses = ephemeral;
  }
  const seen = { initialized, phase, inits: inits.map((i) => ({ ...i, done: initDone(i.status, i.kind) })), mains };
  status.conditions = podConditions(o, seen, now);
  return status;
};

/** Equal as JSON: the order of keys does not count, undefined is absent, and so is the null that the API writes for it. */
const same = (given: unknown, other: unknown): boolean => {
  const [a, b] = [given ?? undefined, other ?? undefined];
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object') return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((x, i) => same(x, b[i]));
  }
  const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>];
  for (const key in left) if (!same(left[key], right[key])) return false;
  for (const key in right) if (!same(left[key], right[key])) return false;
  return true;
};

/** Conditions that are there only while they hold. */
const passing = ['PodResizePending', 'PodResizeInProgress'];

const owned: (keyof PodStatus)[] = [
  'phase',
  'reason',
  'message',
  'startTime',
  'hostIP',
  'hostIPs',
  'podIP',
  'podIPs',
  'observedGeneration',
  'initContainerStatuses',
  'containerStatuses',
  'ephemeralContainerStatuses',
];

/** The strategic merge patch that turns the old status into the new one, with the uid held; undefined when equal. */
export const statusPatch = (pod: Pod, next: PodStatus): Record<string, unknown> | undefined => {
  const old = pod.status ?? {};
  const status: Record<string, unknown> = {};
  for (const field of owned) {
    if (next[field] !== undefined && !same(old[field], next[field])) status[field] = next[field];
  }
  const changed = (next.conditions ?? []).filter((c) => {
    const was = old.conditions?.find((o: PodCondition) => o.type === c.type);
    return !same(was, c);
  });
  // A strategic merge keeps what is left out: a reason that no longer holds is removed by null.
  const cleared = (c: PodCondition) => {
    const was = old.conditions?.find((o) => o.type === c.type);
    return {
      ...c,
      ...(was?.reason !== undefined && c.reason === undefined && { reason: null }),
      ...(was?.message !== undefined && c.message === undefined && { message: null }),
    };
  };
  const over = (old.conditions ?? [])
    .filter((c) => passing.includes(c.type) && !next.conditions?.some((n) => n.type === c.type))
    .map((c) => ({ $patch: 'delete', type: c.type }));
  if (changed.length + over.length > 0) status.conditions = [...changed.map(cleared), ...over];
  if (Object.keys(status).length === 0) return undefined;
  return { metadata: { uid: pod.metadata.uid }, status };
};
