/**
 * Parses an expression into its tree, with macros expanded (cel-spec, "Syntax").
 *
 *   parse(source) -> { expr } | { issues }
 */
import type { Expr, Issue, StructLiteral } from './ast.ts';
import { SourceFault, type Token, tokenize } from './lexer.ts';
import { expandMacro } from './macros.ts';
import { Uint } from './values.ts';

const DEPTH_MAX = 250;
const CODE_POINTS_MAX = 100_000;
const INT_MAX = (1n << 63n) - 1n;
const UINT_MAX = (1n << 64n) - 1n;
const RESERVED = new Set(
  'as break const continue else for function if import let loop package namespace return var void while'.split(' '),
);
const RELATIONS = new Set(['<', '<=', '>', '>=', '==', '!=']);

interface Parser {
  tokens: Token[];
  at: number;
  depth: number;
}

const peek = (p: Parser): Token => p.tokens[p.at] as Token;
const is = (p: Parser, text: string): boolean => peek(p).kind === 'symbol' && peek(p).text === text;
const accept = (p: Parser, text: string): Token | undefined => (is(p, text) ? p.tokens[p.at++] : undefined);
const unexpected = (token: Token, expecting: string, how = 'mismatched'): SourceFault => {
  const text = `Syntax error: ${how} input '${token.text}' expecting ${expecting}`;
  return new SourceFault(token.at, text);
};
const MISSABLE = new Set([')', ']', '}', ',', '<EOF>']);
/** Takes a token. A fault is named by what would mend it, as upstream's parser does: one token less, or one more. */
const expect = (p: Parser, text: string, among = `'${text}'`): Token => {
  const token = peek(p);
  if (!is(p, text)) {
    if (p.tokens[p.at + 1]?.text === text) throw unexpected(token, among, 'extraneous');
    if (text === ')' && MISSABLE.has(token.text))
      throw new SourceFault(token.at, `Syntax error: missing ')' at '${token.text}'`);
    throw unexpected(token, among);
  }
  p.at++;
  return token;
};
const STARTS = "'.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";
const EXPRESSION = `{'[', '{', '(', ${STARTS}`;
const MORE_ITEMS = "{']', ','}";

const call = (at: number, name: string, ...args: Expr[]): Expr => ({ kind: 'call', at, name, args });
const binary = (at: number, operator: string, left: Expr, right: Expr): Expr => call(at, `_${operator}_`, left, right);

const expression = (p: Parser): Expr => {
  if (++p.depth > DEPTH_MAX) throw new SourceFault(peek(p).at, 'expression recursion limit exceeded: 250');
  const condition = logical(p, '||');
  const mark = accept(p, '?');
  if (!mark) {
    p.depth--;
    return condition;
  }
  const truthy = logical(p, '||');
  expect(p, ':');
  const falsy = expression(p);
  p.depth--;
  return call(mark.at, '_?_:_', condition, truthy, falsy);
};

/** Chains of && and || become balanced trees, so that long ones stay shallow. */
const balance = (operator: string, terms: Expr[], marks: number[], from: number, to: number): Expr => {
  if (from === to) return terms[from] as Expr;
  const middle = Math.floor((from + to) / 2);
  const left = balance(operator, terms, marks, from, middle);
  return binary(marks[middle] ?? 0, operator, left, balance(operator, terms, marks, middle + 1, to));
};

const logical = (p: Parser, operator: '||' | '&&'): Expr => {
  const next = (): Expr => (operator === '||' ? logical(p, '&&') : relation(p));
  const terms = [next()];
  const marks: number[] = [];
  for (let mark = accept(p, operator); mark; mark = accept(p, operator)) {
    marks.push(mark.at);
    terms.push(next());
  }
  return balance(operator, terms, marks, 0, terms.length - 1);
};

const relation = (p: Parser): Expr => {
  let left = addition(p);
  for (;;) {
    const token = peek(p);
    if (token.kind === 'ident' && token.text === 'in') {
      p.at++;
      left = call(token.at, '@in', left, addition(p));
    } else if (token.kind === 'symbol' && RELATIONS.has(token.text)) {
      p.at++;
      left = binary(token.at, token.text, left, addition(p));
    } else return left;
  }
};

