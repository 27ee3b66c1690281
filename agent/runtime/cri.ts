import {
  containerConfig,
  type KeptConfig,
  keptConfig,
  reasonOfCreate,
  resourcesMessage,
  sandboxConfig,
} from './cri-config.ts';
import { createCriImages } from './cri-images.ts';
import { criPortForward, criStream } from './cri-streams.ts';
import { connectGrpc, decodeMessage, detailsOf, isDeadline, isNotFound } from './grpc.ts';
import {
  type Container,
  type Runtime,
  RuntimeError,
  type RuntimeEvent,
  type Sandbox,
  type SandboxSpec,
} from './runtime.ts';

const RUNTIME = '/runtime.v1.RuntimeService';
const EVENTS = '/containerd.services.events.v1.Events/Subscribe';
const CALL_MS = 30_000;
/** Pulling nothing here: a sandbox waits for CNI and runc only. */
const SANDBOX_MS = 120_000;
const STATES = ['created', 'running', 'exited', 'unknown'] as const;

export interface CriOptions {
  /** Unix socket of containerd (or CRI-O). */
  socket: string;
}

interface ListedSandbox {
  id: string;
  metadata: { name: string; uid: string; namespace: string; attempt: number };
  state: number;
  created_at: number;
  labels: Record<string, string>;
}
interface SandboxStatus extends ListedSandbox {
  network: { ip: string; additional_ips: { ip: string }[] } | null;
}
interface ContainerStatus {
  id: string;
  metadata: { name: string; attempt: number };
  state: number;
  created_at: number;
  started_at: number;
  finished_at: number;
  exit_code: number;
  image: { image: string };
  image_ref: string;
  reason: string;
  message: string;
  labels: Record<string, string>;
  log_path: string;
}

const milliseconds = (nanoseconds: number): number => Math.floor(nanoseconds / 1e6);

const containerOf = (s: ContainerStatus): Container => {
  const state = STATES[s.state] ?? 'unknown';
  return {
    id: s.id,
    name: s.metadata.name,
    attempt: s.metadata.attempt,
    state,
    image: s.image.image,
    imageId: s.image_ref,
    createdAt: milliseconds(s.created_at),
    ...(s.started_at > 0 && { startedAt: milliseconds(s.started_at) }),
    ...(state === 'exited' && { finishedAt: milliseconds(s.finished_at), exitCode: s.exit_code }),
    ...(s.reason && { reason: s.reason }),
    ...(s.message && { message: s.message }),
    labels: s.labels,
    logPath: s.log_path,
  };
};

const sandboxOf = (s: SandboxStatus, containers: Container[]): Sandbox => ({
  id: s.id,
  namespace: s.metadata.namespace,
  name: s.metadata.name,
  uid: s.metadata.uid,
  attempt: s.metadata.attempt,
  ready: s.state === 0,
  createdAt: milliseconds(s.created_at),
  ips: [s.network?.ip ?? '', ...(s.network?.additional_ips ?? []).map((i) => i.ip)].filter(Boolean),
  labels: s.labels,
  containers,
});

/** The call's result, or undefined where the thing is not there (any more). */
const unlessGone = <T>(promise: Promise<T>): Promise<T | undefined> =>
  promise.catch((error) => {
    if (isNotFound(error)) return undefined;
    throw error;
  });

/** containerd 1.6 fails a stop whose shim ends while it is asked; asked again it finds the container gone. */
const againIfClosed = <T>(act: () => Promise<T>): Promise<T> =>
  act().catch((error) => {
    if (!/ttrpc: closed/.test(detailsOf(error))) throw error;
    return act();
  });

const eventOf = (
  topic: string,
  value: Buffer,
  sandboxOfContainer: ReadonlyMap<string, string>,
): RuntimeEvent | undefined => {
  const of = (containerId: string) => ({ containerId, sandboxId: sandboxOfContainer.get(containerId) ?? '' });
  if (topic === '/tasks/start') {
    return { type: 'started', ...of(decodeMessage<{ container_id: string }>('TaskStart', value).container_id) };
  }
  if (topic === '/tasks/oom')
    return { type: 'oom', ...of(decodeMessage<{ container_id: string }>('TaskOOM', value).container_id) };
  if (topic !== '/tasks/exit') return undefined;
  const exit = decodeMessage<{ container_id: string; id: string; exit_status: number }>('TaskExit', value);
  // An exec's end has an id of its own.
  return exit.id === exit.container_id
    ? { type: 'exited', ...of(exit.container_id), exitCode: exit.exit_status }
    : undefined;
};

