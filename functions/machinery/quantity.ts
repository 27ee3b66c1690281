/**
 * Resource quantities, exact, after the grammar of the API (sign, digits, suffix Ki..Ei, n u m k M G T P E, or e9).
 *
 *   parseQuantity('1500m') -> Quantity         throws RangeError with upstream's sentence on bad text
 *   canonicalQuantity('1000m') -> '1'          fast for what is canonical already
 *   canonicalAmount('0.0001') -> '1m'          of a resource: no finer than thousandths
 *   formatQuantity(q), compareQuantity(a, b), addQuantity(a, b), subQuantity(a, b)
 *   milliValue('1500m') -> 1500                ceiling, a number (exact below 2^53)
 *   quantityValue('1Gi') -> 1073741824         ceiling of whole units
 * A value is held in nano-units (1e-9), the smallest the API knows; smaller parts round up, away from zero.
 */
export type QuantityFormat = 'binary' | 'decimal' | 'exponent';
export interface Quantity {
  /** Value times 1e9. */
  nano: bigint;
  format: QuantityFormat;
}

const NANO = 1_000_000_000n;
const MAX = ((1n << 63n) - 1n) * NANO;
const decimals: Record<string, number> = { n: -9, u: -6, m: -3, '': 0, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 };
const binaries: Record<string, number> = { Ki: 10, Mi: 20, Gi: 30, Ti: 40, Pi: 50, Ei: 60 };
const byExponent = new Map(Object.entries(decimals).map(([suffix, e]) => [e, suffix]));

export const quantityPattern = '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$';
export const quantityError = `quantities must match the regular expression '${quantityPattern}'`;

const abs = (n: bigint): bigint => (n < 0n ? -n : n);
/** a / b rounded away from zero; b > 0. */
const divideUp = (a: bigint, b: bigint): bigint => {
  const q = abs(a) / b + (abs(a) % b ? 1n : 0n);
  return a < 0n ? -q : q;
};

const scale = (suffix: string): { power: bigint; exponent: number; format: QuantityFormat } => {
  const bits = binaries[suffix];
  if (bits !== undefined) return { power: 1n << BigInt(bits), exponent: 0, format: 'binary' };
  const exponent = decimals[suffix];
  if (exponent !== undefined) return { power: 1n, exponent, format: 'decimal' };
  const m = /^[eE]([+-]?\d{1,4})$/.exec(suffix);
  if (!m) throw new RangeError(quantityError);
  return { power: 1n, exponent: Number(m[1]), format: 'exponent' };
};

const parsed = new Map<string, Quantity>();
const parsedMax = 1000;

/** Parses a quantity; throws RangeError with upstream's sentence. Remembers short ones: the same few come again. */
export const parseQuantity = (text: string): Quantity => {
  const known = parsed.get(text);
  if (known) return known;
  const quantity = Object.freeze(parseText(text));
  if (parsed.size >= parsedMax) parsed.clear();
  if (text.length <= 16) parsed.set(text, quantity);
  return quantity;
};

const parseText = (text: string): Quantity => {
  const m = /^([+-]?)(\d*)(?:\.(\d*))?([A-Za-z][A-Za-z0-9+-]*)?$/.exec(text);
  const whole = m?.[2] ?? '';
  const fraction = m?.[3] ?? '';
  if (!m || whole.length + fraction.length === 0) throw new RangeError(quantityError);
  const { power, exponent, format } = scale(m[4] ?? '');
  const digits = BigInt(whole + fraction) * power;
  const shift = 9 + exponent - fraction.length;
  let nano = 0n;
  if (digits !== 0n) {
    if (shift > 400) nano = MAX;
    else nano = shift >= 0 ? digits * 10n ** BigInt(shift) : divideUp(digits, 10n ** BigInt(Math.min(-shift, 5000)));
  }
  if (nano > MAX && format === 'binary') nano = MAX;
  // Upstream: a binary fraction below one unit is written in decimal.
  const small = format === 'binary' && nano < NANO;
  return { nano: m[1] === '-' ? -nano : nano, format: small ? 'decimal' : format };
};

