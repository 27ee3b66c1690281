import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { processStart } from '../agent/process-start.ts';
import { CommandError } from './command.ts';

/** Layout of a data directory; a directory of a newer layout is refused. */
const LAYOUT = 1;

const RUNTIMES = ['nerdctl', 'cri', 'hollow'] as const;

export interface DirectoryState {
  layout: number;
  port: number;
  nodes: number;
  runtime: (typeof RUNTIMES)[number];
  /** The process of `up`, told from another with its id by when it started (clock ticks since boot). */
  pid: number;
  startedAt: string;
}

/** Checked by hand: a library that checks forms is a tenth of what `up` would load. */
const isState = (raw: unknown): raw is DirectoryState => {
  const { layout, port, nodes, runtime, pid, startedAt } = (raw ?? {}) as Partial<DirectoryState>;
  return (
    [layout, port, nodes, pid].every((one) => typeof one === 'number') &&
    typeof startedAt === 'string' &&
    RUNTIMES.some((one) => one === runtime)
  );
};

const statePath = (directory: string): string => join(directory, 'skiff.json');

/** What the last `up` wrote; undefined when there was none. A newer layout, and a file of another form, throw one clear line. */
export const readState = (directory: string): DirectoryState | undefined => {
  if (!existsSync(statePath(directory))) return undefined;
  const raw: unknown = JSON.parse(readFileSync(statePath(directory), 'utf8'));
  const { layout } = (raw ?? {}) as { layout?: unknown };
  if (typeof layout === 'number' && layout > LAYOUT) {
    throw new CommandError(
      `${directory} was written by a newer version of skiff (layout ${layout}, this one knows ${LAYOUT})`,
    );
  }
  if (!isState(raw)) throw new CommandError(`${statePath(directory)} is not of the form that skiff up writes`);
  return raw;
};

export const isRunning = (state: DirectoryState | undefined): boolean =>
  state !== undefined && processStart(state.pid) === state.startedAt;

export const writeState = (directory: string, state: Omit<DirectoryState, 'layout' | 'pid' | 'startedAt'>): void => {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const whole: DirectoryState = {
    ...state,
    layout: LAYOUT,
    pid: process.pid,
    startedAt: processStart(process.pid) ?? '',
  };
  writeFileSync(`${statePath(directory)}.tmp`, JSON.stringify(whole, undefined, 2));
  renameSync(`${statePath(directory)}.tmp`, statePath(directory));
};

export const purge = (directory: string): void => rmSync(directory, { recursive: true, force: true });
