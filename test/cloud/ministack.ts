import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../free-port.ts';

const ROOT = join(import.meta.dirname, '../..');
const VENV = join(ROOT, 'node_modules/.cache/skiff/ministack');
const VERSION = '1.5.33';
const READY_MS = 30_000;

/** MiniStack, a stand-in for AWS, as a process of the tests' own. */
export interface MiniStack {
  endpoint: string;
  /** Ids of the processes that it runs functions in. */
  functionProcesses(): number[];
  stop(): Promise<void>;
}

const run = (command: string, args: string[]): void => {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args[0]}: ${error?.message ?? stderr}`);
};

/** Installs it from PyPI where it is missing. */
const install = (): void => {
  if (existsSync(join(VENV, 'bin/ministack'))) return;
  run('python3', ['-m', 'venv', VENV]);
  run(join(VENV, 'bin/pip'), ['install', '--quiet', '--disable-pip-version-check', `ministack==${VERSION}`]);
};

const parentOf = (pid: string): number => {
  try {
    return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[1]);
  } catch {
    return 0;
  }
};

const ended = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await exit;
  clearTimeout(timer);
};

/** Starts it on a free port of the loopback, with its files in `directory`. */
export const startMiniStack = async (directory: string): Promise<MiniStack> => {
  install();
  const port = await freePort();
  mkdirSync(join(directory, 'tmp'), { recursive: true });
  const log = openSync(join(directory, 'ministack.log'), 'w');
  const child = spawn(join(VENV, 'bin/ministack'), [], {
    cwd: directory,
    stdio: ['ignore', log, log],
    env: {
      ...process.env,
      PATH: `${join(process.execPath, '..')}:${process.env.PATH}`,
      BIND_HOST: '127.0.0.1',
      GATEWAY_PORT: `${port}`,
      MINISTACK_REGION: 'us-east-1',
      TMPDIR: join(directory, 'tmp'),
      S3_DATA_DIR: join(directory, 's3'),
    },
  });
  const endpoint = `http://127.0.0.1:${port}`;
  const functionProcesses = (): number[] =>
    readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && parentOf(name) === child.pid)
      .map(Number);
  const stop = async (): Promise<void> => {
    const functions = functionProcesses();
    await ended(child);
    for (const pid of functions) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Gone with it.
      }
    }
  };
  const until = Date.now() + READY_MS;
  for (;;) {
    const answer = await fetch(`${endpoint}/_ministack/health`).catch(() => undefined);
    if (answer?.ok) return { endpoint, functionProcesses, stop };
    if (child.exitCode !== null || Date.now() > until) {
      await stop();
      throw new Error(
        `MiniStack does not start:\n${readFileSync(join(directory, 'ministack.log'), 'utf8').slice(-2000)}`,
      );
    }
    await delay(100);
  }
};
