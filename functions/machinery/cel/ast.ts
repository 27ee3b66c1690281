import type { Type } from './types.ts';
import type { Value } from './values.ts';

/**
 * A parsed expression of the Common Expression Language (cel-spec, langdef). Macros are expanded while parsing: `fold` is
 * the one loop there is. The checker fills in `type`, `overloads` and `names`.
 */
export type Expr = Position & (Literal | Ident | Select | Call | ListLiteral | MapLiteral | StructLiteral | Fold);

interface Position {
  /** Where it stands in the source, in UTF-16 units. */
  at: number;
  type?: Type;
}
export interface Literal {
  kind: 'literal';
  value: Value;
}
export interface Ident {
  kind: 'ident';
  name: string;
}
export interface Select {
  kind: 'select';
  operand: Expr;
  field: string;
  /** has(operand.field) */
  test: boolean;
}
export interface Call {
  kind: 'call';
  name: string;
  target?: Expr;
  args: Expr[];
  /** Ids of the overloads that may apply. */
  overloads?: string[];
}
export interface ListLiteral {
  kind: 'list';
  items: Expr[];
  /** Indexes of `?e` elements, which are left out where they have no value. */
  optional: ReadonlySet<number>;
}
export interface MapLiteral {
  kind: 'map';
  entries: { key: Expr; value: Expr; optional: boolean }[];
}
export interface StructLiteral {
  kind: 'struct';
  name: string;
  /** `at`: of the colon. */
  fields: { name: string; at: number; value: Expr; optional: boolean }[];
}
export interface Fold {
  kind: 'fold';
  range: Expr;
  variable: string;
  /** Second variable, with the value; the first is then the index or key. */
  variable2: string;
  accumulator: string;
  init: Expr;
  condition: Expr;
  step: Expr;
  result: Expr;
}

/** The name of the accumulator of macros; no source can spell it. */
export const ACCUMULATOR = '@result';

/** A fault in the source of an expression. */
export interface Issue {
  at: number;
  message: string;
}

const ISSUES_MAX = 100;

/** Issues as they are told to people, by position: line and column, the line, and a mark under the place. */
export const describeIssues = (source: string, issues: readonly Issue[]): string => {
  const texts = issues
    .toSorted((a, b) => a.at - b.at)
    .slice(0, ISSUES_MAX)
    .map(({ at, message }) => {
      const before = source.slice(0, at).split('\n');
      const line = source.split('\n')[before.length - 1] ?? '';
      const column = [...(before.at(-1) ?? '')].length;
      return `ERROR: <input>:${before.length}:${column + 1}: ${message}\n | ${line}\n | ${'.'.repeat(column)}^`;
    });
  if (issues.length > ISSUES_MAX) texts.push(`${issues.length - ISSUES_MAX} more errors were truncated`);
  return texts.join('\n');
};
