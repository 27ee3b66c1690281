import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createNerdctlRuntime } from './nerdctl.ts';
import { containerArguments, metaOf, type SandboxMeta, sandboxArguments } from './nerdctl-args.ts';
import { failureOf } from './nerdctl-cli.ts';
import { eventOf } from './nerdctl-read.ts';
import { useOf } from './nerdctl-stats.ts';
import { exitCodeOf, withoutOwnLines } from './nerdctl-streams.ts';
import { noArchive, playScenario } from './recorded/scenario.ts';

const RECORDED = join(import.meta.dirname, 'recorded', 'nerdctl-2.0.5.json');
interface Recording {
  calls: { args: string[]; stdout: string; stderr: string }[];
  events: string[];
}
const recording = JSON.parse(readFileSync(RECORDED, 'utf8')) as Recording;

/** Without what differs from run to run: labels are compared by what they hold, names by their beginning. */
const comparable = (args: readonly string[], directory: string): string[] => {
  const kept: string[] = [];
  for (let i = 0; i < args.length; i += 1) {
    const word = args[i] ?? '';
    if (word === '--label') i += 1;
    else if (args[i - 1] === '--name') kept.push(word.replace(/_[0-9a-f]{10}$/, ''));
    else if (args[i - 1] === '--oom-score-adj') kept.push('N');
    else kept.push(word.replace(directory, '/node').replace(/\/tmp\/.*\/image\.tar$/, 'image.tar'));
  }
  // Looking again at a container that did not start is by its name, too.
  return kept[0] === 'inspect' ? kept.map((word) => word.replace(/_[0-9a-f]{10}$/, '')) : kept;
};

describe('the driver, with the answers of nerdctl 2.0.5', { timeout: 60_000 }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'skiff-nerdctl-'));
  const calls = join(directory, 'calls');
  let told: Awaited<ReturnType<typeof playScenario>>;

  beforeAll(async () => {
    const command = join(directory, 'fake-nerdctl');
    const play = join(import.meta.dirname, 'recorded', 'play.mjs');
    writeFileSync(
      command,
      `#!/bin/sh\nRECORDED='${RECORDED}' CALLS='${calls}' exec '${process.execPath}' '${play}' "$@"\n`,
    );
    chmodSync(command, 0o755);
    const runtime = createNerdctlRuntime({ socket: join(directory, 'containerd.sock'), directory, command });
    try {
      told = await playScenario(runtime, directory, noArchive());
    } finally {
      await runtime.close();
    }
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it('asks what was asked when the answers were recorded', () => {
    const asked = readFileSync(calls, 'utf8')
      .trim()
      .split('\n')
      .map((line) => comparable(JSON.parse(line) as string[], directory));
    expect(asked).toEqual(recording.calls.map((call) => comparable(call.args, directory)));
  });

  it('reads version and images', () => {
    expect(told.version).toEqual({ name: 'nerdctl', version: '2.0.5' });
    expect(told.loaded).toEqual(['skiff.local/contract:1']);
    expect(told.image?.names).toContain('skiff.local/contract:1');
    expect(told.image?.id).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(told.noImage).toBeUndefined();
    expect(told.images.flatMap((i) => i.names)).toContain('skiff.local/pause:1');
    expect(told.pull).toMatchObject({ reason: 'ErrImagePull', message: expect.stringContaining('connection refused') });
  });

  it('reads pods and containers', () => {
    expect(told.sandbox).toMatchObject({ name: 'web-0', namespace: 'default', uid: 'uid-1', ready: true });
    expect(told.sandbox.ips).toEqual([expect.stringMatching(/^10\.199\.213\.\d+$/)]);
    expect(told.server).toMatchObject({ name: 'server', state: 'running', logPath: '/node/logs/server/0.log' });
    expect(told.listed).toHaveLength(1);
    const ends = told.listed[0]?.containers.map((c) => [c.name, c.state, c.exitCode, c.reason]).sort();
    expect(ends).toEqual([
      ['bad', 'exited', 128, 'StartError'],
      ['big', 'exited', 137, 'OOMKilled'],
      ['done', 'exited', 0, 'Completed'],
      ['fails', 'exited', 3, 'Error'],
      ['server', 'running', undefined, undefined],
    ]);
    const stopped = told.stopped[0];
    expect(stopped).toMatchObject({ ready: false, ips: [], labels: { app: 'web' } });
    expect(stopped?.containers.map((c) => c.name).sort()).toEqual(['bad', 'big', 'fails', 'server']);
    expect(told.removed).toEqual([]);
  });

  it('gives the reasons of containers that did not start', () => {
    expect(told.bad).toMatchObject({ reason: 'RunContainerError', message: expect.stringContaining('nosuch') });
    expect(told.absent).toMatchObject({ reason: 'ErrImageNeverPull' });
  });

  it('tells commands that end with a code from those that cannot be run', () => {
    expect(told.sync).toMatchObject({ exitCode: 7, timedOut: false });
    expect(Buffer.from(told.sync.stderr).toString()).toBe('error\n');
    expect(told.streamed).toEqual({ exitCode: 6, stdout: 'out\n', stderr: 'error\n' });
    expect(told.noCommand).toMatchObject({ exitCode: 127, stdout: '' });
  });

  it('reads events of containers, and of nothing else', () => {
    const of = (id: string) => told.seen.filter((e) => e.containerId === id).map((e) => e.type);
    expect(of(told.ids.big)).toEqual(['started', 'oom', 'exited']);
    expect(of(told.ids.fails)).toEqual(['started', 'exited']);
    const read = recording.events.flatMap((line) => eventOf(line) ?? []);
    expect(read.find((e) => e.containerId === told.ids.fails && e.type === 'exited')?.exitCode).toBe(3);
    // Execs in the server ended too: only its own end is told.
    expect(read.filter((e) => e.containerId === told.ids.server).map((e) => e.type)).toEqual(['started', 'exited']);
  });
});

