/**
 * A second, slower look at JSON text (RFC 8259): duplicate keys, numbers as they were written, and Go's words for bad
 * syntax. JSON.parse stays the reader of values.
 *
 *   readJson(text) -> { duplicates, oddNumbers }   throws SyntaxError with encoding/json's sentence
 *   countKeys(value) -> number of object keys at any depth
 */
import type { Json } from './object.ts';

export interface JsonText {
  /** `duplicate field "spec.x"`, once per path. */
  duplicates: string[];
  /** path -> text of every number that is no integer of int64 in plain digits. */
  oddNumbers: Map<string, string>;
  /** Where faults stand in the text: by the text of what an unknown or a duplicate field is told as. */
  places: Map<string, number>;
}

const MAX_INT64 = (1n << 63n) - 1n;
/** Values nested deeper are refused. Go stops at 10,000; the walks over a value here recurse, and stacks are finite. */
export const DEPTH_MAX = 1000;

interface Reader {
  text: string;
  at: number;
  depth: number;
  duplicates: Set<string>;
  oddNumbers: Map<string, string>;
  places: Map<string, number>;
}

/** Reads the whole text; throws SyntaxError with encoding/json's sentence. */
export const readJson = (text: string): JsonText => {
  const r: Reader = { text, at: 0, depth: 0, duplicates: new Set(), oddNumbers: new Map(), places: new Map() };
  readValue(r, '');
  skip(r);
  if (r.at < text.length) throw unexpected(r, 'after top-level value');
  return { duplicates: [...r.duplicates].map(duplicateField), oddNumbers: r.oddNumbers, places: r.places };
};

const duplicateField = (path: string): string => `duplicate field ${JSON.stringify(path)}`;

const unexpected = (r: Reader, where: string): SyntaxError => {
  if (r.at >= r.text.length) return new SyntaxError('unexpected end of JSON input');
  const c = r.text[r.at] ?? '';
  const shown = c === "'" ? `'\\''` : c === '"' ? `'"'` : `'${JSON.stringify(c).slice(1, -1)}'`;
  return new SyntaxError(`invalid character ${shown} ${where}`);
};

const skip = (r: Reader): void => {
  while (r.at < r.text.length && ' \t\r\n'.includes(r.text[r.at] ?? '')) r.at++;
};

const readValue = (r: Reader, path: string): void => {
  skip(r);
  const c = r.text[r.at];
  if (c === '{' || c === '[') {
    if (++r.depth > DEPTH_MAX) throw new SyntaxError('exceeded max depth');
    r.at++;
    if (c === '{') readObject(r, path);
    else readArray(r, path);
    r.depth--;
  } else if (c === '"') readString(r);
  else if (c !== undefined && (c === '-' || (c >= '0' && c <= '9'))) readNumber(r, path);
  else readWord(r);
};

const readObject = (r: Reader, path: string): void => {
  const seen = new Set<string>();
  skip(r);
  if (r.text[r.at] === '}') {
    r.at++;
    return;
  }
  for (;;) {
    skip(r);
    if (r.text[r.at] !== '"') throw unexpected(r, 'looking for beginning of object key string');
    const key = readString(r);
    const inner = path ? `${path}.${key}` : key;
    const fault = seen.has(key) ? duplicateField(inner) : `unknown field ${JSON.stringify(inner)}`;
    if (!r.places.has(fault)) r.places.set(fault, r.at);
    if (seen.has(key)) r.duplicates.add(inner);
    seen.add(key);
    skip(r);
    if (r.text[r.at] !== ':') throw unexpected(r, 'after object key');
    r.at++;
    r.oddNumbers.delete(inner);
    readValue(r, inner);
    skip(r);
    const c = r.text[r.at];
    if (c !== ',' && c !== '}') throw unexpected(r, 'after object key:value pair');
    r.at++;
    if (c === '}') return;
  }
};

const readArray = (r: Reader, path: string): void => {
  skip(r);
  if (r.text[r.at] === ']') {
    r.at++;
    return;
  }
  for (let i = 0; ; i++) {
    readValue(r, `${path}[${i}]`);
    skip(r);
    const c = r.text[r.at];
    if (c !== ',' && c !== ']') throw unexpected(r, 'after array element');
    r.at++;
    if (c === ']') return;
  }
};

// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids them inside strings.
const stringPattern = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*/y;
const readString = (r: Reader): string => {
  stringPattern.lastIndex = r.at;
  const body = stringPattern.exec(r.text)?.[0] ?? '';
  r.at += body.length;
  const next = r.text[r.at];
  if (next === '"') {
    r.at++;
    return JSON.parse(`${body}"`) as string;
  }
  if (next === '\\') r.at++;
  throw unexpected(r, next === '\\' ? 'in string escape code' : 'in string literal');
};

const numberPattern = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y;
const readNumber = (r: Reader, path: string): void => {
  numberPattern.lastIndex = r.at;
  const m = numberPattern.exec(r.text);
  if (!m) {
    r.at++;
    throw unexpected(r, 'in numeric literal');
  }
  r.at += m[0].length;
  if (r.text[r.at] === '.') {
    r.at++;
    throw unexpected(r, 'after decimal point in numeric literal');
  }
  const plain = m[1] === undefined && m[2] === undefined;
  if (plain && m[0].length < 18) return;
  if (plain && BigInt(m[0]) <= MAX_INT64 && BigInt(m[0]) >= -MAX_INT64 - 1n) return;
  r.oddNumbers.set(path, m[0]);
};

const readWord = (r: Reader): void => {
  for (const word of ['true', 'false', 'null']) {
    if (r.text[r.at] !== word[0]) continue;
    for (let i = 1; i < word.length; i++) {
      r.at++;
      if (r.text[r.at] !== word[i]) throw unexpected(r, `in literal ${word} (expecting '${word[i]}')`);
    }
    r.at++;
    return;
  }
  throw unexpected(r, 'looking for beginning of value');
};

/** The number of object keys in a value, at any depth. Throws SyntaxError beyond DEPTH_MAX. */
export const countKeys = (value: Json, depth = 1): number => {
  if (typeof value !== 'object' || value === null) return 0;
  if (depth > DEPTH_MAX) throw new SyntaxError('exceeded max depth');
  let n = 0;
  if (Array.isArray(value)) {
    for (const item of value) if (typeof item === 'object') n += countKeys(item, depth + 1);
    return n;
  }
  for (const key in value) {
    n++;
    const inner = value[key];
    if (typeof inner === 'object') n += countKeys(inner, depth + 1);
  }
  return n;
};
