import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { containerArguments, limitFlags, metaOf, type SandboxMeta, sandboxArguments } from './nerdctl-args.ts';
import { createCli, failureOf, isGone, NerdctlError, type NerdctlOptions } from './nerdctl-cli.ts';
import { createFollower } from './nerdctl-events.ts';
import { createNerdctlImages } from './nerdctl-images.ts';
import { followLog } from './nerdctl-log.ts';
import { endLoggers } from './nerdctl-loggers.ts';
import { containerOf, type Inspected, sandboxesOf, sandboxOf } from './nerdctl-read.ts';
import { useOf } from './nerdctl-stats.ts';
import { execOnTerminal, execPiped, exitCodeOf, forwardInto, withoutOwnLines } from './nerdctl-streams.ts';
import { type ContainerSpec, type Runtime, RuntimeError } from './runtime.ts';

const CALL_MS = 30_000;
const RUN_MS = 120_000;
const PAUSE_IMAGE = 'skiff.local/pause:1';
const TIMED_OUT = { exitCode: -1, timedOut: true };

export type { NerdctlOptions } from './nerdctl-cli.ts';

/** Kubelet's reason for a container that did not come up, from what nerdctl said. */
const reasonOf = (message: string): string => {
  if (/no such image|image .*(not found|not available)/i.test(message)) return 'ErrImageNeverPull';
  return /create shim task|OCI runtime|runc/i.test(message) ? 'RunContainerError' : 'CreateContainerError';
};

/** As containerd's CRI does: what is mounted and not there becomes a folder; nerdctl opens no log in a folder not there. */
const prepare = async (spec: ContainerSpec, logDirectory: string): Promise<void> => {
  await mkdir(dirname(join(logDirectory, spec.logPath)), { recursive: true });
  for (const m of spec.mounts) if (!existsSync(m.hostPath)) await mkdir(m.hostPath, { recursive: true });
};

/**
 * The Runtime port on nerdctl 2.x (facts/containers.md). A pod is a pause container that has the network, and containers
 * that join its namespaces; labels keep what the agent must know again. Known limits: a container's stdin cannot
 * be attached to (nerdctl run -d has none), HOSTNAME is empty in the environment of a container that joins a pod's network,
 * and a pod of the host network has a host name of its own.
 */
