import { posix } from 'node:path';

/**
 * Addresses inside answers that went through the proxy: a backend's absolute paths are put below the proxy's own path, so
 * that a browser stays inside the proxy. Rules as of the apiserver's proxy transport; attributes of HTML 4 and 5 that
 * hold addresses.
 */
export interface Rewriting {
  /** Path of the proxy, without a slash at the end: `/api/v1/namespaces/x/pods/y/proxy`. */
  prefix: string;
  /** `host:port` of the backend, and what the client wrote as Host: addresses with these are the backend's own. */
  backend: string;
  host: string;
}

const shape = /^(?:([a-z][a-z0-9+.-]*):)?(?:\/\/([^/?#]*))?([^?#]*)(.*)$/is;

/** Joins and cleans paths; a slash at the end of the last one stays. */
export const joinPaths = (first: string, last: string): string => {
  const joined = posix.join(first, last).replace(/\/$/, '');
  return last.endsWith('/') ? `${joined}/` : joined;
};

/** One address as it has to read for a client of the proxy; others than the backend's, and relative ones, stay. */
export const rewriteAddress = (address: string, { prefix, backend, host }: Rewriting): string => {
  const [, scheme = '', authority = '', path = '', rest = ''] = shape.exec(address) ?? [];
  if ((authority && authority !== backend && authority !== host) || !path.startsWith('/')) return address;
  const origin = authority && authority === host ? `${scheme ? `${scheme}:` : ''}//${authority}` : '';
  return `${origin}${path.startsWith(prefix) ? path : joinPaths(prefix, path)}${rest}`;
};

/** Attributes that hold an address, by element. */
const attributes: Record<string, readonly string[]> = {
  a: ['href'],
  applet: ['codebase'],
  area: ['href'],
  audio: ['src'],
  base: ['href'],
  blockquote: ['cite'],
  body: ['background'],
  button: ['formaction'],
  command: ['icon'],
  del: ['cite'],
  embed: ['src'],
  form: ['action'],
  frame: ['longdesc', 'src'],
  head: ['profile'],
  html: ['manifest'],
  iframe: ['longdesc', 'src'],
  img: ['longdesc', 'src', 'usemap'],
  input: ['src', 'usemap', 'formaction'],
  ins: ['cite'],
  link: ['href'],
  object: ['classid', 'codebase', 'data', 'usemap'],
  q: ['cite'],
  script: ['src'],
  source: ['src'],
  video: ['poster', 'src'],
};

/** The inside of an element that holds no markup, a comment, or a start tag; all else is skipped. */
const pieces =
  /(?<=<(?:script|style|textarea|title|xmp)\b[^>]*>)[\s\S]+?(?=<\/(?:script|style|textarea|title|xmp))|<!--[\s\S]*?-->|<([a-z][^\s/>]*)((?:[^>"']|"[^"]*"|'[^']*')*)>/gi;
const attribute = /([^\s"'<>/=]+)(\s*=\s*)("[^"]*"|'[^']*'|[^\s"'=<>`]+)/g;

const plain = (text: string): string =>
  text
    .replace(/&(?:quot|#34);/g, '"')
    .replace(/&#39;/g, "'")
    .replace(/&lt;/g, '<')
    .replace(/&gt;/g, '>')
    .replace(/&amp;/g, '&');
const escaped = (text: string): string =>
  text.replace(/&/g, '&amp;').replace(/"/g, '&#34;').replace(/'/g, '&#39;').replace(/</g, '&lt;').replace(/>/g, '&gt;');

/** The page with every address of the backend's own rewritten. */
export const rewriteHtml = (page: string, rewriting: Rewriting): string =>
  page.replace(pieces, (piece: string, name: string | undefined, inside: string | undefined) => {
    const wanted = name === undefined ? undefined : attributes[name.toLowerCase()];
    if (!wanted || name === undefined || inside === undefined) return piece;
    const changed = inside.replace(attribute, (whole: string, key: string, equals: string, given: string) => {
      if (!wanted.includes(key.toLowerCase())) return whole;
      const quoted = given.startsWith('"') || given.startsWith("'");
      const value = plain(quoted ? given.slice(1, -1) : given);
      const next = rewriteAddress(value, rewriting);
      return next === value ? whole : `${key}${equals}"${escaped(next)}"`;
    });
    return `<${name}${changed}>`;
  });
