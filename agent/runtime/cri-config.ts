import type { ContainerResources, ContainerSecurity, ContainerSpec, SandboxSpec } from './runtime.ts';

// Specs as the CRI's messages have them (names of cri.proto).

/** NamespaceMode of the CRI. */
const MODE = { pod: 0, container: 1, node: 2 };
const PROTOCOL = { TCP: 0, UDP: 1, SCTP: 2 };
const PROPAGATION = { private: 0, host: 1, bidirectional: 2 };
const SECCOMP = { runtimeDefault: 0, unconfined: 1, localhost: 2 };

const value = (name: string, n: number | undefined): object => (n === undefined ? {} : { [name]: { value: n } });

const namespaces = (spec: Pick<SandboxSpec, 'hostNetwork' | 'hostPid' | 'hostIpc' | 'shareProcessNamespace'>) => ({
  network: spec.hostNetwork ? MODE.node : MODE.pod,
  pid: spec.hostPid ? MODE.node : spec.shareProcessNamespace ? MODE.pod : MODE.container,
  ipc: spec.hostIpc ? MODE.node : MODE.pod,
});

/** A hostNetwork sandbox must not name a hostname: containerd refuses it (facts/containers.md). */
export const sandboxConfig = (spec: SandboxSpec) => ({
  metadata: { name: spec.name, uid: spec.uid, namespace: spec.namespace, attempt: spec.attempt },
  hostname: spec.hostNetwork ? '' : spec.hostname,
  log_directory: spec.logDirectory,
  dns_config: spec.dns,
  port_mappings: spec.hostPorts.map((p) => ({
    protocol: PROTOCOL[p.protocol],
    container_port: p.containerPort,
    host_port: p.hostPort,
    host_ip: p.hostIp,
  })),
  labels: { ...spec.labels, ...keptLabels(spec) },
  annotations: spec.annotations,
  linux: {
    cgroup_parent: spec.cgroupParent,
    sysctls: spec.sysctls,
    security_context: {
      namespace_options: namespaces(spec),
      privileged: spec.privileged,
      supplemental_groups: spec.supplementalGroups,
      ...value('run_as_user', spec.runAsUser),
      ...value('run_as_group', spec.runAsGroup),
    },
  },
});

// What containers need of their sandbox is kept on its labels, for an agent that was restarted in between.
const NAMESPACES_LABEL = 'skiff.dev/namespaces';
const LOG_DIRECTORY_LABEL = 'skiff.dev/log-directory';
const CGROUP_LABEL = 'skiff.dev/cgroup-parent';

const keptLabels = (spec: SandboxSpec): Record<string, string> => {
  const n = namespaces(spec);
  return {
    [NAMESPACES_LABEL]: `${n.network}-${n.pid}-${n.ipc}`,
    [LOG_DIRECTORY_LABEL]: spec.logDirectory,
    [CGROUP_LABEL]: spec.cgroupParent,
  };
};

/** The part of a sandbox's configuration that its containers are created with. */
export interface KeptConfig {
  metadata: object;
  labels: Record<string, string>;
  log_directory: string;
  linux: { cgroup_parent: string };
}

export const keptConfig = (metadata: object, labels: Record<string, string>): KeptConfig => ({
  metadata,
  labels,
  log_directory: labels[LOG_DIRECTORY_LABEL] ?? '',
  linux: { cgroup_parent: labels[CGROUP_LABEL] ?? '' },
});

/** The namespace options that a sandbox's labels keep. */
export const namespaceOptions = (labels: Readonly<Record<string, string>>) => {
  const [network = 0, pid = MODE.container, ipc = 0] = (labels[NAMESPACES_LABEL] ?? '0-1-0').split('-').map(Number);
  return { network, pid, ipc };
};

const seccomp = (s: ContainerSecurity['seccomp']) =>
  s === 'RuntimeDefault'
    ? { profile_type: SECCOMP.runtimeDefault }
    : s === 'Unconfined'
      ? { profile_type: SECCOMP.unconfined }
      : { profile_type: SECCOMP.localhost, localhost_ref: s.localhost };

const securityOf = (s: ContainerSecurity, labels: Readonly<Record<string, string>>) => ({
  capabilities: { add_capabilities: s.addCapabilities, drop_capabilities: s.dropCapabilities },
  privileged: s.privileged,
  namespace_options: namespaceOptions(labels),
  ...value('run_as_user', s.runAsUser),
  ...value('run_as_group', s.runAsGroup),
  ...(s.runAsUsername && { run_as_username: s.runAsUsername }),
  readonly_rootfs: s.readOnlyRootFilesystem,
  supplemental_groups: s.supplementalGroups,
  no_new_privs: s.noNewPrivileges,
  ...(s.maskedPaths && { masked_paths: s.maskedPaths }),
  seccomp: s.privileged ? { profile_type: SECCOMP.unconfined } : seccomp(s.seccomp),
});

/** LinuxContainerResources; 0 is not set, or as before. */
export const resourcesMessage = (resources: ContainerResources) => ({
  cpu_period: resources.cpuPeriod ?? 0,
  cpu_quota: resources.cpuQuota ?? 0,
  cpu_shares: resources.cpuShares ?? 0,
  memory_limit_in_bytes: resources.memoryLimitBytes ?? 0,
  oom_score_adj: resources.oomScoreAdj,
});

/** `labels` are the sandbox's. */
export const containerConfig = (spec: ContainerSpec, labels: Readonly<Record<string, string>> = {}) => ({
  metadata: { name: spec.name, attempt: spec.attempt },
  image: { image: spec.imageId || spec.image },
  command: spec.command,
  args: spec.args,
  working_dir: spec.workingDir,
  envs: spec.env.map((e) => ({ key: e.name, value: e.value })),
  mounts: spec.mounts.map((m) => ({
    container_path: m.containerPath,
    host_path: m.hostPath,
    readonly: m.readOnly,
    propagation: PROPAGATION[m.propagation],
  })),
  devices: spec.devices.map((d) => ({
    container_path: d.containerPath,
    host_path: d.hostPath,
    permissions: d.permissions,
  })),
  labels: spec.labels,
  annotations: spec.annotations,
  log_path: spec.logPath,
  stdin: spec.stdin,
  stdin_once: spec.stdinOnce,
  tty: spec.tty,
  linux: {
    resources: resourcesMessage(spec.resources),
    security_context: securityOf(spec.security, labels),
  },
});

/** Kubelet's reason for a container that could not be created, from what the runtime said. */
export const reasonOfCreate = (message: string): string =>
  /not found|no such image/i.test(message) && /image/i.test(message) ? 'ErrImageNeverPull' : 'CreateContainerError';
