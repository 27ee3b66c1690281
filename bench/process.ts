import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { loadPki, type Pki } from '../functions/entry/pki.ts';
import { freePort } from '../test/free-port.ts';
import { open, send, type Target } from './load.ts';

const ROOT = join(import.meta.dirname, '..');
/** How ./skiff starts node. */
const LAUNCH = ['--max-semi-space-size=4', '--no-parallel-scavenge', '--disable-warning=ExperimentalWarning'];
const COMPILED = join(ROOT, 'node_modules/.cache/skiff');

/** A control plane as users start it: a process of its own on a folder of its own. */
export interface Plane {
  target: Target;
  pki: Pki;
  /** The data directory. */
  directory: string;
  pid: number;
  /** From the start of the process to the first 200 of /readyz, in milliseconds. */
  startMs: number;
  /** Resident memory of the process, in MB (10^6 bytes). */
  rssMb(): number;
  stop(): Promise<void>;
}

export const rssMb = (pid: number): number => {
  const kb = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Math.round((Number(kb) * 1024) / 100_000) / 10;
};

/** Processor time of a process with all its threads so far, in milliseconds; a tick is 10. */
export const cpuMs = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
};

const answers = async (target: Target, path: string): Promise<boolean> => {
  const session = await open(target).catch(() => undefined);
  if (!session) return false;
  try {
    await send(session, target.token, { method: 'GET', path });
    return true;
  } catch {
    return false;
  } finally {
    session.close();
  }
};

/** None outlives a bench that fails. */
const children = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});
const kept = <T extends ChildProcess>(child: T): T => {
  children.add(child);
  child.on('exit', () => children.delete(child));
  return child;
};

const ended = async (child: ChildProcess, signal: NodeJS.Signals): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill(signal);
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await exit;
  clearTimeout(timer);
};

/** Ends the containers and namespaces that a real node leaves for the next start. */
const takeDown = (directory: string): void => {
  const args = [join(ROOT, 'cli/main.ts'), 'down', '--data', directory, '--purge'];
  const down = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (down.status !== 0) throw new Error(`skiff down: ${down.stderr}${down.stdout}`);
};

/** Starts `skiff up` on a new folder and waits for /readyz. Throws with its output when it ends before. */
export const startPlane = async (args: string[] = ['--nodes', '0']): Promise<Plane> => {
  const directory = mkdtempSync(join(tmpdir(), 'skiff-bench-'));
  // Keys are made once per folder: the time to make them belongs to the first start only, and is not what is measured.
  const pki = await loadPki(directory);
  const port = await freePort();
  const began = performance.now();
  const child = kept(
    spawn(
      process.execPath,
      [...LAUNCH, join(ROOT, 'cli/main.ts'), 'up', '--data', directory, '--port', String(port), ...args],
      { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, NODE_COMPILE_CACHE: COMPILED } },
    ),
  );
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-4000);
    });
  }
  const target = { origin: `https://127.0.0.1:${port}`, ca: pki.caCert, token: pki.adminToken };
  while (!(await answers(target, '/readyz'))) {
    if (child.exitCode !== null) throw new Error(`the control plane ended:\n${output}`);
    await delay(5);
  }
  return {
    target,
    pki,
    directory,
    pid: child.pid ?? 0,
    startMs: performance.now() - began,
    rssMb: () => rssMb(child.pid ?? 0),
    stop: async () => {
      await ended(child, 'SIGTERM');
      if (args.includes('cri')) takeDown(directory);
      rmSync(directory, { recursive: true, force: true });
    },
  };
};

const ACCOUNT = '/api/v1/namespaces/default/serviceaccounts/default';

/** A plane whose controllers have made what pods need: the namespace's service account. */
export const startSettled = async (args?: string[]): Promise<Plane> => {
  const plane = await startPlane(args);
  while (!(await answers(plane.target, ACCOUNT))) await delay(20);
  return plane;
};

/** Starts the bare server that ratios are measured against; `sizes` are the bytes of its answers by path. */
export const startBare = async (pki: Pki, sizes: Record<string, number>) => {
  const child = kept(spawn(process.execPath, [join(ROOT, 'bench/bare.ts')], { stdio: ['pipe', 'pipe', 'inherit'] }));
  child.stdin.end(JSON.stringify({ cert: pki.serverCert, key: pki.serverKey, sizes }));
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const target: Target = { origin: `https://127.0.0.1:${Number(line.toString())}`, ca: pki.caCert, token: '' };
  return { target, pid: child.pid ?? 0, stop: () => ended(child, 'SIGTERM') };
};
