/**
 * IP addresses and CIDR ranges as Go's net/netip and net read them.
 *
 *   parseAddress('::1') -> { family: 6, value: 1n, zone: '', mapped: false } | undefined
 *   parseRange('10.0.0.0/8') -> { address, bits: 8 } | undefined
 *   formatAddress(address)  the canonical text (RFC 5952)
 *   inRange(range, address), maskRange(range)
 */
export interface Address {
  family: 4 | 6;
  value: bigint;
  zone: string;
  /** An IPv4 address written as IPv6 (::ffff:1.2.3.4). */
  mapped: boolean;
}
export interface AddressRange {
  address: Address;
  /** Prefix length. */
  bits: number;
}

const parse4 = (text: string, sloppy: boolean): bigint | undefined => {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  let value = 0n;
  for (const part of parts) {
    if (!/^\d{1,3}$/.test(sloppy ? part.replace(/^0+(?=\d)/, '') : part)) return undefined;
    if (!sloppy && part.length > 1 && part[0] === '0') return undefined;
    const n = Number(part);
    if (n > 255) return undefined;
    value = value * 256n + BigInt(n);
  }
  return value;
};

const groupsOf = (text: string): number[] | undefined => {
  if (text === '') return [];
  const out: number[] = [];
  const parts = text.split(':');
  for (const [i, part] of parts.entries()) {
    if (part.includes('.')) {
      const low = i === parts.length - 1 ? parse4(part, false) : undefined;
      if (low === undefined) return undefined;
      out.push(Number(low >> 16n), Number(low & 0xffffn));
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) out.push(Number.parseInt(part, 16));
    else return undefined;
  }
  return out;
};

const parse6 = (text: string): bigint | undefined => {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = groupsOf(halves[0] ?? '');
  const tail = halves.length === 2 ? groupsOf(halves[1] ?? '') : [];
  if (!head || !tail) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  let value = 0n;
  for (const group of [...head, ...Array(missing).fill(0), ...tail]) value = (value << 16n) | BigInt(group);
  return value;
};

/** Reads an address; `sloppy` allows leading zeros in IPv4, as Kubernetes does for stored objects. */
export const parseAddress = (text: string, sloppy = false): Address | undefined => {
  if (!text.includes(':')) {
    const value = parse4(text, sloppy);
    return value === undefined ? undefined : { family: 4, value, zone: '', mapped: false };
  }
  const percent = text.indexOf('%');
  const zone = percent < 0 ? '' : text.slice(percent + 1);
  if (percent >= 0 && zone === '') return undefined;
  const value = parse6(percent < 0 ? text : text.slice(0, percent));
  return value === undefined ? undefined : { family: 6, value, zone, mapped: value >> 32n === 0xffffn };
};

/** Reads `address/bits`; host bits may be set. */
export const parseRange = (text: string, sloppy = false): AddressRange | undefined => {
  const slash = text.lastIndexOf('/');
  if (slash < 0) return undefined;
  const address = parseAddress(text.slice(0, slash), sloppy);
  const digits = text.slice(slash + 1);
  if (address?.zone !== '' || !/^(0|[1-9]\d{0,2})$/.test(digits)) return undefined;
  const bits = Number(digits);
  return bits > (address.family === 4 ? 32 : 128) ? undefined : { address, bits };
};

const format4 = (value: bigint): string => [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.');

export const formatAddress = ({ family, value, zone, mapped }: Address): string => {
  if (family === 4) return format4(value);
  const suffix = zone ? `%${zone}` : '';
  if (mapped) return `::ffff:${format4(value & 0xffffffffn)}${suffix}`;
  const groups = Array.from({ length: 8 }, (_, i) => Number((value >> BigInt(112 - 16 * i)) & 0xffffn));
  let best = { at: -1, length: 1 };
  for (let i = 0; i < 8; i++) {
    let end = i;
    while (end < 8 && groups[end] === 0) end++;
    if (end - i > best.length) best = { at: i, length: end - i };
  }
  const text = (part: number[]): string => part.map((g) => g.toString(16)).join(':');
  if (best.at < 0) return text(groups) + suffix;
  return `${text(groups.slice(0, best.at))}::${text(groups.slice(best.at + best.length))}${suffix}`;
};

const width = (family: 4 | 6): number => (family === 4 ? 32 : 128);
const mask = (family: 4 | 6, bits: number): bigint => {
  const all = (1n << BigInt(width(family))) - 1n;
  return all ^ ((1n << BigInt(width(family) - bits)) - 1n);
};

/** The range with its host bits cleared. */
export const maskRange = ({ address, bits }: AddressRange): AddressRange => ({
  address: { ...address, value: address.value & mask(address.family, bits), zone: '' },
  bits,
});

export const inRange = ({ address, bits }: AddressRange, other: Address): boolean => {
  if (address.family !== other.family || other.zone !== '') return false;
  const m = mask(address.family, bits);
  return (address.value & m) === (other.value & m);
};
