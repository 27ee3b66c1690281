import type { Call, Expr, Fold, ListLiteral } from './ast.ts';
import { type Context, type Frame, LIST_COST, mapKey, type Run, spend } from './evaluate.ts';
import { EvalFault, type Key, List, MapValue, mapFrom, typeNameOf, type Value } from './values.ts';

type Compile = (expr: Expr, context: Context) => Run;

/** What a loop goes over: the first variable's values, and the second's. */
interface Range {
  length: number;
  first: (i: number) => Value;
  second: (i: number) => Value;
}

/** What upstream calls the types that nothing can loop over. */
const GO_NAMES: Record<string, string> = {
  bool: 'types.Bool',
  bytes: 'types.Bytes',
  double: 'types.Double',
  'google.protobuf.Duration': 'types.Duration',
  int: 'types.Int',
  null_type: 'types.Null',
  string: 'types.String',
  'google.protobuf.Timestamp': 'types.Timestamp',
  uint: 'types.Uint',
};

const rangeOf = (value: Value, two: boolean): Range => {
  if (value instanceof List) {
    const at = (i: number): Value => value.at(i);
    return { length: value.length, first: two ? (i) => BigInt(i) : at, second: at };
  }
  if (value instanceof MapValue) {
    const keys = value.keys();
    const first = (i: number): Value => keys[i] as Value;
    return { length: keys.length, first, second: (i) => value.find(mapKey(first(i))) ?? null };
  }
  const name = typeNameOf(value);
  throw new EvalFault(`got '${GO_NAMES[name] ?? name}', expected iterable type`);
};

interface Slots {
  first: number;
  second: number;
  accumulator: number;
}

/** Runs a step; a fault becomes the accumulator's value, for later steps to overrule or the result to throw. */
const stepped = (step: Run, frame: Frame): Value | EvalFault => {
  try {
    return step(frame);
  } catch (error) {
    if (error instanceof EvalFault) return error;
    throw error;
  }
};

const iterate = (frame: Frame, range: Range, slots: Slots, two: boolean, body: () => boolean): void => {
  for (let i = 0; i < range.length; i++) {
    frame.slots[slots.first] = range.first(i);
    if (two) frame.slots[slots.second] = range.second(i);
    if (!body()) return;
  }
};

/** `acc + [item]`, alone or under a condition: the only steps of map, filter and transformList. */
const appended = (step: Expr): { filter: Expr | undefined; item: Expr } | undefined => {
  const isAppend = (expr: Expr | undefined): ListLiteral | undefined => {
    if (expr?.kind !== 'call' || expr.name !== '_+_') return undefined;
    const list = expr.args[1];
    return list?.kind === 'list' && list.items.length === 1 && list.optional.size === 0 ? list : undefined;
  };
  const plain = isAppend(step);
  if (plain) return { filter: undefined, item: plain.items[0] as Expr };
  if (step.kind !== 'call' || step.name !== '_?_:_') return undefined;
  const list = isAppend(step.args[1]);
  return list && { filter: step.args[0], item: list.items[0] as Expr };
};

const inserted = (step: Expr): { filter: Expr | undefined; entry: Expr[] } | undefined => {
  const entryOf = (expr: Expr | undefined): Expr[] | undefined =>
    expr?.kind === 'call' && expr.name === 'cel.@mapInsert' ? (expr as Call).args.slice(1) : undefined;
  const plain = entryOf(step);
  if (plain) return { filter: undefined, entry: plain };
  if (step.kind !== 'call' || step.name !== '_?_:_') return undefined;
  const entry = entryOf(step.args[1]);
  return entry && { filter: step.args[0], entry };
};

const passes = (filter: Run | undefined, frame: Frame): boolean => {
  const value = filter ? filter(frame) : true;
  if (typeof value === 'boolean') return value;
  throw new EvalFault('no such overload');
};

/** A loop that builds a list: it grows in place, at the cost of the additions it stands for. */
const collectList =
  (range: Run, slots: Slots, two: boolean, filter: Run | undefined, item: Run): Run =>
  (frame) => {
    const out: Value[] = [];
    const over = rangeOf(range(frame), two);
    iterate(frame, over, slots, two, () => {
      if (passes(filter, frame)) {
        out.push(item(frame));
        spend(frame, 2 + LIST_COST);
      } else spend(frame, 1);
      return true;
    });
    spend(frame, 1);
    return new List(out);
  };

const insertEntry = (out: Map<Key, [Value, Value]>, key: Value, value: Value): void => {
  const at = mapKey(key);
  if (out.has(at)) throw new EvalFault(`insert failed: key ${String(at)} already exists`);
  out.set(at, [key, value]);
};

const collectMap =
  (range: Run, slots: Slots, two: boolean, filter: Run | undefined, entry: Run[]): Run =>
  (frame) => {
    const out = new Map<Key, [Value, Value]>();
    const over = rangeOf(range(frame), two);
    iterate(frame, over, slots, two, () => {
      if (!passes(filter, frame)) {
        spend(frame, 1);
        return true;
      }
      const [first, second] = entry.map((run) => run(frame));
      if (second !== undefined) insertEntry(out, first as Value, second);
      else if (first instanceof MapValue)
        for (const key of first.keys()) insertEntry(out, key, first.find(mapKey(key)) ?? null);
      spend(frame, 2);
      return true;
    });
    spend(frame, 1);
    return mapFrom(out);
  };

const general =
  (range: Run, slots: Slots, two: boolean, parts: { init: Run; condition: Run; step: Run; result: Run }): Run =>
  (frame) => {
    const over = rangeOf(range(frame), two);
    frame.slots[slots.accumulator] = parts.init(frame);
    iterate(frame, over, slots, two, () => {
      if (parts.condition(frame) === false) return false;
      frame.slots[slots.accumulator] = stepped(parts.step, frame);
      return true;
    });
    return parts.result(frame);
  };

const bound =
  (slot: number, init: Run, result: Run): Run =>
  (frame) => {
    frame.slots[slot] = stepped(init, frame);
    return result(frame);
  };

export const compileFold = (expr: Fold, context: Context, compile: Compile): Run => {
  const range = compile(expr.range, context);
  const init = compile(expr.init, context);
  const next = (): number => context.size.slots++;
  const slots: Slots = { accumulator: next(), first: next(), second: expr.variable2 ? next() : -1 };
  const outer = { ...context, slots: [...context.slots, { name: expr.accumulator, slot: slots.accumulator }] };
  const result = compile(expr.result, outer);
  if (expr.condition.kind === 'literal' && expr.condition.value === false)
    return bound(slots.accumulator, init, result);
  const names = [{ name: expr.variable, slot: slots.first }];
  if (expr.variable2) names.push({ name: expr.variable2, slot: slots.second });
  const inner = { ...outer, slots: [...outer.slots, ...names] };
  const two = expr.variable2 !== '';
  const list = expr.init.kind === 'list' ? appended(expr.step) : undefined;
  if (list)
    return collectList(range, slots, two, list.filter && compile(list.filter, inner), compile(list.item, inner));
  const map = expr.init.kind === 'map' ? inserted(expr.step) : undefined;
  if (map) {
    const entry = map.entry.map((one) => compile(one, inner));
    return collectMap(range, slots, two, map.filter && compile(map.filter, inner), entry);
  }
  const parts = { init, condition: compile(expr.condition, inner), step: compile(expr.step, inner), result };
  return general(range, slots, two, parts);
};
