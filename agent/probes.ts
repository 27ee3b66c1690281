import type { Clock } from '../functions/clock/clock.ts';
import type { Pod, Probe, Container as SpecContainer } from '../functions/machinery/kinds.d.ts';
import { type DialResult, httpTarget, portNumber, probeHttp, probeTcp } from './dial.ts';
import { probeGrpc } from './dial-grpc.ts';
import type { EventRecorder } from './events.ts';
import { currentSandbox, isRunning, isSidecar, type ProbeState, specContainers } from './observed.ts';
import type { Runtime, Sandbox } from './runtime/runtime.ts';

/** The liveness, readiness and startup probes of the node's running containers. */
export interface Probes {
  /** By container id. */
  readonly results: ReadonlyMap<string, ProbeState>;
  /** Starts probing containers that run now and stops probing the others. */
  sync(pod: Pod, sandboxes: Sandbox[]): void;
  drop(uid: string): void;
  stop(): void;
}

export type ProbeKind = 'startup' | 'liveness' | 'readiness';
/** Runs one probe once; must dial inside the node's network. */
export type ProbeOnce = (probe: Probe, target: ProbeTarget) => Promise<DialResult>;
export interface ProbeTarget {
  container: SpecContainer;
  containerId: string;
  podIp: string;
}

export interface ProbesOptions {
  clock: Clock;
  recorder: EventRecorder;
  probe: ProbeOnce;
  onChange(uid: string): void;
}

/** exec through the runtime, the others by dialling; the message is what the Unhealthy event shows. */
export const createProber =
  (runtime: Pick<Runtime, 'execSync'>): ProbeOnce =>
  async (probe, target) => {
    const timeoutMs = (probe.timeoutSeconds ?? 1) * 1000;
    const { container, podIp } = target;
    if (probe.exec) {
      const result = await runtime.execSync(target.containerId, probe.exec.command ?? [], timeoutMs);
      if (result.timedOut) return { ok: false, message: `command timed out after ${timeoutMs / 1000}s` };
      return {
        ok: result.exitCode === 0,
        message: Buffer.concat([result.stdout, result.stderr]).toString('utf8').slice(0, 1024),
      };
    }
    if (probe.httpGet) return probeHttp(httpTarget(probe.httpGet, container, podIp), timeoutMs);
    if (probe.tcpSocket) {
      return probeTcp(probe.tcpSocket.host ?? podIp, portNumber(probe.tcpSocket.port, container), timeoutMs);
    }
    if (probe.grpc) return probeGrpc(podIp, probe.grpc.port, probe.grpc.service ?? '', timeoutMs);
    return { ok: true, message: '' };
  };

const probesOf = (container: SpecContainer): [ProbeKind, Probe][] =>
  (
    [
      ['startup', container.startupProbe],
      ['liveness', container.livenessProbe],
      ['readiness', container.readinessProbe],
    ] as const
  ).flatMap(([kind, probe]) => (probe ? [[kind, probe] as [ProbeKind, Probe]] : []));

interface Subject extends ProbeTarget {
  pod: Pod;
  uid: string;
  startedAt: number;
}

