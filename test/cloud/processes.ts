import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

const MAIN = join(import.meta.dirname, '../../cli/main.ts');

/** A skiff command that runs until it is stopped. */
export interface Running {
  output(): string;
  stop(): Promise<void>;
}

const collected = (child: ChildProcess): (() => string) => {
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-20_000);
    });
  }
  return () => output;
};

/** Runs a skiff command to its end; throws with its output where it fails. */
export const skiff = async (args: string[]): Promise<string> => {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const output = collected(child);
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`skiff ${args.slice(0, 2).join(' ')} ended with ${code}:\n${output()}`);
  return output();
};

/** Starts a skiff command and waits until it says `ready`. */
export const startSkiff = async (args: string[], ready: string, timeoutMs: number): Promise<Running> => {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const output = collected(child);
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, 'exit');
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), 15_000);
    await exit;
    clearTimeout(timer);
  };
  const until = Date.now() + timeoutMs;
  while (!output().includes(ready)) {
    if (child.exitCode !== null || Date.now() > until) {
      await stop();
      throw new Error(`skiff ${args[0]} is not ready:\n${output()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return { output, stop };
};

/** Runs kubectl; throws with what it printed where it fails. */
export const kubectl = async (kubeconfig: string, args: string[], input?: string): Promise<string> => {
  const child = spawn('kubectl', ['--kubeconfig', kubeconfig, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
  const output = collected(child);
  child.stdin.end(input ?? '');
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${output()}`);
  return output();
};
