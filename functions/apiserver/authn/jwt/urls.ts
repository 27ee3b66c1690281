/** What decides about an issuer's URL, taken apart as Go's net/url does it, for its verdicts are what people know. */
export interface UrlParts {
  scheme: string;
  hasUser: boolean;
  query: string;
  fragment: string;
}

const escapeFault = (text: string): string | undefined => {
  const found = /%(?![0-9a-fA-F]{2})/.exec(text);
  return found ? `invalid URL escape ${JSON.stringify(text.slice(found.index, found.index + 3))}` : undefined;
};

const hostFault = (host: string): string | undefined => {
  if (host.startsWith('[')) {
    const end = host.lastIndexOf(']');
    if (end < 0) return "missing ']' in host";
    const port = host.slice(end + 1);
    return port === '' || /^:\d*$/.test(port) ? undefined : `invalid port ${JSON.stringify(port)} after host`;
  }
  const colon = host.lastIndexOf(':');
  if (colon >= 0 && !/^\d*$/.test(host.slice(colon + 1)))
    return `invalid port ${JSON.stringify(host.slice(colon))} after host`;
  const odd = /[\s"<>\\^`{|}]/.exec(host);
  if (odd) return `invalid character ${JSON.stringify(odd[0])} in host name`;
  return escapeFault(host);
};

/** Before `separator`, and after it; all and nothing where it does not occur. */
const cut = (text: string, separator: string): [string, string] => {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
};

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for.
const CONTROL = /[\x00-\x1f\x7f]/;

const faultOf = (text: string): string | UrlParts => {
  if (CONTROL.test(text)) return 'net/url: invalid control character in URL';
  const [whole, fragment] = cut(text, '#');
  if (whole.startsWith(':')) return 'missing protocol scheme';
  const [, scheme = ''] = /^([a-zA-Z][a-zA-Z0-9+.-]*):/.exec(whole) ?? [];
  const [rest, query] = cut(scheme ? whole.slice(scheme.length + 1) : whole, '?');
  const parts = { scheme: scheme.toLowerCase(), hasUser: false, query, fragment };
  if (!scheme && !rest.startsWith('/') && cut(rest, '/')[0].includes(':'))
    return 'first path segment in URL cannot contain colon';
  if (!rest.startsWith('//')) return (scheme && !rest.startsWith('/') ? undefined : escapeFault(rest)) ?? parts;
  const slash = rest.indexOf('/', 2);
  const authority = rest.slice(2, slash < 0 ? undefined : slash);
  const at = authority.lastIndexOf('@');
  const fault = hostFault(authority.slice(at + 1)) ?? escapeFault(slash < 0 ? '' : rest.slice(slash));
  return fault ?? escapeFault(fragment) ?? { ...parts, hasUser: at >= 0 };
};

/** The parts of a URL, or why it is none. */
export const parseUrl = (text: string): UrlParts | { fault: string } => {
  const found = faultOf(text);
  return typeof found === 'string' ? { fault: `parse ${JSON.stringify(text)}: ${found}` } : found;
};
