import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from '../functions/client/client.ts';
import type { Clock } from '../functions/clock/clock.ts';
import type { Pod, Service, Container as SpecContainer } from '../functions/machinery/kinds.d.ts';
import { removePodCgroups } from './cgroups.ts';
import type { Action } from './decide.ts';
import { containerEnvironment, expand } from './environment.ts';
import type { EventRecorder } from './events.ts';
import { createImageKeeper, pullSecrets } from './images.ts';
import { runHandler } from './lifecycle.ts';
import { type ClusterNames, hostsFile, podDns, podHostname, resolvConf } from './names.ts';
import { backoffLabel, currentSandbox } from './observed.ts';
import { containerResources, podCgroup } from './qos.ts';
import { computeText, resourcesLabel } from './resize.ts';
import * as resources from './resources.ts';
import { type Container, type ContainerSpec, type Runtime, RuntimeError, type SandboxSpec } from './runtime/runtime.ts';
import type { RuntimeCache } from './runtime-cache.ts';
import { containerSecurity } from './security.ts';
import type { Volumes } from './volumes/volumes.ts';

/** What the operations of one node work with. */
export interface NodeTools {
  nodeName: string;
  client: Client;
  clock: Clock;
  runtime: Runtime;
  cache: RuntimeCache;
  volumes: Volumes;
  recorder: EventRecorder;
  names: ClusterNames;
  /** The agent's directory; undefined on a hollow node, which writes no files. */
  dataDir?: string;
  logDir: string;
  cgroupPrefix: string;
  memoryCapacity: number;
  hostIPs(): string[];
  allocatable(): Record<string, string>;
  services(namespace: string): Service[];
}

/** Carries out one action of decide(); throws RuntimeError with the reason to show. */
export type Operations = (pod: Pod, action: Action) => Promise<void>;

const text = (error: unknown): string => (error instanceof Error ? error.message : String(error));
export const podDirectory = (dataDir: string, uid: string): string => join(dataDir, 'pods', uid);
export const podLogDirectory = (logDir: string, pod: Pod): string =>
  join(logDir, `${pod.metadata.namespace}_${pod.metadata.name}_${pod.metadata.uid}`);
export const terminationFile = (dataDir: string, uid: string, name: string, attempt: number): string =>
  join(podDirectory(dataDir, uid), 'containers', name, `termination-${attempt}`);

const podLabels = (pod: Pod): Record<string, string> => ({
  ...pod.metadata.labels,
  'io.kubernetes.pod.name': pod.metadata.name ?? '',
  'io.kubernetes.pod.namespace': pod.metadata.namespace ?? '',
  'io.kubernetes.pod.uid': pod.metadata.uid ?? '',
});

const anyPrivileged = (pod: Pod): boolean =>
  [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])].some((c) => c.securityContext?.privileged);

/** The sandbox that a pod asks for. */
export const sandboxSpec = (pod: Pod, attempt: number, tools: NodeTools): SandboxSpec => {
  const spec = pod.spec;
  const shared = spec?.securityContext;
  const ports = [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])].flatMap((c) => c.ports ?? []);
  return {
    namespace: pod.metadata.namespace ?? '',
    name: pod.metadata.name ?? '',
    uid: pod.metadata.uid ?? '',
    attempt,
    labels: podLabels(pod),
    annotations: pod.metadata.annotations ?? {},
    hostname: spec?.hostNetwork ? '' : podHostname(pod, tools.names.clusterDomain).hostname,
    logDirectory: podLogDirectory(tools.logDir, pod),
    hostNetwork: spec?.hostNetwork ?? false,
    hostPid: spec?.hostPID ?? false,
    hostIpc: spec?.hostIPC ?? false,
    shareProcessNamespace: spec?.shareProcessNamespace ?? false,
    privileged: anyPrivileged(pod),
    sysctls: Object.fromEntries((shared?.sysctls ?? []).map((s) => [s.name, s.value])),
    cgroupParent: podCgroup(tools.cgroupPrefix, pod),
    dns: podDns(pod, tools.names),
    hostPorts: spec?.hostNetwork
      ? []
      : ports
          .filter((p) => p.hostPort)
          .map((p) => ({
            containerPort: p.containerPort,
            hostPort: p.hostPort ?? 0,
            protocol: (p.protocol ?? 'TCP') as 'TCP' | 'UDP' | 'SCTP',
            hostIp: p.hostIP ?? '',
          })),
    runtimeHandler: '',
    ...(shared?.runAsUser !== undefined && { runAsUser: shared.runAsUser }),
    ...(shared?.runAsGroup !== undefined && { runAsGroup: shared.runAsGroup }),
    supplementalGroups: [
      ...(shared?.supplementalGroups ?? []),
      ...(shared?.fsGroup === undefined ? [] : [shared.fsGroup]),
    ],
  };
};