it('still tells of the others when a container goes while all are looked at', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'skiff-nerdctl-'));
  const command = join(directory, 'fake-nerdctl');
  const calls = recording.calls.filter((call) => call.args[0] === 'inspect' && call.args.length === 4);
  writeFileSync(join(directory, 'pod.json'), calls[0]?.stdout ?? '');
  const gone = `echo 'time="t" level=fatal msg="no such object: gone"' >&2; exit 1`;
  const script = `case "$*" in *" events "*) exec sleep 60;; *" ps "*) echo pod; echo gone;; *" pod") cat ${directory}/pod.json;; *) ${gone};; esac`;
  writeFileSync(command, `#!/bin/sh\n${script}\n`);
  chmodSync(command, 0o755);
  const runtime = createNerdctlRuntime({ socket: join(directory, 'containerd.sock'), directory, command });
  try {
    expect((await runtime.sandboxes()).map((s) => s.name)).toEqual(['web-0']);
  } finally {
    await runtime.close();
    rmSync(directory, { recursive: true, force: true });
  }
});

const sandbox: SandboxMeta = {
  kind: 'sandbox',
  namespace: 'default',
  name: 'web-0',
  uid: 'uid-1',
  attempt: 0,
  labels: {},
  logDirectory: '/logs',
  cgroupParent: '/pods/uid-1',
  hostname: 'web-0',
  hostNetwork: false,
  hostPid: false,
  hostIpc: false,
  sharePid: false,
};
const container = {
  name: 'c',
  attempt: 2,
  image: 'busybox',
  imageId: '',
  command: [],
  args: [],
  workingDir: '',
  env: [],
  mounts: [],
  devices: [],
  labels: {},
  annotations: {},
  logPath: 'c/2.log',
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
    seccomp: 'RuntimeDefault' as const,
  },
};
const mount = (hostPath: string) => ({ hostPath, containerPath: '/m', readOnly: true, propagation: 'host' as const });
const labelsOf = (args: string[]): Record<string, string> =>
  Object.fromEntries(
    args.flatMap((word, i) => {
      if (args[i - 1] !== '--label') return [];
      const at = word.indexOf('=');
      return [[word.slice(0, at), word.slice(at + 1)]];
    }),
  );

