// DynamoDB's expressions, as far as the store uses them: conditions, key conditions and updates (Amazon DynamoDB Developer
// Guide, "Condition and filter expressions", "Update expressions"). The fake table evaluates them.
import type { AttributeValue } from '@aws-sdk/client-dynamodb';

export type Item = Record<string, AttributeValue>;
export interface Names {
  names?: Record<string, string> | undefined;
  values?: Record<string, AttributeValue> | undefined;
}

type Value = AttributeValue | undefined;
type Operand = (item: Item | undefined, given: Names) => Value;
export type Condition = (item: Item | undefined, given: Names) => boolean;

/** An expression or request that DynamoDB refuses as ValidationException. */
export class InvalidExpression extends Error {}

const token = /\s*([A-Za-z_#:][A-Za-z0-9_]*|<>|<=|>=|[=<>(),+-])/y;
const tokens = (text: string): string[] => {
  const found: string[] = [];
  token.lastIndex = 0;
  for (let at = 0; at < text.trimEnd().length; at = token.lastIndex) {
    token.lastIndex = at;
    const match = token.exec(text);
    if (!match?.[1]) throw new InvalidExpression(`cannot read ${text.slice(at)}`);
    found.push(match[1]);
  }
  return found;
};

/** A few of DynamoDB's reserved words: those that the store could meet. */
const reserved = new Set(['ttl', 'key', 'value', 'name', 'type', 'size', 'date', 'count', 'status', 'range', 'hash']);

const compareBytes = (a: Uint8Array, b: Uint8Array): number => Buffer.compare(a, b);
/** Undefined where the types differ: every comparison but <> is then false. */
export const compareValues = (a: Value, b: Value): number | undefined => {
  if (a?.N !== undefined && b?.N !== undefined) {
    const [x, y] = [BigInt(a.N), BigInt(b.N)];
    return x < y ? -1 : x > y ? 1 : 0;
  }
  if (a?.S !== undefined && b?.S !== undefined) return compareBytes(Buffer.from(a.S), Buffer.from(b.S));
  if (a?.B !== undefined && b?.B !== undefined) return compareBytes(a.B, b.B);
  if (a?.BOOL !== undefined && b?.BOOL !== undefined) return a.BOOL === b.BOOL ? 0 : 1;
  return undefined;
};

/** Reads tokens one by one. */
const createReader = (text: string) => {
  const list = tokens(text);
  let at = 0;
  const peek = (): string | undefined => list[at];
  const next = (): string => {
    const found = list[at++];
    if (found === undefined) throw new InvalidExpression(`${text} ends too early`);
    return found;
  };
  const expect = (wanted: string): void => {
    const found = next();
    if (found.toUpperCase() !== wanted) throw new InvalidExpression(`${text}: ${found} where ${wanted} belongs`);
  };
  return { peek, next, expect, is: (word: string) => peek()?.toUpperCase() === word };
};
type Reader = ReturnType<typeof createReader>;

const path = (reader: Reader): ((given: Names) => string) => {
  const word = reader.next();
  if (reserved.has(word.toLowerCase())) throw new InvalidExpression(`${word} is a reserved word`);
  if (!word.startsWith('#')) return () => word;
  return ({ names }) => {
    const name = names?.[word];
    if (name === undefined) throw new InvalidExpression(`${word} is not defined`);
    return name;
  };
};
const operand = (reader: Reader): Operand => {
  const word = reader.peek();
  if (word?.startsWith(':')) {
    reader.next();
    return (_, { values }) => {
      const value = values?.[word];
      if (value === undefined) throw new InvalidExpression(`${word} is not defined`);
      return value;
    };
  }
  const name = path(reader);
  return (item, given) => item?.[name(given)];
};

const comparators: Record<string, (order: number | undefined) => boolean> = {
  '=': (order) => order === 0,
  '<>': (order) => order !== 0,
  '<': (order) => order !== undefined && order < 0,
  '<=': (order) => order !== undefined && order <= 0,
  '>': (order) => order !== undefined && order > 0,
  '>=': (order) => order !== undefined && order >= 0,
};

const simple = (reader: Reader): Condition => {
  if (reader.is('(')) {
    reader.next();
    const inner = either(reader);
    reader.expect(')');
    return inner;
  }
  if (reader.is('NOT')) {
    reader.next();
    const inner = simple(reader);
    return (item, given) => !inner(item, given);
  }
  const word = reader.peek();
  if (word === 'attribute_exists' || word === 'attribute_not_exists') {
    reader.next();
    reader.expect('(');
    const name = path(reader);
    reader.expect(')');
    const wanted = word === 'attribute_exists';
    return (item, given) => (item?.[name(given)] !== undefined) === wanted;
  }
  const left = operand(reader);
  if (reader.is('BETWEEN')) {
    reader.next();
    const low = operand(reader);
    reader.expect('AND');
    const high = operand(reader);
    return (item, given) => {
      const value = left(item, given);
      const [above, below] = [compareValues(low(item, given), value), compareValues(value, high(item, given))];
      return above !== undefined && above <= 0 && below !== undefined && below <= 0;
    };
  }
  const sign = reader.next();
  const holds = comparators[sign];
  if (!holds) throw new InvalidExpression(`${sign} is no comparator`);
  const right = operand(reader);
  return (item, given) => {
    const [a, b] = [left(item, given), right(item, given)];
    return a !== undefined && b !== undefined ? holds(compareValues(a, b)) : sign === '<>';
  };
};
const both = (reader: Reader): Condition => {
  let all = simple(reader);
  while (reader.is('AND')) {
    reader.next();
    const [left, right] = [all, simple(reader)];
    all = (item, given) => left(item, given) && right(item, given);
  }
  return all;
};
const either = (reader: Reader): Condition => {
  let any = both(reader);
  while (reader.is('OR')) {
    reader.next();
    const [left, right] = [any, both(reader)];
    any = (item, given) => left(item, given) || right(item, given);
  }
  return any;
};

const conditions = new Map<string, Condition>();
/** A condition, key condition or filter; absent means that anything will do. */
export const conditionOf = (text: string | undefined): Condition => {
  if (text === undefined) return () => true;
  const known = conditions.get(text);
  if (known) return known;
  const reader = createReader(text);
  const condition = either(reader);
  if (reader.peek() !== undefined) throw new InvalidExpression(`${text}: ${reader.peek()} is too much`);
  conditions.set(text, condition);
  return condition;
};

type Change = (next: Item, old: Item | undefined, given: Names) => void;
const sum = (a: Value, b: Value, sign: number): AttributeValue => {
  if (a?.N === undefined || b?.N === undefined) throw new InvalidExpression('only numbers can be added');
  return { N: `${BigInt(a.N) + BigInt(sign) * BigInt(b.N)}` };
};
const setting = (reader: Reader): Change => {
  const name = path(reader);
  reader.expect('=');
  const left = operand(reader);
  const sign = reader.is('+') ? 1 : reader.is('-') ? -1 : 0;
  if (sign !== 0) reader.next();
  const right = sign !== 0 ? operand(reader) : undefined;
  return (next, old, given) => {
    const value = left(old, given);
    if (value === undefined) throw new InvalidExpression('the attribute to set from does not exist');
    next[name(given)] = right ? sum(value, right(old, given), sign) : value;
  };
};
const adding = (reader: Reader): Change => {
  const name = path(reader);
  const amount = operand(reader);
  return (next, old, given) => {
    const value = amount(old, given);
    if (value === undefined) throw new InvalidExpression('nothing to add');
    next[name(given)] = sum(old?.[name(given)] ?? { N: '0' }, value, 1);
  };
};
const removing = (reader: Reader): Change => {
  const name = path(reader);
  return (next, _, given) => {
    delete next[name(given)];
  };
};
const clauses: Record<string, (reader: Reader) => Change> = { SET: setting, ADD: adding, REMOVE: removing };

const updates = new Map<string, Change[]>();
const changesOf = (text: string): Change[] => {
  const known = updates.get(text);
  if (known) return known;
  const changes: Change[] = [];
  const reader = createReader(text);
  while (reader.peek() !== undefined) {
    const word = reader.next();
    const clause = clauses[word.toUpperCase()];
    if (!clause) throw new InvalidExpression(`${word} is no clause`);
    changes.push(clause(reader));
    while (reader.is(',')) {
      reader.next();
      changes.push(clause(reader));
    }
  }
  updates.set(text, changes);
  return changes;
};

/** What an update leaves of an item; `old` is undefined where none stands. */
export const updateOf = (text: string): ((key: Item, old: Item | undefined, given: Names) => Item) => {
  const changes = changesOf(text);
  return (key, old, given) => {
    const next: Item = { ...key, ...old };
    for (const change of changes) change(next, old, given);
    return next;
  };
};
