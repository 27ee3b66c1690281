/** Constants of expressions, worked out when they are compiled. Throws EvalFault where one cannot be used. */
import { patternError } from '../regex.ts';
import type { Call, Expr } from './ast.ts';
import type { Functions } from './library.ts';
import { dyn } from './types.ts';
import { EvalFault, isOfType, type Key, keyOf, List, mapFrom, typeNameOf, type Value } from './values.ts';

interface Known {
  functions: Functions;
}

/** Conversions of literals are done once. */
const CONVERSIONS = new Set(['bool', 'bytes', 'double', 'duration', 'dyn', 'int', 'string', 'timestamp', 'uint']);
/** Where functions have a pattern among their arguments, counted from their target. */
const PATTERN_AT: Record<string, number> = { matches: 1, find: 1, findAll: 1 };

/** A conversion of a constant; throws EvalFault where it cannot be converted. */
const constantCall = (expr: Call, context: Known): Value | undefined => {
  const [arg] = expr.args;
  if (expr.target || expr.args.length !== 1 || !arg || !CONVERSIONS.has(expr.name)) return undefined;
  const value = constantOf(arg, context);
  if (value === undefined) return undefined;
  const overloads = context.functions.get(expr.name) ?? [];
  const fitting = overloads.find((one) => expr.overloads?.includes(one.id) && isOfType(value, one.args[0] ?? dyn));
  if (!fitting) throw new EvalFault(`no such overload: ${expr.name}(${typeNameOf(value)})`);
  return fitting.run(value);
};

/** Literals of literals are made once and cost nothing, as upstream folds them. Throws EvalFault. */
export const constantOf = (expr: Expr, context: Known): Value | undefined => {
  if (expr.kind === 'literal') return expr.value;
  if (expr.kind === 'call') return constantCall(expr, context);
  if (expr.kind === 'list' && expr.optional.size === 0) {
    const items = expr.items.map((item) => constantOf(item, context));
    return items.includes(undefined) ? undefined : new List(items);
  }
  if (expr.kind !== 'map' || expr.entries.some((e) => e.optional)) return undefined;
  const out = new Map<Key, [Value, Value]>();
  for (const { key, value } of expr.entries) {
    const name = constantOf(key, context);
    const held = constantOf(value, context);
    const at = name === undefined ? undefined : keyOf(name);
    if (name === undefined || held === undefined || at === undefined) return undefined;
    out.set(at, [name, held]);
  }
  return mapFrom(out);
};

/** Patterns that are constants have to compile. */
export const checkPatterns = (name: string, given: readonly Expr[], context: Known): void => {
  const at = given[PATTERN_AT[name] ?? -1];
  const pattern = at && constantOf(at, context);
  const why = typeof pattern === 'string' ? patternError(pattern) : undefined;
  if (why !== undefined) throw new EvalFault(why);
};
