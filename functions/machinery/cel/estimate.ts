/**
 * The most an expression can cost, from its text and from how large its data may be; rules over the limit are refused when
 * they are written. Numbers are cel-go's (checker/cost.go) and Kubernetes' own for its functions.
 *
 *   estimateCost(expr, sizeAt) -> highest cost
 */
import { ACCUMULATOR, type Call, type Expr, type Fold } from './ast.ts';
import { callEstimate } from './estimate-calls.ts';
import type { Type } from './types.ts';
import { sizeOf } from './values.ts';

export const UNBOUNDED = 2 ** 64;
const cap = (n: number): number => (n > UNBOUNDED ? UNBOUNDED : n);

/** A range of sizes, or of costs. */
export interface Span {
  min: number;
  max: number;
}
export const fixed = (n: number): Span => ({ min: n, max: n });
export const unknown: Span = { min: 0, max: UNBOUNDED };
export const plus = (a: Span, b: Span): Span => ({ min: cap(a.min + b.min), max: cap(a.max + b.max) });
export const times = (a: Span, b: Span): Span => ({ min: cap(a.min * b.min), max: cap(a.max * b.max) });
export const scaled = (a: Span, factor: number): Span => ({
  min: cap(Math.ceil(a.min * factor)),
  max: cap(Math.ceil(a.max * factor)),
});
export const union = (a: Span, b: Span): Span => ({ min: Math.min(a.min, b.min), max: Math.max(a.max, b.max) });

/** The largest size of what stands at a path: a variable, then fields, `@items`, `@keys` or `@values`. */
export type SizeAt = (path: readonly string[]) => number | undefined;

/** Sizes of the keys (or indexes) and values of a list or map. */
interface Entry {
  kind: 'list' | 'map';
  key: Span;
  value: Span;
}
interface Local {
  name: string;
  path: readonly string[] | undefined;
  size: Span | undefined;
  entry: Entry | undefined;
}

/** What the estimates of calls may ask about their arguments. */
export interface Estimator {
  sizeAt: SizeAt;
  locals: Local[];
  sizes: Map<Expr, Span>;
  entries: Map<Expr, Entry>;
  paths: Map<Expr, readonly string[]>;
}

const SCALARS = new Set<Type['kind']>(['bool', 'double', 'duration', 'int', 'timestamp', 'uint']);
const isScalar = (type: Type | undefined): boolean => {
  if (!type) return false;
  if (type.kind === 'opaque' && type.name === 'optional_type') return isScalar(type.params[0]);
  return SCALARS.has(type.kind);
};

const localOf = (e: Estimator, name: string): Local | undefined => e.locals.findLast((one) => one.name === name);

export const pathOf = (e: Estimator, expr: Expr): readonly string[] | undefined => {
  if (expr.kind === 'ident') {
    const local = localOf(e, expr.name);
    if (local) return local.path;
  }
  return e.paths.get(expr);
};

const literalSize = (expr: Expr): Span | undefined => {
  if (expr.kind === 'literal') return fixed(sizeOf(expr.value));
  if (expr.kind === 'list') return fixed(expr.items.length);
  return expr.kind === 'map' ? fixed(expr.entries.length) : undefined;
};

/** The size of an expression's value, where something is known of it. */
export const sizeOfExpr = (e: Estimator, expr: Expr): Span | undefined => {
  const known = e.sizes.get(expr) ?? literalSize(expr);
  if (known) return known;
  const path = pathOf(e, expr);
  if (path?.length && path[0] !== ACCUMULATOR) {
    const max = e.sizeAt(path);
    if (max !== undefined) {
      const size = { min: 0, max };
      e.sizes.set(expr, size);
      return size;
    }
  }
  if (isScalar(expr.type)) return fixed(1);
  return expr.kind === 'ident' ? localOf(e, expr.name)?.size : undefined;
};
export const sizeOrUnknown = (e: Estimator, expr: Expr): Span => sizeOfExpr(e, expr) ?? unknown;

export const entryOf = (e: Estimator, expr: Expr): Entry | undefined =>
  e.entries.get(expr) ?? (expr.kind === 'ident' ? localOf(e, expr.name)?.entry : undefined);

export const unionEntries = (a: Entry | undefined, b: Entry | undefined): Entry | undefined =>
  a && b && { kind: a.kind, key: union(a.key, b.key), value: union(a.value, b.value) };

const costIdent = (e: Estimator, expr: Expr, name: string): Span => {
  const local = localOf(e, name);
  const path = local ? local.path : [name];
  if (path) e.paths.set(expr, path);
  return fixed(1);
};

const costSelect = (e: Estimator, expr: Expr & { kind: 'select' }): Span => {
  const operand = cost(e, expr.operand);
  if (expr.test) return operand;
  const path = pathOf(e, expr.operand);
  e.paths.set(expr, [...(path ?? []), expr.field]);
  const kind = expr.operand.type?.kind;
  return kind === 'map' || kind === 'object' || kind === 'param' ? plus(operand, fixed(1)) : operand;
};

