/** Quantities, semantic versions, named formats and regular expressions (Kubernetes CEL libraries). */
import { parseRequestUri } from '../../go-url.ts';
import { dns1035Label, dns1123Label, dns1123Subdomain, labelValue, qualifiedName } from '../../names.ts';
import { addQuantity, compareQuantity, parseQuantity, type Quantity, signOf, subQuantity } from '../../quantity.ts';
import { compilePattern, type Pattern } from '../../regex.ts';
import { func, type Library, method } from '../library.ts';
import { parseDate, parseTimestamp } from '../times.ts';
import { bool, double, int, listOf, opaque, optionalOf, string } from '../types.ts';
import { EvalFault, List, NONE, OpaqueValue, Optional } from '../values.ts';
import { uriFault, versionFault } from './faults.ts';

const quantity = opaque('kubernetes.Quantity');
const semver = opaque('kubernetes.Semver');
const format = opaque('kubernetes.NamedFormat');
const NANO = 1_000_000_000n;

/** `scale`: the power of ten that upstream counts it in, in 64 bits; undefined where it needs more. */
interface Amount extends Quantity {
  scale: number | undefined;
}
const amount = (value: OpaqueValue): Amount => value.content as Amount;
const quantityValue = (content: Amount): OpaqueValue =>
  new OpaqueValue('kubernetes.Quantity', content, (other) => compareQuantity(content, other as Amount) === 0);
