// Text rules that only strategies need, and machinery's under the short names used in this folder. Each returns the
// messages, none when the value is valid.
import { dns1123Subdomain } from '../../machinery/names.ts';

export {
  configMapKey,
  dns1035Label,
  dns1123Label as dnsLabel,
  dns1123Subdomain as dnsSubdomain,
  envVarName as envName,
  httpHeaderName as httpHeader,
  labelValue,
  portName,
  qualifiedName,
  wildcardSubdomain,
} from '../../machinery/names.ts';

const UNDERSCORED = /^[a-z0-9_]([-_a-z0-9]*[a-z0-9_])?(\.[a-z0-9_]([-_a-z0-9]*[a-z0-9_])?)*$/;

/** A subdomain that may have underscores: a DNS search path. */
export const dnsSubdomainUnderscore = (value: string): string[] => {
  const out: string[] = [];
  if (value.length > 253) out.push('must be no more than 253 characters');
  if (!UNDERSCORED.test(value)) {
    out.push("a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-', '_' or '.'");
  }
  return out;
};

/** Part of a path: no slash, no percent sign, not `.` or `..`. The names of RBAC objects and of other free-form kinds. */
export const pathSegment = (value: string): string[] => {
  if (value === '.' || value === '..') return [`may not be '${value}'`];
  return ['/', '%'].filter((c) => value.includes(c)).map((c) => `may not contain '${c}'`);
};

const NO_PREFIX = 'must be a domain-prefixed path (such as "acme.io/foo")';

/** A domain and a path: `example.com/name`, as finalizers and managedBy have. */
export const domainPrefixedPath = (value: string): string[] => {
  const slash = value.indexOf('/');
  if (slash <= 0 || slash === value.length - 1) return [NO_PREFIX];
  const out = dns1123Subdomain(value.slice(0, slash)).map((message) => `prefix part ${message}`);
  if (!/^[A-Za-z0-9/\-._~%!$&'()*+,;=:]+$/.test(value.slice(slash + 1))) out.push('invalid path');
  return out;
};

/** A domain name of at least `labels` labels; webhooks are named so, with three. */
export const qualifiedDomain = (value: string, labels: number): string[] => {
  const out = dns1123Subdomain(value);
  if (out.length === 0 && value.split('.').length < labels) {
    out.push(`should be a domain with at least ${labels} segments separated by dots`);
  }
  return out;
};
