import type { Json } from '../../machinery/object.ts';

/**
 * The JSONPath of kubectl's reference ("JSONPath Support"), as printer columns and selectable fields use it: fields,
 * quoted fields, indexes, slices, wildcards, unions, recursive descent, filters. A path that cannot be followed has no
 * results; one that meets a value of the wrong shape fails.
 */
export type JsonPath = (root: Json) => Json[];

type Step = (values: readonly Json[]) => Json[];
type Fields = Record<string, Json>;

/** Thrown by parseJsonPath for a malformed path, and by a path that meets a value of the wrong shape. */
export class JsonPathError extends Error {}
const fail = (message: string): never => {
  throw new JsonPathError(message);
};

const isFields = (value: Json): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);

const field =
  (name: string): Step =>
  (values) =>
    values.flatMap((value) => (isFields(value) && Object.hasOwn(value, name) ? [value[name] ?? null] : []));

const children = (value: Json): Json[] => {
  if (Array.isArray(value)) return value;
  if (isFields(value)) return Object.values(value);
  return typeof value === 'string' ? [...value] : [];
};
const wildcard: Step = (values) => values.flatMap(children);

const descend: Step = (values) =>
  values.flatMap((value) => {
    const below = typeof value === 'string' ? [] : children(value);
    return below.length > 0 ? [value, ...descend(below)] : [];
  });

/** `[start:end:step]`; a single index is the slice of one from there. */
const slice =
  (from: number | undefined, to: number | undefined, by: number | undefined, single: boolean): Step =>
  (values) =>
    values.flatMap((value) => {
      if (value === null) return [];
      if (!Array.isArray(value)) return fail('not an array');
      const { length } = value;
      let start = from ?? 0;
      if (start < 0) start += length;
      let end = single ? (from ?? 0) + 1 : (to ?? length);
      if (end < 0 || (end === 0 && single)) end += length;
      if (start === end) return [];
      if (start < 0 || start >= length || end < 0 || end > length || start > end) return fail('index out of bounds');
      if (by !== undefined && by <= 0) return fail('step must be above 0');
      return value.slice(start, end).filter((_, i) => i % (by ?? 1) === 0);
    });

const one = (values: Json[]): Json | undefined =>
  values.length > 1 ? fail('can only compare one element at a time') : values[0];

const compare = (operator: string, left: Json, right: Json): boolean => {
  if (operator === '==') return left === right;
  if (operator === '!=') return left !== right;
  if (typeof left !== typeof right || (typeof left !== 'number' && typeof left !== 'string'))
    return fail('incompatible types for comparison');
  const [a, b] = [left, right as typeof left];
  if (operator === '<') return a < b;
  if (operator === '>') return a > b;
  if (operator === '<=') return a <= b;
  return operator === '>=' ? a >= b : fail(`unrecognized filter operator ${operator}`);
};

/** `[?(@.a == "b")]`: the elements for which it holds; without an operator, those that have the field. */
const filter = (text: string): Step => {
  const match = /^([^!<>=]+)([!<>=]+)(.+)$/s.exec(text);
  const left = parse(match?.[1] ?? text);
  const right = match?.[3] === undefined ? undefined : parse(match[3]);
  const operator = match?.[2] ?? '';
  const holds = (item: Json): boolean => {
    const found = left([item]);
    if (!right) return found.length > 0;
    const a = one(found);
    if (a === undefined) return false;
    const b = one(right([item]));
    return b !== undefined && compare(operator, a, b);
  };
  return (values) =>
    values.flatMap((value) => (Array.isArray(value) ? value.filter(holds) : fail('not an array to be filtered')));
};

