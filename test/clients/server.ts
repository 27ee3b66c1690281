// A Skiff of hollow nodes in a process of its own, for clients that are processes too.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../free-port.ts';

export interface Ended {
  /** -1 where a signal ended it. */
  code: number;
  out: string;
  err: string;
  /** Both streams in the order they came. */
  all: string;
}

export interface Server {
  url: string;
  /** A folder of the test's, removed with the server. */
  scratch: string;
  /** A kubeconfig of the administrator. */
  kubeconfig: string;
  /** A copy of the kubeconfig that a client may change. */
  ownKubeconfig(name: string): string;
  /** Ends the server and starts it again on the same port and folder. */
  restart(signal?: NodeJS.Signals): Promise<void>;
  stop(): Promise<void>;
}

const MAIN = join(import.meta.dirname, '../../cli/main.ts');
const READY = 'export KUBECONFIG=';
const START_MS = 60_000;

const start = (directory: string, port: number, nodes: number): Promise<ChildProcess> =>
  new Promise((resolve, reject) => {
    const args = ['up', '--data', directory, '--port', String(port), '--nodes', String(nodes), '--runtime', 'hollow'];
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', MAIN, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    const late = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`skiff up was not ready within ${START_MS} ms: ${output}`));
    }, START_MS);
    const note = (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-20_000);
      if (!output.includes(READY)) return;
      clearTimeout(late);
      resolve(child);
    };
    child.stdout.on('data', note);
    child.stderr.on('data', note);
    child.on('exit', (code) => {
      clearTimeout(late);
      reject(new Error(`skiff up ended with ${code}: ${output}`));
    });
  });

const end = async (child: ChildProcess, signal: NodeJS.Signals): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.removeAllListeners('exit');
  const exit = once(child, 'exit');
  child.kill(signal);
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await exit;
  clearTimeout(timer);
};

/** Starts a server with two hollow nodes, ready when they are. Throws with its output where it ends before. */
export const startServer = async (nodes = 2): Promise<Server> => {
  const scratch = mkdtempSync(join(tmpdir(), 'skiff-clients-'));
  const directory = join(scratch, 'data');
  const port = await freePort();
  let child = await start(directory, port, nodes);
  const kubeconfig = join(directory, 'kubeconfig');
  return {
    url: `https://127.0.0.1:${port}`,
    scratch,
    kubeconfig,
    ownKubeconfig: (name) => {
      const path = join(scratch, `${name}.kubeconfig`);
      copyFileSync(kubeconfig, path);
      return path;
    },
    restart: async (signal = 'SIGTERM') => {
      await end(child, signal);
      child = await start(directory, port, nodes);
    },
    stop: async () => {
      await end(child, 'SIGTERM');
      rmSync(scratch, { recursive: true, force: true });
    },
  };
};

/** Runs a program to its end, or kills it after `ms`. Its environment has a HOME in the scratch folder. */
export const run = (
  program: string,
  args: readonly string[],
  options: { env?: Record<string, string>; input?: string; cwd?: string; ms?: number } = {},
): Promise<Ended> =>
  new Promise((resolve, reject) => {
    const { cwd, env, ms = 60_000 } = options;
    // A group of its own, so that what a shell started ends with it.
    const child = spawn(program, args, { cwd, env: { ...process.env, ...env }, detached: true });
    const ended: Ended = { code: -1, out: '', err: '', all: '' };
    const timer = setTimeout(() => {
      ended.all += `\n${program} was killed after ${ms} ms`;
      if (child.pid) process.kill(-child.pid, 'SIGKILL');
    }, ms);
    child.stdout.on('data', (chunk: Buffer) => {
      ended.out += chunk.toString();
      ended.all += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      ended.err += chunk.toString();
      ended.all += chunk.toString();
    });
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ ...ended, code: code ?? -1 });
    });
    child.stdin.on('error', () => {});
    child.stdin.end(options.input ?? '');
  });