const tryQuantity = (text: string): Quantity | undefined => {
  try {
    return parseQuantity(text);
  } catch {
    return undefined;
  }
};
const INT_MAX = (1n << 63n) - 1n;
const EXPONENTS: Record<string, number> = { n: -9, u: -6, m: -3, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 };
const BITS: Record<string, number> = { Ki: 10, Mi: 20, Gi: 30, Ti: 40, Pi: 50, Ei: 60 };
/** Up to 18 digits with no part below 1e-9 are counted in 64 bits; of a binary one fewer, and no fraction. */
const scaleOf = (text: string): number | undefined => {
  const [, digits = '', fraction = '', suffix = ''] = /^[+-]?0*(\d*)(?:\.(\d*))?(.*)$/.exec(text) ?? [];
  const length = Math.max(digits.length, 1);
  const bits = BITS[suffix];
  if (bits !== undefined) return fraction === '' && 15 - length - Math.trunc((bits * 3) / 10) - 1 >= 0 ? 0 : undefined;
  const exponent = suffix === '' ? 0 : (EXPONENTS[suffix] ?? Number(suffix.slice(1)));
  const scale = exponent - fraction.length;
  return length + fraction.length <= 18 && scale >= -9 ? scale : undefined;
};
const quantityOf = (text: string): OpaqueValue => {
  const parsed = tryQuantity(text);
  if (parsed) return quantityValue({ ...parsed, scale: scaleOf(text) });
  if (/^[+-]?(\d+\.?\d*|\.\d+)[eEinumkKMGTP]+[-+]?\d*$/.test(text))
    throw new EvalFault("unable to parse quantity's suffix");
  throw new EvalFault("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
};
const isWhole = ({ nano, scale }: Amount): boolean => {
  const units = nano / NANO;
  return scale !== undefined && scale >= 0 && units <= INT_MAX && units >= -INT_MAX;
};
const wholeOf = (value: OpaqueValue): bigint => {
  if (!isWhole(amount(value))) throw new EvalFault('cannot convert value to integer');
  return amount(value).nano / NANO;
};
const whole = (n: bigint): Amount => ({ nano: n * NANO, format: 'decimal', scale: 0 });
/** A sum stays in 64 bits where both parts are and it fits, counted in the finer scale of the two. */
const summed = (sum: Quantity, a: Amount, b: Amount): OpaqueValue => {
  if (a.scale === undefined || b.scale === undefined) return quantityValue({ ...sum, scale: undefined });
  const scale = a.nano === 0n ? b.scale : b.nano === 0n ? a.scale : Math.min(a.scale, b.scale);
  const unit = 10n ** BigInt(9 + Math.min(scale, 0));
  const counted = scale > 0 ? sum.nano / (NANO * 10n ** BigInt(scale)) : sum.nano / unit;
  return quantityValue({ ...sum, scale: counted <= INT_MAX && counted >= -INT_MAX ? scale : undefined });
};
type Two = (a: OpaqueValue, b: OpaqueValue) => boolean;
const ordered =
  (wanted: number): Two =>
  (a, b) =>
    compareQuantity(amount(a), amount(b)) === wanted;

const quantities: Library['functions'] = {
  quantity: [func('string_to_quantity', [string], quantity, quantityOf)],
  isQuantity: [func('is_quantity_string', [string], bool, (text: string) => tryQuantity(text) !== undefined)],
  sign: [func('quantity_sign', [quantity], int, (q: OpaqueValue) => BigInt(signOf(amount(q))))],
  isGreaterThan: [method('quantity_is_greater_than', [quantity, quantity], bool, ordered(1))],
  isLessThan: [method('quantity_is_less_than', [quantity, quantity], bool, ordered(-1))],
  compareTo: [
    method('quantity_compare_to', [quantity, quantity], int, (a: OpaqueValue, b: OpaqueValue) =>
      BigInt(compareQuantity(amount(a), amount(b))),
    ),
  ],
  asApproximateFloat: [
    method('quantity_get_float', [quantity], double, (q: OpaqueValue) => Number(amount(q).nano) / 1e9),
  ],
  asInteger: [method('quantity_get_int', [quantity], int, wholeOf)],
  isInteger: [method('quantity_is_integer', [quantity], bool, (q: OpaqueValue) => isWhole(amount(q)))],
  add: [
    method('quantity_add', [quantity, quantity], quantity, (a: OpaqueValue, b: OpaqueValue) =>
      summed(addQuantity(amount(a), amount(b)), amount(a), amount(b)),
    ),
    method('quantity_add_int', [quantity, int], quantity, (a: OpaqueValue, b: bigint) =>
      summed(addQuantity(amount(a), whole(b)), amount(a), whole(b)),
    ),
  ],
  sub: [
    method('quantity_sub', [quantity, quantity], quantity, (a: OpaqueValue, b: OpaqueValue) =>
      summed(subQuantity(amount(a), amount(b)), amount(a), amount(b)),
    ),
    method('quantity_sub_int', [quantity, int], quantity, (a: OpaqueValue, b: bigint) =>
      summed(subQuantity(amount(a), whole(b)), amount(a), whole(b)),
    ),
  ],
};

interface Version {
  numbers: bigint[];
  pre: string[];
}
const number = '(0|[1-9]\\d*)';
const grammar = new RegExp(`^${number}\\.${number}\\.${number}(?:-([0-9A-Za-z-.]+))?(?:\\+([0-9A-Za-z-.]+))?$`);

/** Semantic Versioning 2.0; `lenient` takes a leading v, missing parts and leading zeros. */
const parseVersion = (given: string, lenient: boolean): Version | undefined => {
  let text = given;
  if (lenient) {
    const m = /^v?(\d+(?:\.\d+){0,2})([-+].*)?$/.exec(given);
    if (!m || (m[2] !== undefined && m[1]?.split('.').length !== 3)) return undefined;
    const parts = (m[1] ?? '').split('.').map((part) => part.replace(/^0+(?=\d)/, ''));
    while (parts.length < 3) parts.push('0');
    text = parts.join('.') + (m[2] ?? '');
  }
  const m = grammar.exec(text);
  if (!m) return undefined;
  const pre = m[4]?.split('.') ?? [];
  if (pre.some((part) => part === '' || /^0\d+$/.test(part)) || m[5]?.split('.').includes('')) return undefined;
  const numbers = [m[1], m[2], m[3]].map((part) => BigInt(part ?? '0'));
  return numbers.some((n) => n >= 1n << 64n) ? undefined : { numbers, pre };
};
const comparePart = (a: string, b: string): number => {
  const [x, y] = [/^\d+$/.test(a), /^\d+$/.test(b)];
  if (x && y) return BigInt(a) < BigInt(b) ? -1 : BigInt(a) > BigInt(b) ? 1 : 0;
  if (x !== y) return x ? -1 : 1;
  return a < b ? -1 : a > b ? 1 : 0;
};
const compareVersions = (a: Version, b: Version): number => {
  for (const [i, n] of a.numbers.entries()) {
    const other = b.numbers[i] ?? 0n;
    if (n !== other) return n < other ? -1 : 1;
  }
  if (a.pre.length === 0 || b.pre.length === 0) return Number(a.pre.length === 0) - Number(b.pre.length === 0);
  for (let i = 0; i < Math.min(a.pre.length, b.pre.length); i++) {
    const order = comparePart(a.pre[i] ?? '', b.pre[i] ?? '');
    if (order !== 0) return order;
  }
  return Math.sign(a.pre.length - b.pre.length);
};
/** Why a text is no version where missing parts and leading zeros are forgiven. */
const lenientFault = (text: string): string => {
  const parts = text.replace(/^v/, '').split(/\.(?:)/, 3);
  const short = parts.length < 3;
  if (short && /[-+]/.test(parts.at(-1) ?? '')) return 'short version cannot contain PreRelease/Build meta data';
  while (parts.length < 3) parts.push('0');
  const rest = short ? [] : text.replace(/^v/, '').split('.').slice(3);
  const stripped = parts.map((part) => (part.length > 1 ? part.replace(/^0+/, '').replace(/^(?!\d)/, '0') : part));
  return versionFault([...stripped, ...rest].join('.')) ?? 'Version string empty';
};
const version = (value: OpaqueValue): Version => value.content as Version;
const versionOf = (text: string, lenient = false): OpaqueValue => {
  const content = parseVersion(text, lenient);
  if (!content) throw new EvalFault(lenient ? lenientFault(text) : (versionFault(text) ?? 'Version string empty'));
  return new OpaqueValue('kubernetes.Semver', content, (other) => compareVersions(content, other as Version) === 0);
};
const order = (a: OpaqueValue, b: OpaqueValue): number => compareVersions(version(a), version(b));
const numberOf = (i: number) => (v: OpaqueValue) => version(v).numbers[i] ?? 0n;

const versions: Library['functions'] = {
  semver: [
    func('string_to_semver', [string], semver, (text: string) => versionOf(text)),
    func('string_bool_to_semver', [string, bool], semver, versionOf),
  ],
  isSemver: [
    func('is_semver_string', [string], bool, (text: string) => parseVersion(text, false) !== undefined),
    func('is_semver_string_bool', [string, bool], bool, (text: string, lenient: boolean) =>
      Boolean(parseVersion(text, lenient)),
    ),
  ],
  isGreaterThan: [
    method('semver_is_greater_than', [semver, semver], bool, (a: OpaqueValue, b: OpaqueValue) => order(a, b) > 0),
  ],
  isLessThan: [
    method('semver_is_less_than', [semver, semver], bool, (a: OpaqueValue, b: OpaqueValue) => order(a, b) < 0),
  ],
  compareTo: [
    method('semver_compare_to', [semver, semver], int, (a: OpaqueValue, b: OpaqueValue) => BigInt(order(a, b))),
  ],
  major: [method('semver_major', [semver], int, numberOf(0))],
  minor: [method('semver_minor', [semver], int, numberOf(1))],
  patch: [method('semver_patch', [semver], int, numberOf(2))],
};

type Check = (text: string) => string[];
/** As upstream has it, the letter before a trailing dash is not looked at either. */
const prefixed =
  (check: Check): Check =>
  (text) =>
    check(text.length > 1 && text.endsWith('-') ? `${text.slice(0, -2)}a` : text);
const holds =
  (test: (text: string) => boolean, why: string): Check =>
  (text) =>
    test(text) ? [] : [why];
const uuid = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})$/;
const checks: Record<string, Check> = {
  dns1123Label,
  dns1123Subdomain,
  dns1035Label,
  qualifiedName,
  dns1123LabelPrefix: prefixed(dns1123Label),
  dns1123SubdomainPrefix: prefixed(dns1123Subdomain),
  dns1035LabelPrefix: prefixed(dns1035Label),
  labelValue,
  uri: (text) => (parseRequestUri(text) === undefined ? [uriFault(text)] : []),
  uuid: holds((text) => uuid.test(text), 'does not match the UUID format'),
  byte: holds((text) => base64.test(text), 'invalid base64'),
  date: holds((text) => parseDate(text) !== undefined, 'invalid date'),
  datetime: holds((text) => parseTimestamp(text) !== undefined, 'invalid datetime'),
};
/** Sizes of the patterns behind formats: what a validation costs goes by them. */
const PATTERN_SIZES: Record<string, number> = { uri: 2000, uuid: 83, byte: 90, date: 35, datetime: 69, labelValue: 40 };
const patternSize = (name: string): number => PATTERN_SIZES[name] ?? (/Subdomain|qualified/.test(name) ? 60 : 30);
interface NamedFormat {
  check: Check;
  patternSize: number;
}
const named = new Map(
  Object.entries(checks).map(([name, check]) => {
    const content: NamedFormat = { check, patternSize: patternSize(name) };
    return [name, new OpaqueValue('kubernetes.NamedFormat', content, (other) => other === content)];
  }),
);
const validated = (value: OpaqueValue, text: string): Optional => {
  const faults = (value.content as NamedFormat).check(text);
  return faults.length === 0 ? NONE : new Optional(new List(faults));
};
const formatFunctions: Library['functions'] = {
  'format.named': [
    func('format-named', [string], optionalOf(format), (name: string) => {
      const value = named.get(name);
      return value ? new Optional(value) : NONE;
    }),
  ],
  validate: [method('format-validate', [format, string], optionalOf(listOf(string)), validated)],
};
for (const [name, value] of named)
  formatFunctions[`format.${name}`] = [func(`format.${name}`, [], format, () => value)];

