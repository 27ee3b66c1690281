/**
 * URLs as Go's net/url reads a request's URI: absolute, or a path from the root.
 *
 *   parseRequestUri('https://u@h:8080/a?x=1') -> GoUrl | undefined
 */
export interface GoUrl {
  scheme: string;
  /** host:port as written; an IPv6 address keeps its brackets. */
  host: string;
  hostname: string;
  port: string;
  /** The path as it stands in the URL. */
  escapedPath: string;
  rawQuery: string;
  text: string;
}

const badEscape = /%(?![0-9A-Fa-f]{2})/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: Go refuses them.
const control = /[\u0000-\u001f\u007f]/;
const userInfo = /^[A-Za-z0-9\-._:~!$&'()*+,;=%@]*$/;

const hostOf = (text: string): { host: string; hostname: string; port: string } | undefined => {
  const bracketed = /^\[([^\]]*)\](.*)$/.exec(text);
  const rest = bracketed ? (bracketed[2] ?? '') : text.includes(':') ? text.slice(text.lastIndexOf(':')) : '';
  if (!/^(:\d*)?$/.test(rest)) return undefined;
  const port = rest.slice(1);
  const hostname = bracketed ? (bracketed[1] ?? '') : rest ? text.slice(0, -rest.length) : text;
  if (bracketed ? !/^[0-9A-Fa-f:.%a-zA-Z0-9-]+$/.test(hostname) : !/^[^\s[\]<>"{}|\\^`/?#:]*$/.test(hostname))
    return undefined;
  if (!bracketed && badEscape.test(hostname)) return undefined;
  // The zone of an address is the only part of a host that is unescaped (RFC 6874).
  const unescaped = (part: string): string => (bracketed ? part.replace('%25', '%') : part);
  return { host: unescaped(text), hostname: unescaped(hostname), port };
};

/** Reads a request's URI; undefined where Go refuses it. */
export const parseRequestUri = (text: string): GoUrl | undefined => {
  if (text === '' || control.test(text)) return undefined;
  const colon = text.indexOf(':');
  const schemed = /^[A-Za-z][A-Za-z0-9+.-]*:/.test(text);
  if (!schemed && colon === 0) return undefined;
  const scheme = schemed ? text.slice(0, colon).toLowerCase() : '';
  let rest = schemed ? text.slice(colon + 1) : text;
  const question = rest.indexOf('?');
  const rawQuery = question < 0 ? '' : rest.slice(question + 1);
  if (question >= 0) rest = rest.slice(0, question);
  if (!rest.startsWith('/')) {
    // Go takes `mailto:x` with a scheme as opaque, and refuses anything else that is not rooted.
    if (!schemed) return undefined;
    return { scheme, host: '', hostname: '', port: '', escapedPath: '', rawQuery, text };
  }
  let authority = { host: '', hostname: '', port: '' };
  if (rest.startsWith('//') && (schemed || !rest.startsWith('///'))) {
    const end = rest.indexOf('/', 2);
    let given = end < 0 ? rest.slice(2) : rest.slice(2, end);
    rest = end < 0 ? '' : rest.slice(end);
    const at = given.lastIndexOf('@');
    if (at >= 0) {
      if (!userInfo.test(given.slice(0, at)) || badEscape.test(given.slice(0, at))) return undefined;
      given = given.slice(at + 1);
    }
    const host = hostOf(given);
    if (!host) return undefined;
    authority = host;
  }
  if (badEscape.test(rest)) return undefined;
  const escapedPath = rest.replace(/[^A-Za-z0-9\-._~!$&'()*+,;=:@/%[\]]/gu, (c) => encodeURIComponent(c));
  return { scheme, ...authority, escapedPath, rawQuery, text };
};
