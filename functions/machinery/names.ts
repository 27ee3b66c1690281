/**
 * Checks of names and other short texts. Each returns upstream's messages, an empty list where the text is right
 * (RFC 1123 and 1035 labels, the API's qualified names).
 *
 *   dns1123Label dns1123Subdomain dns1035Label qualifiedName labelValue envVarName cIdentifier portName percent
 *   configMapKey httpHeaderName wildcardSubdomain ipAddress cidr portNumber pathSegmentName  (text) -> string[]
 *   isIPv4 isIPv6 (text) -> boolean; nameIsSubdomain, nameIsLabel, ...: (name, prefix) -> string[] for metadata.name
 */
const tooLong = (max: number): string => `must be no more than ${max} bytes`;
const tooShort = 'must be non-empty';
const byteLength = (text: string): number => Buffer.byteLength(text);

/** Upstream's regexError: a sentence, examples, and the expression. */
const mustMatch = (sentence: string, expression: string, ...examples: string[]): string => {
  const shown = examples.map((e) => `'${e}'`).join(',  or ');
  return `${sentence} (${examples.length ? `e.g. ${shown}, ` : ''}regex used for validation is '${expression}')`;
};

interface Rule {
  pattern: RegExp;
  max: number;
  message: string;
}
const rule = (source: string, max: number, sentence: string, ...examples: string[]): Rule => ({
  pattern: new RegExp(`^(?:${source})$`),
  max,
  message: mustMatch(sentence, source, ...examples),
});
const check = (r: Rule, text: string): string[] => {
  const out: string[] = [];
  if (text.length * 3 > r.max && byteLength(text) > r.max) out.push(tooLong(r.max));
  if (!r.pattern.test(text)) out.push(r.message);
  return out;
};

const label = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const subdomain = `${label}(\\.${label})*`;
const qualified = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]';
const rules = {
  label: rule(
    label,
    63,
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
    'my-name',
    '123-abc',
  ),
  subdomain: rule(
    subdomain,
    253,
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
    'example.com',
  ),
  dns1035: rule(
    '[a-z]([-a-z0-9]*[a-z0-9])?',
    63,
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
    'my-name',
    'abc-123',
  ),
  wildcard: rule(
    `\\*\\.${subdomain}`,
    253,
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
    '*.example.com',
  ),
  qualified: rule(
    qualified,
    63,
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
    'MyName',
    'my.name',
    '123-abc',
  ),
  value: rule(
    `(${qualified})?`,
    63,
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
    'MyValue',
    'my_value',
    '12345',
  ),
  identifier: rule(
    '[A-Za-z_][A-Za-z0-9_]*',
    Number.MAX_SAFE_INTEGER,
    "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_'",
    'my_name',
    'MY_NAME',
    'MyName',
  ),
  configKey: rule(
    '[-._a-zA-Z0-9]+',
    253,
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    'key.name',
    'KEY_NAME',
    'key-name',
  ),
  header: rule(
    '[-A-Za-z0-9]+',
    Number.MAX_SAFE_INTEGER,
    "a valid HTTP header must consist of alphanumeric characters or '-'",
    'X-Header-Name',
  ),
  percent: rule(
    '[0-9]+%',
    Number.MAX_SAFE_INTEGER,
    'a valid percent string must be a numeric string followed by an ending',
    '1%',
    '93%',
  ),
} as const;

export const dns1123Label = (text: string): string[] => check(rules.label, text);
export const dns1123Subdomain = (text: string): string[] => check(rules.subdomain, text);
export const dns1035Label = (text: string): string[] => check(rules.dns1035, text);
export const wildcardSubdomain = (text: string): string[] => check(rules.wildcard, text);
export const cIdentifier = (text: string): string[] => check(rules.identifier, text);
export const labelValue = (text: string): string[] => check(rules.value, text);
export const httpHeaderName = (text: string): string[] => check(rules.header, text);
export const percent = (text: string): string[] => check(rules.percent, text);

/** A label or annotation key: an optional DNS subdomain, a slash, and a name. */
export const qualifiedName = (text: string): string[] => {
  if (goodKeys.has(text)) return [];
  const faults = qualifiedNameFaults(text);
  if (faults.length === 0 && text.length <= 80) {
    if (goodKeys.size >= goodKeysMax) goodKeys.clear();
    goodKeys.add(text);
  }
  return faults;
};

/** Keys that were found right: the same few come again. */
const goodKeys = new Set<string>();
const goodKeysMax = 1000;

