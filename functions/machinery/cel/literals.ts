import { patternError } from '../regex.ts';
import type { Call, Expr, Issue } from './ast.ts';
import { walk } from './checker.ts';
import { unfitFor, verbsOf } from './library/format-text.ts';
import { parseDuration, parseTimestamp } from './times.ts';
import { shownType, type Type, typeText, unwrap } from './types.ts';
import { EvalFault } from './values.ts';

const SECONDS_MIN = -62135596800n;
const SECONDS_MAX = 253402300799n;

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

/** The part of an argument that its clause does not take; parts of literals for %s are looked at one by one. */
const unfitPart = (verb: string, expr: Expr): Expr | undefined => {
  const { type } = expr;
  if (type && type.kind !== 'dyn' && !TAKES[verb]?.includes(type.kind)) return expr;
  if (verb !== 's') return undefined;
  const parts =
    expr.kind === 'list' ? expr.items : expr.kind === 'map' ? expr.entries.flatMap((e) => [e.key, e.value]) : [];
  for (const part of parts) {
    const unfit = unfitPart(verb, part);
    if (unfit) return unfit;
  }
  return undefined;
};

/** The name of a type without its parameters. */
const bareName = (type: Type | undefined): string => (type ? typeText(type).replace(/\(.*$/s, '') : 'dyn');

const formatIssue = (expr: Expr & Call): Issue | undefined => {
  const { target, args, at } = expr;
  const list = args[0];
  if (target?.kind !== 'literal' || typeof target.value !== 'string' || list?.kind !== 'list') return undefined;
  try {
    const verbs = verbsOf(target.value, list.items.length);
    for (const [i, verb] of verbs.entries()) {
      const unfit = unfitPart(verb, list.items[i] as Expr);
      if (unfit) return { at: unfit.at, message: unfitFor(verb, bareName(unfit.type)) };
    }
    const { length } = list.items;
    if (length <= verbs.length) return undefined;
    const counts = `(expected ${verbs.length}, got ${length})`;
    return { at, message: `too many arguments supplied to string.format ${counts}` };
  } catch (error) {
    if (!(error instanceof EvalFault)) throw error;
    return { at, message: error.message };
  }
};

const isBadTime = (name: string, value: unknown): boolean => {
  if (typeof value === 'string')
    return (name === 'duration' ? parseDuration(value) : parseTimestamp(value)) === undefined;
  return name === 'timestamp' && typeof value === 'bigint' && (value < SECONDS_MIN || value > SECONDS_MAX);
};

const callIssue = (expr: Expr & Call): Issue | undefined => {
  if (expr.name === 'format' && expr.target) return formatIssue(expr);
  const [arg] = expr.args;
  if (arg?.kind !== 'literal') return undefined;
  const bad =
    expr.name === 'matches'
      ? typeof arg.value === 'string' && patternError(arg.value) !== undefined
      : (expr.name === 'duration' || expr.name === 'timestamp') && isBadTime(expr.name, arg.value);
  return bad ? { at: arg.at, message: `invalid ${expr.name} argument` } : undefined;
};

/** Elements that are not of the type of the first one: literals are homogeneous in Kubernetes. */
const mixedIssues = (expr: Expr, issues: Issue[]): void => {
  const differs = (first: Type | undefined, part: Expr, type: Type | undefined): boolean => {
    if (!first || !type || shownType(first) === shownType(type)) return false;
    issues.push({ at: part.at, message: `expected type '${shownType(first)}' but found '${shownType(type)}'` });
    return true;
  };
  if (expr.kind === 'list') {
    const typeAt = (i: number): Type | undefined => {
      const type = expr.items[i]?.type;
      return type && expr.optional.has(i) ? unwrap(type) : type;
    };
    expr.items.some((item, i) => differs(typeAt(0), item, typeAt(i)));
  }
  if (expr.kind !== 'map') return;
  const [first] = expr.entries;
  const held = (entry: (typeof expr.entries)[number] | undefined): Type | undefined =>
    entry?.value.type && entry.optional ? unwrap(entry.value.type) : entry?.value.type;
  for (const entry of expr.entries) {
    differs(first?.key.type, entry.key, entry.key.type);
    differs(held(first), entry.value, held(entry));
  }
};

/** Literals that no evaluation could use, and lists and maps of several types: looked at when they are written. */
export const literalIssues = (expr: Expr): Issue[] => {
  const issues: Issue[] = [];
  const inFormat = new Set<Expr>();
  walk(expr, (inner) => {
    if (inner.kind === 'call') {
      const issue = callIssue(inner);
      if (issue) issues.push(issue);
      if (inner.name === 'format') walk(inner, (part) => void inFormat.add(part));
    } else if (!inFormat.has(inner)) mixedIssues(inner, issues);
  });
  return issues;
};
