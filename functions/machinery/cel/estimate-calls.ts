/** The highest cost and the size of the result of single calls: cel-go's for its standard functions, Kubernetes' for its own. */
import type { Call, Expr } from './ast.ts';
import { FORMAT_REGEX_MAX, REGEX_LENGTH, TRAVERSAL } from './cost.ts';
import {
  type Estimator,
  entryOf,
  fixed,
  pathOf,
  plus,
  type Span,
  scaled,
  sizeOfExpr,
  sizeOrUnknown,
  times,
  UNBOUNDED,
  union,
  unionEntries,
  unknown,
} from './estimate.ts';
import type { Type } from './types.ts';

interface CallEstimate {
  cost: Span;
  size?: Span;
}
interface Given {
  e: Estimator;
  expr: Expr & Call;
  id: string;
}

const ADDRESS: Span = { min: 4, max: 16 };

/** The size of an argument as Kubernetes' functions see it: 0 to anything where nothing is known. */
const sizeArg = ({ e, expr }: Given, i: number): Span => {
  const arg = expr.args[i];
  return arg ? sizeOrUnknown(e, arg) : unknown;
};
const sizeTarget = ({ e, expr }: Given): Span => (expr.target ? sizeOrUnknown(e, expr.target) : unknown);

const elementType = (type: Type | undefined): Type | undefined =>
  type?.kind === 'list'
    ? type.element
    : type?.kind === 'map'
      ? type.key
      : type?.kind === 'opaque'
        ? type.params[0]
        : undefined;

/** The size of a list's elements. */
const elementSize = ({ e, expr }: Given): Span => {
  const path = expr.target && pathOf(e, expr.target);
  const max = path?.length ? e.sizeAt([...path, '@items']) : undefined;
  return max === undefined ? unknown : { min: 0, max };
};

const throughList = (g: Given): CallEstimate | undefined => {
  if (!g.expr.target) return undefined;
  const element = elementType(g.expr.target.type);
  if (!element) return { cost: scaled(sizeTarget(g), TRAVERSAL) };
  const walks = element.kind === 'string' || element.kind === 'bytes';
  const each = walks ? plus(fixed(1), scaled(elementSize(g), TRAVERSAL)) : fixed(1);
  return { cost: times(sizeTarget(g), each) };
};

const walkedArg =
  (factor: number, sized = false) =>
  (g: Given): CallEstimate => {
    const size = sizeArg(g, 0);
    return { cost: scaled(size, factor), ...(sized && { size }) };
  };
const walkedTarget = (g: Given): CallEstimate => ({ cost: scaled(sizeTarget(g), TRAVERSAL), size: sizeTarget(g) });
const one = (): CallEstimate => ({ cost: fixed(1) });

const replaced = (g: Given): CallEstimate => {
  const size = sizeTarget(g);
  const old = sizeArg(g, 0);
  const by = sizeArg(g, 1);
  const count = { min: 0, max: 0 };
  const kept = { min: 0, max: 0 };
  if (old.min === 0) {
    count.max = size.max < UNBOUNDED ? size.max + 1 : size.max;
    kept.max = size.max;
  } else if (by.max <= old.min) kept.max = size.max;
  else count.max = Math.ceil(size.max / old.min);
  if (old.max === 0) {
    count.min = size.min + 1;
    kept.min = size.min;
  } else if (old.max <= by.min) kept.min = size.min;
  else count.min = Math.ceil(size.min / old.max);
  return { cost: scaled(size, 2 * TRAVERSAL), size: plus(times(count, by), kept) };
};

const split = (g: Given): CallEstimate => {
  const size = sizeTarget(g);
  const limit = g.expr.args[1];
  const given = limit?.kind === 'literal' && typeof limit.value === 'bigint' ? Number(limit.value) : size.max;
  return { cost: scaled(size, 2 * TRAVERSAL), size: { min: 0, max: given < 0 ? UNBOUNDED : given } };
};

const joined = (g: Given): CallEstimate => {
  const list = sizeTarget(g);
  let size = times(list, elementSize(g));
  if (g.expr.args.length > 0) {
    const separators = { min: Math.max(0, list.min - 1), max: Math.max(0, list.max - 1) };
    size = plus(size, times(sizeArg(g, 0), separators));
  }
  return { cost: scaled(size, TRAVERSAL), size };
};

const found = (g: Given): CallEstimate => {
  const size = sizeTarget(g);
  const text = scaled(plus(size, fixed(1)), TRAVERSAL);
  return { cost: times(text, scaled(sizeArg(g, 0), REGEX_LENGTH)), size: { min: 0, max: size.max } };
};