const bracket = (text: string): Step => {
  const inner = text.trim();
  if (inner.includes(',')) {
    const parts = inner.split(',').map(bracket);
    return (values) => parts.flatMap((part) => part(values));
  }
  const quoted = /^'([^']*)'$/.exec(inner);
  if (quoted) return parse(`.${quoted[1] ?? ''}`);
  if (inner === '*') return slice(undefined, undefined, undefined, false);
  const match = /^(-?\d*)(:-?\d*)?(:-?\d*)?$/.exec(inner);
  if (!match) return fail(`invalid array index ${inner}`);
  const number = (part: string | undefined): number | undefined => {
    const digits = part?.replace(/^:/, '');
    return digits === undefined || digits === '' ? undefined : Number.parseInt(digits, 10);
  };
  return slice(number(match[1]), number(match[2]), number(match[3]), match[2] === undefined);
};

/** The end of a filter that starts at `from`: its closing parenthesis, quotes left alone. */
const filterEnd = (text: string, from: number): number => {
  let quote = '';
  for (let i = from; i < text.length; i++) {
    const char = text[i] ?? '';
    if (quote) {
      if (char === quote && text[i - 1] !== '\\') quote = '';
    } else if (char === '"' || char === "'") quote = char;
    else if (char === ')' && text[i + 1] === ']') return i;
  }
  return fail('unterminated filter');
};

const quotedEnd = (text: string, from: number): number => {
  for (let i = from + 1; i < text.length; i++) if (text[i] === text[from] && text[i - 1] !== '\\') return i;
  return fail('unterminated quoted string');
};

const constant =
  (value: Json): Step =>
  (values) =>
    values.map(() => value);

interface Token {
  step?: Step;
  /** Where the text goes on. */
  next: number;
}

const NAME = /^(?:\\.|[^\s.,[\]$@{}\\])*/s;

const named = (text: string, from: number): Token => {
  const raw = NAME.exec(text.slice(from))?.[0] ?? '';
  const step = raw === '*' ? wildcard : field(raw.replaceAll('\\', ''));
  return { step, next: from + raw.length };
};

const literal = (text: string, from: number): Token => {
  const word = /^[+-]?[\d.]+|^\w+/.exec(text.slice(from))?.[0] ?? fail(`unrecognized character ${text[from]}`);
  const next = from + word.length;
  if (word === 'true' || word === 'false') return { step: constant(word === 'true'), next };
  const value = Number(word);
  return Number.isNaN(value) ? fail(`unrecognized identifier ${word}`) : { step: constant(value), next };
};

const token = (text: string, from: number): Token => {
  const char = text[from] ?? '';
  if (char === ' ' || char === '@' || char === '$') return { next: from + 1 };
  if (text.startsWith('[?(', from)) {
    const end = filterEnd(text, from + 3);
    return { step: filter(text.slice(from + 3, end)), next: end + 2 };
  }
  if (char === '[') {
    const end = text.indexOf(']', from);
    return end < 0 ? fail('unterminated array') : { step: bracket(text.slice(from + 1, end)), next: end + 1 };
  }
  if (char === '"' || char === "'") {
    const end = quotedEnd(text, from);
    return { step: constant(text.slice(from + 1, end).replace(/\\(.)/g, '$1')), next: end + 1 };
  }
  if (text.startsWith('..', from)) {
    if (!/^\w/.test(text.slice(from + 2))) return { step: descend, next: from + 2 };
    const inner = named(text, from + 2);
    return { step: (values) => inner.step?.(descend(values)) ?? [], next: inner.next };
  }
  return char === '.' ? named(text, from + 1) : literal(text, from);
};

const parse = (text: string): Step => {
  const steps: Step[] = [];
  for (let at = 0; at < text.length; ) {
    const { step, next } = token(text, at);
    if (step) steps.push(step);
    at = next;
  }
  return (values) => {
    let found = [...values];
    for (const step of steps) found = step(found);
    return found;
  };
};

/** Parses a path without its braces: `.spec.replicas`. Throws JsonPathError. */
export const parseJsonPath = (text: string): JsonPath => {
  const step = parse(text);
  return (root) => step([root]);
};
