/**
 * The expression language as Kubernetes 1.36 has it.
 *
 *   await loadRegex()                       once: patterns are matched by an engine that is loaded on demand (regex.ts)
 *   const env = createEnvironment({ variables: { self: type }, libraries })
 *   const made = env.compile('self.a > 0', { result: bool })   { program } or { issues, describe() }
 *   made.program.evaluate({ self: value }, limit)              { value, cost } | { fault, cost } | { overBudget, cost }
 *
 * Environments are cheap: the standard functions are shared. Values come from values.ts (fromJson, or objects with declared
 * fields).
 */
import { describeIssues, type Expr, type Issue } from './ast.ts';
import { check, type Scope, walk } from './checker.ts';
import { estimateCost, type SizeAt } from './estimate.ts';
import { BudgetFault, type Context, compile, type Frame } from './evaluate.ts';
import { authorization } from './library/authorizer.ts';
import { kubernetesLibraries } from './library/kubernetes.ts';
import { lists, sets } from './library/lists.ts';
import { addresses, urls } from './library/network.ts';
import { operators } from './library/operators.ts';
import { optionals } from './library/optionals.ts';
import { standard } from './library/standard.ts';
import { strings } from './library/strings.ts';
import { type Functions, functionsOf, type Library } from './library.ts';
import { literalIssues } from './literals.ts';
import { parse } from './parser.ts';
import {
  bool,
  bytes,
  double,
  duration,
  dyn,
  int,
  listOf,
  mapOf,
  nullType,
  string,
  type Type,
  timestamp,
  typeOf,
  typeText,
  uint,
} from './types.ts';
import { EvalFault, type Value } from './values.ts';

/** Cost limits of Kubernetes: of one call, of all rules of an object, of an expression when it is written. */
export const CALL_LIMIT = 1_000_000;
export const OBJECT_BUDGET = 10_000_000;
export const MATCH_CONDITIONS_BUDGET = 2_500_000;
export const ESTIMATE_LIMIT = 10_000_000;

export type Evaluation =
  | { value: Value; cost: number }
  | { fault: EvalFault; cost: number }
  /** The limit was reached; the evaluation was stopped. */
  | { overBudget: true; cost: number };

export interface Program {
  /** The names of the variables that the expression uses. */
  uses: ReadonlySet<string>;
  type: Type;
  /** The highest cost, where sizes are known by `sizeAt`. */
  estimate(sizeAt: SizeAt): number;
  /** Runs with variables by name; one that is left out is no such attribute. */
  evaluate(variables: Readonly<Record<string, Value | undefined>>, limit?: number): Evaluation;
}
export type Compiled =
  | { program: Program }
  /** `unusable`: it is well-formed and of fitting types, but constants in it cannot be used, which describe() tells. */
  | { issues: Issue[]; describe: () => string; unusable?: true };

export interface EnvironmentOptions {
  variables: Readonly<Record<string, Type>>;
  libraries?: readonly Library[];
  /** Types that expressions can make. */
  types?: Readonly<Record<string, Type>>;
  /** Types without end that no table holds, by name: `Object.spec.template{...}`. Asked before the table. */
  resolveType?: (name: string) => Type | undefined;
}
export interface Environment {
  compile(source: string, options?: { result?: readonly Type[] }): Compiled;
}

const BASE: Library[] = [
  operators,
  standard,
  optionals,
  strings,
  lists,
  sets,
  urls,
  addresses,
  // Functions only: the authorizer is a variable of those who have one.
  authorization,
  ...kubernetesLibraries,
];
const baseFunctions: Functions = functionsOf(BASE);
const baseTypes: Record<string, Type> = {
  bool,
  bytes,
  double,
  int,
  string,
  uint,
  list: listOf(dyn),
  map: mapOf(dyn, dyn),
  null_type: nullType,
  type: typeOf(dyn),
  'google.protobuf.Timestamp': timestamp,
  'google.protobuf.Duration': duration,
  optional_type: { kind: 'opaque', name: 'optional_type', params: [dyn] },
  ...Object.assign({}, ...BASE.map((one) => one.types ?? {})),
};

const usedNames = (expr: Expr): ReadonlySet<string> => {
  const names = new Set<string>();
  walk(expr, (inner) => {
    if (inner.kind === 'ident') names.add(inner.name);
  });
  return names;
};

const programOf = (expr: Expr, scope: Scope): Program => {
  const names = [...scope.variables.keys()];
  const size = { slots: names.length };
  const context: Context = {
    functions: scope.functions,
    types: scope.types,
    slots: names.map((name, slot) => ({ name, slot })),
    size,
  };
  const run = compile(expr, context);
  const used = usedNames(expr);
  return {
    uses: used,
    type: expr.type ?? dyn,
    estimate: (sizeAt) => estimateCost(expr, sizeAt),
    evaluate: (variables, limit = CALL_LIMIT) => {
      const frame: Frame = { slots: new Array(size.slots), cost: 0, limit };
      for (let i = 0; i < names.length; i++) frame.slots[i] = variables[names[i] ?? ''];
      try {
        return { value: run(frame), cost: frame.cost };
      } catch (error) {
        if (error instanceof EvalFault) return { fault: error, cost: frame.cost };
        if (error instanceof BudgetFault) return { overBudget: true, cost: frame.cost };
        if (error instanceof RangeError)
          return { fault: new EvalFault('the expression needs too much memory or depth'), cost: frame.cost };
        throw error;
      }
    },
  };
};

export const createEnvironment = (options: EnvironmentOptions): Environment => {
  const libraries = options.libraries ?? [];
  const types = { ...baseTypes, ...options.types, ...Object.assign({}, ...libraries.map((one) => one.types ?? {})) };
  const table = new Map<string, Type>(Object.entries(types));
  const { resolveType } = options;
  const scope: Scope = {
    variables: new Map(Object.entries(options.variables)),
    functions: libraries.length === 0 ? baseFunctions : functionsOf([...BASE, ...libraries]),
    types: resolveType ? { get: (name) => resolveType(name) ?? table.get(name) } : table,
  };
  const failed = (source: string, issues: Issue[]): Compiled => ({
    issues,
    describe: () => describeIssues(source, issues),
  });
  return {
    compile: (source, { result } = {}) => {
      const parsed = parse(source);
      if ('issues' in parsed) return failed(source, parsed.issues);
      const { expr } = parsed;
      const issues = check(expr, scope);
      if (issues.length === 0) issues.push(...literalIssues(expr));
      const type = expr.type ?? dyn;
      if (issues.length === 0 && result && !result.some((one) => typeText(one) === typeText(type)))
        issues.push({ at: 0, message: `must evaluate to ${result.map(typeText).join(' or ')}` });
      if (issues.length > 0) return failed(source, issues);
      try {
        return { program: programOf(expr, scope) };
      } catch (error) {
        if (!(error instanceof EvalFault)) throw error;
        return { issues: [], describe: () => error.message, unusable: true };
      }
    },
  };
};
