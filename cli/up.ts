import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { CommandError, dataDirectory, parse, wholeNumber } from './command.ts';
import { isRunning, readState, writeState } from './directory.ts';
import { kubeconfigPath, writeKubeconfig } from './kubeconfig.ts';
import { type RuntimeChoice, runtimeFor } from './runtime-choice.ts';
import { ensureContainerTools, mayInstall } from './setup.ts';

export interface UpOptions {
  directory: string;
  port: number;
  nodes: number;
  runtime: RuntimeChoice;
  yes: boolean;
  /** Files of configuration documents, as absolute paths. */
  configuration: string[];
}

export const DEFAULT_PORT = 6443;
const DETACHED_MS_MAX = 180_000;

export const upOptions = {
  data: { type: 'string' },
  port: { type: 'string' },
  nodes: { type: 'string' },
  runtime: { type: 'string' },
  yes: { type: 'boolean' },
  config: { type: 'string', multiple: true },
} as const;

const RUNTIMES: readonly string[] = ['auto', 'nerdctl', 'cri', 'hollow'];

/** Checks the options that `up` and `demo` share. */
export const readUpOptions = (
  values: {
    [K in keyof typeof upOptions]?: string | boolean | string[] | undefined;
  },
): UpOptions => {
  const runtime = typeof values.runtime === 'string' ? values.runtime : 'auto';
  if (!RUNTIMES.includes(runtime)) throw new CommandError(`--runtime takes ${RUNTIMES.join(', ')}, not "${runtime}"`);
  return {
    directory: dataDirectory(values.data as string | undefined),
    port: wholeNumber('port', values.port as string | undefined, DEFAULT_PORT, 1, 65_535),
    nodes: wholeNumber('nodes', values.nodes as string | undefined, 1, 0, 200),
    runtime: runtime as RuntimeChoice,
    yes: values.yes === true,
    configuration: Array.isArray(values.config) ? values.config.map((path) => resolve(path)) : [],
  };
};

/** A second `up` on a directory, or a directory of a newer version, is one clear line. */
const refuseUnlessFree = (directory: string): void => {
  if (existsSync(join(directory, 'deployment.json'))) {
    throw new CommandError(`${directory} belongs to a deployment: choose another directory with --data`);
  }
  const state = readState(directory);
  if (state && isRunning(state)) {
    throw new CommandError(
      `${directory} is in use by process ${state.pid}: stop it with ./skiff down --data ${directory}`,
    );
  }
};

/** Runs in the foreground until SIGINT or SIGTERM. Containers go on running; `down` ends them. */
const foreground = async (options: UpOptions): Promise<number> => {
  const began = performance.now();
  const seconds = () => `${((performance.now() - began) / 1000).toFixed(1)} s`;
  const runtime = options.nodes === 0 ? 'hollow' : await runtimeFor(options.runtime);
  if (runtime !== 'hollow') await ensureContainerTools({ yes: mayInstall(options.yes), say: console.log });
  const { startControlPlane } = await import('../functions/entry/local.ts');
  const { startNodes } = await import('./nodes.ts');
  const { directory, port } = options;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const plane = await startControlPlane({
    directory,
    port,
    host: '127.0.0.1',
    configuration: options.configuration,
    log: console.error,
  }).catch((error) => {
    throw plainly(error, options);
  });
  writeState(directory, { port: plane.port, nodes: options.nodes, runtime });
  const path = writeKubeconfig(directory, { ...plane.access, name: 'skiff' });
  console.log(`control plane ready at ${plane.access.server} (${seconds()})`);
  const nodes = await startNodes({ directory, plane, count: options.nodes, runtime, log: console.error });
  const stopping = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopping.abort());
  await nodes.ready((name) => console.log(`node ${name} Ready (${runtime}, ${seconds()})`), stopping.signal);
  if (!stopping.signal.aborted) console.log(`export KUBECONFIG=${path}`);
  if (!stopping.signal.aborted) await new Promise((resolve) => stopping.signal.addEventListener('abort', resolve));
  await nodes.detach();
  await plane.close();
  return 0;
};

/** Failures that a user can act on, as one line. */
const plainly = (error: unknown, options: UpOptions): Error => {
  const { code, name, message } = error as NodeJS.ErrnoException;
  if (code === 'EADDRINUSE') return new CommandError(`port ${options.port} is in use: choose another with --port`);
  if (code === 'EACCES') return new CommandError(`not allowed: ${message}`);
  if (['DirectoryInUse', 'DirectoryRefused', 'ConfigurationError'].includes(name)) return new CommandError(message);
  return error as Error;
};

/** Starts `up` as a process of its own and returns when it says that it is ready. */
const detached = async (options: UpOptions): Promise<number> => {
  mkdirSync(options.directory, { recursive: true, mode: 0o700 });
  const logPath = join(options.directory, 'up.log');
  const log = openSync(logPath, 'w');
  const args = ['up', '--data', options.directory, '--port', String(options.port), '--nodes', String(options.nodes)];
  args.push('--runtime', options.runtime, ...(options.yes ? ['--yes'] : []));
  for (const path of options.configuration) args.push('--config', path);
  const main = join(import.meta.dirname, 'main.ts');
  const child = spawn(process.execPath, [...process.execArgv, main, ...args], {
    detached: true,
    stdio: ['ignore', log, log],
  });
  let code: number | undefined;
  child.on('exit', (c) => {
    code = c ?? 1;
  });
  child.unref();
  const until = Date.now() + DETACHED_MS_MAX;
  let shown = 0;
  while (Date.now() < until) {
    const lines = readFileSync(logPath, 'utf8').split('\n').slice(0, -1);
    for (const line of lines.slice(shown)) console.log(line);
    shown = lines.length;
    if (lines.some((line) => line.startsWith('export KUBECONFIG='))) return 0;
    if (code !== undefined) return code === 0 ? 1 : code;
    await delay(25);
  }
  throw new CommandError(`not ready within ${DETACHED_MS_MAX / 1000} s: see ${logPath}`);
};

/** `skiff up [--detach] [--data DIR] [--port P] [--nodes N] [--runtime auto|nerdctl|cri|hollow] [--config FILE]... [--yes]` */
export const run = async (args: string[]): Promise<number> => {
  const { values } = parse(args, { ...upOptions, detach: { type: 'boolean' } });
  const options = readUpOptions(values);
  refuseUnlessFree(options.directory);
  if (!values.detach) return foreground(options);
  if (options.runtime !== 'hollow' && options.nodes > 0 && (await runtimeFor(options.runtime)) !== 'hollow') {
    await ensureContainerTools({ yes: mayInstall(options.yes), say: console.log });
  }
  return detached(options);
};

export const isUp = (directory: string): boolean =>
  existsSync(kubeconfigPath(directory)) && isRunning(readState(directory));