const addition = (p: Parser): Expr => {
  let left = multiplication(p);
  for (let mark = accept(p, '+') ?? accept(p, '-'); mark; mark = accept(p, '+') ?? accept(p, '-'))
    left = binary(mark.at, mark.text, left, multiplication(p));
  return left;
};

const multiplication = (p: Parser): Expr => {
  const operator = (): Token | undefined => accept(p, '*') ?? accept(p, '/') ?? accept(p, '%');
  let left = unary(p);
  for (let mark = operator(); mark; mark = operator()) left = binary(mark.at, mark.text, left, unary(p));
  return left;
};

const unary = (p: Parser): Expr => {
  const token = peek(p);
  if (is(p, '!') || is(p, '-')) {
    let count = 0;
    while (accept(p, token.text)) count++;
    const negative = token.text === '-';
    const next = peek(p);
    if (negative && count % 2 === 1 && (next.kind === 'int' || next.kind === 'double')) return member(p, token.at);
    const operand = member(p);
    return count % 2 === 0 ? operand : call(token.at, negative ? '-_' : '!_', operand);
  }
  return member(p);
};

/** A literal or name with what follows it; `negated` is where the minus of a number stands. */
const member = (p: Parser, negated?: number): Expr => {
  let expr = primary(p, negated);
  for (;;) {
    const token = peek(p);
    if (accept(p, '.?')) {
      const field = identifier(p);
      expr = call(token.at, '_?._', expr, { kind: 'literal', at: field.at, value: field.text });
    } else if (accept(p, '.')) {
      const field = identifier(p);
      const open = accept(p, '(');
      if (!open) expr = { kind: 'select', at: token.at, operand: expr, field: field.text, test: false };
      else {
        const args = list(p, ')');
        expr = expandMacro(field.text, expr, args, open.at) ?? {
          kind: 'call',
          at: open.at,
          name: field.text,
          target: expr,
          args,
        };
      }
    } else if (accept(p, '[?')) {
      const index = expression(p);
      expect(p, ']');
      expr = call(token.at, '_[?_]', expr, index);
    } else if (accept(p, '[')) {
      const index = expression(p);
      expect(p, ']');
      expr = call(token.at, '_[_]', expr, index);
    } else if (is(p, '{') && qualifiedName(expr)) {
      p.at++;
      expr = { kind: 'struct', at: token.at, name: qualifiedName(expr) ?? '', fields: structFields(p) };
    } else return expr;
  }
};

/** `a.b.c` where an expression is just that. */
export const qualifiedName = (expr: Expr): string | undefined => {
  if (expr.kind === 'ident') return expr.name;
  if (expr.kind !== 'select' || expr.test) return undefined;
  const before = qualifiedName(expr.operand);
  return before === undefined ? undefined : `${before}.${expr.field}`;
};

const startsExpression = ({ kind, text }: Token): boolean =>
  kind === 'symbol' ? ['[', '{', '(', '.', '-', '!'].includes(text) : kind !== 'end' && text !== 'in';

const startsNext = (p: Parser): boolean => {
  const next = p.tokens[p.at];
  return next !== undefined && startsExpression(next);
};

const identifier = (p: Parser): Token => {
  const token = peek(p);
  if (token.kind !== 'ident' || ['in', 'true', 'false', 'null'].includes(token.text))
    throw new SourceFault(token.at, `Syntax error: no viable alternative at input '.${token.text}'`);
  p.at++;
  return token;
};

const list = (p: Parser, end: string): Expr[] => {
  const out: Expr[] = [];
  if (accept(p, end)) return out;
  do out.push(expression(p));
  while (accept(p, ','));
  expect(p, end);
  return out;
};

const listLiteral = (p: Parser, at: number, first: boolean): Expr => {
  const items: Expr[] = [];
  const optional = new Set<number>();
  if (first) optional.add(0);
  while (first || !is(p, ']')) {
    if (items.length > 0 && accept(p, '?')) optional.add(items.length);
    else if (items.length === 0 && !first && accept(p, '?')) optional.add(0);
    items.push(expression(p));
    first = false;
    if (!accept(p, ',')) break;
  }
  expect(p, ']', MORE_ITEMS);
  return { kind: 'list', at, items, optional };
};