const qualifiedNameFaults = (text: string): string[] => {
  const parts = text.split('/');
  if (parts.length > 2) {
    const suffix = " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
    const sentence = rules.qualified.message.replace('name part must', 'a qualified name must');
    return [`${sentence}${suffix}`];
  }
  const out: string[] = [];
  const name = parts.at(-1) ?? '';
  if (parts.length === 2) {
    const prefix = parts[0] ?? '';
    if (prefix === '') out.push(`prefix part ${tooShort}`);
    else out.push(...dns1123Subdomain(prefix).map((m) => `prefix part ${m}`));
  }
  if (name === '') out.push(`name part ${tooShort}`);
  else if (byteLength(name) > 63) out.push(`name part ${tooLong(63)}`);
  if (!rules.qualified.pattern.test(name)) out.push(rules.qualified.message);
  return out;
};

/** Environment variables: any printable ASCII but `=` (KEP-4369). */
export const envVarName = (text: string): string[] => {
  if (text === '') return [`environment variable name ${tooShort}`];
  if (/^[ -<>-~]+$/.test(text)) return [];
  return [
    mustMatch(
      "a valid environment variable name must consist only of printable ASCII characters other than '='",
      '^[ -<>-~]+$',
    ),
  ];
};

/** Keys of ConfigMaps and Secrets. */
export const configMapKey = (text: string): string[] => {
  const out = check(rules.configKey, text);
  if (text === '.') out.push("must not be '.'");
  else if (text === '..') out.push("must not be '..'");
  else if (text.startsWith('..')) out.push("must not start with '..'");
  return out;
};

/** A service or container port's name, after RFC 6335. */
export const portName = (text: string): string[] => {
  const out: string[] = [];
  if (text.length > 15) out.push('must be no more than 15 characters');
  if (!/^[-a-z0-9]+$/.test(text)) out.push('must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)');
  if (!/[a-z]/.test(text)) out.push('must contain at least one letter (a-z)');
  if (text.includes('--')) out.push('must not contain consecutive hyphens');
  if (text.startsWith('-') || text.endsWith('-')) out.push('must not begin or end with a hyphen');
  return out;
};

export const portNumber = (port: number): string[] =>
  Number.isInteger(port) && port >= 1 && port <= 65535 ? [] : ['must be between 1 and 65535, inclusive'];

export const isIPv4 = (text: string): boolean =>
  /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)$/.test(text);

export const isIPv6 = (text: string): boolean => {
  const halves = text.split('::');
  if (halves.length > 2 || !/^[0-9a-fA-F:.]+$/.test(text) || !text.includes(':')) return false;
  let groups = 0;
  const words = halves.flatMap((h) => (h === '' ? [] : h.split(':')));
  for (const [i, word] of words.entries()) {
    if (/^[0-9a-fA-F]{1,4}$/.test(word)) groups += 1;
    else if (i === words.length - 1 && isIPv4(word)) groups += 2;
    else return false;
  }
  return halves.length === 2 ? groups <= 7 : groups === 8;
};

export const ipAddress = (text: string): string[] =>
  isIPv4(text) || isIPv6(text) ? [] : ['must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'];

export const cidr = (text: string): string[] => {
  const m = /^(.+)\/(0|[1-9]\d{0,2})$/.exec(text);
  const bits = Number(m?.[2] ?? Number.NaN);
  const ok = m?.[1] !== undefined && ((isIPv4(m[1]) && bits <= 32) || (isIPv6(m[1]) && bits <= 128));
  return ok ? [] : ['must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)'];
};

/** Validates metadata.name; `prefix` means that a suffix follows (generateName), so a trailing dash is allowed. */
export type NameCheck = (name: string, prefix: boolean) => string[];
const masked = (name: string): string => (name.length > 1 && name.endsWith('-') ? `${name.slice(0, -2)}a` : name);
export const nameIsSubdomain: NameCheck = (name, prefix) => dns1123Subdomain(prefix ? masked(name) : name);
export const nameIsLabel: NameCheck = (name, prefix) => dns1123Label(prefix ? masked(name) : name);
export const nameIsDns1035: NameCheck = (name, prefix) => dns1035Label(prefix ? masked(name) : name);

/** Names that only must fit in a path: RBAC objects. */
export const pathSegmentName: NameCheck = (name, prefix) => {
  if (!prefix && (name === '.' || name === '..')) return [`may not be '${name}'`];
  return ['/', '%'].filter((c) => name.includes(c)).map((c) => `may not contain '${c}'`);
};
