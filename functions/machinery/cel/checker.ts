/**
 * Finds the types of an expression (cel-spec, "Gradual type checking"; cel-go's checker is the model). Types and overloads
 * are written into the tree.
 *
 *   check(expr, scope) -> Issue[]
 */
import type { Call, Expr, Fold, Issue, ListLiteral, MapLiteral, Select, StructLiteral } from './ast.ts';
import type { Functions, Overload } from './library.ts';
import { qualifiedName } from './parser.ts';
import {
  assignable,
  bool,
  dyn,
  errorType,
  int,
  isOptional,
  listOf,
  mapOf,
  moreGeneral,
  nullType,
  optionalOf,
  param,
  type Substitution,
  shownType,
  string,
  substitute,
  type Type,
  typeOf,
  unify,
  unwrap,
} from './types.ts';
import { typeNameOf, type Value } from './values.ts';

export interface Scope {
  variables: ReadonlyMap<string, Type>;
  functions: Functions;
  /** Types by the names that expressions know them by. */
  types: Pick<ReadonlyMap<string, Type>, 'get'>;
}

interface Checker {
  scope: Scope;
  locals: { name: string; type: Type }[];
  bound: Substitution;
  fresh: number;
  issues: Issue[];
}

const report = (c: Checker, at: number, message: string): Type => {
  c.issues.push({ at, message });
  return errorType;
};
const show = (c: Checker, type: Type): string => shownType(substitute(c.bound, type, true));
const freshParam = (c: Checker): Type => param(`_var${c.fresh++}`);

const LITERALS: Record<string, Type> = {
  bool,
  int,
  uint: { kind: 'uint' },
  double: { kind: 'double' },
  string,
  bytes: { kind: 'bytes' },
  null_type: nullType,
};
const literalType = (value: Value): Type => LITERALS[typeNameOf(value)] ?? dyn;

const variableType = (c: Checker, name: string): Type | undefined => {
  for (let i = c.locals.length - 1; i >= 0; i--) if (c.locals[i]?.name === name) return c.locals[i]?.type;
  return c.scope.variables.get(name);
};

const undeclared = (c: Checker, at: number, name: string): Type =>
  report(c, at, `undeclared reference to '${name}' (in container '')`);

const checkIdent = (c: Checker, name: string, at: number): Type => {
  const type = variableType(c, name);
  if (type) return type;
  const named = c.scope.types.get(name);
  return named ? typeOf(named) : undeclared(c, at, name);
};

const fieldType = (c: Checker, operand: Type, field: string, at: number): Type => {
  const type = substitute(c.bound, operand);
  if (isOptional(type)) return optionalOf(fieldType(c, unwrap(type), field, at));
  if (type.kind === 'map') return type.value;
  if (type.kind === 'object') {
    return type.fields.get(field)?.type ?? report(c, at, `undefined field '${field}'`);
  }
  if (type.kind === 'param') {
    unify(c.bound, dyn, type);
    return dyn;
  }
  if (type.kind === 'dyn' || type.kind === 'error') return dyn;
  return report(c, at, `type '${show(c, type)}' does not support field selection`);
};

const checkSelect = (c: Checker, expr: Expr & Select): Type => {
  // A name with dots may be a type: google.protobuf.Timestamp.
  const name = qualifiedName(expr);
  const first = name?.split('.', 1)[0] ?? '';
  // A variable's name may have dots too: authorizer.requestResource. The longest name wins over a field.
  const dotted = name !== undefined && !expr.test && !c.locals.some((one) => one.name === first);
  const variable = dotted ? c.scope.variables.get(name) : undefined;
  if (variable) {
    Object.assign(expr, { kind: 'ident', name });
    return variable;
  }
  const named = name !== undefined && !variableType(c, first) ? c.scope.types.get(name) : undefined;
  if (named && name !== undefined) {
    Object.assign(expr, { kind: 'ident', name });
    return typeOf(named);
  }
  const operand = visit(c, expr.operand);
  const type = fieldType(c, operand, expr.field, expr.at);
  return expr.test ? bool : type;
};

const checkOptionalSelect = (c: Checker, expr: Expr & Call): Type => {
  const [operand, field] = expr.args as [Expr, Expr];
  visit(c, field);
  const name = field.kind === 'literal' ? String(field.value) : '';
  const type = fieldType(c, visit(c, operand), name, field.at);
  expr.overloads = ['select_optional_field'];
  return isOptional(type) ? type : optionalOf(type);
};

