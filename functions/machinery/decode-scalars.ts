/**
 * The leaves of a decode: strings, numbers, booleans and the scalars with a form of their own (RFC 3339 times, quantities,
 * base64 bytes, int-or-string), each brought into the form in which upstream encodes it.
 */
import { type Decoder, mismatch, pathText, type Walk } from './decode-walk.ts';
import type { Json } from './object.ts';
import { canonicalAmount, canonicalQuantity, quantityError } from './quantity.ts';
import type { ScalarSchema } from './schema.ts';
import { badRequest } from './status.ts';

export interface ScalarDecoder {
  run: Decoder;
  zero: () => Json;
}

const limits: Record<string, [number, number]> = {
  int32: [-(2 ** 31), 2 ** 31 - 1],
  int64: [-(2 ** 63), 2 ** 63],
};

const integer = (format: string): Decoder => {
  const goType = format || 'int64';
  const [min, max] = limits[goType] ?? [-(2 ** 63), 2 ** 63];
  return (value, walk) => {
    if (typeof value !== 'number') return mismatch(value, goType, walk);
    const odd = walk.oddNumbers?.get(pathText(walk.path));
    if (odd !== undefined) return mismatch(value, goType, walk, `number ${odd}`);
    if (!Number.isInteger(value) || value < min || value > max) return mismatch(value, goType, walk, `number ${value}`);
    return value === 0 ? 0 : value;
  };
};

const string: Decoder = (value, walk) => (typeof value === 'string' ? value : mismatch(value, 'string', walk));
const boolean: Decoder = (value, walk) => (typeof value === 'boolean' ? value : mismatch(value, 'bool', walk));
const number: Decoder = (value, walk) => (typeof value === 'number' ? value : mismatch(value, 'float64', walk));

/** A wrong text within a scalar that reads itself: the sentence without a field, as its Go type gives it. */
const refuse = (value: Json, message: string, walk: Walk): Json => {
  if (walk.lenient) return value;
  throw badRequest(message);
};
const quantityBy =
  (canonical: (given: string | number) => string): Decoder =>
  (value, walk) => {
    if (typeof value !== 'string' && typeof value !== 'number') {
      return refuse(value, quantityError, walk);
    }
    try {
      return canonical(value);
    } catch (error) {
      return refuse(value, error instanceof Error ? error.message : String(error), walk);
    }
  };

const intOrString: Decoder = (value, walk) => {
  if (typeof value === 'string') return value;
  if (typeof value !== 'number') return mismatch(value, 'int32', walk);
  const odd = walk.oddNumbers?.get(pathText(walk.path));
  if (odd === undefined && Number.isInteger(value) && Math.abs(value) <= 2 ** 31 - 1) return value;
  return mismatch(value, 'int32', walk, `number ${odd ?? value}`);
};

const timePattern =
  /^(\d{4})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

/** Canonical text of an RFC 3339 time in UTC: whole seconds, or six decimals for MicroTime. undefined if it is none. */
export const canonicalTime = (text: string, micro = false): string | undefined => {
  const m = timePattern.exec(text);
  if (!m) return undefined;
  if (Number(m[3]) > new Date(Date.UTC(Number(m[1]), Number(m[2]), 0)).getUTCDate()) return undefined;
  // Microseconds are written out in full, or they are none.
  if (micro && m[5]?.length !== 7) return undefined;
  const fraction = micro ? m[5] : '';
  const seconds = m[6] === 'Z' ? text.slice(0, 19) : new Date(`${text.slice(0, 19)}${m[6]}`).toISOString().slice(0, 19);
  return `${seconds}${fraction}Z`;
};

const time =
  (micro: boolean): Decoder =>
  (value, walk) => {
    if (typeof value !== 'string') return mismatch(value, 'string', walk);
    const layout = micro ? '2006-01-02T15:04:05.000000Z07:00' : '2006-01-02T15:04:05Z07:00';
    const text = canonicalTime(value, micro);
    if (text !== undefined) return text;
    const shown = JSON.stringify(value);
    return refuse(value, `parsing time ${shown} as "${layout}": cannot parse ${shown} as "2006"`, walk);
  };

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const bytes: Decoder = (value, walk) => {
  if (typeof value !== 'string') return mismatch(value, '[]uint8', walk);
  const text = /[\r\n]/.test(value) ? value.replace(/[\r\n]/g, '') : value;
  if (base64.test(text)) return text;
  const bad = /[^A-Za-z0-9+/]/.exec(text)?.index ?? text.length - (text.length % 4);
  return refuse(value, `illegal base64 data at input byte ${bad}`, walk);
};

const strings: Record<string, ScalarDecoder> = {
  'date-time': { run: time(false), zero: () => null },
  'micro-time': { run: time(true), zero: () => null },
  quantity: { run: quantityBy(canonicalQuantity), zero: () => '0' },
  'int-or-string': { run: intOrString, zero: () => 0 },
  byte: { run: bytes, zero: () => null },
};

/** The decoder of a scalar and the value that upstream encodes for an unset one. */
export const compileScalar = (schema: ScalarSchema): ScalarDecoder => {
  if (schema.type === 'integer') return { run: integer(schema.format), zero: () => 0 };
  if (schema.type === 'number') return { run: number, zero: () => 0 };
  if (schema.type === 'boolean') return { run: boolean, zero: () => false };
  return strings[schema.format] ?? { run: string, zero: () => '' };
};

/** The values of a map from resources to quantities. */
export const amount: ScalarDecoder = { run: quantityBy(canonicalAmount), zero: () => '0' };
