/**
 * Makes closures of a checked expression. What it costs is counted as cel-go counts it, so that budgets mean the same.
 *
 *   compile(expr, { functions, types, slots }) -> (frame) => Value    throws EvalFault, BudgetFault
 */
import type { Call, Expr, Fold } from './ast.ts';
import { checkPatterns, constantOf } from './constants.ts';
import { callCost } from './cost.ts';
import { compileFold } from './fold.ts';
import type { Functions, Overload } from './library.ts';
import { dyn, type FieldType, type Type, typeText } from './types.ts';
import {
  EvalFault,
  isOfType,
  type Key,
  keyOf,
  List,
  MapValue,
  mapFrom,
  NONE,
  ObjectValue,
  Optional,
  TypeValue,
  typeNameOf,
  type Value,
} from './values.ts';

/** The limit of a call, or the budget of all, is used up. */
export class BudgetFault extends Error {}

/** The state of one evaluation: variables by slot, and what it has cost. A slot may hold the fault of an accumulator. */
export interface Frame {
  slots: (Value | EvalFault | undefined)[];
  cost: number;
  limit: number;
}
export type Run = (frame: Frame) => Value;

export interface Context {
  functions: Functions;
  types: Pick<ReadonlyMap<string, Type>, 'get'>;
  /** Slots of variables, by name; the innermost last. */
  slots: { name: string; slot: number }[];
  /** How many slots a frame needs. */
  size: { slots: number };
}

export const LIST_COST = 10;
export const MAP_COST = 30;
const STRUCT_COST = 40;

export const spend = (frame: Frame, cost: number): void => {
  frame.cost += cost;
  if (frame.cost > frame.limit) throw new BudgetFault('operation cancelled: actual cost limit exceeded');
};

const noSuchOverload = (): EvalFault => new EvalFault('no such overload');

