import { setTimeout as delay } from 'node:timers/promises';
import { processStart } from '../agent/process-start.ts';
import { CommandError, dataDirectory, parse } from './command.ts';
import { isRunning, purge, readState } from './directory.ts';

const STOP_MS_MAX = 20_000;

/** Ends the process of `up`, then its containers, their containerd and their network. The data stays, unless purged. */
export const takeDown = async (
  directory: string,
  options: { purge: boolean; say: (line: string) => void },
): Promise<void> => {
  const state = readState(directory);
  if (state && isRunning(state)) {
    process.kill(state.pid, 'SIGTERM');
    const until = Date.now() + STOP_MS_MAX;
    while (isRunning(state) && Date.now() < until) await delay(25);
    if (isRunning(state)) process.kill(state.pid, 'SIGKILL');
    while (processStart(state.pid) === state.startedAt) await delay(25);
    options.say(`stopped process ${state.pid}`);
  }
  if (state && state.runtime !== 'hollow') {
    const { removeNodes } = await import('./nodes.ts');
    const removed = await removeNodes(directory, state.runtime);
    options.say(`removed ${removed.sandboxes} pod(s) on ${removed.nodes} node(s)`);
  }
  if (options.purge) {
    purge(directory);
    options.say(`removed ${directory}`);
  }
};

/** `skiff down [--data DIR] [--purge]` */
export const run = async (args: string[]): Promise<number> => {
  const { values } = parse(args, { data: { type: 'string' }, purge: { type: 'boolean' } });
  const directory = dataDirectory(values.data);
  if (!readState(directory)) throw new CommandError(`nothing to take down in ${directory}`);
  await takeDown(directory, { purge: values.purge === true, say: console.log });
  return 0;
};
