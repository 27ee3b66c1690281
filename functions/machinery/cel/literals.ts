import { patternError } from '../regex.ts';
import type { Call, Expr, Issue } from './ast.ts';
import { walk } from './checker.ts';
import { verbsOf } from './library/format-text.ts';
import { standard } from './library/standard.ts';
import { parseDuration, parseTimestamp } from './times.ts';
import { type Type, typeText } from './types.ts';
import { EvalFault, isOfType, type Value } from './values.ts';

const PARSED: Record<string, (text: string) => boolean> = {
  duration: (text) => parseDuration(text) !== undefined,
  timestamp: (text) => parseTimestamp(text) !== undefined,
};
const CONVERSIONS = new Set(['bool', 'bytes', 'double', 'int', 'string', 'uint']);

/** Types that a clause of format() takes; dyn is looked at when it runs. */
const whole: Type['kind'][] = ['int', 'uint'];
const TAKES: Record<string, Type['kind'][]> = {
  s: [...whole, 'list', 'map', 'double', 'bool', 'string', 'timestamp', 'bytes', 'duration', 'type', 'null'],
  d: whole,
  f: ['double', 'string'],
  e: ['double', 'string'],
  b: [...whole, 'bool'],
  o: whole,
  x: [...whole, 'string', 'bytes'],
  X: [...whole, 'string', 'bytes'],
};

const formatIssue = (expr: Call): Issue | undefined => {
  const { target, args } = expr;
  const list = args[0];
  if (target?.kind !== 'literal' || typeof target.value !== 'string' || list?.kind !== 'list') return undefined;
  try {
    for (const [i, verb] of verbsOf(target.value).entries()) {
      const item = list.items[i];
      if (!item) return { at: target.at, message: `index ${i} out of range` };
      const { type } = item;
      if (type && type.kind !== 'dyn' && !TAKES[verb]?.includes(type.kind))
        return { at: item.at, message: `error during formatting: %${verb} cannot be used on ${typeText(type)}` };
    }
  } catch (error) {
    if (!(error instanceof EvalFault)) throw error;
    return { at: target.at, message: error.message };
  }
  return undefined;
};

/** Why a conversion of a literal cannot succeed. */
const conversionFault = (name: string, value: Value): string | undefined => {
  const overload = standard.functions[name]?.find((one) => one.args.every((type) => isOfType(value, type)));
  try {
    overload?.run(value);
    return undefined;
  } catch (error) {
    return error instanceof EvalFault ? error.message : String(error);
  }
};

const callIssue = (expr: Expr & Call): Issue | undefined => {
  if (expr.name === 'format' && expr.target) return formatIssue(expr);
  const arg = expr.name === 'matches' ? expr.args.at(-1) : expr.args[0];
  if (arg?.kind !== 'literal') return undefined;
  if (CONVERSIONS.has(expr.name) && !expr.target) {
    const why = conversionFault(expr.name, arg.value);
    return why === undefined ? undefined : { at: arg.at, message: why };
  }
  if (typeof arg.value !== 'string') return undefined;
  const reads = PARSED[expr.name];
  if (reads && !reads(arg.value)) return { at: arg.at, message: `invalid ${expr.name} argument` };
  const isBad = expr.name === 'matches' && patternError(arg.value) !== undefined;
  return isBad ? { at: arg.at, message: 'invalid matches argument' } : undefined;
};

/** Literals that no evaluation could use: durations, times, patterns, formats and conversions are tried when written. */
export const literalIssues = (expr: Expr): Issue[] => {
  const issues: Issue[] = [];
  walk(expr, (inner) => {
    const issue = inner.kind === 'call' ? callIssue(inner) : undefined;
    if (issue) issues.push(issue);
  });
  return issues;
};