const mapLiteral = (p: Parser, at: number): Expr => {
  const entries: { key: Expr; value: Expr; optional: boolean }[] = [];
  while (!is(p, '}')) {
    const optional = accept(p, '?') !== undefined;
    const key = expression(p);
    expect(p, ':');
    entries.push({ key, value: expression(p), optional });
    if (!accept(p, ',')) break;
  }
  expect(p, '}');
  return { kind: 'map', at, entries };
};

const structFields = (p: Parser): StructLiteral['fields'] => {
  const fields: StructLiteral['fields'] = [];
  while (!is(p, '}')) {
    const optional = accept(p, '?') !== undefined;
    const { text: name } = identifier(p);
    const { at } = expect(p, ':');
    fields.push({ name, at, value: expression(p), optional });
    if (!accept(p, ',')) break;
  }
  expect(p, '}');
  return fields;
};

const numberLiteral = (token: Token, negative: boolean): bigint | number | Uint => {
  const sign = negative ? '-' : '';
  if (token.kind === 'double') {
    const value = Number(sign + token.text);
    if (!Number.isFinite(value)) throw new SourceFault(token.at - sign.length, 'invalid double literal');
    return value;
  }
  const digits = BigInt(token.text.replace(/[uU]$/, ''));
  if (token.kind === 'uint') {
    if (digits > UINT_MAX) throw new SourceFault(token.at, 'invalid uint literal');
    return new Uint(digits);
  }
  const value = negative ? -digits : digits;
  if (value > INT_MAX || value < -INT_MAX - 1n) throw new SourceFault(token.at, 'invalid int literal');
  return value;
};

const named = (p: Parser, token: Token): Expr => {
  const { text, at } = token;
  if (text === 'true' || text === 'false') return { kind: 'literal', at, value: text === 'true' };
  if (text === 'null') return { kind: 'literal', at, value: null };
  if (text === 'in') throw unexpected(token, EXPRESSION, startsNext(p) ? 'extraneous' : 'mismatched');
  const open = accept(p, '(');
  if (open) {
    const args = list(p, ')');
    return expandMacro(text, undefined, args, open.at) ?? { kind: 'call', at: open.at, name: text, args };
  }
  if (RESERVED.has(text)) throw new SourceFault(at, `reserved identifier: ${text}`);
  return { kind: 'ident', at, name: text };
};

const primary = (p: Parser, negated?: number): Expr => {
  const token = peek(p);
  p.at++;
  const { kind, at } = token;
  if (kind === 'int' || kind === 'uint' || kind === 'double')
    return { kind: 'literal', at: negated ?? at, value: numberLiteral(token, negated !== undefined) };
  if (kind === 'string' || kind === 'bytes') return { kind: 'literal', at, value: token.content ?? '' };
  if (kind === 'ident') return named(p, token);
  if (kind === 'symbol') {
    if (token.text === '(') {
      const inner = expression(p);
      expect(p, ')');
      return inner;
    }
    if (token.text === '[') return listLiteral(p, at, false);
    if (token.text === '[?') return listLiteral(p, at, true);
    if (token.text === '{') return mapLiteral(p, at);
    if (token.text === '.') return named(p, identifier(p));
  }
  throw unexpected(token, EXPRESSION, startsNext(p) ? 'extraneous' : 'mismatched');
};

export const parse = (source: string): { expr: Expr } | { issues: Issue[] } => {
  if (source.length > CODE_POINTS_MAX)
    return { issues: [{ at: 0, message: `expression code point size exceeds limit: limit ${CODE_POINTS_MAX}` }] };
  try {
    const p: Parser = { tokens: tokenize(source), at: 0, depth: 0 };
    const expr = expression(p);
    const rest = peek(p);
    if (rest.kind !== 'end')
      throw new SourceFault(rest.at, `Syntax error: extraneous input '${rest.text}' expecting <EOF>`);
    return { expr };
  } catch (error) {
    if (error instanceof SourceFault) return { issues: [{ at: error.at, message: error.message }] };
    throw error;
  }
};