/** An overload with parameters of its own. */
const instantiate = (c: Checker, overload: Overload): { args: Type[]; result: Type } => {
  const own: Substitution = new Map();
  const rename = (type: Type): void => {
    if (type.kind === 'param' && !own.has(type.name)) own.set(type.name, freshParam(c));
    else if (type.kind === 'list') rename(type.element);
    else if (type.kind === 'map') [type.key, type.value].forEach(rename);
    else if (type.kind === 'opaque') type.params.forEach(rename);
    else if (type.kind === 'type') rename(type.of);
  };
  overload.args.forEach(rename);
  rename(overload.result);
  if (own.size === 0) return { args: [...overload.args], result: overload.result };
  return { args: overload.args.map((t) => substitute(own, t)), result: substitute(own, overload.result) };
};

const fits = (c: Checker, given: readonly Type[], wanted: readonly Type[]): boolean => {
  const before = new Map(c.bound);
  if (given.every((type, i) => assignable(c.bound, type, wanted[i] ?? dyn))) return true;
  c.bound.clear();
  for (const [name, type] of before) c.bound.set(name, type);
  return false;
};

const resolve = (c: Checker, expr: Expr & Call, name: string, given: Type[], member: boolean): Type => {
  const overloads = c.scope.functions.get(name) ?? [];
  const matching: string[] = [];
  let result: Type | undefined;
  for (const overload of overloads) {
    if (overload.member !== member || overload.args.length !== given.length) continue;
    const one = instantiate(c, overload);
    if (!fits(c, given, one.args)) continue;
    matching.push(overload.id);
    const type = substitute(c.bound, one.result);
    if (!result) result = type;
    else if (result.kind !== 'dyn' && show(c, result) !== show(c, type)) result = dyn;
  }
  expr.overloads = matching;
  if (result) return result;
  const types = given.map((type) => show(c, type));
  const applied = member ? `${types[0]}.(${types.slice(1).join(', ')})` : `(${types.join(', ')})`;
  if (given.some((type) => type.kind === 'error')) return errorType;
  return report(c, expr.at, `found no matching overload for '${name}' applied to '${applied}'`);
};

const checkLogical = (c: Checker, expr: Expr & Call, given: Type[]): Type => {
  const before = c.issues.length;
  for (const [i, type] of given.entries()) mustBe(c, type, bool, expr.args[i]?.at ?? expr.at);
  expr.overloads = (c.scope.functions.get(expr.name) ?? []).map((one) => one.id);
  return c.issues.length === before ? bool : errorType;
};

const checkCall = (c: Checker, expr: Expr & Call): Type => {
  if (expr.name === '_?._') return checkOptionalSelect(c, expr);
  const { functions } = c.scope;
  if (!expr.target) {
    const given = expr.args.map((arg) => visit(c, arg));
    if (!functions.has(expr.name)) return undeclared(c, expr.at, expr.name);
    if (expr.name === '_&&_' || expr.name === '_||_') return checkLogical(c, expr, given);
    return resolve(c, expr, expr.name, given, false);
  }
  const prefix = qualifiedName(expr.target);
  if (prefix !== undefined && functions.has(`${prefix}.${expr.name}`)) {
    expr.name = `${prefix}.${expr.name}`;
    delete expr.target;
    const given = expr.args.map((arg) => visit(c, arg));
    return resolve(c, expr, expr.name, given, false);
  }
  const target = visit(c, expr.target);
  const given = [target, ...expr.args.map((arg) => visit(c, arg))];
  if (!functions.has(expr.name)) return undeclared(c, expr.at, expr.name);
  return resolve(c, expr, expr.name, given, true);
};

/** The type of elements of several types; that they are of one is looked at later (literals.ts). */
const join = (c: Checker, before: Type | undefined, given: Type): Type => {
  if (!before) return given;
  return assignable(c.bound, before, given) ? moreGeneral(c.bound, before, given) : dyn;
};

const elementType = (c: Checker, expr: Expr, optional: boolean): Type => {
  const type = visit(c, expr);
  if (!optional || isOptional(type) || type.kind === 'dyn') return optional ? unwrap(type) : type;
  return report(c, expr.at, `expected type 'optional_type(${show(c, type)})' but found '${show(c, type)}'`);
};

const checkList = (c: Checker, expr: ListLiteral): Type => {
  let element: Type | undefined;
  expr.items.forEach((item, i) => {
    element = join(c, element, elementType(c, item, expr.optional.has(i)));
  });
  return listOf(element ?? freshParam(c));
};