describe('arguments of nerdctl run', () => {
  it('keeps what the agent needs on labels that containerd takes', () => {
    const labels = Object.fromEntries(
      Array.from({ length: 60 }, (_, i) => [`example.com/label-${i}`, 'ü"=,\n'.repeat(30)]),
    );
    const kept = labelsOf(containerArguments('sid', sandbox, { ...container, labels }));
    expect(Object.keys(kept).length).toBeGreaterThan(3);
    for (const [key, value] of Object.entries(kept)) expect(key.length + value.length).toBeLessThanOrEqual(4096);
    expect(metaOf(kept)).toEqual({
      kind: 'container',
      sandboxId: 'sid',
      name: 'c',
      attempt: 2,
      image: 'busybox',
      imageId: '',
      labels,
      logPath: '/logs/c/2.log',
    });
    expect(metaOf({ other: 'label' })).toBeUndefined();
  });

  it('separates a command from its arguments as docker does', () => {
    const tail = (command: string[], args: string[]) => {
      const all = containerArguments('sid', sandbox, { ...container, command, args });
      return all.slice(all.indexOf('busybox') - 2);
    };
    expect(tail(['sh', '-c'], ['true'])).toEqual(['--entrypoint', 'sh', 'busybox', '-c', 'true']);
    expect(tail([], ['a', 'b']).slice(-3)).toEqual(['busybox', 'a', 'b']);
  });

  it('picks the flag whose separator the paths do not have', () => {
    const of = (path: string) => containerArguments('sid', sandbox, { ...container, mounts: [mount(path)] });
    expect(of('/a,b')).toContain('/a,b:/m:ro,rslave');
    expect(of('/a:b')).toContain('type=bind,source=/a:b,target=/m,readonly,bind-propagation=rslave');
    expect(() => of('/a:b,c')).toThrow(/colon and a comma/);
  });

  it('shares host namespaces and publishes ports', () => {
    const spec = {
      ...{ namespace: 'default', name: 'web-0', uid: 'uid-1', attempt: 0, labels: {}, annotations: {} },
      ...{ hostname: 'web-0', logDirectory: '/logs', hostPid: true, hostIpc: true, shareProcessNamespace: false },
      ...{ privileged: false, sysctls: {}, cgroupParent: '', runtimeHandler: '', supplementalGroups: [] },
      dns: { servers: [], searches: [], options: [] },
      hostPorts: [{ containerPort: 53, hostPort: 5353, protocol: 'UDP' as const, hostIp: '::1' }],
    };
    expect(sandboxArguments({ ...spec, hostNetwork: true }, 'pause').join(' ')).toContain(
      '--network host --ipc host --pid host',
    );
    expect(sandboxArguments({ ...spec, hostNetwork: false }, 'pause')).toContain('[::1]:5353:53/udp');
    const joined = containerArguments('sid', { ...sandbox, hostNetwork: true, hostPid: true }, container).join(' ');
    expect(joined).toContain('--network host --ipc container:sid --pid host');
    expect(containerArguments('sid', { ...sandbox, sharePid: true }, container).join(' ')).toContain(
      '--pid container:sid',
    );
  });
});

describe('what nerdctl says', () => {
  it('is told from what the program says, however it is cut', () => {
    const text = 'one\ntime="now" is mine\ntime="x" level=fatal msg="exec failed with exit code 9"\n';
    for (const size of [1, 3, 7, 1000]) {
      const out: Buffer[] = [];
      const filter = withoutOwnLines((chunk) => out.push(chunk));
      for (let at = 0; at < text.length; at += size) filter.push(Buffer.from(text.slice(at, at + size)));
      expect(exitCodeOf(1, filter.end())).toBe(9);
      expect(Buffer.concat(out).toString()).toBe('one\ntime="now" is mine\n');
    }
  });

  it('passes a prompt on without waiting for the end of its line', () => {
    const out: Buffer[] = [];
    withoutOwnLines((chunk) => out.push(chunk)).push(Buffer.from('name: '));
    expect(Buffer.concat(out).toString()).toBe('name: ');
  });

  it('becomes a message', () => {
    expect(failureOf('time="t" level=warning msg=w\ntime="t" level=fatal msg="a \\"b\\""\n')).toBe('a "b"');
    expect(failureOf('plain\n')).toBe('plain');
    expect(() => exitCodeOf(1, 'time="t" level=fatal msg="no such container"\n')).toThrow('no such container');
  });
});

describe('what a container has used', () => {
  const root = mkdtempSync(join(tmpdir(), 'skiff-cgroups-'));
  const at = { groups: join(root, 'groups'), processes: join(root, 'processes') };
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  it('is read from cgroups v1', async () => {
    write('processes/1/cgroup', '4:memory:/pod/a\n2:cpu,cpuacct:/pod/a\n0::/pod/a\n');
    write('groups/memory/pod/a/memory.usage_in_bytes', '5000\n');
    write('groups/memory/pod/a/memory.stat', 'inactive_file 1\ntotal_inactive_file 2000\n');
    write('groups/cpuacct/pod/a/cpuacct.usage', '123456789\n');
    expect(await useOf(1, at)).toEqual({ cpuNanos: 123_456_789, memoryWorkingSetBytes: 3000 });
  });

  it('is read from cgroups v2', async () => {
    write('processes/2/cgroup', '0::/pod/b\n');
    write('groups/pod/b/memory.current', '7000\n');
    write('groups/pod/b/memory.stat', 'anon 1\ninactive_file 500\n');
    write('groups/pod/b/cpu.stat', 'usage_usec 42\n');
    expect(await useOf(2, at)).toEqual({ cpuNanos: 42_000, memoryWorkingSetBytes: 6500 });
  });

  it('is not known once the process is gone', async () => {
    expect(await useOf(3, at)).toBeUndefined();
  });
});
