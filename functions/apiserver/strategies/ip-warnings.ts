// Addresses that are accepted as they always were, and what a client is told about them. KEP-4858.
import { addressNumber, canonicalAddress, familyOf, parseCidr } from './ip.ts';

const isMapped = (text: string): boolean => /^::ffff:[0-9.]+$/i.test(canonicalAddress(text));
/** The IPv4 address where one is written as IPv6. */
const plain = (text: string): string => canonicalAddress(text).replace(/^::ffff:(?=\d+\.)/i, '');
const hasLeadingZero = (text: string): boolean => /(^|\.)0\d/.test(text) && !text.includes(':');

/** Warnings about an address, which is valid. */
export const ipWarnings = (path: string, text: string): string[] => {
  if (!familyOf(text)) return [];
  if (hasLeadingZero(text) || isMapped(text))
    return [`${path}: non-standard IP address ${JSON.stringify(text)} is invalid: use ${JSON.stringify(plain(text))}`];
  const right = canonicalAddress(text);
  if (familyOf(text) === 'IPv4' || right === text) return [];
  return [`${path}: IPv6 address ${JSON.stringify(text)} should be in RFC 5952 canonical format ("${right}")`];
};

const textOf = (value: bigint, bits: 32 | 128): string => {
  const parts: string[] = [];
  const step = bits === 32 ? 8 : 16;
  for (let shift = bits - step; shift >= 0; shift -= step) {
    const part = (value >> BigInt(shift)) & ((1n << BigInt(step)) - 1n);
    parts.push(bits === 32 ? String(part) : part.toString(16));
  }
  return canonicalAddress(parts.join(bits === 32 ? '.' : ':'));
};

/** Warnings about a CIDR, which is valid. */
export const cidrWarnings = (path: string, text: string): string[] => {
  const cidr = parseCidr(text.trim());
  if (!cidr) return [];
  const network = `${textOf(cidr.network, cidr.bits)}/${cidr.prefix}`;
  const out: string[] = [];
  const shown = JSON.stringify(text);
  if (cidr.network !== cidr.address) {
    const single = `${textOf(cidr.address, cidr.bits)}/${cidr.bits}`;
    out.push(`${path}: CIDR value ${shown} is ambiguous in this context (should be "${network}" or "${single}"?)`);
  }
  const [address = '', prefix = ''] = text.split('/');
  const odd =
    hasLeadingZero(address) || isMapped(address) || String(Number(prefix)) !== prefix || !addressNumber(address);
  if (odd) out.push(`${path}: non-standard CIDR value ${shown} is invalid: use "${network}"`);
  if (out.length === 0 && cidr.bits === 128 && network !== text)
    out.push(`${path}: IPv6 CIDR value ${shown} should be in RFC 5952 canonical format ("${network}")`);
  return out;
};
