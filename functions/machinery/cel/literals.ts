import { patternError } from '../regex.ts';
import type { Expr, Issue } from './ast.ts';
import { walk } from './checker.ts';
import { parseDuration, parseTimestamp } from './times.ts';

const PARSED: Record<string, (text: string) => boolean> = {
  duration: (text) => parseDuration(text) !== undefined,
  timestamp: (text) => parseTimestamp(text) !== undefined,
};

/** Literals that no evaluation could read: durations, timestamps and patterns are looked at when they are written. */
export const literalIssues = (expr: Expr): Issue[] => {
  const issues: Issue[] = [];
  walk(expr, (inner) => {
    if (inner.kind !== 'call') return;
    const reads = PARSED[inner.name];
    const arg = inner.name === 'matches' ? inner.args.at(-1) : inner.args[0];
    if (arg?.kind !== 'literal' || typeof arg.value !== 'string') return;
    if (reads && !reads(arg.value)) issues.push({ at: arg.at, message: `invalid ${inner.name} argument` });
    const why = inner.name === 'matches' ? patternError(arg.value) : undefined;
    if (why) issues.push({ at: arg.at, message: `invalid matches argument: ${why}` });
  });
  return issues;
};