/** The Runtime port on the CRI (runtime.v1) of containerd. Events come from containerd's own service on the same socket. */
export const createCriRuntime = (options: CriOptions): Runtime => {
  const grpc = connectGrpc(options.socket);
  const call = <T>(method: string, type: string, value: object, response: string, timeoutMs = CALL_MS): Promise<T> =>
    grpc.call<T>(`${RUNTIME}/${method}`, [type, value], response, timeoutMs);
  /** What a container needs again of its sandbox when it is created. */
  const configs = new Map<string, KeptConfig>();
  const sandboxOfContainer = new Map<string, string>();

  const sandboxStatus = (id: string) =>
    call<{ status: SandboxStatus }>('PodSandboxStatus', 'SandboxId', { pod_sandbox_id: id }, 'SandboxStatusResponse');
  const containerStatus = (id: string) =>
    call<{ status: ContainerStatus }>(
      'ContainerStatus',
      'ContainerId',
      { container_id: id },
      'ContainerStatusResponse',
    );

  const sandboxes = async (): Promise<Sandbox[]> => {
    const [listed, containers] = await Promise.all([
      call<{ items: ListedSandbox[] }>('ListPodSandbox', 'Empty', {}, 'ListSandboxesResponse'),
      call<{ containers: { id: string; pod_sandbox_id: string }[] }>(
        'ListContainers',
        'Empty',
        {},
        'ListContainersResponse',
      ),
    ]);
    const bySandbox = new Map<string, Container[]>();
    const statuses = await Promise.all(containers.containers.map((c) => unlessGone(containerStatus(c.id))));
    sandboxOfContainer.clear();
    for (const [i, c] of containers.containers.entries()) {
      sandboxOfContainer.set(c.id, c.pod_sandbox_id);
      const status = statuses[i]?.status;
      if (status) bySandbox.set(c.pod_sandbox_id, [...(bySandbox.get(c.pod_sandbox_id) ?? []), containerOf(status)]);
    }
    const found = await Promise.all(listed.items.map((s) => unlessGone(sandboxStatus(s.id))));
    return found.flatMap((s) => (s ? [sandboxOf(s.status, bySandbox.get(s.status.id) ?? [])] : []));
  };

  const startSandbox = async (spec: SandboxSpec): Promise<Sandbox> => {
    const config = sandboxConfig(spec);
    try {
      const request = { config, runtime_handler: spec.runtimeHandler };
      const { pod_sandbox_id: id } = await call<{ pod_sandbox_id: string }>(
        'RunPodSandbox',
        'RunSandboxRequest',
        request,
        'SandboxId',
        SANDBOX_MS,
      );
      configs.set(id, config);
      return sandboxOf((await sandboxStatus(id)).status, []);
    } catch (error) {
      throw new RuntimeError('FailedCreatePodSandBox', detailsOf(error), { cause: error });
    }
  };

  const startContainer: Runtime['startContainer'] = async (sandboxId, spec) => {
    const config = configs.get(sandboxId) ?? (await configOf(sandboxId));
    const request = { pod_sandbox_id: sandboxId, config: containerConfig(spec, config.labels), sandbox_config: config };
    let id = '';
    try {
      ({ container_id: id } = await call<{ container_id: string }>(
        'CreateContainer',
        'CreateContainerRequest',
        request,
        'ContainerId',
      ));
    } catch (error) {
      throw new RuntimeError(reasonOfCreate(detailsOf(error)), detailsOf(error), { cause: error });
    }
    sandboxOfContainer.set(id, sandboxId);
    try {
      await call('StartContainer', 'ContainerId', { container_id: id }, 'Empty');
    } catch (error) {
      throw new RuntimeError('RunContainerError', detailsOf(error), { cause: error });
    }
    return containerOf((await containerStatus(id)).status);
  };

  /** After a restart of the agent: the sandbox keeps on its labels what its containers need of it. */
  const configOf = async (id: string): Promise<KeptConfig> => {
    const { metadata, labels } = (await sandboxStatus(id)).status;
    return keptConfig(metadata, labels);
  };

  const stopSandbox = async (id: string): Promise<void> => {
    const request = { pod_sandbox_id: id };
    await unlessGone(againIfClosed(() => call('StopPodSandbox', 'SandboxId', request, 'Empty', SANDBOX_MS)));
  };

  return {
    name: 'cri',
    version: async () => {
      const v = await call<{ runtime_name: string; runtime_version: string }>(
        'Version',
        'VersionRequest',
        {},
        'VersionResponse',
      );
      return { name: v.runtime_name, version: v.runtime_version };
    },
    sandboxes,
    startSandbox,
    stopSandbox,
    removeSandbox: async (id) => {
      await stopSandbox(id);
      await unlessGone(call('RemovePodSandbox', 'SandboxId', { pod_sandbox_id: id }, 'Empty', SANDBOX_MS));
      configs.delete(id);
    },
    startContainer,
    stopContainer: async (id, graceMs) => {
      const timeout = Math.ceil(graceMs / 1000);
      const request = { container_id: id, timeout };
      await unlessGone(
        againIfClosed(() => call('StopContainer', 'StopContainerRequest', request, 'Empty', graceMs + CALL_MS)),
      );
    },
    removeContainer: async (id) => {
      await unlessGone(call('RemoveContainer', 'ContainerId', { container_id: id }, 'Empty'));
      sandboxOfContainer.delete(id);
    },
    updateContainer: async (id, resources) => {
      const request = { container_id: id, linux: resourcesMessage(resources) };
      await call('UpdateContainerResources', 'UpdateContainerRequest', request, 'Empty').catch((error) => {
        throw new RuntimeError('ResizeError', detailsOf(error), { cause: error });
      });
    },
    execSync: async (id, command, timeoutMs) => {
      const request = { container_id: id, cmd: command, timeout: Math.max(1, Math.ceil(timeoutMs / 1000)) };
      try {
        const done = await call<{ stdout: Buffer; stderr: Buffer; exit_code: number }>(
          'ExecSync',
          'ExecSyncRequest',
          request,
          'ExecSyncResponse',
          timeoutMs + 5_000,
        );
        return { exitCode: done.exit_code, stdout: done.stdout, stderr: done.stderr, timedOut: false };
      } catch (error) {
        if (!isDeadline(error) && !/timed? ?out|deadline/i.test(detailsOf(error))) throw error;
        return { exitCode: -1, stdout: Buffer.alloc(0), stderr: Buffer.from(detailsOf(error)), timedOut: true };
      }
    },
    stream: (id, want, io, signal) => criStream(call, id, want, io, signal),
    portForward: (sandboxId, port, signal) => criPortForward(call, sandboxId, port, signal),
    events: async function* (signal) {
      const request = { filters: ['topic~="^/tasks/(start|exit|oom)$"'] };
      type Envelope = { topic: string; event: { value: Buffer } | null };
      for await (const e of grpc.subscribe<Envelope>(EVENTS, ['SubscribeRequest', request], 'Envelope', signal)) {
        const event = e.event && eventOf(e.topic, e.event.value, sandboxOfContainer);
        if (event) yield event;
      }
    },
    stats: async () => {
      type Stat = {
        attributes: { id: string };
        cpu: { timestamp: number; usage_core_nano_seconds: { value: number } | null } | null;
        memory: { working_set_bytes: { value: number } | null } | null;
      };
      const { stats } = await call<{ stats: Stat[] }>('ListContainerStats', 'Empty', {}, 'ListStatsResponse');
      return stats.map((s) => ({
        containerId: s.attributes.id,
        atMs: milliseconds(s.cpu?.timestamp ?? 0),
        cpuNanos: s.cpu?.usage_core_nano_seconds?.value ?? 0,
        memoryWorkingSetBytes: s.memory?.working_set_bytes?.value ?? 0,
      }));
    },
    images: createCriImages(grpc, options.socket),
    close: async () => grpc.close(),
  };
};
