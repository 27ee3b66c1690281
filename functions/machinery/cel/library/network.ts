/** URLs, IP addresses and CIDR ranges (Kubernetes CEL libraries). */
import {
  type Address,
  type AddressRange,
  formatAddress,
  inRange,
  maskRange,
  parseAddress,
  parseRange,
} from '../../address.ts';
import { type GoUrl, parseRequestUri } from '../../go-url.ts';
import { func, type Library, method } from '../library.ts';
import { bool, int, listOf, mapOf, opaque, string } from '../types.ts';
import { EvalFault, List, mapOfJson, OpaqueValue, type Value } from '../values.ts';
import { addressFault, rangeFault, uriFault } from './faults.ts';

const url = opaque('kubernetes.URL');
const ip = opaque('net.IP');
const cidr = opaque('net.CIDR');

const urlOf = (text: string): OpaqueValue => {
  const parsed = parseRequestUri(text);
  if (!parsed) throw new EvalFault(`URL parse error during conversion from string: ${uriFault(text)}`);
  const hash = text.indexOf('#');
  const content = (hash < 0 ? parsed : parseRequestUri(text.slice(0, hash))) ?? parsed;
  return new OpaqueValue('kubernetes.URL', content, (other) => (other as GoUrl).text === content.text);
};
const part = (name: 'scheme' | 'host' | 'hostname' | 'port' | 'escapedPath') => (value: OpaqueValue) =>
  (value.content as GoUrl)[name];
/** The parameters of a query; those that Go cannot read (a `;`, a bad escape) are left out. */
const queryOf = (value: OpaqueValue): Value => {
  const out: Record<string, string[]> = {};
  const readable = (value.content as GoUrl).rawQuery.split('&').filter((one) => !/;|%(?![0-9A-Fa-f]{2})/.test(one));
  for (const [name, text] of new URLSearchParams(readable.join('&'))) {
    const before = Object.hasOwn(out, name) ? out[name] : undefined;
    if (before) before.push(text);
    else Object.defineProperty(out, name, { value: [text], enumerable: true });
  }
  return mapOfJson(out, (texts) => new List(texts as string[]));
};

/** IPv4 written as IPv6 and zones are refused, as upstream does for security's sake. */
const addressOf = (text: string): Address | undefined => {
  const parsed = parseAddress(text);
  return parsed && !parsed.mapped && parsed.zone === '' ? parsed : undefined;
};
const sameAddress = (a: Address, b: Address): boolean => a.family === b.family && a.value === b.value;
const ipValue = (content: Address): OpaqueValue =>
  new OpaqueValue('net.IP', content, (other) => sameAddress(content, other as Address));
const ipOf = (text: string): OpaqueValue => {
  const parsed = parseAddress(text);
  const name = JSON.stringify(text);
  if (!parsed)
    throw new EvalFault(`IP Address ${name} parse error during conversion from string: ${addressFault(text)}`);
  if (parsed.zone !== '') throw new EvalFault(`IP address ${name} with zone value is not allowed`);
  if (parsed.mapped) throw new EvalFault(`IPv4-mapped IPv6 address ${name} is not allowed`);
  return ipValue(parsed);
};
const rangeOf = (text: string): AddressRange | undefined => {
  const parsed = parseRange(text);
  return parsed && !parsed.address.mapped ? parsed : undefined;
};
const cidrValue = (content: AddressRange): OpaqueValue =>
  new OpaqueValue('net.CIDR', content, (other) => {
    const range = other as AddressRange;
    return range.bits === content.bits && sameAddress(range.address, content.address);
  });
const cidrOf = (text: string): OpaqueValue => {
  const parsed = parseRange(text);
  const error = 'network address parse error during conversion from string';
  if (!parsed) throw new EvalFault(`${error}: ${error}: ${rangeFault(text, (one) => parseAddress(one) !== undefined)}`);
  if (parsed.address.mapped)
    throw new EvalFault(`${error}: IPv4-mapped IPv6 address ${JSON.stringify(text)} is not allowed`);
  return cidrValue(parsed);
};

