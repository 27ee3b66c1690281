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

const TEXTS = 'strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps';
const HEX = 'only integers, byte buffers, and strings can be formatted as hex';
const UNFIT: Record<string, string> = {
  s: `string clause can only be used on ${TEXTS}`,
  d: 'decimal clause can only be used on integers',
  f: 'fixed-point clause can only be used on doubles',
  e: 'scientific clause can only be used on doubles',
  b: 'only integers and bools can be formatted as binary',
  o: 'octal clause can only be used on integers',
  x: HEX,
  X: HEX,
};

/** Why a clause takes no value of a type. */
export const unfitFor = (verb: string, type: string): string =>
  `error during formatting: ${UNFIT[verb] ?? ''}, was given ${type}`;
const unfit = (verb: string, value: Value): EvalFault => new EvalFault(unfitFor(verb, typeNameOf(value)));

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
  throw unfit('s', value);
};

const whole = (value: Value, verb: string): bigint => {
  if (typeof value === 'bigint') return value;
  if (value instanceof Uint) return value.value;
  throw unfit(verb, value);
};
const real = (value: Value, verb: string): number => {
  if (typeof value === 'number') return value;
  const named: Record<string, number> = { NaN: Number.NaN, Infinity: Number.POSITIVE_INFINITY };
  named['-Infinity'] = Number.NEGATIVE_INFINITY;
  const special = typeof value === 'string' ? named[value] : undefined;
  if (special !== undefined) return special;
  throw unfit(verb, value);
};
const hex = (value: Value): string => {
  if (typeof value === 'string' || value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (typeof value === 'bigint' || value instanceof Uint) return whole(value, 'x').toString(16);
  throw unfit('x', value);
};

/** With separators between thousands, as in American English. */
const fixedPoint = (value: number, digits: number): string => {
  if (!Number.isFinite(value)) return NAMED[doubleText(value)] ?? '';
  const [units = '', fraction] = value.toFixed(digits).split('.');
  const grouped = units.replace(/\B(?=(\d{3})+$)/g, ',');
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
};
/** Always with six digits, as version 2 of the extension does. */
const scientific = (value: number): string => {
  if (!Number.isFinite(value)) return NAMED[doubleText(value)] ?? '';
  const [mantissa = '', exponent = '0'] = value.toExponential(6).split('e');
  const power = String(Math.abs(Number(exponent))).padStart(2, '0');
  const raised = [...power].map((digit) => SUPERSCRIPTS[Number(digit)] ?? '').join('');
  return `${mantissa}×10${Number(exponent) < 0 ? '⁻' : ''}${raised}`;
};
const binary = (value: Value): string =>
  typeof value === 'boolean' ? (value ? '1' : '0') : whole(value, 'b').toString(2);

const WRITERS: Record<string, (value: Value, precision: number) => string> = {
  s: valueText,
  d: (value) => whole(value, 'd').toString(),
  f: (value, precision) => fixedPoint(real(value, 'f'), precision),
  e: (value) => scientific(real(value, 'e')),
  b: binary,
  o: (value) => whole(value, 'o').toString(8),
  x: hex,
  X: (value) => hex(value).toUpperCase(),
};
const CLAUSE = /%(?:%|(\.\d*)?([\s\S]?))/g;

/** The verb and precision of a clause. Throws EvalFault where it is none. */
const clauseOf = (given: string | undefined, verb: string): { verb: string; precision: number } => {
  if (verb === '') throw new EvalFault('unexpected end of string');
  const bad = 'could not parse formatting clause';
  if (given === '.')
    throw new EvalFault(
      `${bad}: error while parsing precision: error while converting precision to integer: strconv.Atoi: parsing "": invalid syntax`,
    );
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

/** The verbs of a format, in order. Throws EvalFault where a clause is none, or none of the `count` arguments is for it. */
export const verbsOf = (text: string, count: number): string[] => {
  const verbs: string[] = [];
  for (const [clause, given, end = ''] of text.matchAll(CLAUSE)) {
    if (clause === '%%') continue;
    if (end !== '' && verbs.length >= count) throw new EvalFault(`index ${verbs.length} out of range`);
    verbs.push(clauseOf(given, end).verb);
  }
  return verbs;
};
