import { homedir } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

/** Something the user is told in one line, without a stack. */
export class CommandError extends Error {
  readonly exitCode: number;
  constructor(message: string, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** Arguments that a command does not take: the user is told where it says what it takes. */
export class UsageError extends CommandError {}

type Options = NonNullable<NonNullable<Parameters<typeof parseArgs>[0]>['options']>;

/** parseArgs of Node, with its failures as one line. */
export const parse = <T extends Options>(args: string[], options: T, positionals = 0) => {
  try {
    const parsed = parseArgs({ args, options, allowPositionals: positionals > 0, strict: true });
    if (parsed.positionals.length > positionals)
      throw new Error(`unexpected argument "${parsed.positionals[positionals]}"`);
    return parsed;
  } catch (error) {
    // Node's hints after the first sentence concern arguments that start with a dash.
    const told = error instanceof Error ? error.message : String(error);
    throw new UsageError(told.split(/\n|\. To specify/)[0] ?? '');
  }
};

/** The data directory as an absolute path; ~/.skiff where none is given. */
export const dataDirectory = (given: string | boolean | undefined): string =>
  resolve(typeof given === 'string' && given !== '' ? given : `${homedir()}/.skiff`);

/** A whole number within bounds, or one line that says what was wrong. */
export const wholeNumber = (
  name: string,
  text: string | undefined,
  fallback: number,
  min: number,
  max: number,
): number => {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < min || value > max) {
    throw new CommandError(`--${name} takes a whole number from ${min} to ${max}, not "${text}"`);
  }
  return value;
};