const contained = (g: Given): CallEstimate => {
  let cost = scaled(plus(ADDRESS, ADDRESS), TRAVERSAL);
  if (g.expr.name === 'containsCIDR') cost = plus(plus(cost, scaled(ADDRESS, TRAVERSAL)), fixed(1));
  if (g.id.endsWith('_string')) cost = plus(cost, scaled(sizeArg(g, 0), TRAVERSAL));
  return { cost };
};

const selector = (g: Given): CallEstimate => {
  const size = sizeArg(g, 0);
  return { cost: plus(plus(fixed(10), scaled(size, TRAVERSAL)), scaled(scaled(size, 0.5), 50)) };
};

const own: Record<string, (g: Given) => CallEstimate | undefined> = {
  check: () => ({ cost: fixed(350_000) }),
  fieldSelector: selector,
  labelSelector: selector,
  url: walkedArg(TRAVERSAL, true),
  'jsonpatch.escapeKey': walkedArg(TRAVERSAL, true),
  replace: replaced,
  split,
  join: joined,
  find: found,
  findAll: found,
  ip: (g) => (g.id === 'cidr_ip' ? one() : walkedArg(TRAVERSAL)(g)),
  'ip.isCanonical': walkedArg(2 * TRAVERSAL),
  containsIP: contained,
  containsCIDR: contained,
  validate: (g) => ({ cost: scaled(scaled(sizeArg(g, 0), TRAVERSAL), FORMAT_REGEX_MAX * REGEX_LENGTH) }),
};
for (const name of ['isSorted', 'sum', 'max', 'min', 'indexOf', 'lastIndexOf']) own[name] = throughList;
for (const name of ['lowerAscii', 'upperAscii', 'substring', 'trim']) own[name] = walkedTarget;
for (const name of ['cidr', 'isIP', 'isCIDR', 'quantity', 'isQuantity', 'semver', 'isSemver'])
  own[name] = walkedArg(TRAVERSAL);
for (const name of [
  ...['serviceAccount', 'path', 'group', 'resource', 'subresource', 'namespace', 'name', 'allowed', 'reason', 'error'],
  ...['errored', 'masked', 'prefixLength', 'family', 'isUnspecified', 'isLoopback', 'isLinkLocalMulticast'],
  ...['isLinkLocalUnicast', 'isGlobalUnicast', 'format.named', 'sign', 'asInteger', 'isInteger', 'asApproximateFloat'],
  ...['isGreaterThan', 'isLessThan', 'compareTo', 'add', 'sub', 'major', 'minor', 'patch', 'getScheme', 'getHostname'],
  ...['getHost', 'getPort', 'getEscapedPath', 'getQuery'],
])
  own[name] = one;
own.sort = (g) => sorted(sizeTarget(g), g.expr.target?.type);
own['@sortByAssociatedKeys'] = (g) => sorted(sizeArg(g, 0), g.expr.args[0]?.type);

/** Equality of the libraries' own types costs 1. */
const equality = ({ expr }: Given): CallEstimate | undefined => {
  const [left, right] = expr.args.map((arg) => arg.type);
  if (left?.kind !== 'opaque' || right?.kind !== 'opaque' || left.name !== right.name) return undefined;
  return left.name === 'optional_type' ? undefined : { cost: fixed(1) };
};

const matched = (g: Given): CallEstimate => {
  const { e, expr } = g;
  const [text, pattern] = expr.target ? [expr.target, expr.args[0]] : expr.args;
  const size = scaled(plus(text ? sizeOrUnknown(e, text) : unknown, fixed(1)), TRAVERSAL);
  return { cost: times(size, scaled(pattern ? sizeOrUnknown(e, pattern) : unknown, REGEX_LENGTH)) };
};

const compared = (g: Given): CallEstimate => {
  const max = Math.min(sizeArg(g, 0).max, sizeArg(g, 1).max);
  return { cost: scaled({ min: max > 0 ? 1 : 0, max }, TRAVERSAL) };
};

const added = (g: Given): CallEstimate => {
  const { e, expr } = g;
  const size = plus(sizeArg(g, 0), sizeArg(g, 1));
  const [a, b] = expr.args as [Expr, Expr];
  const entry = unionEntries(entryOf(e, a), entryOf(e, b));
  if (entry) e.entries.set(expr, entry);
  return { cost: g.id === 'add_list' ? fixed(1) : scaled(size, TRAVERSAL), size };
};