const compiledPattern = (source: string): Pattern => {
  try {
    return compilePattern(source);
  } catch (error) {
    throw new EvalFault(`Illegal regex: ${error instanceof Error ? error.message : String(error)}`);
  }
};
const findAll = (text: string, pattern: string, limit: bigint): List => {
  const matcher = compiledPattern(pattern).matcher(text);
  const out: string[] = [];
  let end = -1;
  while ((limit < 0n || BigInt(out.length) < limit) && matcher.find()) {
    // As Go does it: nothing is found in no place right behind what was found.
    if (matcher.end() > matcher.start() || matcher.start() !== end) out.push(matcher.group() ?? '');
    end = matcher.end();
  }
  return new List(out);
};
const patterns: Library['functions'] = {
  find: [
    method('string_find_string', [string, string], string, (text: string, pattern: string) => {
      const matcher = compiledPattern(pattern).matcher(text);
      return matcher.find() ? (matcher.group() ?? '') : '';
    }),
  ],
  findAll: [
    method('string_find_all_string', [string, string], listOf(string), (text: string, pattern: string) =>
      findAll(text, pattern, -1n),
    ),
    method('string_find_all_string_int', [string, string, int], listOf(string), findAll),
  ],
};

export const kubernetesLibraries: Library[] = [
  { functions: quantities },
  { types: { 'kubernetes.Semver': semver }, functions: versions },
  { types: { 'kubernetes.NamedFormat': format }, functions: formatFunctions },
  { functions: patterns },
];