const costCall = (e: Estimator, expr: Expr & Call): Span => {
  const costs = expr.args.map((arg) => cost(e, arg));
  if (expr.name === 'dyn' && expr.args[0]) {
    const size = sizeOfExpr(e, expr.args[0]);
    const entry = entryOf(e, expr.args[0]);
    if (size) e.sizes.set(expr, size);
    if (entry) e.entries.set(expr, entry);
    return plus(fixed(1), costs[0] ?? fixed(0));
  }
  const target = expr.target ? cost(e, expr.target) : fixed(0);
  let total: Span = { min: UNBOUNDED, max: 0 };
  let size: Span | undefined;
  for (const id of expr.overloads ?? []) {
    const one = callEstimate(e, expr, id, costs);
    total = union(total, one.cost);
    if (one.size) size = size ? union(size, one.size) : one.size;
    const operand = expr.args[0];
    if ((id === 'index_list' || id === 'index_map') && operand) {
      size = entryOf(e, operand)?.value;
      e.paths.set(expr, [...(pathOf(e, operand) ?? []), id === 'index_list' ? '@items' : '@values']);
    }
    size ??= sizeOfExpr(e, expr);
  }
  if (size) e.sizes.set(expr, size);
  return expr.overloads?.length ? plus(target, total) : fixed(0);
};

const costList = (e: Estimator, expr: Expr & { kind: 'list' }): Span => {
  let sum = fixed(10);
  let value: Span = { min: expr.items.length === 0 ? 0 : UNBOUNDED, max: 0 };
  for (const item of expr.items) {
    sum = plus(sum, cost(e, item));
    value = union(value, sizeOrUnknown(e, item));
  }
  e.entries.set(expr, { kind: 'list', key: fixed(1), value });
  return sum;
};

const costMap = (e: Estimator, expr: Expr & { kind: 'map' }): Span => {
  let sum = fixed(30);
  const least = expr.entries.length === 0 ? 0 : UNBOUNDED;
  let key: Span = { min: least, max: 0 };
  let value: Span = { min: least, max: 0 };
  for (const entry of expr.entries) {
    sum = plus(sum, plus(cost(e, entry.key), cost(e, entry.value)));
    key = union(key, sizeOrUnknown(e, entry.key));
    value = union(value, sizeOrUnknown(e, entry.value));
  }
  e.entries.set(expr, { kind: 'map', key, value });
  return sum;
};

const pushLocal = (e: Estimator, name: string, expr: Expr): void => {
  e.locals.push({ name, path: pathOf(e, expr), size: sizeOfExpr(e, expr), entry: entryOf(e, expr) });
};

/** A loop's variables stand for the keys or values of what it goes over. */
const pushVariables = (e: Estimator, expr: Fold): void => {
  const entry = entryOf(e, expr.range);
  const kind = entry?.kind ?? expr.range.type?.kind;
  const isList = kind === 'list';
  const path = pathOf(e, expr.range) ?? [];
  const push = (name: string, part: string, size: Span | undefined): void =>
    void e.locals.push({ name, path: [...path, part], size, entry: undefined });
  const values = isList ? '@items' : '@values';
  if (expr.variable2) {
    push(expr.variable, isList ? '@indices' : '@keys', entry?.key);
    push(expr.variable2, values, entry?.value);
  } else push(expr.variable, isList ? '@items' : '@keys', isList ? entry?.value : entry?.key);
};

const costBind = (e: Estimator, expr: Expr & Fold): Span => {
  const sum = plus(cost(e, expr.range), cost(e, expr.init));
  const depth = e.locals.length;
  pushLocal(e, expr.accumulator, expr.init);
  const result = cost(e, expr.result);
  const size = sizeOfExpr(e, expr.result);
  const entry = entryOf(e, expr.result);
  e.locals.length = depth;
  if (size) e.sizes.set(expr, size);
  if (entry) e.entries.set(expr, entry);
  return plus(sum, result);
};

const costFold = (e: Estimator, expr: Expr & Fold): Span => {
  const isBind = expr.condition.kind === 'literal' && expr.condition.value === false;
  if (isBind && expr.accumulator !== ACCUMULATOR) return costBind(e, expr);
  let sum = plus(cost(e, expr.range), cost(e, expr.init));
  const depth = e.locals.length;
  pushLocal(e, expr.accumulator, expr.init);
  pushVariables(e, expr);
  const each = plus(cost(e, expr.condition), cost(e, expr.step));
  const stepEntry = entryOf(e, expr.step);
  e.locals.length = depth + 1;
  sum = plus(sum, cost(e, expr.result));
  e.locals.length = depth;
  const count = sizeOrUnknown(e, expr.range);
  if (expr.init.kind === 'literal') {
    const size = sizeOfExpr(e, expr.init);
    if (size) e.sizes.set(expr, size);
  } else if (expr.init.kind === 'list' || expr.init.kind === 'map') {
    e.sizes.set(expr, count);
    if (stepEntry) e.entries.set(expr, stepEntry);
  }
  return plus(sum, times(count, each));
};

const cost = (e: Estimator, expr: Expr): Span => {
  switch (expr.kind) {
    case 'literal':
      return fixed(0);
    case 'ident':
      return costIdent(e, expr, expr.name);
    case 'select':
      return costSelect(e, expr);
    case 'call':
      return costCall(e, expr);
    case 'list':
      return costList(e, expr);
    case 'map':
      return costMap(e, expr);
    case 'struct':
      return expr.fields.reduce((sum, field) => plus(sum, cost(e, field.value)), fixed(40));
    case 'fold':
      return costFold(e, expr);
  }
};

/** The highest cost of a checked expression; UNBOUNDED where it has no bound that counts. */
export const estimateCost = (expr: Expr, sizeAt: SizeAt): number =>
  cost({ sizeAt, locals: [], sizes: new Map(), entries: new Map(), paths: new Map() }, expr).max;
