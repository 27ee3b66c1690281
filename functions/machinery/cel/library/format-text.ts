/** text.format(list): %s %d %f %e %b %x %X %o with precisions, written as the strings extension in version 2 does. */
import { durationText, timestampText } from '../times.ts';
import {
  Duration,
  EvalFault,
  keyOf,
  List,
  MapValue,
  Timestamp,
  TypeValue,
  typeNameOf,
  Uint,
  type Value,
} from '../values.ts';
import { doubleText } from './standard.ts';

const NAMED: Record<string, string> = { NaN: 'NaN', '+Inf': '∞', '-Inf': '-∞' };
const SUPERSCRIPTS = '⁰¹²³⁴⁵⁶⁷⁸⁹';

const unfit = (clause: string, wanted: string, value: Value): EvalFault => {
  const given = typeNameOf(value);
  return new EvalFault(`error during formatting: ${clause} clause can only be used on ${wanted}, was given ${given}`);
};
const TEXTS = 'strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps';

/** A value within a list or map: strings in quotes, doubles with six digits. */
const inner = (value: Value): string => {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'number') return Number.isFinite(value) ? value.toFixed(6) : `"${doubleText(value)}"`;
  if (value instanceof Uint8Array) return `b${JSON.stringify(Buffer.from(value).toString())}`;
  if (value instanceof Timestamp || value instanceof Duration)
    return `${typeNameOf(value).slice(16).toLowerCase()}("${valueText(value)}")`;
  return valueText(value);
};

/** A value as %s writes it. */
export const valueText = (value: Value): string => {
  if (value === null) return 'null';
  if (typeof value === 'number') return doubleText(value);
  if (typeof value !== 'object') return String(value);
  if (value instanceof Uint) return value.value.toString();
  if (value instanceof Timestamp) return timestampText(value);
  if (value instanceof Duration) return durationText(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString();
  if (value instanceof List) return `[${value.items().map(inner).join(', ')}]`;
  if (value instanceof MapValue) {
    const entries = value.keys().map((key) => {
      const name = keyOf(key);
      const held = name === undefined ? undefined : value.find(name);
      return `${inner(key)}:${held === undefined ? '' : inner(held)}`;
    });
    return `{${entries.sort().join(', ')}}`;
  }
  if (value instanceof TypeValue) return value.name;
  throw unfit('string', TEXTS, value);
};

const whole = (value: Value, clause: string): bigint => {
  if (typeof value === 'bigint') return value;
  if (value instanceof Uint) return value.value;
  throw unfit(clause, 'integers', value);
};
const real = (value: Value, clause: string): number => {
  if (typeof value === 'number') return value;
  const named: Record<string, number> = { NaN: Number.NaN, Infinity: Number.POSITIVE_INFINITY };
  named['-Infinity'] = Number.NEGATIVE_INFINITY;
  const special = typeof value === 'string' ? named[value] : undefined;
  if (special !== undefined) return special;
  throw unfit(clause, 'doubles', value);
};
const hex = (value: Value): string => {
  if (typeof value === 'string' || value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (typeof value === 'bigint' || value instanceof Uint) return whole(value, 'hex').toString(16);
  throw unfit('hex', 'integers, byte buffers, and strings', value);
};

/** With separators between thousands, as in American English. */
const fixedPoint = (value: number, digits: number): string => {
  if (!Number.isFinite(value)) return NAMED[doubleText(value)] ?? '';
  const [units = '', fraction] = value.toFixed(digits).split('.');
  const grouped = units.replace(/\B(?=(\d{3})+$)/g, ',');
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
};
const scientific = (value: number, digits: number): string => {
  if (!Number.isFinite(value)) return NAMED[doubleText(value)] ?? '';
  const [mantissa = '', exponent = '0'] = value.toExponential(digits).split('e');
  const power = String(Math.abs(Number(exponent))).padStart(2, '0');
  const raised = [...power].map((digit) => SUPERSCRIPTS[Number(digit)] ?? '').join('');
  return `${mantissa}×10${Number(exponent) < 0 ? '⁻' : ''}${raised}`;
};
const binary = (value: Value): string =>
  typeof value === 'boolean' ? (value ? '1' : '0') : whole(value, 'binary').toString(2);

const WRITERS: Record<string, (value: Value, precision: number) => string> = {
  s: valueText,
  d: (value) => whole(value, 'decimal').toString(),
  f: (value, precision) => fixedPoint(real(value, 'fixed-point'), precision),
  e: (value, precision) => scientific(real(value, 'scientific'), precision),
  b: binary,
  o: (value) => whole(value, 'octal').toString(8),
  x: hex,
  X: (value) => hex(value).toUpperCase(),
};
const CLAUSE = /%(?:%|(\.\d*)?([\s\S]?))/g;

/** The verb and precision of a clause. Throws EvalFault where it is none. */
const clauseOf = (given: string | undefined, verb: string): { verb: string; precision: number } => {
  if (verb === '') throw new EvalFault('unexpected end of string');
  const bad = 'could not parse formatting clause';
  if (given === '.') throw new EvalFault(`${bad}: error while parsing precision`);
  if (!Object.hasOwn(WRITERS, verb))
    throw new EvalFault(`${bad}: unrecognized formatting clause ${JSON.stringify(verb)}`);
  return { verb, precision: given === undefined ? 6 : Number(given.slice(1)) };
};

export const formatText = (text: string, list: List): string => {
  let next = 0;
  return text.replace(CLAUSE, (clause, given: string | undefined, end: string) => {
    if (clause === '%%') return '%';
    const { verb, precision } = clauseOf(given, end);
    if (next >= list.length) throw new EvalFault(`index ${next} out of range`);
    return WRITERS[verb]?.(list.at(next++), precision) ?? '';
  });
};

/** The verbs of a format, in order. Throws EvalFault where a clause is none. */
export const verbsOf = (text: string): string[] =>
  [...text.matchAll(CLAUSE)].flatMap(([clause, given, end = '']) =>
    clause === '%%' ? [] : [clauseOf(given, end).verb],
  );