/** Files that the agent itself mounts: /etc/hosts, resolv.conf (containerd would copy the host's), the termination log. */
const ownMounts = async (
  tools: NodeTools,
  pod: Pod,
  container: SpecContainer,
  attempt: number,
  taken: Set<string>,
): Promise<ContainerSpec['mounts']> => {
  if (!tools.dataDir) return [];
  const uid = pod.metadata.uid ?? '';
  const directory = podDirectory(tools.dataDir, uid);
  const message = terminationFile(tools.dataDir, uid, container.name, attempt);
  await mkdir(join(directory, 'containers', container.name), { recursive: true });
  const ips = currentSandbox(tools.cache.of(uid))?.ips ?? [];
  const nodeHosts = pod.spec?.hostNetwork ? await readFile('/etc/hosts', 'utf8').catch(() => '') : '';
  await writeFile(join(directory, 'etc-hosts'), hostsFile(pod, ips, tools.names.clusterDomain, nodeHosts));
  await writeFile(join(directory, 'resolv.conf'), resolvConf(podDns(pod, tools.names)));
  // Any user of the container writes it, whatever the agent's umask.
  await writeFile(message, '');
  await chmod(message, 0o666);
  const own = [
    { hostPath: join(directory, 'etc-hosts'), containerPath: '/etc/hosts' },
    { hostPath: join(directory, 'resolv.conf'), containerPath: '/etc/resolv.conf' },
    { hostPath: message, containerPath: container.terminationMessagePath ?? '/dev/termination-log' },
  ];
  return own
    .filter((m) => !taken.has(m.containerPath))
    .map((m) => ({ ...m, readOnly: false, propagation: 'private' as const }));
};

type StartAction = Extract<Action, { do: 'startContainer' }>;

const fieldPath = (action: StartAction, pod: Pod): string => {
  const list =
    action.kind === 'container' ? 'containers' : action.kind === 'ephemeral' ? 'ephemeralContainers' : 'initContainers';
  return pod.spec ? `spec.${list}{${action.container.name}}` : '';
};

const startContainer = async (
  tools: NodeTools,
  keeper: ReturnType<typeof createImageKeeper>,
  pod: Pod,
  action: StartAction,
) => {
  const { container, attempt } = action;
  const { client, recorder, runtime } = tools;
  const where = fieldPath(action, pod);
  const read = {
    configMap: (ns: string, name: string) => client.get(resources.configMaps, ns, name),
    secret: (ns: string, name: string) => client.get(resources.secrets, ns, name),
  } as const;
  const secrets = await pullSecrets(client, pod);
  const image = await keeper.ensure(pod, container, secrets, () =>
    recorder.event(pod, 'Normal', 'Pulling', `Pulling image "${container.image}"`, where),
  );
  recorder.event(
    pod,
    'Normal',
    'Pulled',
    image.pulledMs === undefined
      ? `Container image "${container.image}" already present on machine`
      : `Successfully pulled image "${container.image}" in ${image.pulledMs}ms. Image size: ${image.info.sizeBytes} bytes.`,
    where,
  );
  const sandbox = currentSandbox(tools.cache.of(pod.metadata.uid ?? ''));
  const podIPs = pod.spec?.hostNetwork ? tools.hostIPs() : (sandbox?.ips ?? []);
  const environment = await containerEnvironment(pod, container, {
    configMap: read.configMap,
    secret: read.secret,
    services: tools.services,
    podIPs,
    hostIPs: tools.hostIPs(),
    nodeName: tools.nodeName,
    allocatable: tools.allocatable(),
  });
  const mounts = await tools.volumes.mounts(pod, container, environment);
  const own = await ownMounts(tools, pod, container, attempt, new Set(mounts.map((m) => m.containerPath)));
  const spec: ContainerSpec = {
    name: container.name,
    attempt,
    image: container.image ?? '',
    imageId: image.info.id,
    command: (container.command ?? []).map((part) => expand(part, environment)),
    args: (container.args ?? []).map((part) => expand(part, environment)),
    workingDir: container.workingDir ?? '',
    env: [...environment].map(([name, value]) => ({ name, value })),
    mounts: [...mounts, ...own],
    devices: [],
    labels: {
      ...podLabels(pod),
      'io.kubernetes.container.name': container.name,
      [backoffLabel]: String(action.backoffMs),
      [resourcesLabel]: computeText(container),
    },
    annotations: {},
    logPath: `${container.name}/${attempt}.log`,
    stdin: container.stdin ?? false,
    stdinOnce: container.stdinOnce ?? false,
    tty: container.tty ?? false,
    resources: containerResources(pod, container, tools.memoryCapacity),
    security: containerSecurity(pod, container, image.info),
  };
  if (tools.dataDir) await mkdir(join(podLogDirectory(tools.logDir, pod), container.name), { recursive: true });
  let run: Container;
  try {
    run = await runtime.startContainer(action.sandboxId, spec);
  } catch (error) {
    recorder.event(pod, 'Warning', 'Failed', `Error: ${text(error)}`, where);
    await tools.cache.refresh().catch(() => {});
    throw error;
  }
  tools.cache.putContainer(action.sandboxId, run);
  recorder.event(pod, 'Normal', 'Created', `Container created`, where);
  recorder.event(pod, 'Normal', 'Started', `Container started`, where);
  if (container.lifecycle?.postStart) {
    const failure = await runHandler(tools, pod, container, run.id, container.lifecycle.postStart, 60_000);
    if (failure) {
      recorder.event(pod, 'Warning', 'FailedPostStartHook', `PostStartHook failed: ${failure}`, where);
      await runtime.stopContainer(run.id, (pod.spec?.terminationGracePeriodSeconds ?? 30) * 1000);
      await tools.cache.refresh();
      throw new RuntimeError('PostStartHookError', failure);
    }
  }
};

