/** Why a text is no address, range, URI or semantic version: in the words of Go's packages, which messages repeat. */

const q = JSON.stringify;

const ipv4Fault = (text: string): string | undefined => {
  const parts = text.split('.');
  for (const [i, part] of parts.entries()) {
    const bad = /[^0-9]/.exec(part);
    const digits = bad ? part.slice(0, bad.index) : part;
    if (/^0\d/.test(digits)) return 'IPv4 field has octet with leading zero';
    if (Number(digits) > 255) return 'IPv4 field has value >255';
    if (bad) return `unexpected character (at ${q([part.slice(bad.index), ...parts.slice(i + 1)].join('.'))})`;
    if (digits === '') {
      const rest = `.${parts.slice(i + 1).join('.')}`;
      return `IPv4 field must have at least one digit (at ${q(i + 1 < parts.length ? rest : '.')})`;
    }
    if (i === 4) return 'IPv4 address too long';
  }
  return parts.length < 4 ? 'IPv4 address too short' : undefined;
};

/** The part after the last colon, an IPv4 address in an IPv6 one, which has `bytes` bytes before it. */
const embeddedFault = (rest: string, bytes: number, shortened: boolean): string | undefined => {
  if (!shortened && bytes !== 12)
    return `embedded IPv4 address must replace the final 2 fields of the address (at ${q(rest)})`;
  if (bytes + 4 > 16) return `too many hex fields to fit an embedded IPv4 at the end of the address (at ${q(rest)})`;
  return ipv4Fault(rest);
};

const fieldFault = (digits: string, rest: string): string | undefined => {
  if (digits.length > 4) return `each group must have 4 or less digits (at ${q(rest)})`;
  return digits === '' ? `each colon-separated field must have at least one digit (at ${q(rest)})` : undefined;
};

const lengthFault = (bytes: number, rest: string, shortened: boolean): string | undefined => {
  if (rest !== '') return `trailing garbage after address (at ${q(rest)})`;
  if (bytes < 16) return shortened ? undefined : 'address string too short';
  return shortened ? 'the :: must expand to at least one field of zeros' : undefined;
};

const ipv6Fault = (text: string): string | undefined => {
  const percent = text.indexOf('%');
  if (percent === text.length - 1) return 'zone must be a non-empty string';
  let rest = percent < 0 ? text : text.slice(0, percent);
  let shortened = rest.startsWith('::');
  if (shortened) rest = rest.slice(2);
  if (shortened && rest === '') return undefined;
  let bytes = 0;
  while (bytes < 16) {
    const digits = /^[0-9a-fA-F]*/.exec(rest)?.[0] ?? '';
    const wrong = fieldFault(digits, rest);
    if (wrong) return wrong;
    if (rest[digits.length] === '.') return embeddedFault(rest, bytes, shortened);
    bytes += 2;
    rest = rest.slice(digits.length);
    if (rest === '') break;
    if (rest[0] !== ':') return `unexpected character, want colon (at ${q(rest)})`;
    if (rest.length === 1) return `colon must be followed by more characters (at ${q(rest)})`;
    rest = rest.slice(1);
    if (rest[0] !== ':') continue;
    if (shortened) return `multiple :: in address (at ${q(rest)})`;
    shortened = true;
    rest = rest.slice(1);
    if (rest === '') break;
  }
  return lengthFault(bytes, rest, shortened);
};

/** Of net/netip's ParseAddr. */
export const addressFault = (text: string): string => {
  const mark = /[.:%]/.exec(text)?.[0];
  const why =
    mark === '.'
      ? ipv4Fault(text)
      : mark === ':'
        ? ipv6Fault(text)
        : mark === '%'
          ? 'missing IPv6 address'
          : 'unable to parse IP';
  return `ParseAddr(${q(text)}): ${why ?? 'unable to parse IP'}`;
};