export const createProbes = (options: ProbesOptions): Probes => {
  const { clock, recorder } = options;
  const results = new Map<string, ProbeState>();
  const running = new Map<string, { uid: string; abort: AbortController; kinds: number }>();

  const update = (subject: Subject, change: Partial<ProbeState>): void => {
    const old = results.get(subject.containerId);
    if (!old || Object.entries(change).every(([key, value]) => old[key as keyof ProbeState] === value)) return;
    results.set(subject.containerId, { ...old, ...change });
    options.onChange(subject.uid);
  };

  const settle = (subject: Subject, kind: ProbeKind, ok: boolean): void => {
    if (kind === 'startup') update(subject, ok ? { started: true } : { failed: 'startup' });
    else if (kind === 'readiness') update(subject, { ready: ok });
    else if (!ok) update(subject, { failed: 'liveness' });
  };

  const unhealthy = (subject: Subject, kind: ProbeKind, message: string): void => {
    const label = `${kind[0]?.toUpperCase()}${kind.slice(1)}`;
    const list = subject.pod.spec?.containers.some((c) => c.name === subject.container.name)
      ? 'containers'
      : 'initContainers';
    recorder.event(
      subject.pod,
      'Warning',
      'Unhealthy',
      `${label} probe failed: ${message}`,
      `spec.${list}{${subject.container.name}}`,
    );
  };

  const loop = async (subject: Subject, kind: ProbeKind, probe: Probe, signal: AbortSignal): Promise<void> => {
    const periodMs = (probe.periodSeconds ?? 10) * 1000;
    const delayMs = subject.startedAt + (probe.initialDelaySeconds ?? 0) * 1000 - clock.now();
    if (delayMs > 0) await clock.sleep(delayMs, signal);
    let last: boolean | undefined;
    let run = 0;
    while (!signal.aborted) {
      const state = results.get(subject.containerId);
      // Liveness and readiness wait for the startup probe; a container to be restarted is not probed further.
      if (state?.failed) return;
      if (kind !== 'startup' && !state?.started) {
        await clock.sleep(Math.min(periodMs, 1000), signal);
        continue;
      }
      const result = await options
        .probe(probe, subject)
        .catch((error: Error) => ({ ok: false, message: error.message }));
      if (signal.aborted) return;
      run = result.ok === last ? run + 1 : 1;
      last = result.ok;
      if (!result.ok) unhealthy(subject, kind, result.message);
      const threshold = result.ok ? (probe.successThreshold ?? 1) : (probe.failureThreshold ?? 3);
      if (run >= threshold) settle(subject, kind, result.ok);
      if (kind === 'startup' && results.get(subject.containerId)?.started) return;
      await clock.sleep(periodMs, signal);
    }
  };

  const begin = (subject: Subject): void => {
    const kinds = probesOf(subject.container);
    const has = (kind: ProbeKind) => kinds.some(([k]) => k === kind);
    // A container that ran before the agent restarted keeps the readiness that the API shows, until probed again.
    const shown = [
      ...(subject.pod.status?.containerStatuses ?? []),
      ...(subject.pod.status?.initContainerStatuses ?? []),
    ].find((s) => s.containerID?.replace(/^\w+:\/\//, '') === subject.containerId);
    results.set(subject.containerId, {
      started: !has('startup') || shown?.started === true,
      ready: !has('readiness') || shown?.ready === true,
    });
    const abort = new AbortController();
    running.set(subject.containerId, { uid: subject.uid, abort, kinds: kinds.length });
    for (const [kind, probe] of kinds) {
      if (kind === 'startup' && shown?.started) continue;
      loop(subject, kind, probe, abort.signal).catch(() => {});
    }
  };
  const end = (containerId: string): void => {
    running.get(containerId)?.abort.abort();
    running.delete(containerId);
    results.delete(containerId);
  };

  return {
    results,
    sync(pod, sandboxes) {
      const uid = pod.metadata.uid ?? '';
      const sandbox = currentSandbox(sandboxes);
      const podIp = sandbox?.ips[0] ?? pod.status?.hostIP ?? pod.status?.podIP ?? '127.0.0.1';
      const live = new Set<string>();
      for (const { kind, container } of specContainers(pod)) {
        if (probesOf(container).length === 0 || (kind === 'init' && !isSidecar(container))) continue;
        const run = sandbox?.containers.find((c) => c.name === container.name && isRunning(c));
        if (!run) continue;
        live.add(run.id);
        if (running.has(run.id)) continue;
        begin({ pod, uid, container, containerId: run.id, podIp, startedAt: run.startedAt ?? run.createdAt });
      }
      for (const [id, entry] of running) if (entry.uid === uid && !live.has(id)) end(id);
    },
    drop(uid) {
      for (const [id, entry] of running) if (entry.uid === uid) end(id);
    },
    stop() {
      for (const id of [...running.keys()]) end(id);
    },
  };
};