/** A call that makes a list of a size. */
const makes = (size: Span, factor = 1, sized = size): CallEstimate => ({
  cost: plus(scaled(sized, factor), fixed(11)),
  size,
});
const whole = (expr: Expr | undefined, otherwise: number): number =>
  expr?.kind === 'literal' && typeof expr.value === 'bigint' ? Math.max(0, Number(expr.value)) : otherwise;
/** All items meet all items; the estimate of the result's size is the number of meetings, as upstream has it. */
const meetings = (size: Span, factor: number): CallEstimate => makes(times(size, size), factor);
const sorted = (size: Span, type: Type | undefined): CallEstimate => {
  const element = type?.kind === 'list' ? type.element.kind : undefined;
  return meetings(size, element === 'string' || element === 'bytes' ? 2 + TRAVERSAL : 2);
};
const setsMeet =
  (factor: number) =>
  (g: Given): CallEstimate => ({
    cost: plus(scaled(times(sizeArg(g, 0), sizeArg(g, 1)), factor), fixed(1)),
  });

const listCalls: Record<string, (g: Given) => CallEstimate> = {
  list_slice: (g) => {
    const end = whole(g.expr.args[1], sizeTarget(g).max);
    return makes(fixed(Math.max(0, end - whole(g.expr.args[0], 0))));
  },
  lists_range: (g) => makes(fixed(whole(g.expr.args[0], UNBOUNDED))),
  list_reverse: (g) => makes(sizeTarget(g)),
  list_flatten: (g) => makes(sizeTarget(g)),
  list_flatten_int: (g) => makes(sizeTarget(g), whole(g.expr.args[0], UNBOUNDED)),
  list_distinct: (g) => meetings(sizeTarget(g), 2),
  list_sets_contains_list: setsMeet(1),
  list_sets_intersects_list: setsMeet(1),
  list_sets_equivalent_list: setsMeet(2),
};

const standard: Record<string, (g: Given) => CallEstimate> = {
  string_to_bytes: (g) => ({
    ...walkedArg(TRAVERSAL)(g),
    size: { min: sizeArg(g, 0).min, max: sizeArg(g, 0).max * 4 },
  }),
  bytes_to_string: (g) => ({
    ...walkedArg(TRAVERSAL)(g),
    size: { min: sizeArg(g, 0).min / 4, max: sizeArg(g, 0).max },
  }),
  strings_quote: (g) => ({
    ...walkedArg(TRAVERSAL)(g),
    size: { min: sizeArg(g, 0).min + 2, max: sizeArg(g, 0).max * 2 + 2 },
  }),
  string_format: (g) => ({ cost: scaled(sizeTarget(g), TRAVERSAL) }),
  starts_with_string: walkedArg(TRAVERSAL),
  ends_with_string: walkedArg(TRAVERSAL),
  in_list: (g) => ({ cost: sizeArg(g, 1) }),
  matches_string: matched,
  contains_string: (g) => ({ cost: times(scaled(sizeTarget(g), TRAVERSAL), scaled(sizeArg(g, 0), TRAVERSAL)) }),
  add_string: added,
  add_bytes: added,
  add_list: added,
  equals: compared,
  not_equals: compared,
};
for (const order of ['less', 'greater', 'less_equals', 'greater_equals'])
  for (const type of ['string', 'bytes']) standard[`${order}_${type}`] = compared;

const conditional = (g: Given, costs: readonly Span[]): CallEstimate => {
  const { e, expr } = g;
  const [, truthy, falsy] = expr.args as [Expr, Expr, Expr];
  const entry = unionEntries(entryOf(e, truthy), entryOf(e, falsy));
  if (entry) e.entries.set(expr, entry);
  const [condition = fixed(0), left = fixed(0), right = fixed(0)] = costs;
  return {
    cost: plus(condition, union(left, right)),
    size: union(sizeOfExpr(e, truthy) ?? unknown, sizeOfExpr(e, falsy) ?? unknown),
  };
};

/** One overload of a call, with what its arguments cost. */
export const callEstimate = (e: Estimator, expr: Expr & Call, id: string, costs: readonly Span[]): CallEstimate => {
  const g: Given = { e, expr, id };
  const args = costs.reduce(plus, fixed(0));
  const special = expr.name === '_==_' ? equality(g) : own[expr.name]?.(g);
  if (special) return { ...special, cost: plus(special.cost, args) };
  if (id === 'logical_or' || id === 'logical_and') return { cost: { min: costs[0]?.min ?? 0, max: args.max } };
  if (id === 'conditional') return conditional(g, costs);
  const known = (listCalls[id] ?? standard[id])?.(g);
  return known ? { ...known, cost: plus(known.cost, args) } : { cost: plus(fixed(1), args) };
};