const checkMap = (c: Checker, expr: MapLiteral): Type => {
  let key: Type | undefined;
  let value: Type | undefined;
  for (const entry of expr.entries) {
    key = join(c, key, visit(c, entry.key));
    value = join(c, value, elementType(c, entry.value, entry.optional));
  }
  return mapOf(key ?? freshParam(c), value ?? freshParam(c));
};

const checkStruct = (c: Checker, expr: StructLiteral, at: number): Type => {
  const type = c.scope.types.get(expr.name);
  if (type?.kind !== 'object') return undeclared(c, at, expr.name);
  for (const { name, at: place, value, optional } of expr.fields) {
    const given = elementType(c, value, optional);
    const declared = type.fields.get(name)?.type;
    if (declared && assignable(c.bound, given, declared)) continue;
    const wanted = declared ? show(c, declared) : '';
    report(c, place, `expected type of field '${name}' is '${wanted}' but provided type is '${show(c, given)}'`);
  }
  return type;
};

/** The types of a loop's variables. */
const rangeTypes = (c: Checker, range: Type, two: boolean, at: number): [Type, Type] => {
  const type = substitute(c.bound, range);
  if (type.kind === 'list') return two ? [int, type.element] : [type.element, dyn];
  if (type.kind === 'map') return [type.key, type.value];
  if (type.kind === 'param') {
    unify(c.bound, dyn, type);
    return [dyn, dyn];
  }
  if (type.kind === 'dyn' || type.kind === 'error') return [dyn, dyn];
  const text = `expression of type '${show(c, type)}' cannot be range of a comprehension (must be list, map, or dynamic)`;
  return [report(c, at, text), errorType];
};

const mustBe = (c: Checker, given: Type, wanted: Type, at: number): void => {
  if (assignable(c.bound, given, wanted) || given.kind === 'error') return;
  report(c, at, `expected type '${show(c, wanted)}' but found '${show(c, given)}'`);
};

const checkFold = (c: Checker, expr: Fold): Type => {
  const range = visit(c, expr.range);
  const init = visit(c, expr.init);
  const [first, second] = rangeTypes(c, range, expr.variable2 !== '', expr.range.at);
  const depth = c.locals.length;
  c.locals.push({ name: expr.accumulator, type: init });
  c.locals.push({ name: expr.variable, type: first });
  if (expr.variable2) c.locals.push({ name: expr.variable2, type: second });
  mustBe(c, visit(c, expr.condition), bool, expr.condition.at);
  mustBe(c, visit(c, expr.step), init, expr.step.at);
  c.locals.length = depth + 1;
  const result = visit(c, expr.result);
  c.locals.length = depth;
  return substitute(c.bound, result);
};

const visit = (c: Checker, expr: Expr): Type => {
  const type = typeOfExpr(c, expr);
  expr.type = type;
  return type;
};

const typeOfExpr = (c: Checker, expr: Expr): Type => {
  switch (expr.kind) {
    case 'literal':
      return literalType(expr.value);
    case 'ident':
      return checkIdent(c, expr.name, expr.at);
    case 'select':
      return checkSelect(c, expr);
    case 'call':
      return checkCall(c, expr);
    case 'list':
      return checkList(c, expr);
    case 'map':
      return checkMap(c, expr);
    case 'struct':
      return checkStruct(c, expr, expr.at);
    case 'fold':
      return checkFold(c, expr);
  }
};

/** Every part of an expression, those above before those below. */
export const walk = (expr: Expr, visitor: (expr: Expr) => void): void => {
  visitor(expr);
  const below = (inner: Expr | undefined): void => {
    if (inner) walk(inner, visitor);
  };
  if (expr.kind === 'select') below(expr.operand);
  else if (expr.kind === 'call') [expr.target, ...expr.args].forEach(below);
  else if (expr.kind === 'list') expr.items.forEach(below);
  else if (expr.kind === 'map') expr.entries.forEach((e) => void [e.key, e.value].forEach(below));
  else if (expr.kind === 'struct') expr.fields.forEach((f) => void below(f.value));
  else if (expr.kind === 'fold') [expr.range, expr.init, expr.condition, expr.step, expr.result].forEach(below);
};

/** Types an expression; the faults found. */
export const check = (expr: Expr, scope: Scope): Issue[] => {
  const c: Checker = { scope, locals: [], bound: new Map(), fresh: 0, issues: [] };
  visit(c, expr);
  walk(expr, (inner) => {
    if (inner.type) inner.type = substitute(c.bound, inner.type, true);
  });
  return c.issues;
};
