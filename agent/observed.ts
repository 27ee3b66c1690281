import type { Pod, Container as SpecContainer } from '../functions/machinery/kinds.d.ts';
import type { Container, Sandbox } from './runtime/runtime.ts';

/** Everything decide() and podStatus() look at for one pod; gathered by pods.ts. */
export interface ObservedPod {
  pod: Pod;
  /** The API no longer holds this pod: only cleaning up is left. */
  gone: boolean;
  sandboxes: Sandbox[];
  /** What the probes found, by container id; absent means not probed yet. */
  probes: ReadonlyMap<string, ProbeState>;
  /** Why a start did not work and until when not to try again, by container name ('' is the sandbox and its volumes). */
  setbacks: ReadonlyMap<string, Setback>;
  /** Operations under way: `sandbox`, `start:NAME`, `stop:ID`, `pull:NAME`, `clean`. */
  busy: ReadonlySet<string>;
  /** Images known to be present, by container name; decide() asks for a pull of the others. */
  volumesReady: boolean;
  /** Set when the node refused the pod (OutOfcpu, NodeAffinity...). */
  refused?: { reason: string; message: string };
  hostIPs: string[];
  /** `containerd://`, `hollow://`: stands before container ids in the status. */
  idPrefix?: string;
  /** Termination messages by container id. */
  messages: ReadonlyMap<string, string>;
  /** Cpu and memory of running containers that were resized, by container id, as resize.ts writes them. */
  resized?: ReadonlyMap<string, string>;
  /** Containers (by id) that are stopped only to start again with other resources. */
  restarting?: ReadonlySet<string>;
  /** Why the pod was not granted what its spec now asks for; `pod` is as it was granted. */
  pendingResize?: { reason: string; message: string };
}

/** The key under which a failed resize of a container is a setback. */
export const resizeSetback = (name: string): string => `resize ${name}`;

export interface ProbeState {
  /** The startup probe passed, or there is none. */
  started: boolean;
  ready: boolean;
  /** Set once liveness or startup failed often enough: the container is to be restarted. */
  failed?: 'liveness' | 'startup';
}

export interface Setback {
  reason: string;
  message: string;
  untilMs: number;
}

export type ContainerKind = 'init' | 'sidecar' | 'container' | 'ephemeral';

/** Label on every container: how long the next restart waits after this one ends, in milliseconds. */
export const backoffLabel = 'skiff.dev/backoff-ms';

/** The newest sandbox; older ones are only to be removed. */
export const currentSandbox = (sandboxes: readonly Sandbox[]): Sandbox | undefined =>
  sandboxes.reduce<Sandbox | undefined>(
    (best, one) =>
      !best || one.attempt > best.attempt || (one.attempt === best.attempt && one.createdAt > best.createdAt)
        ? one
        : best,
    undefined,
  );

/** All runs of one container over all sandboxes of the pod, newest first. */
export const runsOf = (sandboxes: readonly Sandbox[], name: string): Container[] =>
  sandboxes
    .flatMap((s) => s.containers.filter((c) => c.name === name))
    .sort((a, b) => b.attempt - a.attempt || b.createdAt - a.createdAt);

export const isSidecar = (container: SpecContainer): boolean => container.restartPolicy === 'Always';

export const isRunning = (run: Container | undefined): boolean =>
  run !== undefined && (run.state === 'running' || run.state === 'created');

export const isTerminal = (pod: Pod): boolean => pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';

/** Name and kind of every container of the spec, init containers first. */
export const specContainers = (pod: Pod): { kind: ContainerKind; container: SpecContainer }[] => [
  ...(pod.spec?.initContainers ?? []).map((container) => ({
    kind: isSidecar(container) ? ('sidecar' as const) : ('init' as const),
    container,
  })),
  ...(pod.spec?.containers ?? []).map((container) => ({ kind: 'container' as const, container })),
  ...(pod.spec?.ephemeralContainers ?? []).map((container) => ({
    kind: 'ephemeral' as const,
    container: container as SpecContainer,
  })),
];
