import { createReadStream, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { readLog } from '../../agent/logs.ts';
import type {
  Container,
  ContainerSpec,
  Runtime,
  RuntimeEvent,
  Sandbox,
  SandboxSpec,
} from '../../agent/runtime/runtime.ts';
import { createSystemClock } from '../../functions/clock/system.ts';
import { BUSYBOX_IMAGE, type RuntimePlace } from './runtime-place.ts';

/** Cases that an adapter cannot pass, each with its reason. */
export type Skips = Partial<Record<'processes' | 'restart' | 'attachStdin' | 'hostname' | 'terminal', string>>;

const WAIT_MS = 15_000;
const until = <T>(look: () => Promise<T | undefined | false>): Promise<T> =>
  vi.waitUntil(look, { timeout: WAIT_MS, interval: 100 }) as Promise<T>;

const textOf = (stream: PassThrough): (() => string) => {
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
const SERVE = 'trap "exit 0" TERM; while :; do sleep 0.1; done';

/** What a suite works with: the place, the runtime opened on it, and what it starts. */
interface Bench {
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

const benchOf = (place: RuntimePlace, first: Runtime): Bench => {
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

const lifeCases = (bench: () => Bench, skips: Skips): void => {
  it('starts a sandbox with an address, and lists it as it was told', async () => {
    const { runtime, sandbox } = bench();
    const { spec, ...started } = await sandbox({ attempt: 3 });
    expect(started).toMatchObject({ name: spec.name, uid: spec.uid, namespace: 'default', attempt: 3, ready: true });
    expect(started.ips).toHaveLength(1);
    const listed = (await runtime.sandboxes()).find((s) => s.id === started.id);
    expect(listed).toMatchObject({ name: spec.name, uid: spec.uid, attempt: 3, ready: true, ips: started.ips });
    expect(listed?.labels).toMatchObject(spec.labels);
    expect(Math.abs(Date.now() - (listed?.createdAt ?? 0))).toBeLessThan(60_000);
  });

  it('gives no address to a pod of the host network', async () => {
    const { sandbox, start } = bench();
    const host = await sandbox({ hostNetwork: true });
    expect(host.ips).toEqual([]);
    expect((await start(host, SERVE)).state).toBe('running');
  });

  it('starts a container and lists it as it was told', async () => {
    const { runtime, sandbox, start } = bench();
    const pod = await sandbox();
    const started = await start(pod, SERVE, { attempt: 2 });
    expect(started).toMatchObject({ name: 'main', attempt: 2, state: 'running' });
    const listed = (await runtime.sandboxes()).find((s) => s.id === pod.id)?.containers;
    expect(listed).toMatchObject([{ id: started.id, name: 'main', attempt: 2, state: 'running' }]);
    expect(listed?.[0]?.labels).toMatchObject({ 'io.kubernetes.container.name': 'main' });
    expect(listed?.[0]?.exitCode).toBeUndefined();
    expect(Math.abs(Date.now() - (listed?.[0]?.startedAt ?? 0))).toBeLessThan(60_000);
  });

  it('stops containers and sandboxes, more than once, and forgets what is removed', async () => {
    const { runtime, sandbox, start, ended } = bench();
    const pod = await sandbox();
    const one = await start(pod, SERVE);
    const two = await start(pod, SERVE, { name: 'other' });
    await runtime.stopContainer(one.id, 5_000);
    await runtime.stopContainer(one.id, 5_000);
    expect((await ended(one.id)).finishedAt).toBeGreaterThan(0);
    await runtime.removeContainer(one.id);
    await runtime.removeContainer(one.id);
    await runtime.stopSandbox(pod.id);
    await runtime.stopSandbox(pod.id);
    const stopped = (await runtime.sandboxes()).find((s) => s.id === pod.id);
    expect(stopped).toMatchObject({ ready: false, ips: [] });
    expect(stopped?.containers).toMatchObject([{ id: two.id, state: 'exited' }]);
    await runtime.removeSandbox(pod.id);
    await runtime.removeSandbox(pod.id);
    expect((await runtime.sandboxes()).find((s) => s.id === pod.id)).toBeUndefined();
  });

  it('tells of starts and ends', async () => {
    const { runtime, sandbox, start } = bench();
    const pod = await sandbox();
    const end = new AbortController();
    const seen: RuntimeEvent[] = [];
    const reading = (async () => {
      for await (const event of runtime.events(end.signal)) seen.push(event);
    })().catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 500));
    const one = await start(pod, SERVE);
    await runtime.stopContainer(one.id, 5_000);
    await until(async () => seen.some((e) => e.type === 'exited' && e.containerId === one.id));
    expect(seen.filter((e) => e.containerId === one.id).map((e) => e.type)).toEqual(['started', 'exited']);
    end.abort();
    await reading;
  });

  it.skipIf(skips.restart)('sees everything again when it is opened again', async () => {
    const { sandbox, start, reopen, ended } = bench();
    const pod = await sandbox();
    const stays = await start(pod, SERVE);
    const fails = await start(pod, 'exit 3', { name: 'fails' });
    const before = await ended(fails.id);
    await reopen();
    const again = (await bench().runtime.sandboxes()).find((s) => s.id === pod.id);
    expect(again).toMatchObject({ name: pod.name, uid: pod.uid, ready: true, ips: pod.ips });
    expect(again?.containers.find((c) => c.id === stays.id)?.state).toBe('running');
    expect(again?.containers.find((c) => c.id === fails.id)).toEqual(before);
    const later = await start(pod, 'exit 0', { name: 'later' });
    expect((await ended(later.id)).exitCode).toBe(0);
  });
};

const processCases = (bench: () => Bench, skips: Skips): void => {
  it('reports how containers ended, by attempt', async () => {
    const { runtime, sandbox, start, ended } = bench();
    const pod = await sandbox();
    const first = await start(pod, 'exit 7');
    expect(await ended(first.id)).toMatchObject({ attempt: 0, exitCode: 7, reason: 'Error' });
    const second = await start(pod, 'exit 0', { attempt: 1 });
    expect(await ended(second.id)).toMatchObject({ attempt: 1, exitCode: 0, reason: 'Completed' });
    const runs = (await runtime.sandboxes()).find((s) => s.id === pod.id)?.containers ?? [];
    expect(runs.map((c) => c.attempt).sort()).toEqual([0, 1]);
  });

  it('keeps a container that could not be started, with its reason', async () => {
    const { runtime, sandbox, start } = bench();
    const pod = await sandbox();
    await expect(start(pod, '', { command: ['nosuch'], args: [] })).rejects.toMatchObject({
      reason: 'RunContainerError',
      message: expect.stringContaining('nosuch'),
    });
    const kept = (await runtime.sandboxes()).find((s) => s.id === pod.id)?.containers;
    expect(kept).toMatchObject([{ state: 'exited', exitCode: 128, reason: 'StartError' }]);
  });

  it('refuses an image that is not there', async () => {
    const { sandbox, start } = bench();
    const pod = await sandbox();
    await expect(start(pod, '', { image: 'skiff.local/nosuch:1' })).rejects.toMatchObject({
      reason: 'ErrImageNeverPull',
    });
  });

  it('writes both streams to the log file', async () => {
    const { sandbox, start, ended, log } = bench();
    const pod = await sandbox();
    const { id } = await start(pod, 'echo out; echo "a \\"quoted\\" line" ; printf unfinished');
    await ended(id);
    await until(async () => (await log(pod)).includes('unfinished'));
    expect(await log(pod)).toMatch(/^out\na "quoted" line\nunfinished\n?$/);
    const other = await start(pod, 'echo error >&2', { name: 'other' });
    await ended(other.id);
    await until(async () => (await log(pod, 'other/0.log')) !== '');
    expect(readFileSync(join(pod.spec.logDirectory, 'other/0.log'), 'utf8')).toContain('stderr');
    expect(await log(pod, 'other/0.log')).toBe('error\n');
  });

  it('stops with the signal, and kills when the grace is over', async () => {
    const { runtime, sandbox, start, ended } = bench();
    const pod = await sandbox();
    const heeds = await start(pod, 'trap "exit 9" TERM; while :; do sleep 0.1; done');
    const ignores = await start(pod, 'trap "" TERM; while :; do sleep 0.1; done', { name: 'ignores' });
    await new Promise((resolve) => setTimeout(resolve, 300));
    await runtime.stopContainer(heeds.id, 10_000);
    expect((await ended(heeds.id)).exitCode).toBe(9);
    const began = Date.now();
    await runtime.stopContainer(ignores.id, 1_000);
    expect(Date.now() - began).toBeGreaterThan(900);
    expect((await ended(ignores.id)).exitCode).toBe(137);
  });

  it('kills what uses too much memory and says so', async () => {
    const { sandbox, start, ended } = bench();
    const pod = await sandbox();
    const resources = { memoryLimitBytes: 16 * 1024 * 1024, oomScoreAdj: 1000 };
    const { id } = await start(pod, 'sleep 0.3; exec tail /dev/zero', { resources });
    expect(await ended(id)).toMatchObject({ exitCode: 137, reason: 'OOMKilled' });
  });

  it('gives containers their environment, mounts, folder, names and user', async () => {
    const { place, sandbox, start, ended, log } = bench();
    const shared = join(place.directory, 'shared, "odd"');
    mkdirSync(shared, { recursive: true });
    writeFileSync(join(shared, 'file'), 'content\n');
    const pod = await sandbox();
    const script =
      'echo "$A|$B"; cat /data/file; touch /data/x 2>&1; touch /made && echo wrote; pwd; id; cat /etc/resolv.conf';
    const { id } = await start(pod, script, {
      env: [
        { name: 'A', value: 'x=1, "y"\nz' },
        { name: 'B', value: '' },
      ],
      workingDir: '/bin',
      mounts: [{ hostPath: shared, containerPath: '/data', readOnly: true, propagation: 'private' }],
    });
    await ended(id);
    await until(async () => (await log(pod)).includes('options'));
    const text = await log(pod);
    expect(text).toContain('x=1, "y"\nz|\ncontent\n');
    expect(text).toMatch(/\/data\/x: Read-only file system/);
    expect(text).toContain('wrote\n/bin\nuid=0');
    expect(text).toContain('nameserver 192.0.2.53');
    expect(text).toContain('search svc.cluster.local');
    expect(existsSync(join(shared, 'x'))).toBe(false);
  });

  it('holds a container to its security context', async () => {
    const { sandbox, start, ended, log } = bench();
    const pod = await sandbox();
    const { id } = await start(
      pod,
      'id; touch /x 2>&1; grep -E "CapBnd|NoNewPrivs|Seccomp:" /proc/self/status; echo end',
      {
        security: {
          privileged: false,
          runAsUser: 1234,
          runAsGroup: 2345,
          supplementalGroups: [3456],
          readOnlyRootFilesystem: true,
          addCapabilities: ['NET_BIND_SERVICE'],
          dropCapabilities: ['ALL'],
          noNewPrivileges: true,
          seccomp: 'RuntimeDefault',
        },
      },
    );
    await ended(id);
    await until(async () => (await log(pod)).includes('end\n'));
    const text = await log(pod);
    expect(text).toMatch(/^uid=1234 gid=2345 groups=(2345,)?3456/);
    expect(text).toContain('Read-only file system');
    expect(text).toContain('CapBnd:\t0000000000000400');
    expect(text).toContain('NoNewPrivs:\t1');
    expect(text).toContain('Seccomp:\t2');
  });

  it('shares the network of the pod, and its processes where asked', async () => {
    const { runtime, sandbox, start } = bench();
    const pod = await sandbox({ shareProcessNamespace: true });
    await start(pod, 'exec nc -ll -p 8080 -e echo hello', { name: 'server' });
    const other = await start(pod, SERVE, { name: 'other' });
    const heard = await until(async () => {
      const { stdout } = await runtime.execSync(other.id, ['nc', '127.0.0.1', '8080'], 5_000);
      return Buffer.from(stdout).toString() || undefined;
    });
    expect(heard).toBe('hello\n');
    const seen = await runtime.execSync(other.id, ['ps'], 5_000);
    expect(Buffer.from(seen.stdout).toString()).toContain('nc -ll');
  });

  it.skipIf(skips.hostname)('names the pod in HOSTNAME', async () => {
    const { runtime, sandbox, start } = bench();
    const pod = await sandbox();
    const { id } = await start(pod, SERVE);
    const said = await runtime.execSync(id, ['sh', '-c', 'echo $HOSTNAME'], 5_000);
    expect(Buffer.from(said.stdout).toString()).toBe(`${pod.name}\n`);
  });

  it('measures what runs', async () => {
    const { runtime, sandbox, start } = bench();
    const { id } = await start(await sandbox(), 'while :; do :; done');
    const busy = await until(async () => {
      const found = (await runtime.stats()).find((s) => s.containerId === id);
      return found && found.cpuNanos > 1e8 && found;
    });
    expect(busy.memoryWorkingSetBytes).toBeGreaterThan(10_000);
    expect(Math.abs(Date.now() - busy.atMs)).toBeLessThan(20_000);
    await runtime.stopContainer(id, 0);
  });
};

const streamCases = (bench: () => Bench, skips: Skips): void => {
  it('runs a command to its end', async () => {
    const { runtime, sandbox, start } = bench();
    const { id } = await start(await sandbox(), SERVE);
    const done = await runtime.execSync(id, ['sh', '-c', 'echo out; echo error >&2; exit 5'], 10_000);
    expect(done).toMatchObject({ exitCode: 5, timedOut: false });
    expect(Buffer.from(done.stdout).toString()).toBe('out\n');
    expect(Buffer.from(done.stderr).toString()).toBe('error\n');
  });

  it('ends a command that takes too long', async () => {
    const { runtime, sandbox, start } = bench();
    const { id } = await start(await sandbox(), SERVE);
    const began = Date.now();
    expect(await runtime.execSync(id, ['sleep', '60'], 1_000)).toMatchObject({ timedOut: true });
    expect(Date.now() - began).toBeLessThan(6_000);
    await until(async () => {
      const { stdout } = await runtime.execSync(id, ['ps'], 5_000);
      return !Buffer.from(stdout).toString().includes('sleep 60');
    });
  });

  it('streams a command: both outputs, input to its end, exit code', async () => {
    const { sandbox, start, exec } = bench();
    const { id } = await start(await sandbox(), SERVE);
    expect(await exec(id, ['sh', '-c', 'echo out; echo error >&2; exit 6'])).toEqual({
      exitCode: 6,
      stdout: 'out\n',
      stderr: 'error\n',
    });
    const long = `${'0123456789'.repeat(20_000)}\n`;
    expect(await exec(id, ['cat'], long)).toEqual({ exitCode: 0, stdout: long, stderr: '' });
  });

  it.skipIf(skips.terminal)('streams a command on a terminal', async () => {
    const { runtime, sandbox, start } = bench();
    const { id } = await start(await sandbox(), SERVE);
    const stdin = new PassThrough();
    const stdout = new PassThrough();
    const text = textOf(stdout);
    const sizes = async function* () {
      yield { width: 91, height: 37 };
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      yield { width: 92, height: 38 };
    };
    const running = runtime.stream(
      id,
      { exec: ['sh'], tty: true },
      { stdin, stdout, resize: sizes() },
      AbortSignal.timeout(WAIT_MS),
    );
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    stdin.write('tty; stty size; exit 4\n');
    expect(await running).toEqual({ exitCode: 4 });
    expect(text()).toContain('/dev/pts/');
    expect(text()).toContain('38 92');
  });

  it('attaches to what a container writes', async () => {
    const { runtime, sandbox, start } = bench();
    const { id } = await start(await sandbox(), 'sleep 1.5; echo late; sleep 0.5; exit 0');
    const stdout = new PassThrough();
    const text = textOf(stdout);
    await runtime.stream(id, { attach: true, tty: false }, { stdout }, AbortSignal.timeout(WAIT_MS));
    expect(text()).toBe('late\n');
  });

  it.skipIf(skips.attachStdin)('attaches to the input of a container', async () => {
    const { runtime, sandbox, start } = bench();
    const { id } = await start(await sandbox(), 'read line; echo "got $line"', { stdin: true, stdinOnce: true });
    const stdout = new PassThrough();
    const text = textOf(stdout);
    const stdin = Readable.from([Buffer.from('word\n')]);
    await runtime.stream(id, { attach: true, tty: false }, { stdin, stdout }, AbortSignal.timeout(WAIT_MS));
    expect(text()).toBe('got word\n');
  });

  it('forwards a connection to a port that only the pod can reach', async () => {
    const { runtime, sandbox, start } = bench();
    const pod = await sandbox();
    const { id } = await start(pod, 'exec httpd -f -p 127.0.0.1:8081');
    await until(
      async () => (await runtime.execSync(id, ['sh', '-c', 'netstat -ltn | grep 8081'], 5_000)).exitCode === 0,
    );
    const connection = await runtime.portForward(pod.id, 8081, AbortSignal.timeout(WAIT_MS));
    const heard = new Promise<string>((resolve, reject) => {
      connection.once('data', (chunk: Buffer) => resolve(chunk.toString()));
      connection.once('error', reject);
    });
    connection.write('GET /nosuch HTTP/1.0\r\n\r\n');
    expect(await heard).toMatch(/^HTTP\/1\.\d 404/);
    connection.end();
  });
};

const imageCases = (bench: () => Bench): void => {
  it('lists, finds and removes images', async () => {
    const { runtime, place } = bench();
    const found = await runtime.images.has(BUSYBOX_IMAGE);
    expect(found?.id).toMatch(/^sha256:/);
    expect(found?.names).toContain(BUSYBOX_IMAGE);
    expect(found?.sizeBytes).toBeGreaterThan(100_000);
    expect((await runtime.images.list()).map((i) => i.id)).toContain(found?.id);
    await runtime.images.remove(BUSYBOX_IMAGE);
    expect(await runtime.images.has(BUSYBOX_IMAGE)).toBeUndefined();
    await runtime.images.remove(BUSYBOX_IMAGE);
    expect(await runtime.images.load(createReadStream(place.archive ?? ''))).toEqual([BUSYBOX_IMAGE]);
    expect((await runtime.images.has(BUSYBOX_IMAGE))?.id).toBe(found?.id);
  });

  it('says why an image cannot be pulled', async () => {
    // A port of this machine that nothing listens on: no registry is asked.
    await expect(bench().runtime.images.pull('127.0.0.1:9/nosuch:1')).rejects.toMatchObject({ reason: 'ErrImagePull' });
  });
};

/**
 * What every Runtime must do. `make` gives a place for one file of tests; `skips` names what this adapter cannot do, with
 * the reason.
 */
export const runtimeContract = (name: string, make: () => Promise<RuntimePlace>, skips: Skips = {}): void => {
  describe(`runtime contract: ${name}`, { timeout: 60_000 }, () => {
    let place: RuntimePlace;
    let opened: Bench;
    const bench = (): Bench => opened;
    beforeAll(async () => {
      place = await make();
      opened = benchOf(place, await place.open());
      if (place.archive) await opened.runtime.images.load(createReadStream(place.archive));
    });
    afterEach(async () => {
      const { runtime } = opened;
      for (const sandbox of await runtime.sandboxes()) {
        await runtime.stopSandbox(sandbox.id);
        await runtime.removeSandbox(sandbox.id);
      }
    });
    afterAll(async () => {
      await opened?.runtime.close();
      await place?.remove();
    });
    lifeCases(bench, skips);
    describe.skipIf(skips.processes)('processes', () => {
      processCases(bench, skips);
      streamCases(bench, skips);
      imageCases(bench);
      it('leaves nothing of a pod that is removed', async () => {
        const { runtime, sandbox, start } = bench();
        const pod = await sandbox();
        await start(pod, SERVE);
        await expect(start(pod, '', { name: 'bad', command: ['nosuch'] })).rejects.toThrow();
        expect(place.leftovers()).not.toEqual([]);
        await runtime.stopSandbox(pod.id);
        await runtime.removeSandbox(pod.id);
        const left = () => place.leftovers().filter((one) => !one.startsWith('cgroup'));
        await vi.waitFor(() => expect(left()).toEqual([]), { timeout: WAIT_MS, interval: 100 });
      });
    });
  });
};
