/** Splits an expression's source into tokens (cel-spec, "Lexis"). Throws SourceFault. */
export interface Token {
  kind: 'ident' | 'int' | 'uint' | 'double' | 'string' | 'bytes' | 'symbol' | 'end';
  /** An operator or name as written; of a literal, its text. */
  text: string;
  at: number;
  /** Content of a string, or of bytes as byte values. */
  content?: string | Uint8Array;
}

/** A source that is no expression. */
export class SourceFault extends Error {
  readonly at: number;
  constructor(at: number, message: string) {
    super(message);
    this.at = at;
  }
}

const space = /(?:\s|\/\/[^\n]*)+/y;
const name = /[_a-zA-Z][_a-zA-Z0-9]*/y;
const number = /0[xX][0-9a-fA-F]+[uU]?|(?:\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?)|\d+[uU]?/y;
const quoted = /([bB]?[rR]?)("""|'''|"|')/y;
const symbol = /&&|\|\||==|!=|<=|>=|\.\?|\[\?|[-+*/%<>!?:,.()[\]{}]/y;

const SIMPLE: Record<string, string> = {
  a: '\u0007',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  "'": "'",
  '"': '"',
  '`': '`',
  '?': '?',
};
const escapes = /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|([\s\S]))/g;

const unescaped = (text: string, at: number, bytes: boolean): string | number[] => {
  const out: (string | number)[] = [];
  let from = 0;
  for (const m of text.matchAll(escapes)) {
    out.push(text.slice(from, m.index));
    from = m.index + m[0].length;
    const [, two, four, eight, octal, simple] = m;
    if (simple !== undefined) {
      const c = SIMPLE[simple];
      if (c === undefined)
        throw new SourceFault(at, 'Syntax error: token recognition error: unable to unescape string');
      out.push(c);
      continue;
    }
    const code = octal !== undefined ? Number.parseInt(octal, 8) : Number.parseInt(two ?? four ?? eight ?? '', 16);
    if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000) || (bytes && (four ?? eight) !== undefined))
      throw new SourceFault(at, bytes ? 'unable to unescape string' : 'invalid unicode code point');
    out.push(bytes ? code : String.fromCodePoint(code));
  }
  out.push(text.slice(from));
  if (!bytes) return out.join('');
  return out.flatMap((part) => (typeof part === 'number' ? [part] : [...Buffer.from(part)]));
};

const readQuoted = (source: string, at: number, prefix: string, quote: string): { token: Token; end: number } => {
  const raw = /r/i.test(prefix);
  const bytes = /b/i.test(prefix);
  let i = at + prefix.length + quote.length;
  const start = i;
  for (; ; i++) {
    if (i >= source.length || (quote.length === 1 && source[i] === '\n'))
      throw new SourceFault(at, `Syntax error: token recognition error at: '${source.slice(at)}'`);
    if (source[i] === '\\' && !raw) i++;
    else if (source.startsWith(quote, i)) break;
  }
  const body = source.slice(start, i);
  const content = raw ? (bytes ? [...Buffer.from(body)] : body) : unescaped(body, at, bytes);
  const end = i + quote.length;
  const text = source.slice(at, end);
  if (typeof content === 'string') return { token: { kind: 'string', text, at, content }, end };
  return { token: { kind: 'bytes', text, at, content: Uint8Array.from(content) }, end };
};

const numberKind = (text: string): 'int' | 'uint' | 'double' => {
  if (/^0[xX]/.test(text)) return /[uU]$/.test(text) ? 'uint' : 'int';
  if (/[uU]$/.test(text)) return 'uint';
  return /[.eE]/.test(text) ? 'double' : 'int';
};

export const tokenize = (source: string): Token[] => {
  const out: Token[] = [];
  const match = (pattern: RegExp, at: number): RegExpExecArray | null => {
    pattern.lastIndex = at;
    return pattern.exec(source);
  };
  for (let at = 0; at < source.length; ) {
    const blank = match(space, at);
    if (blank) {
      at += blank[0].length;
      continue;
    }
    const opening = match(quoted, at);
    if (opening) {
      const { token, end } = readQuoted(source, at, opening[1] ?? '', opening[2] ?? '');
      out.push(token);
      at = end;
      continue;
    }
    const word = match(name, at);
    const digits = word ? null : match(number, at);
    const sign = word || digits ? null : match(symbol, at);
    const text = (word ?? digits ?? sign)?.[0];
    if (text === undefined) throw new SourceFault(at, `Syntax error: token recognition error at: '${source[at]}'`);
    out.push({ kind: word ? 'ident' : digits ? numberKind(text) : 'symbol', text, at });
    at += text.length;
  }
  out.push({ kind: 'end', text: '<EOF>', at: source.length });
  return out;
};
