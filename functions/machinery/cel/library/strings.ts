/** Texts: cel-go's strings extension, version 2. Positions count code points. */
import { func, type Library, method } from '../library.ts';
import { dyn, int, listOf, string } from '../types.ts';
import { EvalFault, List, runes } from '../values.ts';
import { formatText } from './format-text.ts';

const outOfRange = (i: bigint): EvalFault => new EvalFault(`index out of range: ${i}`);

const indexFrom = (text: string, part: string, from: bigint): bigint => {
  const all = runes(text);
  if (part === '') return from;
  if (from < 0n) throw outOfRange(from);
  const wanted = runes(part);
  for (let i = Number(from); i + wanted.length <= all.length; i++)
    if (wanted.every((c, k) => all[i + k] === c)) return BigInt(i);
  return -1n;
};
const lastIndexFrom = (text: string, part: string, from: bigint | undefined): bigint => {
  const all = runes(text);
  if (part === '') return from ?? BigInt(all.length);
  if (from !== undefined && from < 0n) throw outOfRange(from);
  if (from !== undefined && from >= BigInt(all.length)) return -1n;
  const wanted = runes(part);
  const last = Math.min(from === undefined ? all.length : Number(from), all.length - wanted.length);
  for (let i = last; i >= 0; i--) if (wanted.every((c, k) => all[i + k] === c)) return BigInt(i);
  return -1n;
};
const charAt = (text: string, at: bigint): string => {
  const all = runes(text);
  if (at < 0n || at > BigInt(all.length)) throw outOfRange(at);
  return all[Number(at)] ?? '';
};
const substring = (text: string, from: bigint, to?: bigint): string => {
  const all = runes(text);
  const end = to ?? BigInt(all.length);
  if (from < 0n || from > BigInt(all.length)) throw outOfRange(from);
  if (end < 0n || end > BigInt(all.length)) throw outOfRange(end);
  if (from > end) throw new EvalFault(`invalid substring range. start: ${from}, end: ${end}`);
  return all.slice(Number(from), Number(end)).join('');
};
const splitAll = (text: string, by: string): string[] => (by === '' ? runes(text) : text.split(by));
const split = (text: string, by: string, limit: bigint): List => {
  if (limit === 0n) return new List([]);
  const parts = splitAll(text, by);
  if (limit < 0n || BigInt(parts.length) <= limit) return new List(parts);
  const n = Number(limit);
  return new List([...parts.slice(0, n - 1), parts.slice(n - 1).join(by)]);
};
const replace = (text: string, old: string, by: string, limit: bigint): string => {
  if (limit < 0n)
    return old === ''
      ? `${by}${runes(text)
          .map((c) => c + by)
          .join('')}`
      : text.replaceAll(old, () => by);
  let out = text;
  let from = 0;
  for (let n = 0n; n < limit; n++) {
    const at = out.indexOf(old, from);
    if (at < 0 || (old === '' && from > out.length)) break;
    out = out.slice(0, at) + by + out.slice(at + old.length);
    from = at + by.length + (old === '' ? 1 : 0);
  }
  return out;
};
const whitespace = /^[\s\u0085\u200e\u200f\u2028\u2029]+|[\s\u0085\u200e\u200f\u2028\u2029]+$/g;
const ESCAPES: Record<string, string> = {
  '\u0007': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '\\': '\\\\',
  '"': '\\"',
};
const quote = (text: string): string =>
  `"${runes(text)
    .map((c) => ESCAPES[c] ?? c)
    .join('')}"`;

const texts = listOf(string);

export const strings: Library = {
  functions: {
    charAt: [method('string_char_at_int', [string, int], string, charAt)],
    indexOf: [
      method('string_index_of_string', [string, string], int, (a: string, b: string) => indexFrom(a, b, 0n)),
      method('string_index_of_string_int', [string, string, int], int, indexFrom),
    ],
    lastIndexOf: [
      method('string_last_index_of_string', [string, string], int, (a: string, b: string) =>
        lastIndexFrom(a, b, undefined),
      ),
      method('string_last_index_of_string_int', [string, string, int], int, lastIndexFrom),
    ],
    lowerAscii: [
      method('string_lower_ascii', [string], string, (a: string) => a.replace(/[A-Z]/g, (c) => c.toLowerCase())),
    ],
    upperAscii: [
      method('string_upper_ascii', [string], string, (a: string) => a.replace(/[a-z]/g, (c) => c.toUpperCase())),
    ],
    replace: [
      method('string_replace_string_string', [string, string, string], string, (a: string, b: string, c: string) =>
        replace(a, b, c, -1n),
      ),
      method('string_replace_string_string_int', [string, string, string, int], string, replace),
    ],
    split: [
      method('string_split_string', [string, string], texts, (a: string, b: string) => split(a, b, -1n)),
      method('string_split_string_int', [string, string, int], texts, split),
    ],
    substring: [
      method('string_substring_int', [string, int], string, (a: string, from: bigint) => substring(a, from)),
      method('string_substring_int_int', [string, int, int], string, substring),
    ],
    trim: [method('string_trim', [string], string, (a: string) => a.replace(whitespace, ''))],
    format: [method('string_format', [string, listOf(dyn)], string, formatText)],
    'strings.quote': [func('strings_quote', [string], string, quote)],
    join: [
      method('list_join', [texts], string, (list: List) => list.items().join('')),
      method('list_join_string', [texts, string], string, (list: List, by: string) => list.items().join(by)),
    ],
  },
};
