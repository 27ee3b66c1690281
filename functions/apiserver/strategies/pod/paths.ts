// Paths inside volumes and hosts.
import { cause } from '../../../machinery/status.ts';
import type { Causes } from '../checks.ts';

/** Refuses a path with a `..` element. */
export const noBacksteps = (out: Causes, path: string, value: string): void => {
  if (value.split('/').includes('..')) out.push(cause.invalid(path, value, "must not contain '..'"));
};

/** A relative path that stays below where it starts. */
export const descendingPath = (out: Causes, path: string, value: string): void => {
  if (value.startsWith('/')) out.push(cause.invalid(path, value, 'must be a relative path'));
  noBacksteps(out, path, value);
};

/** A descending path that does not begin with `..`, which the atomic writer keeps for itself. */
export const nonReservedPath = (out: Causes, path: string, value: string): void => {
  descendingPath(out, path, value);
  if (value.startsWith('..') && !value.startsWith('../')) {
    out.push(cause.invalid(path, value, "must not start with '..'"));
  }
};

/** A file mode: 0 to 0777. */
export const checkMode = (out: Causes, path: string, mode: number | undefined): void => {
  if (mode !== undefined && (mode > 0o777 || mode < 0)) {
    out.push(cause.invalid(path, mode, 'must be a number between 0 and 0777 (octal), both inclusive'));
  }
};