const compileIdent = (name: string, context: Context): Run => {
  const slot = context.slots.findLast((one) => one.name === name)?.slot;
  if (slot === undefined) {
    const type = context.types.get(name);
    const value = new TypeValue(type ? typeText(type).replace(/\(.*$/, '') : name);
    return () => value;
  }
  return (frame) => {
    frame.cost++;
    const value = frame.slots[slot];
    if (value === undefined) throw new EvalFault(`no such attribute(s): ${name}`);
    if (value instanceof EvalFault) throw value;
    return value;
  };
};

const badIndex = (index: Value): EvalFault => new EvalFault(`unsupported index type '${typeNameOf(index)}' in list`);

/** The field of a value; undefined where it is absent. */
export const fieldOf = (value: Value, field: string): Value | undefined => {
  if (value instanceof ObjectValue) return value.get(field);
  if (value instanceof MapValue) return value.find(field);
  if (value instanceof List) throw badIndex(field);
  if (value instanceof Optional) {
    if (value.value === undefined) return NONE;
    const inner = fieldOf(value.value, field);
    return inner === undefined ? NONE : new Optional(inner);
  }
  return undefined;
};

const hasField = (value: Value, field: string): boolean => {
  if (value instanceof ObjectValue) return value.has(field);
  if (value instanceof MapValue) return value.find(field) !== undefined;
  if (value instanceof List) throw badIndex(field);
  if (value instanceof Optional) return value.value !== undefined && hasField(value.value, field);
  return false;
};

const compileSelect = (operand: Run, field: string, test: boolean): Run => {
  if (test) return (frame) => hasField(operand(frame), field);
  return (frame) => {
    const value = fieldOf(operand(frame), field);
    spend(frame, 1);
    if (value === undefined) throw new EvalFault(`no such key: ${field}`);
    return value;
  };
};

/** The right side of && or || after the left one failed: the first fault is the one that is told. */
const afterFault = (right: Run, frame: Frame, fault: EvalFault): Value => {
  try {
    return right(frame);
  } catch (error) {
    throw error instanceof EvalFault ? fault : error;
  }
};

const and =
  (left: Run, right: Run): Run =>
  (frame) => {
    let fault: EvalFault | undefined;
    try {
      const value = left(frame);
      if (value === false) return false;
      if (value !== true) fault = noSuchOverload();
    } catch (error) {
      if (!(error instanceof EvalFault)) throw error;
      fault = error;
    }
    const value = fault ? afterFault(right, frame, fault) : right(frame);
    if (value === false) return false;
    if (fault) throw fault;
    if (value !== true) throw noSuchOverload();
    return true;
  };

const or =
  (left: Run, right: Run): Run =>
  (frame) => {
    let fault: EvalFault | undefined;
    try {
      const value = left(frame);
      if (value === true) return true;
      if (value !== false) fault = noSuchOverload();
    } catch (error) {
      if (!(error instanceof EvalFault)) throw error;
      fault = error;
    }
    const value = fault ? afterFault(right, frame, fault) : right(frame);
    if (value === true) return true;
    if (fault) throw fault;
    if (value !== false) throw noSuchOverload();
    return false;
  };

const conditional =
  (condition: Run, truthy: Run, falsy: Run): Run =>
  (frame) => {
    const value = condition(frame);
    if (value === true) return truthy(frame);
    if (value === false) return falsy(frame);
    throw noSuchOverload();
  };

const notStrictlyFalse =
  (inner: Run): Run =>
  (frame) => {
    try {
      const value = inner(frame);
      spend(frame, 1);
      return value !== false;
    } catch (error) {
      if (error instanceof EvalFault) return true;
      throw error;
    }
  };

const optionalSelect =
  (operand: Run, field: string): Run =>
  (frame) => {
    const value = operand(frame);
    spend(frame, 1);
    if (value instanceof Optional) return fieldOf(value, field) ?? NONE;
    const inner = fieldOf(value, field);
    return inner === undefined ? NONE : new Optional(inner);
  };

/** or() and orValue(): the other is looked at only where there is no value. */
const otherwise =
  (name: string, target: Run, other: Run): Run =>
  (frame) => {
    const value = target(frame);
    if (!(value instanceof Optional)) throw noSuchOverload();
    if (value.value === undefined) return other(frame);
    return name === 'or' ? value : value.value;
  };

/** The overload for values whose types only the evaluation knows. */
const pick = (name: string, candidates: readonly Overload[], args: readonly Value[]): Overload => {
  for (const one of candidates) if (one.args.every((type, i) => isOfType(args[i] as Value, type))) return one;
  const [first = null, second = null] = args;
  if (name === '_[_]' || name === '_[?_]') {
    if (first instanceof List) throw badIndex(second);
    // What has no elements has none of that key either.
    if (name === '_[_]') throw new EvalFault(`no such key: ${indexText(second)}`);
  }
  if (name === 'size') throw new EvalFault('no such overload: size');
  // Upstream says more of functions than of operators, and of one argument than of several.
  if (args.length === 1 && !/^[-!]_$/.test(name))
    throw new EvalFault(`no such overload: ${name}(${typeNameOf(first)})`);
  throw noSuchOverload();
};

const indexText = (key: Value): string => {
  const known = keyOf(key);
  return known === undefined ? typeNameOf(key) : String(known);
};

const compileCall = (expr: Call, context: Context): Run => {
  const given = expr.target ? [expr.target, ...expr.args] : expr.args;
  const runs = given.map((arg) => compile(arg, context));
  const [a, b, c] = runs as [Run, Run, Run];
  if (expr.name === '_&&_') return and(a, b);
  if (expr.name === '_||_') return or(a, b);
  if (expr.name === '_?_:_') return conditional(a, b, c);
  if (expr.name === '@not_strictly_false') return notStrictlyFalse(a);
  if (expr.name === '_?._') {
    const field = expr.args[1];
    return optionalSelect(a, field?.kind === 'literal' ? String(field.value) : '');
  }
  if (expr.target && (expr.name === 'or' || expr.name === 'orValue')) return otherwise(expr.name, a, b);
  const all = context.functions.get(expr.name) ?? [];
  const ids = expr.overloads ?? [];
  const candidates = all.filter((one) => ids.includes(one.id));
  const [only] = candidates;
  // Arguments of a type that is not known before have to be looked at, even where one overload is left; so have fields
  // declared as times: those of namespaces are texts.
  const sure = given.every(
    ({ type, kind }) => type?.kind !== 'dyn' && !(type?.kind === 'timestamp' && kind === 'select'),
  );
  checkPatterns(expr.name, given, context);
  if (candidates.length === 1 && only && sure) {
    const listed = expr.name === '@in' && expr.args[1] ? constantOf(expr.args[1], context) : undefined;
    // Looking into a list of literals costs nothing upstream, where it has become a set.
    return direct(listed instanceof List ? '@in_literals' : expr.name, only, runs);
  }
  return dispatched(expr.name, candidates, runs);
};

const direct = (name: string, overload: Overload, runs: Run[]): Run => {
  const { run } = overload;
  const cost = callCost(name, overload.id);
  const [a, b] = runs;
  if (runs.length === 1 && a && typeof cost === 'number')
    return (frame) => {
      const value = run(a(frame));
      spend(frame, cost);
      return value;
    };
  if (runs.length === 2 && a && b && typeof cost === 'number')
    return (frame) => {
      const value = run(a(frame), b(frame));
      spend(frame, cost);
      return value;
    };
  return (frame) => {
    const args = runs.map((one) => one(frame));
    const value = run(...args);
    spend(frame, typeof cost === 'number' ? cost : cost(args, value));
    return value;
  };
};

const dispatched =
  (name: string, candidates: readonly Overload[], runs: Run[]): Run =>
  (frame) => {
    const args = runs.map((one) => one(frame));
    const overload = pick(name, candidates, args);
    const value = overload.run(...args);
    const cost = callCost(name, overload.id);
    spend(frame, typeof cost === 'number' ? cost : cost(args, value));
    return value;
  };

const compileList = (items: Run[], optional: ReadonlySet<number>): Run => {
  if (optional.size === 0)
    return (frame) => {
      const out = items.map((item) => item(frame));
      spend(frame, LIST_COST);
      return new List(out);
    };
  return (frame) => {
    const out: Value[] = [];
    items.forEach((item, i) => {
      const value = item(frame);
      if (!optional.has(i)) out.push(value);
      else if (value instanceof Optional && value.value !== undefined) out.push(value.value);
    });
    spend(frame, LIST_COST);
    return new List(out);
  };
};

/** The key of an entry; what no lookup finds is a key of its own. */
export const mapKey = (value: Value): Key => keyOf(value) ?? Symbol(typeNameOf(value));

const compileMap =
  (entries: { key: Run; value: Run; optional: boolean }[]): Run =>
  (frame) => {
    const out = new Map<Key, [Value, Value]>();
    for (const { key, value, optional } of entries) {
      const name = key(frame);
      const given = value(frame);
      if (!optional) out.set(mapKey(name), [name, given]);
      else if (given instanceof Optional && given.value !== undefined) out.set(mapKey(name), [name, given.value]);
    }
    spend(frame, MAP_COST);
    return mapFrom(out);
  };

/** Objects that an expression makes: their fields hold values, not JSON. */
const compileStruct = (expr: Expr & { kind: 'struct' }, context: Context): Run => {
  const fields = expr.fields.map(({ name, value, optional }) => ({ name, value: compile(value, context), optional }));
  const type = context.types.get(expr.name);
  // The fields that are named here: all that the object can have, and their values are no JSON.
  const own = new Map<string, FieldType>();
  for (const { name } of fields) own.set(name, { type: dyn, json: name, adapt: (value) => value });
  const made = type?.kind === 'object' ? { ...type, fields: own } : undefined;
  return (frame) => {
    const json: Record<string, unknown> = {};
    for (const { name, value, optional } of fields) {
      const given = value(frame);
      if (!optional) json[name] = given;
      else if (given instanceof Optional && given.value !== undefined) json[name] = given.value;
    }
    spend(frame, STRUCT_COST);
    if (!made) throw new EvalFault(`unknown type: ${expr.name}`);
    return new ObjectValue(made, json);
  };
};

const isFold = (expr: Expr): expr is Expr & Fold => expr.kind === 'fold';

/** The closure of an expression that was checked. Throws EvalFault where constants in it cannot be used. */
export const compile = (expr: Expr, context: Context): Run => {
  if (isFold(expr)) return compileFold(expr, context, compile);
  const constant = constantOf(expr, context);
  if (constant !== undefined) return () => constant;
  switch (expr.kind) {
    case 'literal': {
      const { value } = expr;
      return () => value;
    }
    case 'ident':
      return compileIdent(expr.name, context);
    case 'select':
      return compileSelect(compile(expr.operand, context), expr.field, expr.test);
    case 'call':
      return compileCall(expr, context);
    case 'list':
      return compileList(
        expr.items.map((item) => compile(item, context)),
        expr.optional,
      );
    case 'map':
      return compileMap(
        expr.entries.map((e) => ({
          key: compile(e.key, context),
          value: compile(e.value, context),
          optional: e.optional,
        })),
      );
    case 'struct':
      return compileStruct(expr, context);
  }
};
