/** text.format(list): %s %d %f %e %b %x %X %o with precisions, as cel-go writes values. */
import { durationText, timestampText } from '../times.ts';
import {
  Duration,
  EvalFault,
  keyOf,
  List,
  MapValue,
  ObjectValue,
  Optional,
  Timestamp,
  TypeValue,
  typeNameOf,
  Uint,
  type Value,
} from '../values.ts';

const doubleText = (value: number): string => {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? 'Infinity' : '-Infinity';
  return String(value);
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
  if (value instanceof List) return `[${value.items().map(valueText).join(', ')}]`;
  if (value instanceof MapValue) {
    const entries = value.keys().map((key) => {
      const name = keyOf(key);
      const held = name === undefined ? undefined : value.find(name);
      return `${valueText(key)}: ${held === undefined ? '' : valueText(held)}`;
    });
    return `{${entries.sort().join(', ')}}`;
  }
  if (value instanceof TypeValue) return value.name;
  throw unformattable('s', value);
};

const unformattable = (verb: string, value: Value): EvalFault => {
  const kind = value instanceof ObjectValue || value instanceof Optional ? typeNameOf(value) : typeNameOf(value);
  return new EvalFault(`error during formatting: %${verb} clause does not take a value of type ${kind}`);
};

const whole = (value: Value, verb: string): bigint => {
  if (typeof value === 'bigint') return value;
  if (value instanceof Uint) return value.value;
  throw unformattable(verb, value);
};
const real = (value: Value, verb: string): number => {
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint' || value instanceof Uint) return Number(whole(value, verb));
  throw unformattable(verb, value);
};
const hex = (value: Value): string => {
  if (typeof value === 'string') return Buffer.from(value).toString('hex');
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  return whole(value, 'x').toString(16);
};
const exponent = (value: number, digits: number): string =>
  Number.isFinite(value) ? value.toExponential(digits).replace(/e([+-])(\d)$/, 'e$10$2') : doubleText(value);

const written = (verb: string, precision: number, value: Value): string => {
  switch (verb) {
    case 's':
      return valueText(value);
    case 'd':
      return typeof value === 'number' && !Number.isFinite(value) ? doubleText(value) : whole(value, verb).toString();
    case 'f': {
      const number = real(value, verb);
      return Number.isFinite(number) ? number.toFixed(precision) : doubleText(number);
    }
    case 'e':
      return exponent(real(value, verb), precision);
    case 'b':
      return typeof value === 'boolean' ? (value ? '1' : '0') : whole(value, verb).toString(2);
    case 'o':
      return whole(value, verb).toString(8);
    case 'x':
      return hex(value);
    case 'X':
      return hex(value).toUpperCase();
    default:
      throw new EvalFault(`could not parse formatting clause: unrecognized formatting clause "${verb}"`);
  }
};

export const formatText = (text: string, list: List): string => {
  let next = 0;
  return text.replace(/%(?:%|(?:\.(\d+))?([\s\S]?))/g, (clause, precision: string | undefined, verb: string) => {
    if (clause === '%%') return '%';
    if (next >= list.length) throw new EvalFault(`index ${next} out of range`);
    return written(verb, precision === undefined ? 6 : Number(precision), list.at(next++));
  });
};