const stopContainer = async (tools: NodeTools, pod: Pod, action: Extract<Action, { do: 'stopContainer' }>) => {
  const all = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
  const container = all.find((c) => c.name === action.name);
  const list = pod.spec?.containers.some((c) => c.name === action.name) ? 'containers' : 'initContainers';
  const where = `spec.${list}{${action.name}}`;
  tools.recorder.event(
    pod,
    'Normal',
    'Killing',
    action.message.replace(/^Stopping container$/, `Stopping container ${action.name}`),
    where,
  );
  const began = tools.clock.now();
  const hook = container?.lifecycle?.preStop;
  if (action.preStop && hook) {
    const failure = await runHandler(tools, pod, container, action.id, hook, action.graceMs);
    if (failure) tools.recorder.event(pod, 'Warning', 'FailedPreStopHook', `PreStopHook failed: ${failure}`, where);
  }
  const left = Math.max(action.graceMs - (tools.clock.now() - began), hook ? 2000 : 0);
  await tools.runtime.stopContainer(action.id, left);
  await tools.cache.refresh();
};

/** A limit below what is in use would kill the container, or be refused by the kernel. */
const resizeContainer = async (tools: NodeTools, pod: Pod, action: Extract<Action, { do: 'resizeContainer' }>) => {
  const next = containerResources(pod, action.container, tools.memoryCapacity);
  if (next.memoryLimitBytes !== undefined) {
    const used = (await tools.runtime.stats()).find((s) => s.containerId === action.id)?.memoryWorkingSetBytes ?? 0;
    if (used > next.memoryLimitBytes)
      throw new RuntimeError(
        'ResizeError',
        `attempting to set container memory limit (${next.memoryLimitBytes}) below current usage (${used})`,
      );
  }
  await tools.runtime.updateContainer(action.id, next);
};

/** The operations of a node, one function per kind of action. */
export const createOperations = (tools: NodeTools): Operations => {
  const keeper = createImageKeeper(tools.runtime.images, () => tools.clock.now());
  return async (pod, action) => {
    const uid = pod.metadata.uid ?? '';
    switch (action.do) {
      case 'volumes':
        await tools.volumes.prepare(pod);
        return;
      case 'startSandbox': {
        const spec = sandboxSpec(pod, action.attempt, tools);
        if (tools.dataDir) await mkdir(spec.logDirectory, { recursive: true });
        tools.cache.putSandbox(await tools.runtime.startSandbox(spec));
        return;
      }
      case 'startContainer':
        await startContainer(tools, keeper, pod, action);
        return;
      case 'stopContainer':
        await stopContainer(tools, pod, action);
        return;
      case 'resizeContainer':
        await resizeContainer(tools, pod, action);
        return;
      case 'removeContainer':
        await tools.runtime.removeContainer(action.id);
        tools.cache.dropContainer(action.id);
        return;
      case 'stopSandbox':
        await tools.runtime.stopSandbox(action.id);
        if (action.remove) {
          await tools.runtime.removeSandbox(action.id);
          tools.cache.dropSandbox(action.id);
        } else await tools.cache.refresh();
        return;
      case 'clean':
        await tools.volumes.clean(uid);
        if (tools.dataDir) {
          await rm(podDirectory(tools.dataDir, uid), { recursive: true, force: true });
          await rm(podLogDirectory(tools.logDir, pod), { recursive: true, force: true });
          await removePodCgroups(tools.cgroupPrefix, uid);
        }
        return;
      case 'delete':
        await tools.client.delete(resources.pods, pod.metadata.namespace ?? '', pod.metadata.name ?? '', {
          uid,
          gracePeriodSeconds: 0,
        });
        return;
    }
  };
};
