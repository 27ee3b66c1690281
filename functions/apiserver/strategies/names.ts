// Text rules of names, as upstream's apimachinery checks them. Each returns the messages, none when the value is valid.
const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const LABEL_1035 = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const SUBDOMAIN_UNDERSCORE = /^[a-z0-9_]([-_a-z0-9]*[a-z0-9_])?(\.[a-z0-9_]([-_a-z0-9]*[a-z0-9_])?)*$/;
const WILDCARD = /^\*\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const QUALIFIED = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;
const VALUE = /^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/;
const CONFIG_KEY = /^[-._a-zA-Z0-9]+$/;
const HEADER = /^[-A-Za-z0-9]+$/;

type Rule = (value: string) => string[];
const tooLong = (max: number) => `must be no more than ${max} characters`;

/** A rule that is a length and an expression; both may be broken at once. */
const shaped =
  (shape: RegExp, max: number, message: string): Rule =>
  (value) => {
    const out: string[] = [];
    if (value.length > max) out.push(tooLong(max));
    if (!shape.test(value)) out.push(message);
    return out;
  };

/** A lower-case RFC 1123 label, at most 63 characters. */
export const dnsLabel: Rule = shaped(
  LABEL,
  63,
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
);
/** An RFC 1035 label: like dnsLabel, beginning with a letter. */
export const dns1035Label: Rule = shaped(
  LABEL_1035,
  63,
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
);
/** A lower-case RFC 1123 subdomain, at most 253 characters. */
export const dnsSubdomain: Rule = shaped(
  SUBDOMAIN,
  253,
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
);
/** dnsSubdomain with underscores, for DNS search paths. */
export const dnsSubdomainUnderscore: Rule = shaped(
  SUBDOMAIN_UNDERSCORE,
  253,
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
);
/** `*.` and a subdomain. */
export const wildcardSubdomain: Rule = shaped(
  WILDCARD,
  253,
  "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain",
);
/** The value of a label. */
export const labelValue: Rule = shaped(
  VALUE,
  63,
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
);
/** A key of a ConfigMap or Secret. */
export const configMapKey: Rule = (value) => {
  const out: string[] = [];
  if (value.length > 253) out.push(tooLong(253));
  if (!CONFIG_KEY.test(value)) out.push("a valid config key must consist of alphanumeric characters, '-', '_' or '.'");
  if (value === '.') out.push("must not be '.'");
  else if (value === '..') out.push("must not be '..'");
  else if (value.startsWith('..')) out.push("must not start with '..'");
  return out;
};
/** The name of an environment variable: printable ASCII without `=`. */
export const envName: Rule = (value) =>
  value !== '' && /^[ -<>-~]+$/.test(value)
    ? []
    : ["a valid environment variable name must consist only of printable ASCII characters other than '='"];
export const httpHeader: Rule = (value) =>
  HEADER.test(value)
    ? []
    : ["a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name')"];

/** A label key, taint key, resource name or condition type: an optional DNS prefix and a name of at most 63. */
export const qualifiedName: Rule = (value) => {
  const parts = value.split('/');
  const out: string[] = [];
  if (parts.length > 2) {
    return ["a valid label key must consist of alphanumeric characters, '-', '_' or '.', with an optional DNS subdomain prefix and '/'"];
  }
  const name = parts.at(-1) ?? '';
  if (parts.length === 2) {
    const prefix = parts[0] ?? '';
    if (prefix === '') out.push('prefix part must be non-empty');
    else for (const message of dnsSubdomain(prefix)) out.push(`prefix part ${message}`);
  }
  if (name === '') out.push('name part must be non-empty');
  else if (name.length > 63) out.push(`name part ${tooLong(63)}`);
  if (!QUALIFIED.test(name)) {
    out.push(
      "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
    );
  }
  return out;
};

/** The name of a port: at most 15 of a-z, 0-9 and single dashes, with a letter (IANA_SVC_NAME). */
export const portName: Rule = (value) => {
  const out: string[] = [];
  if (value.length > 15) out.push(tooLong(15));
  if (!/^[-a-z0-9]+$/.test(value)) out.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
  if (!/[a-z]/.test(value)) out.push('must contain at least one letter (a-z)');
  if (value.includes('--')) out.push('must not contain consecutive hyphens');
  if (value.startsWith('-') || (value.length > 0 && value.endsWith('-'))) out.push('must not begin or end with a hyphen');
  return out;
};

/** Part of a path: no slash, no percent sign, not `.` or `..`. The names of RBAC objects and of other free-form kinds. */
export const pathSegment: Rule = (value) => {
  if (value === '.') return ["may not be '.'"];
  if (value === '..') return ["may not be '..'"];
  return ['/', '%'].filter((c) => value.includes(c)).map((c) => `may not contain '${c}'`);
};

/** A domain name prefix and a path: `example.com/name`, as finalizers and signer names of the batch API have. */
export const domainPrefixedPath: Rule = (value) => {
  const slash = value.indexOf('/');
  if (slash <= 0) return ['must be a domain-prefixed path (such as "acme.io/foo")'];
  const out = dnsSubdomain(value.slice(0, slash)).map((message) => `prefix part ${message}`);
  const path = value.slice(slash + 1);
  if (path === '') out.push('must be a domain-prefixed path (such as "acme.io/foo")');
  else if (!/^[A-Za-z0-9/\-._~%!$&'()*+,;=:]+$/.test(path)) out.push('invalid path');
  return out;
};

/** A fully qualified domain name with at least two labels; webhooks are named so, with three. */
export const qualifiedDomain = (value: string, labels: number): string[] => {
  const out = dnsSubdomain(value);
  if (out.length === 0 && value.split('.').length < labels) {
    out.push(`should be a domain with at least ${labels} segments separated by dots`);
  }
  return out;
};
