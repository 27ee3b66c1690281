/**
 * The expressions of an AuthenticationConfiguration: over `claims`, a map of whatever a token says, and over `user`, what
 * the mappings made of it. Numbers of claims are double, as JSON has no others.
 */
import { describeIssues, type Expr, type Issue } from '../../../machinery/cel/ast.ts';
import { walk } from '../../../machinery/cel/checker.ts';
import { createEnvironment, type Environment, type Program } from '../../../machinery/cel/environment.ts';
import { RESERVED_WORDS } from '../../../machinery/cel/field-names.ts';
import { parse } from '../../../machinery/cel/parser.ts';
import {
  bool,
  dyn,
  type FieldType,
  listOf,
  mapOf,
  type ObjectType,
  string,
  typeText,
} from '../../../machinery/cel/types.ts';
import { List, MapValue, ObjectValue, type Value } from '../../../machinery/cel/values.ts';
import { loadRegex } from '../../../machinery/regex.ts';
import type { UserInfo } from '../../registry.ts';

const ESCAPED: Readonly<Record<string, string>> = { underscores: '__', dot: '.', dash: '-', slash: '/' };

/** The name that an identifier stands for (`a__dot__b`); undefined where it has escapes that there are not. */
const unescaped = (name: string): string | undefined => {
  if (!name.includes('__')) return name;
  let valid = true;
  const text = name.replace(/__([^_]+)__/g, (part, inner: string) => {
    const known = ESCAPED[inner];
    if (known !== undefined) return known;
    if (!RESERVED_WORDS.has(inner) || part.length !== name.length) valid = false;
    return inner;
  });
  return valid ? text : undefined;
};

/** A JSON value of a token. Fields are found by their names and, written as identifiers, by those as well. */
const jsonValue = (json: unknown): Value => {
  if (Array.isArray(json)) return new List(json, jsonValue);
  if (typeof json !== 'object' || json === null) return (json ?? null) as Value;
  return mapWith(json as Record<string, unknown>, (name) => unescaped(name) ?? name);
};

const mapWith = (json: Record<string, unknown>, nameOf: (key: string) => string | undefined): MapValue => {
  const names = Object.keys(json);
  return new MapValue(
    names.length,
    () => names,
    (key) => {
      const name = typeof key === 'string' ? nameOf(key) : undefined;
      return name !== undefined && Object.hasOwn(json, name) ? jsonValue(json[name]) : undefined;
    },
  );
};

/** The variable `claims`. */
export const claimsValue = (claims: Readonly<Record<string, unknown>>): MapValue => mapWith(claims, unescaped);

const field = (json: string, type: FieldType['type']): [string, FieldType] => [json, { type, json, adapt: jsonValue }];
const texts = listOf(string);
const userType: ObjectType = {
  kind: 'object',
  name: 'kubernetes.UserInfo',
  fields: new Map([
    field('username', string),
    field('uid', string),
    field('groups', texts),
    field('extra', mapOf(string, texts)),
  ]),
};

/** The variable `user`. */
export const userValue = ({ username, uid, groups, extra }: UserInfo): ObjectValue =>
  new ObjectValue(userType, { username, uid, groups, extra });

/** What an expression is for decides what it must evaluate to: a rule to a bool, a mapping to anything. */
export type Purpose = 'claim-rule' | 'user-rule' | 'mapping';

let environments: { claims: Environment; user: Environment } | undefined;

/** Loads what compiling needs; once, before `compileExpression`. */
export const loadExpressions = async (): Promise<void> => {
  await loadRegex();
  environments ??= {
    claims: createEnvironment({ variables: { claims: mapOf(string, dyn) } }),
    user: createEnvironment({ variables: { user: userType } }),
  };
};

/** Whether an expression is one of the claims itself. Upstream's have a type over which no macro goes without `dyn()`. */
const isClaim = (expr: Expr): boolean => {
  const operand =
    expr.kind === 'select' ? expr.operand : expr.kind === 'call' && expr.name === '_[_]' ? expr.args[0] : undefined;
  return operand?.kind === 'ident' && operand.name === 'claims';
};

const loopsOverClaim = (source: string): Issue[] => {
  const parsed = parse(source);
  const issues: Issue[] = [];
  if (!('expr' in parsed)) return issues;
  const message = "expression of type 'any' cannot be range of a comprehension (must be list, map, or dynamic)";
  walk(parsed.expr, (inner) => {
    if (inner.kind === 'fold' && isClaim(inner.range)) issues.push({ at: inner.range.at, message });
  });
  return issues;
};

/** The program of an expression, or why there is none. */
export const compileExpression = (source: string, purpose: Purpose): { program: Program } | { fault: string } => {
  if (!environments) throw new Error('loadExpressions() was not awaited');
  const made = environments[purpose === 'user-rule' ? 'user' : 'claims'].compile(source);
  if ('issues' in made) return { fault: `compilation failed: ${made.describe()}` };
  const loops = purpose === 'user-rule' ? [] : loopsOverClaim(source);
  if (loops.length > 0) return { fault: `compilation failed: ${describeIssues(source, loops)}` };
  if (purpose !== 'mapping' && typeText(made.program.type) !== typeText(bool))
    return { fault: 'must evaluate to bool' };
  return made;
};

/** Whether an expression that compiles reads `claims.{name}` or `claims.?{name}`. */
export const readsClaim = (source: string, name: string): boolean => {
  const parsed = parse(source);
  if (!('expr' in parsed)) return false;
  let found = false;
  walk(parsed.expr, (inner) => {
    const [operand, selected] =
      inner.kind === 'select'
        ? [inner.operand, inner.field]
        : inner.kind === 'call' && inner.name === '_?._' && inner.args[1]?.kind === 'literal'
          ? [inner.args[0], inner.args[1].value]
          : [];
    if (operand?.kind === 'ident' && operand.name === 'claims' && selected === name) found = true;
  });
  return found;
};
