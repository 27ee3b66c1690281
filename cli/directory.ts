import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod/mini';
import { processStart } from '../agent/process-start.ts';
import { CommandError } from './command.ts';

/** Layout of a data directory; a directory of a newer layout is refused. */
const LAYOUT = 1;

const stateSchema = z.object({
  layout: z.number(),
  port: z.number(),
  nodes: z.number(),
  runtime: z.enum(['nerdctl', 'cri', 'hollow']),
  /** The process of `up`, told from another with its id by when it started (clock ticks since boot). */
  pid: z.number(),
  startedAt: z.string(),
});
export type DirectoryState = z.infer<typeof stateSchema>;

const statePath = (directory: string): string => join(directory, 'skiff.json');

/** What the last `up` wrote; undefined when there was none. A newer layout throws one clear line. */
export const readState = (directory: string): DirectoryState | undefined => {
  if (!existsSync(statePath(directory))) return undefined;
  const raw: unknown = JSON.parse(readFileSync(statePath(directory), 'utf8'));
  const layout = (raw as { layout?: unknown }).layout;
  if (typeof layout === 'number' && layout > LAYOUT) {
    throw new CommandError(
      `${directory} was written by a newer version of skiff (layout ${layout}, this one knows ${LAYOUT})`,
    );
  }
  return stateSchema.parse(raw);
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
