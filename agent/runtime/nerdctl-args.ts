import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ContainerSpec, RuntimeError, type SandboxSpec } from './runtime.ts';

// Specs as flags of `nerdctl run`, and what the agent must know again after a restart as labels.

/** Name of the CNI network of a node (agent/network/cni.ts). */
const NETWORK = 'skiff';
/** containerd allows 4096 bytes for a label's key and value together. */
const LABEL_BYTES_MAX = 3_500;
const LABEL = 'dev.skiff.meta';

export interface SandboxMeta {
  kind: 'sandbox';
  namespace: string;
  name: string;
  uid: string;
  attempt: number;
  labels: Record<string, string>;
  logDirectory: string;
  cgroupParent: string;
  hostname: string;
  hostNetwork: boolean;
  hostPid: boolean;
  hostIpc: boolean;
  sharePid: boolean;
}
export interface ContainerMeta {
  kind: 'container';
  sandboxId: string;
  name: string;
  attempt: number;
  image: string;
  imageId: string;
  labels: Record<string, string>;
  logPath: string;
}
export type Meta = SandboxMeta | ContainerMeta;

const labelFlags = (meta: Meta): string[] => {
  const text = Buffer.from(JSON.stringify(meta)).toString('base64url');
  const flags: string[] = [];
  for (let at = 0, part = 0; at < text.length; at += LABEL_BYTES_MAX, part += 1) {
    flags.push('--label', `${LABEL}.${part}=${text.slice(at, at + LABEL_BYTES_MAX)}`);
  }
  return flags;
};

/** What labelFlags kept; undefined for a container that this driver did not start. */
export const metaOf = (labels: Readonly<Record<string, string>>): Meta | undefined => {
  let text = '';
  for (let part = 0; labels[`${LABEL}.${part}`] !== undefined; part += 1) text += labels[`${LABEL}.${part}`];
  return text === '' ? undefined : (JSON.parse(Buffer.from(text, 'base64url').toString()) as Meta);
};

/** A name that nerdctl takes: at least two characters of [a-zA-Z0-9_.-], at most 76. */
const nameOf = (parts: readonly string[]): string =>
  `${parts
    .join('_')
    .replaceAll(/[^a-zA-Z0-9_.-]/g, '-')
    .slice(0, 60)}_${randomBytes(5).toString('hex')}`;

const CAP_SYS_RESOURCE = 24n;
/** The lowest oom_score_adj that this process may give: a root without CAP_SYS_RESOURCE cannot go below its own. */
const lowestOomScore = (): number => {
  const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  if ((BigInt(`0x${mask}`) & (1n << CAP_SYS_RESOURCE)) !== 0n) return -1000;
  return Number(readFileSync('/proc/self/oom_score_adj', 'utf8'));
};
const oomFlags = (score: number): string[] => ['--oom-score-adj', String(Math.max(score, lowestOomScore()))];

const PROPAGATION = { private: 'rprivate', host: 'rslave', bidirectional: 'rshared' };

/** nerdctl splits --mount at every comma, and --volume at every colon: the one that the paths allow is used. */
const mountFlags = (mounts: ContainerSpec['mounts']): string[] =>
  mounts.flatMap((m) => {
    const paths = m.hostPath + m.containerPath;
    const propagation = PROPAGATION[m.propagation];
    if (!paths.includes(':'))
      return ['--volume', `${m.hostPath}:${m.containerPath}:${m.readOnly ? 'ro,' : ''}${propagation}`];
    if (paths.includes(',')) {
      throw new RuntimeError(
        'CreateContainerError',
        `nerdctl takes no path with a colon and a comma: ${m.containerPath}`,
      );
    }
    const readOnly = m.readOnly ? ',readonly' : '';
    return [
      '--mount',
      `type=bind,source=${m.hostPath},target=${m.containerPath}${readOnly},bind-propagation=${propagation}`,
    ];
  });

const each = (flag: string, values: readonly string[]): string[] => values.flatMap((v) => [flag, v]);

const networkFlags = (spec: SandboxSpec): string[] => {
  if (spec.hostNetwork) return ['--network', 'host'];
  const ports = spec.hostPorts.map((p) => {
    const host = p.hostIp === '' ? '' : `${p.hostIp.includes(':') ? `[${p.hostIp}]` : p.hostIp}:`;
    return `${host}${p.hostPort}:${p.containerPort}/${p.protocol.toLowerCase()}`;
  });
  return ['--network', NETWORK, '--hostname', spec.hostname, ...each('-p', ports)];
};