const address = (value: OpaqueValue): Address => value.content as Address;
const range = (value: OpaqueValue): AddressRange => value.content as AddressRange;
const inAny = (ranges: string[]) => {
  const parsed = ranges.map((text) => parseRange(text)).filter((one) => one !== undefined);
  return (a: Address): boolean => parsed.some((one) => inRange(one, a));
};
const isLoopback = inAny(['127.0.0.0/8', '::1/128']);
const isMulticast = inAny(['224.0.0.0/4', 'ff00::/8']);
const isLinkLocal = inAny(['169.254.0.0/16', 'fe80::/10']);
const isLinkLocalMulticast = inAny(['224.0.0.0/24', 'ff02::/16']);
const isGlobal = (a: Address): boolean =>
  a.value !== 0n &&
  !(a.family === 4 && a.value === 0xffffffffn) &&
  !isLoopback(a) &&
  !isMulticast(a) &&
  !isLinkLocal(a);
const ask = (id: string, holds: (a: Address) => boolean) =>
  method(id, [ip], bool, (value: OpaqueValue) => holds(address(value)));

const containsRange = (outer: AddressRange, inner: AddressRange): boolean =>
  outer.bits <= inner.bits && inRange(outer, inner.address);

const rangeText = ({ address: a, bits }: AddressRange): string => `${formatAddress(a)}/${bits}`;

export const urls: Library = {
  functions: {
    url: [func('string_to_url', [string], url, urlOf)],
    isURL: [func('is_url_string', [string], bool, (text: string) => parseRequestUri(text) !== undefined)],
    getScheme: [method('url_get_scheme', [url], string, part('scheme'))],
    getHost: [method('url_get_host', [url], string, part('host'))],
    getHostname: [method('url_get_hostname', [url], string, part('hostname'))],
    getPort: [method('url_get_port', [url], string, part('port'))],
    getEscapedPath: [method('url_get_escaped_path', [url], string, part('escapedPath'))],
    getQuery: [method('url_get_query', [url], mapOf(string, listOf(string)), queryOf)],
  },
};

export const addresses: Library = {
  types: { 'net.IP': ip, 'net.CIDR': cidr },
  functions: {
    ip: [
      func('string_to_ip', [string], ip, ipOf),
      method('cidr_ip', [cidr], ip, (value: OpaqueValue) => ipValue(range(value).address)),
    ],
    isIP: [func('is_ip', [string], bool, (text: string) => addressOf(text) !== undefined)],
    'ip.isCanonical': [
      func('ip_is_canonical', [string], bool, (text: string) => {
        const parsed = address(ipOf(text));
        return formatAddress(parsed) === text;
      }),
    ],
    family: [method('ip_family', [ip], int, (value: OpaqueValue) => BigInt(address(value).family))],
    isUnspecified: [ask('ip_is_unspecified', (a) => a.value === 0n)],
    isLoopback: [ask('ip_is_loopback', isLoopback)],
    isLinkLocalMulticast: [ask('ip_is_link_local_multicast', isLinkLocalMulticast)],
    isLinkLocalUnicast: [ask('ip_is_link_local_unicast', isLinkLocal)],
    isGlobalUnicast: [ask('ip_is_global_unicast', isGlobal)],
    cidr: [func('string_to_cidr', [string], cidr, cidrOf)],
    isCIDR: [func('is_cidr', [string], bool, (text: string) => rangeOf(text) !== undefined)],
    containsIP: [
      method('cidr_contains_ip_string', [cidr, string], bool, (value: OpaqueValue, text: string) => {
        const parsed = addressOf(text);
        if (!parsed) throw new EvalFault('no such overload');
        return inRange(range(value), parsed);
      }),
      method('cidr_contains_ip_ip', [cidr, ip], bool, (value: OpaqueValue, other: OpaqueValue) =>
        inRange(range(value), address(other)),
      ),
    ],
    containsCIDR: [
      method('cidr_contains_cidr_string', [cidr, string], bool, (value: OpaqueValue, text: string) =>
        containsRange(range(value), range(cidrOf(text))),
      ),
      method('cidr_contains_cidr', [cidr, cidr], bool, (value: OpaqueValue, other: OpaqueValue) =>
        containsRange(range(value), range(other)),
      ),
    ],
    prefixLength: [method('cidr_prefix_length', [cidr], int, (value: OpaqueValue) => BigInt(range(value).bits))],
    masked: [method('cidr_masked', [cidr], cidr, (value: OpaqueValue) => cidrValue(maskRange(range(value))))],
    string: [
      func('ip_to_string', [ip], string, (value: OpaqueValue) => formatAddress(address(value))),
      func('cidr_to_string', [cidr], string, (value: OpaqueValue) => rangeText(range(value))),
    ],
  },
};