/** The canonical text: the largest suffix without a fraction; binary only for whole units. */
export const formatQuantity = (q: Quantity): string => {
  if (q.nano === 0n) return '0';
  if (q.format === 'binary' && q.nano % NANO === 0n && abs(q.nano) >= 1024n * NANO) {
    let units = q.nano / NANO;
    let step = 0;
    while (units % 1024n === 0n && step < 6) {
      units /= 1024n;
      step++;
    }
    return `${units}${['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'][step]}`;
  }
  let value = q.nano;
  let exponent = -9;
  while (value % 1000n === 0n && exponent < 18) {
    value /= 1000n;
    exponent += 3;
  }
  if (q.format === 'exponent') return exponent === 0 ? `${value}` : `${value}e${exponent}`;
  return `${value}${byExponent.get(exponent)}`;
};

const DIGITS_MAX = 18;

/**
 * Upstream keeps a text as it came where a glance at its digits finds it canonical, which also lets a sign, leading zeros
 * and some fractions through: `+2`, `1.500`, `007`.
 */
const looksCanonical = (text: string): boolean => {
  const m = /^[+-]?0*(\d*)(?:\.(\d*))?([A-Za-z][A-Za-z0-9+-]*)?$/.exec(text);
  if (!m) return false;
  const [, digits = '', fraction = '', suffix = ''] = m;
  const whole = digits || '0';
  const bits = binaries[suffix];
  if (bits !== undefined) {
    const room = 15 - whole.length - Math.trunc((bits * 3) / 10) - 1;
    return !m[2] && room >= 0 && Number(whole) % 8 !== 0;
  }
  const exponent = (decimals[suffix] ?? Number(suffix.slice(1))) - fraction.length;
  const shifted = whole + fraction;
  if (shifted.length > DIGITS_MAX || exponent < -9 || exponent % 3 !== 0) return false;
  return shifted[0] !== '0' && !shifted.endsWith('000');
};

/** Text of a quantity given as text or number, as upstream encodes it. Throws RangeError as parseQuantity does. */
export const canonicalQuantity = (given: string | number): string => {
  // Most quantities are short and canonical: `250m`, `64Mi`, `2`.
  if (typeof given === 'string' && /^[1-9]\d{0,2}(m|k|M|G|T|Ki|Mi|Gi|Ti)?$/.test(given)) return given;
  const text = String(given).trim();
  const quantity = parseQuantity(text);
  return looksCanonical(text) ? text : formatQuantity(quantity);
};

const MILLI = 1_000_000n;

/** The same for an amount of a resource, which is rounded up to thousandths, away from zero. */
export const canonicalAmount = (given: string | number): string => {
  const text = canonicalQuantity(given);
  if (!/[.nueE-]/.test(text)) return text;
  const { nano, format } = parseQuantity(text);
  return nano % MILLI === 0n ? text : formatQuantity({ nano: divideUp(nano, MILLI) * MILLI, format });
};

const of = (q: Quantity | string): Quantity => (typeof q === 'string' ? parseQuantity(q) : q);

export const compareQuantity = (a: Quantity | string, b: Quantity | string): -1 | 0 | 1 => {
  const x = of(a).nano;
  const y = of(b).nano;
  return x < y ? -1 : x > y ? 1 : 0;
};
const combine = (a: Quantity | string, b: Quantity | string, sign: bigint): Quantity => {
  const x = of(a);
  const y = of(b);
  return { nano: x.nano + sign * y.nano, format: x.nano === 0n ? y.format : x.format };
};
/** The sum, in the format of the first that is not zero. */
export const addQuantity = (a: Quantity | string, b: Quantity | string): Quantity => combine(a, b, 1n);
export const subQuantity = (a: Quantity | string, b: Quantity | string): Quantity => combine(a, b, -1n);

const ceiling = (q: Quantity | string, unit: bigint): number => Number(divideUp(of(q).nano, unit));
/** Thousandths, rounded away from zero. */
export const milliValue = (q: Quantity | string): number => ceiling(q, 1_000_000n);
/** Whole units, rounded away from zero. */
export const quantityValue = (q: Quantity | string): number => ceiling(q, NANO);
/** -1, 0 or 1. */
export const signOf = (q: Quantity | string): -1 | 0 | 1 => compareQuantity(q, { nano: 0n, format: 'decimal' });