/** Arguments that start a pod's sandbox: the pause container that holds its namespaces. */
export const sandboxArguments = (spec: SandboxSpec, pauseImage: string): string[] => {
  const meta: SandboxMeta = {
    kind: 'sandbox',
    namespace: spec.namespace,
    name: spec.name,
    uid: spec.uid,
    attempt: spec.attempt,
    labels: spec.labels,
    logDirectory: spec.logDirectory,
    cgroupParent: spec.cgroupParent,
    hostname: spec.hostname,
    hostNetwork: spec.hostNetwork,
    hostPid: spec.hostPid,
    hostIpc: spec.hostIpc,
    sharePid: spec.shareProcessNamespace,
  };
  return [
    ...['run', '-d', '--pull', 'never', '--name', nameOf(['pod', spec.name, spec.namespace])],
    ...labelFlags(meta),
    ...networkFlags(spec),
    ...['--ipc', spec.hostIpc ? 'host' : 'shareable'],
    ...(spec.hostPid ? ['--pid', 'host'] : []),
    ...(spec.cgroupParent ? ['--cgroup-parent', spec.cgroupParent] : []),
    ...each('--dns', spec.dns.servers),
    ...each('--dns-search', spec.dns.searches),
    ...each('--dns-opt', spec.dns.options),
    ...each(
      '--sysctl',
      Object.entries(spec.sysctls).map(([k, v]) => `${k}=${v}`),
    ),
    ...oomFlags(-998),
    ...['--security-opt', 'no-new-privileges', '--read-only'],
    pauseImage,
  ];
};

const userFlags = (s: ContainerSpec['security']): string[] => {
  const user = s.runAsUser ?? s.runAsUsername;
  const groups = each('--group-add', s.supplementalGroups.map(String));
  if (user === undefined) return s.runAsGroup === undefined ? groups : ['--user', `0:${s.runAsGroup}`, ...groups];
  return ['--user', s.runAsGroup === undefined ? `${user}` : `${user}:${s.runAsGroup}`, ...groups];
};

const securityFlags = (s: ContainerSpec['security']): string[] => [
  ...userFlags(s),
  ...(s.privileged ? ['--privileged'] : []),
  ...each('--cap-drop', s.dropCapabilities),
  ...each('--cap-add', s.addCapabilities),
  ...(s.readOnlyRootFilesystem ? ['--read-only'] : []),
  ...(s.noNewPrivileges ? ['--security-opt', 'no-new-privileges'] : []),
  ...(s.privileged || s.seccomp === 'RuntimeDefault'
    ? []
    : ['--security-opt', `seccomp=${s.seccomp === 'Unconfined' ? 'unconfined' : s.seccomp.localhost}`]),
];

/** Cpu and memory, for `run` and `update`. */
export const limitFlags = (r: ContainerSpec['resources']): string[] => [
  ...(r.cpuShares ? ['--cpu-shares', String(r.cpuShares)] : []),
  ...(r.cpuQuota ? ['--cpu-quota', String(r.cpuQuota)] : []),
  ...(r.cpuPeriod ? ['--cpu-period', String(r.cpuPeriod)] : []),
  ...(r.memoryLimitBytes ? ['--memory', String(r.memoryLimitBytes), '--memory-swap', String(r.memoryLimitBytes)] : []),
];

/** Arguments that start a container in the sandbox `sandboxId`. `env` of a name given twice: the last one counts. */
export const containerArguments = (sandboxId: string, sandbox: SandboxMeta, spec: ContainerSpec): string[] => {
  const logPath = join(sandbox.logDirectory, spec.logPath);
  const meta: ContainerMeta = {
    kind: 'container',
    sandboxId,
    name: spec.name,
    attempt: spec.attempt,
    image: spec.image,
    imageId: spec.imageId,
    labels: spec.labels,
    logPath,
  };
  const [entrypoint, ...rest] = spec.command;
  const pid = sandbox.hostPid ? ['--pid', 'host'] : sandbox.sharePid ? ['--pid', `container:${sandboxId}`] : [];
  return [
    ...['run', '-d', '--pull', 'never', '--name', nameOf([spec.name, sandbox.name, sandbox.namespace])],
    ...labelFlags(meta),
    ...['--network', sandbox.hostNetwork ? 'host' : `container:${sandboxId}`],
    ...['--ipc', sandbox.hostIpc ? 'host' : `container:${sandboxId}`],
    ...pid,
    ...(sandbox.cgroupParent ? ['--cgroup-parent', sandbox.cgroupParent] : []),
    ...['--log-driver', 'json-file', '--log-opt', `log-path=${logPath}`],
    ...(spec.tty ? ['-t'] : []),
    ...(spec.workingDir ? ['--workdir', spec.workingDir] : []),
    ...each(
      '-e',
      spec.env.map((e) => `${e.name}=${e.value}`),
    ),
    ...mountFlags(spec.mounts),
    ...each(
      '--device',
      spec.devices.map((d) => `${d.hostPath}:${d.containerPath}:${d.permissions}`),
    ),
    ...securityFlags(spec.security),
    ...limitFlags(spec.resources),
    ...oomFlags(spec.resources.oomScoreAdj),
    ...(entrypoint === undefined ? [] : ['--entrypoint', entrypoint]),
    spec.image,
    ...rest,
    ...spec.args,
  ];
};
