import type { Readable, Writable } from 'node:stream';

/**
 * What runs containers. Adapters: cri.ts (containerd or CRI-O by gRPC), nerdctl.ts (containerd by its CLI), hollow.ts
 * (nothing runs). test/contract/runtime.ts holds what all of them promise. Truth lives in the runtime: after a restart of
 * the agent, sandboxes() tells everything that the agent had started, by the labels it was given.
 */
export interface Runtime {
  readonly name: 'cri' | 'nerdctl' | 'hollow';
  version(): Promise<{ name: string; version: string }>;
  /** All pods of this node that this runtime knows, with their containers, running or not. */
  sandboxes(): Promise<Sandbox[]>;
  startSandbox(spec: SandboxSpec): Promise<Sandbox>;
  /** Stops every container (each with its own grace already spent), frees the network. Idempotent. */
  stopSandbox(id: string): Promise<void>;
  removeSandbox(id: string): Promise<void>;
  /** Creates and starts. Throws RuntimeError with a kubelet reason (CreateContainerError, RunContainerError...). */
  startContainer(sandboxId: string, spec: ContainerSpec): Promise<Container>;
  /** Sends the stop signal, then SIGKILL after `graceMs`. Idempotent; resolves when it has exited. */
  stopContainer(id: string, graceMs: number): Promise<void>;
  removeContainer(id: string): Promise<void>;
  /** Gives a running container other cpu shares, quota and memory limit; what is left out stays as it is. */
  updateContainer(id: string, resources: ContainerResources): Promise<void>;
  /** Runs a command to its end without streams: probes and lifecycle hooks. */
  execSync(id: string, command: string[], timeoutMs: number): Promise<ExecResult>;
  /** Streams until the process, the attachment or the connection ends. */
  stream(id: string, want: StreamRequest, io: Streams, signal: AbortSignal): Promise<ExitStatus>;
  /** Opens a TCP connection to a port inside the sandbox. */
  portForward(sandboxId: string, port: number, signal: AbortSignal): Promise<NodeJS.ReadWriteStream>;
  /** Started, exited, oom; lossy: the agent also relists slowly. */
  events(signal: AbortSignal): AsyncIterable<RuntimeEvent>;
  stats(): Promise<ContainerStats[]>;
  readonly images: Images;
  close(): Promise<void>;
}

export interface Images {
  /** The image's id (digest), or undefined. */
  has(ref: string): Promise<ImageInfo | undefined>;
  /** Throws RuntimeError with reason ErrImagePull. */
  pull(ref: string, auth?: RegistryAuth): Promise<ImageInfo>;
  /** Loads an OCI or docker archive. Returns the names it held. */
  load(tar: Readable): Promise<string[]>;
  list(): Promise<ImageInfo[]>;
  remove(ref: string): Promise<void>;
  /**
   * Mounts the files of an image that is present at a directory, read-only, without programs or devices to run; done again
   * it changes nothing. Absent where a runtime cannot.
   */
  mount?(ref: string, target: string): Promise<void>;
  /** Ends such a mount. Idempotent. */
  unmount?(target: string): Promise<void>;
}
export interface ImageInfo {
  id: string;
  names: string[];
  sizeBytes: number;
  /** Numeric user of the image's config, for runAsNonRoot. */
  uid?: number;
  username?: string;
}
export interface RegistryAuth {
  username: string;
  password: string;
}

export interface SandboxSpec {
  namespace: string;
  name: string;
  uid: string;
  attempt: number;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  hostname: string;
  /** Directory for container logs of this pod. */
  logDirectory: string;
  hostNetwork: boolean;
  hostPid: boolean;
  hostIpc: boolean;
  shareProcessNamespace: boolean;
  privileged: boolean;
  sysctls: Record<string, string>;
  cgroupParent: string;
  dns: { servers: string[]; searches: string[]; options: string[] };
  hostPorts: { containerPort: number; hostPort: number; protocol: 'TCP' | 'UDP' | 'SCTP'; hostIp: string }[];
  runtimeHandler: string;
  runAsUser?: number;
  runAsGroup?: number;
  supplementalGroups: number[];
}
export interface Sandbox {
  id: string;
  namespace: string;
  name: string;
  uid: string;
  attempt: number;
  ready: boolean;
  createdAt: number;
  /** Pod IPs; empty for hostNetwork (the node's own is used). */
  ips: string[];
  labels: Record<string, string>;
  containers: Container[];
}
export interface ContainerSpec {
  name: string;
  attempt: number;
  image: string;
  imageId: string;
  command: string[];
  args: string[];
  workingDir: string;
  env: { name: string; value: string }[];
  mounts: {
    hostPath: string;
    containerPath: string;
    readOnly: boolean;
    propagation: 'private' | 'host' | 'bidirectional';
  }[];
  devices: { hostPath: string; containerPath: string; permissions: string }[];
  labels: Record<string, string>;
  annotations: Record<string, string>;
  /** Relative to the sandbox's logDirectory: `name/0.log`. */
  logPath: string;
  stdin: boolean;
  stdinOnce: boolean;
  tty: boolean;
  resources: ContainerResources;
  security: ContainerSecurity;
}
export interface ContainerResources {
  cpuShares?: number;
  cpuQuota?: number;
  cpuPeriod?: number;
  memoryLimitBytes?: number;
  oomScoreAdj: number;
}
export interface ContainerSecurity {
  privileged: boolean;
  runAsUser?: number;
  runAsUsername?: string;
  runAsGroup?: number;
  supplementalGroups: number[];
  readOnlyRootFilesystem: boolean;
  addCapabilities: string[];
  dropCapabilities: string[];
  noNewPrivileges: boolean;
  seccomp: 'RuntimeDefault' | 'Unconfined' | { localhost: string };
  maskedPaths?: string[];
}
export interface Container {
  id: string;
  name: string;
  attempt: number;
  state: 'created' | 'running' | 'exited' | 'unknown';
  image: string;
  imageId: string;
  createdAt: number;
  startedAt?: number;
  finishedAt?: number;
  exitCode?: number;
  /** OOMKilled, Error, Completed, StartError... */
  reason?: string;
  message?: string;
  labels: Record<string, string>;
  logPath: string;
}
export interface ExecResult {
  exitCode: number;
  stdout: Uint8Array;
  stderr: Uint8Array;
  timedOut: boolean;
}
export type StreamRequest = { exec: string[]; tty: boolean } | { attach: true; tty: boolean };
export interface Streams {
  stdin?: Readable;
  stdout?: Writable;
  stderr?: Writable;
  resize?: AsyncIterable<{ width: number; height: number }>;
}
export interface ExitStatus {
  exitCode: number;
}
export type RuntimeEvent = {
  type: 'started' | 'exited' | 'oom';
  containerId: string;
  sandboxId: string;
  exitCode?: number;
};
export interface ContainerStats {
  containerId: string;
  atMs: number;
  cpuNanos: number;
  memoryWorkingSetBytes: number;
}

/** Why a sandbox, image or container could not be had, with the reason kubelet shows. */
export class RuntimeError extends Error {
  readonly reason: string;
  constructor(reason: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}