/** Of net/netip's ParsePrefix. */
export const rangeFault = (text: string, isAddress: (text: string) => boolean): string => {
  const slash = text.lastIndexOf('/');
  const why = (): string => {
    if (slash < 0) return "no '/'";
    const [address, bits] = [text.slice(0, slash), text.slice(slash + 1)];
    if (!isAddress(address)) return addressFault(address);
    if (address.includes('%')) return 'IPv6 zones cannot be present in a prefix';
    return /^(0|[1-9]\d*)$/.test(bits) ? 'prefix length out of range' : `bad bits after slash: ${q(bits)}`;
  };
  return `netip.ParsePrefix(${q(text)}): ${why()}`;
};

/** Of net/url's ParseRequestURI. */
export const uriFault = (text: string): string => {
  const why = (): string => {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: Go refuses them.
    if (/[\u0000-\u001f\u007f]/.test(text)) return 'net/url: invalid control character in URL';
    if (text === '') return 'empty url';
    if (text.startsWith(':')) return 'missing protocol scheme';
    if (!/^([A-Za-z][A-Za-z0-9+.-]*:|\/)/.test(text)) return 'invalid URI for request';
    const authority = /^(?:[^/?#]*:)?\/\/([^/?]*)/.exec(text)?.[1] ?? '';
    const at = authority.lastIndexOf('@');
    const escaped = /%(?![0-9A-Fa-f]{2}).{0,2}/.exec(text.split('?', 1)[0] ?? '')?.[0];
    if (at >= 0 && !/^[A-Za-z0-9\-._~!$&'()*+,;=:%@]*$/.test(authority.slice(0, at)))
      return 'net/url: invalid userinfo';
    const host = authority.slice(at + 1);
    if (host.startsWith('[') && !host.includes(']')) return "missing ']' in host";
    const port = /(:[^:\]]*)$/.exec(host)?.[1] ?? '';
    if (port && !/^:\d*$/.test(port)) return `invalid port ${q(port)} after host`;
    if (escaped !== undefined) return `invalid URL escape ${q(escaped)}`;
    const character = /[\s<>"{}|\\^`]/.exec(host)?.[0];
    return character ? `invalid character ${q(character)} in host name` : 'invalid URI for request';
  };
  return `parse ${q(text)}: ${why()}`;
};

const numberFault = (name: string, text: string): string | undefined => {
  if (!/^\d+$/.test(text)) return `Invalid character(s) found in ${name} number ${q(text)}`;
  if (/^0\d/.test(text))
    return `${name[0]?.toUpperCase()}${name.slice(1)} number must not contain leading zeroes ${q(text)}`;
  return BigInt(text) < 1n << 64n ? undefined : `strconv.ParseUint: parsing ${q(text)}: value out of range`;
};
const preReleaseFault = (text: string): string | undefined => {
  if (text === '') return 'Prerelease is empty';
  if (/^0\d+$/.test(text)) return `Numeric PreRelease version must not contain leading zeroes ${q(text)}`;
  return /^[0-9A-Za-z-]+$/.test(text) ? undefined : `Invalid character(s) found in prerelease ${q(text)}`;
};
const buildFault = (text: string): string | undefined => {
  if (text === '') return 'Build meta data is empty';
  return /^[0-9A-Za-z-]+$/.test(text) ? undefined : `Invalid character(s) found in build meta data ${q(text)}`;
};

/** Of the package that upstream reads semantic versions with. */
export const versionFault = (text: string): string | undefined => {
  if (text === '') return 'Version string empty';
  const [major = '', minor, ...more] = text.split('.');
  if (minor === undefined || more.length === 0) return 'No Major.Minor.Patch elements found';
  const [whole = '', ...build] = more.join('.').split(/\+(.*)/s);
  const [patch = '', ...pre] = whole.split(/-(.*)/s);
  const faults = [numberFault('major', major), numberFault('minor', minor), numberFault('patch', patch)];
  if (pre.length > 0) faults.push(...(pre[0] ?? '').split('.').map(preReleaseFault));
  if (build.length > 0) faults.push(...(build[0] ?? '').split('.').map(buildFault));
  return faults.find((fault) => fault !== undefined);
};
