/** Quantities, semantic versions, named formats and regular expressions (Kubernetes CEL libraries). */
import { parseRequestUri } from '../../go-url.ts';
import { dns1035Label, dns1123Label, dns1123Subdomain, labelValue, qualifiedName } from '../../names.ts';
import { addQuantity, compareQuantity, parseQuantity, type Quantity, signOf, subQuantity } from '../../quantity.ts';
import { compilePattern, type Pattern } from '../../regex.ts';
import { func, type Library, method } from '../library.ts';
import { parseDate, parseTimestamp } from '../times.ts';
import { bool, double, int, listOf, opaque, optionalOf, string } from '../types.ts';
import { EvalFault, List, NONE, OpaqueValue, Optional } from '../values.ts';

const quantity = opaque('kubernetes.Quantity');
const semver = opaque('kubernetes.Semver');
const format = opaque('kubernetes.NamedFormat');
const NANO = 1_000_000_000n;

const amount = (value: OpaqueValue): Quantity => value.content as Quantity;
const quantityValue = (content: Quantity): OpaqueValue =>
  new OpaqueValue('kubernetes.Quantity', content, (other) => compareQuantity(content, other as Quantity) === 0);
const tryQuantity = (text: string): Quantity | undefined => {
  try {
    return parseQuantity(text);
  } catch {
    return undefined;
  }
};
const quantityOf = (text: string): OpaqueValue => {
  const parsed = tryQuantity(text);
  if (!parsed)
    throw new EvalFault("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
  return quantityValue(parsed);
};
const isWhole = (q: Quantity): boolean => q.nano % NANO === 0n && q.nano / NANO < 1n << 63n;
const wholeOf = (value: OpaqueValue): bigint => {
  if (!isWhole(amount(value))) throw new EvalFault('cannot convert value to integer');
  return amount(value).nano / NANO;
};
const whole = (n: bigint): Quantity => ({ nano: n * NANO, format: 'decimal' });
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
      quantityValue(addQuantity(amount(a), amount(b))),
    ),
    method('quantity_add_int', [quantity, int], quantity, (a: OpaqueValue, b: bigint) =>
      quantityValue(addQuantity(amount(a), whole(b))),
    ),
  ],
  sub: [
    method('quantity_sub', [quantity, quantity], quantity, (a: OpaqueValue, b: OpaqueValue) =>
      quantityValue(subQuantity(amount(a), amount(b))),
    ),
    method('quantity_sub_int', [quantity, int], quantity, (a: OpaqueValue, b: bigint) =>
      quantityValue(subQuantity(amount(a), whole(b))),
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
    if (!m) return undefined;
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
const version = (value: OpaqueValue): Version => value.content as Version;
const versionOf = (text: string, lenient = false): OpaqueValue => {
  const content = parseVersion(text, lenient);
  if (!content) throw new EvalFault(`${JSON.stringify(text)} is not a semantic version`);
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
const prefixed =
  (check: Check): Check =>
  (text) =>
    check(text.endsWith('-') ? `${text.slice(0, -1)}a` : text);
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
  uri: holds((text) => parseRequestUri(text) !== undefined, 'invalid URI for request'),
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
  while ((limit < 0n || BigInt(out.length) < limit) && matcher.find()) out.push(matcher.group() ?? '');
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
  { types: { 'kubernetes.Quantity': quantity }, functions: quantities },
  { types: { 'kubernetes.Semver': semver }, functions: versions },
  { types: { 'kubernetes.NamedFormat': format }, functions: formatFunctions },
  { functions: patterns },
];
