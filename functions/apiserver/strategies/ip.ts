// IP addresses and CIDRs as the API's older fields accept them: leading zeros in an IPv4 octet are taken as decimal.
import { isIPv4, isIPv6 } from 'node:net';

/** `IPv4`, `IPv6`, or undefined where the text is no address. A zone (`%eth0`) makes it none. */
export const familyOf = (text: string): 'IPv4' | 'IPv6' | undefined => {
  const plain = text.replace(/(^|\.)0+(?=\d)/g, '$1');
  if (isIPv4(plain) && !text.includes(':')) return 'IPv4';
  return isIPv6(text) && !text.includes('%') ? 'IPv6' : undefined;
};

/** What makes an address that could be read another way: upstream reads such, and refuses them in new values (KEP-4858). */
export const ambiguityOf = (text: string): string | undefined => {
  if (!text.includes(':')) return /(^|\.)0\d/.test(text) ? 'must not have leading 0s' : undefined;
  return /^::ffff:\d+\./.test(canonicalAddress(text)) ? 'must not be an IPv4-mapped IPv6 address' : undefined;
};

/** The same of a range, whose prefix may say less than the address in front of it. */
export const rangeAmbiguityOf = (text: string): string | undefined => {
  const [address = '', prefix = ''] = text.split('/');
  const fault = ambiguityOf(address);
  if (fault) return fault;
  if (/^0\d/.test(prefix)) return 'must not have leading 0s in prefix length';
  const number = addressNumber(address);
  if (!number) return undefined;
  const rest = BigInt(number.bits - Number(prefix));
  return number.value & ((1n << rest) - 1n) ? 'must not have bits set beyond the prefix length' : undefined;
};

/** Sixteen-bit groups of an IPv6 address, or the four octets of an IPv4 one; undefined where it is neither. */
export const addressParts = (text: string): number[] | undefined => {
  const family = familyOf(text);
  if (family === 'IPv4') return text.split('.').map(Number);
  if (family !== 'IPv6') return undefined;
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  let rest = text;
  if (dotted) {
    const pair = (a: string | undefined, b: string | undefined) => ((Number(a) << 8) | Number(b)).toString(16);
    rest = `${dotted[1]}${pair(dotted[2], dotted[3])}:${pair(dotted[4], dotted[5])}`;
  }
  const [head = '', tail] = rest.split('::');
  const left = head ? head.split(':') : [];
  const right = tail ? tail.split(':') : [];
  const middle = tail === undefined ? [] : new Array<string>(8 - left.length - right.length).fill('0');
  return [...left, ...middle, ...right].map((group) => Number.parseInt(group, 16));
};

/** The address as a number, with its width in bits. */
export const addressNumber = (text: string): { value: bigint; bits: 32 | 128 } | undefined => {
  const parts = addressParts(text);
  if (!parts) return undefined;
  const step = parts.length === 4 ? 8n : 16n;
  let value = 0n;
  for (const part of parts) value = (value << step) | BigInt(part);
  return { value, bits: parts.length === 4 ? 32 : 128 };
};

/** The canonical text of an address (RFC 5952 for IPv6). */
export const canonicalAddress = (text: string): string => {
  const parts = addressParts(text);
  if (!parts) return text;
  if (parts.length === 4) return parts.join('.');
  const mapped = parts.slice(0, 5).every((p) => p === 0) && parts[5] === 0xffff;
  if (mapped) {
    const [high = 0, low = 0] = parts.slice(6);
    return `::ffff:${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
  }
  let best = { at: -1, length: 1 };
  for (let i = 0; i < 8; i++) {
    let end = i;
    while (end < 8 && parts[end] === 0) end++;
    if (end - i > best.length) best = { at: i, length: end - i };
  }
  const hex = parts.map((p) => p.toString(16));
  if (best.at < 0) return hex.join(':');
  return `${hex.slice(0, best.at).join(':')}::${hex.slice(best.at + best.length).join(':')}`;
};

export interface Cidr {
  family: 'IPv4' | 'IPv6';
  /** The first address of the network. */
  network: bigint;
  address: bigint;
  prefix: number;
  bits: 32 | 128;
}

/** Parses `10.0.0.0/16`; undefined where it is none. Host bits may be set. */
export const parseCidr = (text: string): Cidr | undefined => {
  const m = /^([^/]+)\/(\d{1,3})$/.exec(text);
  if (!m) return undefined;
  const address = addressNumber(m[1] ?? '');
  const prefix = Number(m[2]);
  if (!address || prefix > address.bits) return undefined;
  const host = BigInt(address.bits - prefix);
  const network = (address.value >> host) << host;
  const family = address.bits === 32 ? 'IPv4' : 'IPv6';
  return { family, network, address: address.value, prefix, bits: address.bits };
};

/** Why an address may not be used by an endpoint or as an external IP; none where it may. */
export const nonSpecialIP = (text: string): string[] => {
  const parts = addressParts(text);
  if (!parts) return ['must be a valid IP address'];
  const out: string[] = [];
  const zero = (list: number[]) => list.every((p) => p === 0);
  const [first = 0, second = 0] = parts;
  if (zero(parts)) out.push('may not be unspecified (0.0.0.0 or ::)');
  if (parts.length === 4) {
    if (first === 127) out.push('may not be in the loopback range (127.0.0.0/8, ::1/128)');
    if (first === 169 && second === 254) out.push('may not be in the link-local range (169.254.0.0/16, fe80::/10)');
    if (first === 224 && second === 0 && parts[2] === 0) {
      out.push('may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)');
    }
    return out;
  }
  if (zero(parts.slice(0, 7)) && parts[7] === 1) out.push('may not be in the loopback range (127.0.0.0/8, ::1/128)');
  if ((first & 0xffc0) === 0xfe80) out.push('may not be in the link-local range (169.254.0.0/16, fe80::/10)');
  if (first === 0xff02) out.push('may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)');
  return out;
};
