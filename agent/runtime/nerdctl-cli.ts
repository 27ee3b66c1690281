import { type ChildProcess, spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** containerd's namespace for everything started through nerdctl; the CRI's own is k8s.io. */
export const NAMESPACE = 'skiff';
/** From asking nerdctl to end, to ending it. */
const KILL_MS = 500;
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;

export interface NerdctlOptions {
  /** Unix socket of containerd. */
  socket: string;
  /** Folder of the node: `cni` in it has the network, `nerdctl` becomes nerdctl's own. */
  directory: string;
  /** The executable; `nerdctl` of the PATH where absent. */
  command?: string;
  cniBin?: string;
}

export interface Ran {
  /** Exit code; -1 where a signal ended it. */
  code: number;
  stdout: Buffer;
  stderr: Buffer;
  timedOut: boolean;
}

export interface Cli {
  /** Runs to the end. Rejects only when the executable cannot be started. */
  run(args: readonly string[], options?: { input?: Readable; timeoutMs?: number }): Promise<Ran>;
  /** Like run, but rejects with what nerdctl said when it failed; resolves to its stdout. */
  call(args: readonly string[], options?: { input?: Readable; timeoutMs?: number }): Promise<string>;
  /** Starts it with pipes. */
  spawn(args: readonly string[]): ChildProcess;
  /** Command and arguments, for a program that runs it. */
  line(args: readonly string[]): string[];
  /** Folder for what the driver notes itself. */
  notes: string;
}

/** A line of nerdctl's own log: `time="..." level=fatal msg="..."`. */
const LOG_LINE = /^time="[^"]*" level=(\w+) msg=("(?:[^"\\]|\\.)*"|\S*)/;

const unquote = (text: string): string => {
  if (!text.startsWith('"')) return text;
  try {
    return String(JSON.parse(text));
  } catch {
    return text.slice(1, -1);
  }
};

/** What nerdctl said went wrong: the message of its last fatal line, else its last line. */
export const failureOf = (stderr: string): string => {
  const lines = stderr.trim().split('\n');
  const fatal = lines.map((line) => LOG_LINE.exec(line)).findLast((match) => match?.[1] === 'fatal');
  return fatal ? unquote(fatal[2] ?? '') : (lines.at(-1) ?? '');
};

export const isGone = (message: string): boolean => /no such (container|image|object)|not found/i.test(message);

export class NerdctlError extends Error {}

const collect = (stream: Readable | null): (() => Buffer) => {
  const chunks: Buffer[] = [];
  let size = 0;
  stream?.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size <= OUTPUT_BYTES_MAX) chunks.push(chunk);
  });
  return () => Buffer.concat(chunks);
};

/** Calls nerdctl with the flags of one node. */
export const createCli = (options: NerdctlOptions): Cli => {
  const command = options.command ?? 'nerdctl';
  const flags = [
    ['--address', options.socket],
    ['--namespace', NAMESPACE],
    ['--cni-netconfpath', join(options.directory, 'cni')],
    ['--cni-path', options.cniBin ?? '/usr/lib/cni'],
    ['--data-root', join(options.directory, 'nerdctl')],
    ['--cgroup-manager', 'cgroupfs'],
  ].flat();
  const start = (args: readonly string[], stdin: 'pipe' | 'ignore') =>
    spawn(command, [...flags, ...args], {
      stdio: [stdin, 'pipe', 'pipe'],
      env: {
        ...process.env,
        DOCKER_CONFIG: join(options.directory, 'nerdctl-login'),
        NERDCTL_TOML: join(options.directory, 'nerdctl.toml'),
      },
      cwd: dirname(options.socket),
    });
  const run: Cli['run'] = (args, { input, timeoutMs } = {}) =>
    new Promise((resolve, reject) => {
      const child = start(args, input ? 'pipe' : 'ignore');
      const stdout = collect(child.stdout);
      const stderr = collect(child.stderr);
      let timedOut = false;
      const timer =
        timeoutMs === undefined
          ? undefined
          : setTimeout(() => {
              timedOut = true;
              // nerdctl passes it on to what it runs in a container.
              child.kill('SIGTERM');
              setTimeout(() => child.kill('SIGKILL'), KILL_MS).unref();
            }, timeoutMs);
      child.once('error', (error) => {
        clearTimeout(timer);
        reject(new NerdctlError(`nerdctl could not be started: ${error.message}`, { cause: error }));
      });
      child.once('close', (code) => {
        clearTimeout(timer);
        resolve({ code: code ?? -1, stdout: stdout(), stderr: stderr(), timedOut });
      });
      if (input && child.stdin) pipeline(input, child.stdin).catch(() => {});
    });
  return {
    run,
    call: async (args, how) => {
      const { code, stdout, stderr, timedOut } = await run(args, how);
      if (timedOut) throw new NerdctlError(`nerdctl ${args[0]} took too long`);
      if (code !== 0) throw new NerdctlError(failureOf(stderr.toString()));
      return stdout.toString();
    },
    spawn: (args) => start(args, 'pipe'),
    line: (args) => [command, ...flags, ...args],
    notes: join(options.directory, 'nerdctl-notes'),
  };
};
