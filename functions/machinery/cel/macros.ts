/** Macros: has(), the loops over lists and maps with one and two variables, optional mapping, sortBy. */
import { ACCUMULATOR, type Expr, type Fold } from './ast.ts';
import { SourceFault } from './lexer.ts';

const literal = (at: number, value: boolean | bigint): Expr => ({ kind: 'literal', at, value });
const ident = (at: number, name: string): Expr => ({ kind: 'ident', at, name });
const accumulator = (at: number): Expr => ident(at, ACCUMULATOR);
const call = (at: number, name: string, ...args: Expr[]): Expr => ({ kind: 'call', at, name, args });
const listOf = (at: number, ...items: Expr[]): Expr => ({ kind: 'list', at, items, optional: new Set() });

const variable = (expr: Expr | undefined): string => {
  if (expr?.kind !== 'ident') throw new SourceFault(expr?.at ?? 0, 'argument must be a simple name');
  if (expr.name === ACCUMULATOR || expr.name === '__result__')
    throw new SourceFault(expr.at, `iteration variable overwrites accumulator variable`);
  return expr.name;
};

type Parts = Pick<Fold, 'init' | 'condition' | 'step' | 'result'>;
const fold = (at: number, range: Expr, names: string[], parts: Parts): Expr => ({
  kind: 'fold',
  at,
  range,
  variable: names[0] ?? '',
  variable2: names[1] ?? '',
  accumulator: ACCUMULATOR,
  ...parts,
});

const all = (at: number, predicate: Expr): Parts => ({
  init: literal(at, true),
  condition: call(at, '@not_strictly_false', accumulator(at)),
  step: call(at, '_&&_', accumulator(at), predicate),
  result: accumulator(at),
});
const exists = (at: number, predicate: Expr): Parts => ({
  init: literal(at, false),
  condition: call(at, '@not_strictly_false', call(at, '!_', accumulator(at))),
  step: call(at, '_||_', accumulator(at), predicate),
  result: accumulator(at),
});
const existsOne = (at: number, predicate: Expr): Parts => ({
  init: literal(at, 0n),
  condition: literal(at, true),
  step: call(at, '_?_:_', predicate, call(at, '_+_', accumulator(at), literal(at, 1n)), accumulator(at)),
  result: call(at, '_==_', accumulator(at), literal(at, 1n)),
});
const collect = (at: number, init: Expr, added: Expr, filter: Expr | undefined): Parts => ({
  init,
  condition: literal(at, true),
  step: filter ? call(at, '_?_:_', filter, added, accumulator(at)) : added,
  result: accumulator(at),
});
const append = (at: number, item: Expr, filter?: Expr): Parts =>
  collect(at, listOf(at), call(at, '_+_', accumulator(at), listOf(at, item)), filter);
const insert = (at: number, entry: Expr[], filter?: Expr): Parts =>
  collect(at, { kind: 'map', at, entries: [] }, call(at, 'cel.@mapInsert', accumulator(at), ...entry), filter);

const oneVariable = (name: string, range: Expr, args: Expr[], at: number): Expr | undefined => {
  const [first, second, third] = args;
  if (args.length === 2 && second) {
    const make = { all, exists, exists_one: existsOne }[name];
    if (make) return fold(at, range, [variable(first)], make(at, second));
    if (name === 'map') return fold(at, range, [variable(first)], append(at, second));
    if (name === 'filter')
      return fold(at, range, [variable(first)], append(at, ident(first?.at ?? at, variable(first)), second));
  }
  if (args.length === 3 && name === 'map' && second && third)
    return fold(at, range, [variable(first)], append(at, third, second));
  return undefined;
};

const twoVariables = (name: string, range: Expr, args: Expr[], at: number): Expr | undefined => {
  const [first, second, third, fourth] = args;
  const names = (): string[] => {
    const both = [variable(first), variable(second)];
    if (both[0] === both[1]) throw new SourceFault(second?.at ?? at, `duplicate variable name: ${both[0]}`);
    return both;
  };
  if (!third) return undefined;
  if (args.length === 3) {
    const make = { all, exists, exists_one: existsOne, existsOne }[name];
    if (make) return fold(at, range, names(), make(at, third));
  }
  const filter = args.length === 4 ? third : undefined;
  const value = args.length === 4 ? fourth : third;
  if (args.length > 4 || !value) return undefined;
  if (name === 'transformList') return fold(at, range, names(), append(at, value, filter));
  if (name === 'transformMap') {
    const keys = names();
    return fold(at, range, keys, insert(at, [ident(first?.at ?? at, keys[0] ?? ''), value], filter));
  }
  if (name === 'transformMapEntry') return fold(at, range, names(), insert(at, [value], filter));
  return undefined;
};

/** A name for the value of an expression, within another: how optMap and sortBy name what they work on. */
const bind = (at: number, name: string, value: Expr, result: Expr): Expr => ({
  kind: 'fold',
  at,
  range: listOf(at),
  variable: '#unused',
  variable2: '',
  accumulator: name,
  init: value,
  condition: literal(at, false),
  step: ident(at, name),
  result,
});

/** The target stands twice, as upstream writes it: what it costs is counted so. */
const optionalMap = (name: string, target: Expr, args: Expr[], at: number): Expr => {
  const inner = variable(args[0]);
  const body = args[1] as Expr;
  const has: Expr = { kind: 'call', at, name: 'hasValue', target, args: [] };
  const value: Expr = { kind: 'call', at, name: 'value', target, args: [] };
  const mapped = bind(at, inner, value, body);
  const some = name === 'optMap' ? call(at, 'optional.of', mapped) : mapped;
  return call(at, '_?_:_', has, some, call(at, 'optional.none'));
};

/** l.sortBy(e, key): sorted by the keys, which are worked out once for each item. */
const sortBy = (target: Expr, args: Expr[], at: number): Expr => {
  const name = variable(args[0]);
  const held = '@sortByInput';
  const keys = fold(at, ident(at, held), [name], append(at, args[1] as Expr));
  return bind(at, held, target, {
    kind: 'call',
    at,
    name: '@sortByAssociatedKeys',
    target: ident(at, held),
    args: [keys],
  });
};

/** The expansion of a macro; undefined for an ordinary call. */
export const expandMacro = (name: string, target: Expr | undefined, args: Expr[], at: number): Expr | undefined => {
  if (!target) {
    const [operand] = args;
    if (name !== 'has' || args.length !== 1 || !operand) return undefined;
    if (operand.kind === 'select' && !operand.test) return { ...operand, at, test: true };
    throw new SourceFault(operand.at, 'invalid argument to has() macro');
  }
  if (args.length === 2 && (name === 'optMap' || name === 'optFlatMap')) return optionalMap(name, target, args, at);
  if (args.length === 2 && name === 'sortBy') return sortBy(target, args, at);
  return oneVariable(name, target, args, at) ?? twoVariables(name, target, args, at);
};
