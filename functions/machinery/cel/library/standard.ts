/** The standard functions of the language: sizes, conversions, texts, times, types. */

import { compilePattern } from '../../regex.ts';
import { func, type Library, method, type Overload } from '../library.ts';
import {
  durationParts,
  durationText,
  parseDuration,
  parseTimestamp,
  timestampField,
  timestampFields,
  timestampText,
} from '../times.ts';
import {
  bool,
  bytes,
  double,
  duration,
  dyn,
  int,
  listOf,
  mapOf,
  param,
  string,
  timestamp,
  typeOf,
  uint,
} from '../types.ts';
import {
  Duration,
  EvalFault,
  type List,
  sizeOf,
  Timestamp,
  TypeValue,
  typeNameOf,
  Uint,
  type Value,
} from '../values.ts';
import { checkedInt, checkedUint } from './operators.ts';

/** A text that is none of a type. */
const notConverted = (type: string): EvalFault => new EvalFault(`type conversion error from 'string' to '${type}'`);

const INT_MAX = (1n << 63n) - 1n;
const A = param('A');
const B = param('B');
const SECOND = 1_000_000_000n;

const wholeNumber = (value: number): bigint => {
  if (!Number.isFinite(value)) throw new EvalFault('integer overflow');
  return BigInt(Math.trunc(value));
};
const parseInteger = (text: string): bigint => {
  if (!/^[+-]?\d+$/.test(text)) throw notConverted('int');
  const value = BigInt(text.replace(/^\+/, ''));
  if (value > INT_MAX || value < -INT_MAX - 1n) throw notConverted('int');
  return value;
};
const parseNatural = (text: string): bigint => {
  if (!/^\d+$/.test(text) || BigInt(text) >= 1n << 64n) throw notConverted('uint');
  return BigInt(text);
};
const parseDouble = (text: string): number => {
  const named = /^([+-]?)(inf|infinity|nan)$/i.exec(text);
  if (named)
    return /nan/i.test(text) ? Number.NaN : named[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  if (/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text)) return Number(text);
  const hex = /^([+-]?)0[xX]([0-9a-fA-F]*)\.?([0-9a-fA-F]*)[pP]([+-]?\d+)$/.exec(text);
  if (!hex || (hex[2] === '' && hex[3] === '')) throw notConverted('double');
  const [, sign = '', whole = '', fraction = '', power = '0'] = hex;
  const mantissa = Number(BigInt(`0x${whole}${fraction}`));
  return Number(`${sign}1`) * mantissa * 2 ** (Number(power) - 4 * fraction.length);
};
const parseBool = (text: string): boolean => {
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(text)) return true;
  if (['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(text)) return false;
  throw notConverted('bool');
};
const utf8 = new TextDecoder('utf-8', { fatal: true });
const textOfBytes = (value: Uint8Array): string => {
  try {
    return utf8.decode(value);
  } catch {
    throw new EvalFault('invalid UTF-8 in bytes, cannot convert to string');
  }
};
/** A double as Go prints it with the fewest digits: with an exponent from a million on. */
export const doubleText = (value: number): string => {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  const [mantissa = '', exponent = '0'] = value.toExponential().split('e');
  const power = Number(exponent);
  if (power >= -4 && power < 6) return Object.is(value, -0) ? '-0' : String(value);
  return `${mantissa}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;
};

const toInt: Overload[] = [
  func('int64_to_int64', [int], int, (a: bigint) => a),
  func('double_to_int64', [double], int, (a: number) => checkedInt(wholeNumber(a))),
  func('string_to_int64', [string], int, (a: string) => checkedInt(parseInteger(a))),
  func('timestamp_to_int64', [timestamp], int, (a: Timestamp) => a.ns / SECOND),
  func('duration_to_int64', [duration], int, (a: Duration) => a.ns),
  func('uint64_to_int64', [uint], int, (a: Uint) => checkedInt(a.value)),
];
const toUint: Overload[] = [
  func('uint64_to_uint64', [uint], uint, (a: Uint) => a),
  func('double_to_uint64', [double], uint, (a: number) => checkedUint(wholeNumber(a))),
  func('int64_to_uint64', [int], uint, (a: bigint) => checkedUint(a)),
  func('string_to_uint64', [string], uint, (a: string) => new Uint(parseNatural(a))),
];
const toDouble: Overload[] = [
  func('double_to_double', [double], double, (a: number) => a),
  func('int64_to_double', [int], double, (a: bigint) => Number(a)),
  func('string_to_double', [string], double, parseDouble),
  func('uint64_to_double', [uint], double, (a: Uint) => Number(a.value)),
];
const toText: Overload[] = [
  func('string_to_string', [string], string, (a: string) => a),
  func('bool_to_string', [bool], string, (a: boolean) => String(a)),
  func('bytes_to_string', [bytes], string, textOfBytes),
  func('double_to_string', [double], string, doubleText),
  func('duration_to_string', [duration], string, durationText),
  func('int64_to_string', [int], string, (a: bigint) => a.toString()),
  func('timestamp_to_string', [timestamp], string, timestampText),
  func('uint64_to_string', [uint], string, (a: Uint) => a.value.toString()),
];

const durationOf = (text: string): Duration => {
  const parsed = parseDuration(text);
  if (!parsed) throw notConverted('google.protobuf.Duration');
  return parsed;
};
const timestampOf = (text: string): Timestamp => {
  const parsed = parseTimestamp(text);
  if (!parsed) throw notConverted('google.protobuf.Timestamp');
  return parsed;
};

export const matches = (text: string, pattern: string): boolean => {
  try {
    return compilePattern(pattern).test(text);
  } catch (error) {
    throw new EvalFault(error instanceof Error ? error.message : String(error));
  }
};

const size = (value: Value): bigint => BigInt(sizeOf(value));
const sizes = (make: typeof func, prefix: string): Overload[] => [
  make(`${prefix}string`, [string], int, size),
  make(`${prefix}bytes`, [bytes], int, size),
  make(`${prefix}list`, [listOf(A)], int, size),
  make(`${prefix}map`, [mapOf(A, B)], int, size),
];

const timeGetters = (): Record<string, Overload[]> => {
  const out: Record<string, Overload[]> = {};
  for (const name of Object.keys(timestampFields)) {
    const part = durationParts[name];
    out[name] = [
      method(`timestamp_${name}`, [timestamp], int, (t: Timestamp) => timestampField(name, t)),
      method(`timestamp_${name}_with_tz`, [timestamp, string], int, (t: Timestamp, zone: string) =>
        timestampField(name, t, zone),
      ),
    ];
    if (part !== undefined) out[name].push(method(`duration_${name}`, [duration], int, (d: Duration) => d.ns / part));
  }
  return out;
};

export const standard: Library = {
  functions: {
    size: [...sizes(func, 'size_'), ...sizes(method, '')],
    int: toInt,
    uint: toUint,
    double: toDouble,
    string: toText,
    bool: [func('bool_to_bool', [bool], bool, (a: boolean) => a), func('string_to_bool', [string], bool, parseBool)],
    bytes: [
      func('bytes_to_bytes', [bytes], bytes, (a: Uint8Array) => a),
      func('string_to_bytes', [string], bytes, (a: string) => Uint8Array.from(Buffer.from(a))),
    ],
    duration: [
      func('duration_to_duration', [duration], duration, (a: Duration) => a),
      func('int64_to_duration', [int], duration, (a: bigint) => new Duration(a)),
      func('string_to_duration', [string], duration, durationOf),
    ],
    timestamp: [
      func('timestamp_to_timestamp', [timestamp], timestamp, (a: Timestamp) => a),
      func('int64_to_timestamp', [int], timestamp, (a: bigint) => new Timestamp(a * SECOND)),
      func('string_to_timestamp', [string], timestamp, timestampOf),
    ],
    dyn: [func('to_dyn', [A], dyn, (a: Value) => a)],
    type: [func('type', [A], typeOf(A), (a: Value) => new TypeValue(typeNameOf(a)))],
    contains: [method('contains_string', [string, string], bool, (a: string, b: string) => a.includes(b))],
    startsWith: [method('starts_with_string', [string, string], bool, (a: string, b: string) => a.startsWith(b))],
    endsWith: [method('ends_with_string', [string, string], bool, (a: string, b: string) => a.endsWith(b))],
    matches: [
      func('matches', [string, string], bool, matches),
      method('matches_string', [string, string], bool, matches),
    ],
    ...timeGetters(),
  },
};

/** Items of a list, typed by whoever knows it. */
export const itemsOf = <T extends Value>(list: List): T[] => list.items() as T[];
