import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { vi } from 'vitest';
import { readLog } from '../../agent/logs.ts';
import type { Container, ContainerSpec, Runtime, Sandbox, SandboxSpec } from '../../agent/runtime/runtime.ts';
import { createSystemClock } from '../../functions/clock/system.ts';
import { BUSYBOX_IMAGE, type RuntimePlace } from './runtime-place.ts';

/** Cases that an adapter cannot pass, each with its reason. */
export type Skips = Partial<
  Record<'processes' | 'restart' | 'attachStdin' | 'hostname' | 'terminal' | 'imageMounts', string>
>;

export const WAIT_MS = 15_000;
export const until = <T>(look: () => Promise<T | undefined | false>): Promise<T> =>
  vi.waitUntil(look, { timeout: WAIT_MS, interval: 100 }) as Promise<T>;

export const textOf = (stream: PassThrough): (() => string) => {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString();
};

let next = 0;
const sandboxSpec = (place: RuntimePlace, over: Partial<SandboxSpec> = {}): SandboxSpec => {
  next += 1;
  const uid = `uid-${next}`;
  return {
    namespace: 'default',
    name: `pod-${next}`,
    uid,
    attempt: 0,
    labels: { 'app.kubernetes.io/name': 'contract', tier: '' },
    annotations: {},
    hostname: `pod-${next}`,
    logDirectory: join(place.directory, 'logs', uid),
    hostNetwork: false,
    hostPid: false,
    hostIpc: false,
    shareProcessNamespace: false,
    privileged: false,
    sysctls: {},
    cgroupParent: `${place.cgroupParent}/pod${uid}`,
    dns: { servers: ['192.0.2.53'], searches: ['svc.cluster.local'], options: ['ndots:5'] },
    hostPorts: [],
    runtimeHandler: '',
    supplementalGroups: [],
    ...over,
  };
};

const containerSpec = (script: string, over: Partial<ContainerSpec> = {}): ContainerSpec => ({
  name: 'main',
  attempt: 0,
  image: BUSYBOX_IMAGE,
  imageId: '',
  command: ['sh', '-c'],
  args: [script],
  workingDir: '',
  env: [],
  mounts: [],
  devices: [],
  labels: { 'io.kubernetes.container.name': over.name ?? 'main' },
  annotations: {},
  logPath: `${over.name ?? 'main'}/${over.attempt ?? 0}.log`,
  stdin: false,
  stdinOnce: false,
  tty: false,
  resources: { oomScoreAdj: 1000 },
  security: {
    privileged: false,
    supplementalGroups: [],
    readOnlyRootFilesystem: false,
    addCapabilities: [],
    dropCapabilities: [],
    noNewPrivileges: false,
    seccomp: 'RuntimeDefault',
  },
  ...over,
});

/** A program that ends by the stop signal at once. */
export const SERVE = 'trap "exit 0" TERM; while :; do sleep 0.1; done';

/** What a suite works with: the place, the runtime opened on it, and what it starts. */
export interface Bench {
  readonly place: RuntimePlace;
  readonly runtime: Runtime;
  sandbox(over?: Partial<SandboxSpec>): Promise<Sandbox & { spec: SandboxSpec }>;
  start(sandbox: Sandbox, script: string, over?: Partial<ContainerSpec>): Promise<Container>;
  ended(id: string): Promise<Container>;
  /** The log of a container run, by the agent's own reader. */
  log(sandbox: { spec: SandboxSpec }, file?: string): Promise<string>;
  exec(id: string, command: string[], input?: string): Promise<{ exitCode: number; stdout: string; stderr: string }>;
  reopen(): Promise<void>;
}

export const benchOf = (place: RuntimePlace, first: Runtime): Bench => {
  let runtime = first;
  const prepare = (directory: string) => {
    if (place.archive) mkdirSync(directory, { recursive: true });
  };
  return {
    place,
    get runtime() {
      return runtime;
    },
    sandbox: async (over) => {
      const spec = sandboxSpec(place, over);
      prepare(spec.logDirectory);
      return { ...(await runtime.startSandbox(spec)), spec };
    },
    start: async (sandbox, script, over) => {
      const spec = containerSpec(script, over);
      const { uid } = sandbox;
      prepare(join(place.directory, 'logs', uid, spec.name));
      return runtime.startContainer(sandbox.id, spec);
    },
    ended: (id) =>
      until(async () => {
        const found = (await runtime.sandboxes()).flatMap((s) => s.containers).find((c) => c.id === id);
        return found?.state === 'exited' && found;
      }),
    log: async (sandbox, file = 'main/0.log') => {
      const path = join(sandbox.spec.logDirectory, file);
      const parts: Buffer[] = [];
      const options = { follow: false, timestamps: false };
      const never = new AbortController().signal;
      for await (const part of readLog(path, options, createSystemClock(), () => true, never)) parts.push(part);
      return Buffer.concat(parts).toString();
    },
    exec: async (id, command, input) => {
      const io = { stdout: new PassThrough(), stderr: new PassThrough() };
      const [stdout, stderr] = [textOf(io.stdout), textOf(io.stderr)];
      const stdin = input === undefined ? {} : { stdin: Readable.from([Buffer.from(input)]) };
      const { exitCode } = await runtime.stream(
        id,
        { exec: command, tty: false },
        { ...io, ...stdin },
        AbortSignal.timeout(WAIT_MS),
      );
      await new Promise((resolve) => setImmediate(resolve));
      return { exitCode, stdout: stdout(), stderr: stderr() };
    },
    reopen: async () => {
      await runtime.close();
      runtime = await place.open();
    },
  };
};
