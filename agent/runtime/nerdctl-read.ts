import { metaOf } from './nerdctl-args.ts';
import type { Container, RuntimeEvent, Sandbox } from './runtime.ts';

/** The part of `nerdctl inspect` (docker's format) that is read. */
export interface Inspected {
  Id: string;
  Created: string;
  State: {
    /** Empty for a container that was never started. */
    Status: string;
    Running: boolean;
    Pid: number;
    ExitCode: number;
    Error: string;
    StartedAt: string;
    FinishedAt: string;
  };
  Config: { Labels: Record<string, string> | null };
  NetworkSettings?: { IPAddress?: string; GlobalIPv6Address?: string } | null;
}

/** What kubelet shows for a container whose process never began. */
const NOT_STARTED = 128;
const KILLED = 137;

const timeOf = (text: string): number | undefined => {
  const ms = Date.parse(text);
  return Number.isFinite(ms) && ms > 0 ? ms : undefined;
};

const stateOf = (c: Inspected): Container['state'] => {
  switch (c.State.Status) {
    case 'running':
    case 'paused':
    case 'pausing':
      return 'running';
    case 'exited':
    case 'stopped':
      return 'exited';
    case '':
    case 'created':
      return c.State.Error === '' ? 'created' : 'exited';
    default:
      return 'unknown';
  }
};

const endOf = (c: Inspected, outOfMemory: boolean): Partial<Container> => {
  const created = timeOf(c.Created) ?? 0;
  const startedAt = timeOf(c.State.StartedAt);
  if (startedAt === undefined) {
    return { finishedAt: created, exitCode: NOT_STARTED, reason: 'StartError', message: c.State.Error };
  }
  const exitCode = c.State.ExitCode;
  const reason = outOfMemory && exitCode === KILLED ? 'OOMKilled' : exitCode === 0 ? 'Completed' : 'Error';
  return { finishedAt: timeOf(c.State.FinishedAt) ?? startedAt, exitCode, reason };
};

/** One container of a pod; undefined for a sandbox, or for one that this driver did not start. */
export const containerOf = (c: Inspected, outOfMemory: boolean): (Container & { sandboxId: string }) | undefined => {
  const meta = metaOf(c.Config.Labels ?? {});
  if (meta?.kind !== 'container') return undefined;
  const state = stateOf(c);
  const startedAt = timeOf(c.State.StartedAt);
  return {
    id: c.Id,
    sandboxId: meta.sandboxId,
    name: meta.name,
    attempt: meta.attempt,
    state,
    image: meta.image,
    imageId: meta.imageId,
    createdAt: timeOf(c.Created) ?? 0,
    ...(startedAt !== undefined && { startedAt }),
    ...(state === 'exited' && endOf(c, outOfMemory)),
    labels: meta.labels,
    logPath: meta.logPath,
  };
};

/** One sandbox without its containers; undefined for anything else. It is ready while its pause container runs. */
export const sandboxOf = (c: Inspected): Sandbox | undefined => {
  const meta = metaOf(c.Config.Labels ?? {});
  if (meta?.kind !== 'sandbox') return undefined;
  const ready = c.State.Running;
  const network = c.NetworkSettings;
  const ips = [network?.IPAddress ?? '', network?.GlobalIPv6Address ?? ''].filter(Boolean);
  return {
    id: c.Id,
    namespace: meta.namespace,
    name: meta.name,
    uid: meta.uid,
    attempt: meta.attempt,
    ready,
    createdAt: timeOf(c.Created) ?? 0,
    ips: ready && !meta.hostNetwork ? ips : [],
    labels: meta.labels,
    containers: [],
  };
};

/** Sandboxes with their containers, out of everything that was inspected. `oom` says who ran out of memory. */
export const sandboxesOf = (inspected: readonly Inspected[], oom: ReadonlySet<string>): Sandbox[] => {
  const bySandbox = new Map<string, Container[]>();
  for (const one of inspected) {
    const found = containerOf(one, oom.has(one.Id));
    if (!found) continue;
    const { sandboxId, ...container } = found;
    bySandbox.set(sandboxId, [...(bySandbox.get(sandboxId) ?? []), container]);
  }
  return inspected.flatMap((one) => {
    const sandbox = sandboxOf(one);
    return sandbox ? [{ ...sandbox, containers: bySandbox.get(sandbox.id) ?? [] }] : [];
  });
};

/** One line of `nerdctl events --format '{{json .}}'`; undefined for what the agent does not look at. */
export const eventOf = (line: string): Omit<RuntimeEvent, 'sandboxId'> | undefined => {
  if (!line.includes('/tasks/')) return undefined;
  const { Topic, Event } = JSON.parse(line) as { Topic: string; Event: string };
  if (!['/tasks/start', '/tasks/oom', '/tasks/exit'].includes(Topic)) return undefined;
  const {
    container_id: containerId,
    id,
    exit_status: exitCode = 0,
  } = JSON.parse(Event) as {
    container_id: string;
    id?: string;
    exit_status?: number;
  };
  if (Topic === '/tasks/start') return { type: 'started', containerId };
  if (Topic === '/tasks/oom') return { type: 'oom', containerId };
  // An exec's end has an id of its own.
  return id === containerId ? { type: 'exited', containerId, exitCode } : undefined;
};
