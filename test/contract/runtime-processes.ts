import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { type Bench, SERVE, type Skips, until } from './runtime-bench.ts';

/** What the processes of containers are given, and how they end. */
export const processCases = (bench: () => Bench, skips: Skips): void => {
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

  it('gives a running container other cpu and memory', async () => {
    const { runtime, sandbox, start } = bench();
    const resources = { oomScoreAdj: 1000, memoryLimitBytes: 64 << 20 };
    const { id } = await start(await sandbox(), SERVE, { resources });
    const limitOf = async () => {
      const files = '/sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes';
      const said = await runtime.execSync(id, ['sh', '-c', `cat ${files} 2>/dev/null`], 5_000);
      return Buffer.from(said.stdout).toString().trim();
    };
    expect(await limitOf()).toBe(String(64 << 20));
    await runtime.updateContainer(id, { cpuShares: 512, memoryLimitBytes: 48 << 20, oomScoreAdj: 0 });
    expect(await limitOf()).toBe(String(48 << 20));
    await expect(runtime.updateContainer('nosuch', { oomScoreAdj: 0 })).rejects.toMatchObject({
      reason: 'ResizeError',
    });
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