export const createNerdctlRuntime = (options: NerdctlOptions & { pauseImage?: string }): Runtime => {
  const cli = createCli(options);
  const pauseImage = options.pauseImage ?? PAUSE_IMAGE;
  const metas = new Map<string, SandboxMeta>();
  const sandboxOfContainer = new Map<string, string>();
  const events = createFollower(cli, sandboxOfContainer);
  let recalled: Promise<void> | undefined;

  const inspect = async (ids: readonly string[]): Promise<Inspected[]> => {
    if (ids.length === 0) return [];
    const { stdout, stderr, code, timedOut } = await cli.run(['inspect', '--mode', 'dockercompat', ...ids], {
      timeoutMs: CALL_MS,
    });
    const text = stdout.toString().trim();
    if (code === 0 && text !== '') return JSON.parse(text) as Inspected[];
    const said = failureOf(stderr.toString());
    if (timedOut || !isGone(said)) throw new NerdctlError(timedOut ? 'nerdctl inspect took too long' : said);
    // One that went in between fails the call for all of them: each is asked for by itself.
    if (ids.length > 1) return (await Promise.all(ids.map((id) => inspect([id])))).flat();
    return [];
  };
  const metaOfSandbox = async (id: string): Promise<SandboxMeta> => {
    const [found] = await inspect([id]);
    const meta = found && metaOf(found.Config.Labels ?? {});
    if (meta?.kind !== 'sandbox') throw new RuntimeError('CreateContainerError', `no sandbox ${id}`);
    return meta;
  };
  /** Runs, unless it is gone already. */
  const unlessGone = async (args: readonly string[], timeoutMs = CALL_MS): Promise<void> => {
    await cli.call(args, { timeoutMs }).catch((error) => {
      if (!isGone(error.message)) throw error;
    });
  };

  const sandboxes: Runtime['sandboxes'] = async () => {
    recalled ??= events.recall();
    events.start();
    await recalled;
    const ids = (await cli.call(['ps', '-a', '-q', '--no-trunc'], { timeoutMs: CALL_MS })).split('\n').filter(Boolean);
    const found = sandboxesOf(await inspect(ids), events.oom);
    for (const s of found) for (const c of s.containers) sandboxOfContainer.set(c.id, s.id);
    return found;
  };
  const containersOf = async (id: string): Promise<string[]> =>
    (await sandboxes()).find((s) => s.id === id)?.containers.map((c) => c.id) ?? [];

  const startSandbox: Runtime['startSandbox'] = async (spec) => {
    events.start();
    const args = sandboxArguments(spec, pauseImage);
    const name = args[args.indexOf('--name') + 1] ?? '';
    try {
      const id = (await cli.call(args, { timeoutMs: RUN_MS })).trim();
      const [found] = await inspect([id]);
      const sandbox = found && sandboxOf(found);
      if (!sandbox) throw new NerdctlError(`the sandbox ${id} is gone`);
      const meta = metaOf(found.Config.Labels ?? {});
      if (meta?.kind === 'sandbox') metas.set(id, meta);
      return sandbox;
    } catch (error) {
      await unlessGone(['rm', '--force', name]).catch(() => {});
      throw new RuntimeError('FailedCreatePodSandBox', error instanceof Error ? error.message : String(error), {
        cause: error,
      });
    }
  };

  const startContainer: Runtime['startContainer'] = async (sandboxId, spec) => {
    const meta = metas.get(sandboxId) ?? (await metaOfSandbox(sandboxId));
    metas.set(sandboxId, meta);
    await prepare(spec, meta.logDirectory);
    const args = containerArguments(sandboxId, meta, spec);
    const { code, stdout, stderr } = await cli.run(args, { timeoutMs: RUN_MS });
    if (code !== 0) {
      const said = failureOf(stderr.toString());
      const [left] = await inspect([args[args.indexOf('--name') + 1] ?? '']);
      if (left) await endLoggers(left.Id, join(options.directory, 'nerdctl'));
      throw new RuntimeError(reasonOf(said), said);
    }
    const id = stdout.toString().trim();
    sandboxOfContainer.set(id, sandboxId);
    const [found] = await inspect([id]);
    const container = found && containerOf(found, events.oom.has(id));
    if (!container) throw new RuntimeError('RunContainerError', `the container ${id} is gone`);
    const { sandboxId: _, ...rest } = container;
    return rest;
  };

  const stopSandbox: Runtime['stopSandbox'] = async (id) => {
    const running = await containersOf(id);
    if (running.length > 0) await unlessGone(['stop', '--time', '0', ...running]);
    await unlessGone(['stop', '--time', '0', id]);
  };

  return {
    name: 'nerdctl',
    version: async () => {
      const said = await cli.call(['--version'], { timeoutMs: CALL_MS });
      return { name: 'nerdctl', version: /(\d+\.\S+)/.exec(said)?.[1] ?? said.trim() };
    },
    sandboxes,
    startSandbox,
    stopSandbox,
    removeSandbox: async (id) => {
      const containers = await containersOf(id);
      for (const c of containers) await events.forget(c);
      for (const one of [...containers, id]) await unlessGone(['rm', '--force', '--volumes', one]);
      metas.delete(id);
    },
    startContainer,
    stopContainer: async (id, graceMs) => {
      await unlessGone(['stop', '--time', String(Math.ceil(graceMs / 1000)), id], graceMs + CALL_MS);
    },
    removeContainer: async (id) => {
      await unlessGone(['rm', '--force', '--volumes', id]);
      sandboxOfContainer.delete(id);
      await events.forget(id);
    },
    updateContainer: async (id, resources) => {
      const { code, stderr } = await cli.run(['update', ...limitFlags(resources), id], { timeoutMs: CALL_MS });
      if (code !== 0) throw new RuntimeError('ResizeError', failureOf(stderr.toString()));
    },
    execSync: async (id, command, timeoutMs) => {
      const ran = await cli.run(['exec', id, ...command], { timeoutMs });
      if (ran.timedOut) return { ...TIMED_OUT, stdout: ran.stdout, stderr: ran.stderr };
      const errors: Buffer[] = [];
      const filter = withoutOwnLines((chunk) => errors.push(chunk));
      filter.push(ran.stderr);
      const exitCode = exitCodeOf(ran.code, filter.end());
      return { exitCode, stdout: ran.stdout, stderr: Buffer.concat(errors), timedOut: false };
    },
    stream: async (id, want, io, signal) => {
      if ('exec' in want) return (want.tty ? execOnTerminal : execPiped)(cli, id, want.exec, io, signal);
      return followLog(
        async () => {
          const [found] = await inspect([id]);
          return found && containerOf(found, false);
        },
        io,
        signal,
      );
    },
    portForward: async (sandboxId, port, signal) => {
      const [found] = await inspect([sandboxId]);
      if (!found?.State.Running) throw new RuntimeError('PortForwardError', `the sandbox ${sandboxId} does not run`);
      return forwardInto(found.State.Pid, port, signal);
    },
    events: (signal) => {
      events.start();
      return events.read(signal);
    },
    stats: async () => {
      const ids = (await cli.call(['ps', '-q', '--no-trunc'], { timeoutMs: CALL_MS })).split('\n').filter(Boolean);
      const running = (await inspect(ids)).filter((c) => metaOf(c.Config.Labels ?? {})?.kind === 'container');
      const used = await Promise.all(running.map((c) => useOf(c.State.Pid)));
      return running.flatMap((c, i) => {
        const use = used[i];
        return use ? [{ containerId: c.Id, atMs: Date.now(), ...use }] : [];
      });
    },
    images: createNerdctlImages(cli),
    close: async () => events.close(),
  };
};
