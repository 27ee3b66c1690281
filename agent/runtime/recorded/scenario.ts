import { PassThrough, Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { ContainerSpec, Runtime, RuntimeEvent, Sandbox, SandboxSpec } from '../runtime.ts';

/** The image of busybox that the scenario uses. */
const IMAGE = 'skiff.local/contract:1';

const sandboxSpec = (directory: string): SandboxSpec => ({
  namespace: 'default',
  name: 'web-0',
  uid: 'uid-1',
  attempt: 0,
  labels: { app: 'web' },
  annotations: {},
  hostname: 'web-0',
  logDirectory: `${directory}/logs`,
  hostNetwork: false,
  hostPid: false,
  hostIpc: false,
  shareProcessNamespace: true,
  privileged: false,
  sysctls: { 'net.ipv4.ip_unprivileged_port_start': '0' },
  cgroupParent: '/skiff-recorded/poduid-1',
  dns: { servers: ['10.96.0.10'], searches: ['default.svc.cluster.local'], options: ['ndots:5'] },
  hostPorts: [{ containerPort: 80, hostPort: 8099, protocol: 'TCP', hostIp: '' }],
  runtimeHandler: '',
  supplementalGroups: [],
});

const containerSpec = (name: string, command: string[], over: Partial<ContainerSpec> = {}): ContainerSpec => ({
  name,
  attempt: 0,
  image: IMAGE,
  imageId: '',
  command,
  args: [],
  workingDir: '/bin',
  env: [{ name: 'A', value: 'x y' }],
  mounts: [],
  devices: [],
  labels: { 'io.kubernetes.container.name': name },
  annotations: {},
  logPath: `${name}/0.log`,
  stdin: false,
  stdinOnce: false,
  tty: false,
  resources: { oomScoreAdj: 1000, cpuShares: 102, cpuQuota: 50_000, cpuPeriod: 100_000 },
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

const failure = (error: unknown) => ({ ...(error as object), message: (error as Error).message });

/** What a program in the container said by exec, and how it ended. */
const exec = async (runtime: Runtime, id: string, command: string[]) => {
  const io = { stdout: new PassThrough(), stderr: new PassThrough() };
  const { exitCode } = await runtime.stream(id, { exec: command, tty: false }, io, AbortSignal.timeout(10_000));
  return { exitCode, stdout: String(io.stdout.read() ?? ''), stderr: String(io.stderr.read() ?? '') };
};

/**
 * Everything that the driver asks of nerdctl, once, in a fixed order. recorded/nerdctl-2.0.5.json holds what the real one
 * answered to it; nerdctl.test.ts plays those answers back. `archive` is an image archive with busybox and the pause image.
 */
export const playScenario = async (runtime: Runtime, directory: string, archive: Readable) => {
  const seen: RuntimeEvent[] = [];
  const end = new AbortController();
  const loaded = await runtime.images.load(archive);
  const image = await runtime.images.has(IMAGE);
  const noImage = await runtime.images.has('skiff.local/nosuch:1');
  const images = await runtime.images.list();
  const pull = await runtime.images.pull('127.0.0.1:9/nosuch:1').catch(failure);
  const reading = (async () => {
    for await (const event of runtime.events(end.signal)) seen.push(event);
  })();
  await delay(500);
  const sandbox: Sandbox = await runtime.startSandbox(sandboxSpec(directory));
  const server = await runtime.startContainer(sandbox.id, containerSpec('server', ['sleep', '600']));
  const done = await runtime.startContainer(sandbox.id, containerSpec('done', ['sh', '-c', 'exit 0']));
  const fails = await runtime.startContainer(sandbox.id, containerSpec('fails', ['sh', '-c', 'exit 3']));
  const resources = { oomScoreAdj: 1000, memoryLimitBytes: 16_777_216 };
  const big = await runtime.startContainer(sandbox.id, containerSpec('big', ['tail', '/dev/zero'], { resources }));
  const bad = await runtime.startContainer(sandbox.id, containerSpec('bad', ['nosuch'])).catch(failure);
  const unknown = { ...containerSpec('unknown', ['sh']), image: 'skiff.local/nosuch:1' };
  const absent = await runtime.startContainer(sandbox.id, unknown).catch(failure);
  await delay(1_500);
  const sync = await runtime.execSync(server.id, ['sh', '-c', 'echo out; echo error >&2; exit 7'], 10_000);
  const streamed = await exec(runtime, server.id, ['sh', '-c', 'echo out; echo error >&2; exit 6']);
  const noCommand = await exec(runtime, server.id, ['nosuch']);
  const listed = await runtime.sandboxes();
  await runtime.stopContainer(server.id, 0);
  await runtime.stopContainer('0123456789ab', 0);
  await runtime.removeContainer(done.id);
  await runtime.stopSandbox(sandbox.id);
  const stopped = await runtime.sandboxes();
  await runtime.removeSandbox(sandbox.id);
  const removed = await runtime.sandboxes();
  end.abort();
  await reading;
  const ids = { server: server.id, done: done.id, fails: fails.id, big: big.id };
  const image2 = { loaded, image, noImage, images, pull };
  return { version: await runtime.version(), ...image2, sandbox, server, ids, bad, absent, sync, streamed, noCommand, listed, stopped, removed, seen };
};

/** For a replay, which reads no archive. */
export const noArchive = (): Readable => Readable.from([Buffer.from('archive')]);
