/**
 * Request bodies as JSON values.
 *
 *   parseBody(body, 'json' | 'yaml') -> ParsedBody   throws StatusError 400 with Go's sentence on bad syntax
 *
 * JSON.parse keeps the last of duplicate keys and forgets how a number was written. A scan of the text finds out cheaply
 * whether either can matter; only then is the body read a second time by the parser of json-text.ts.
 */
import { isMap, isScalar, isSeq, LineCounter, parseAllDocuments, visit, type Node as YamlNode } from 'yaml';
import { countKeys, readJson } from './json-text.ts';
import type { Json } from './object.ts';
import { badRequest } from './status.ts';

export interface ParsedBody {
  value: Json;
  /** `duplicate field "spec.x"` (JSON) or `line 3: key "x" already set in map` (YAML), in the order of the text. */
  duplicates: string[];
  /** Numbers that Go does not take for an integer (`3.0`, `3e1`, beyond int64) by path, as they were written. */
  oddNumbers: ReadonlyMap<string, string> | undefined;
  /** The places of strict errors in the text (JSON that was read twice). */
  places?: ReadonlyMap<string, number>;
}

const decoder = new TextDecoder();

/** Parses a JSON or YAML body (the first YAML document only, as sigs.k8s.io/yaml does). */
export const parseBody = (body: string | Uint8Array, format: 'json' | 'yaml' = 'json'): ParsedBody => {
  const text = typeof body === 'string' ? body : decoder.decode(body);
  return format === 'yaml' ? (plainJson(text) ?? parseYaml(text)) : parseJson(text);
};

/** Clients mostly send JSON where YAML is allowed. What JSON and YAML might read differently is left to the YAML parser. */
const plainJson = (text: string): ParsedBody | undefined => {
  if (!text.startsWith('{') || halfPairs.test(text)) return undefined;
  try {
    const parsed = parseJson(text);
    return parsed.duplicates.length > 0 || parsed.oddNumbers ? undefined : parsed;
  } catch {
    return undefined;
  }
};

const halfPairs = /\\u[dD][89a-fA-F]/;
const escapes = /\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|u[dD][89a-fA-F]..|.)/gs;

/** Halves of surrogate pairs become U+FFFD, as in encoding/json: no text holds them, and none could be stored. */
const wellFormed = (text: string): string =>
  text.replace(escapes, (found) => (found.length === 6 && halfPairs.test(found) ? '\\ufffd' : found));

const parseJson = (given: string): ParsedBody => {
  const text = halfPairs.test(given) ? wellFormed(given) : given;
  let value: Json;
  let keys: number;
  try {
    value = JSON.parse(text) as Json;
    keys = countKeys(value);
  } catch {
    throw badRequest(`couldn't get version/kind; json parse error: ${syntaxError(text)}`);
  }
  const found = scan(text);
  if (!found.odd && found.keys === keys) return { value, duplicates: [], oddNumbers: undefined };
  const read = readJson(text);
  const { duplicates, places } = read;
  return { value, duplicates, places, oddNumbers: read.oddNumbers.size ? read.oddNumbers : undefined };
};

/** Why a text is no JSON, as Go says it. */
export const syntaxError = (text: string): string => {
  try {
    readJson(text);
  } catch (error) {
    if (error instanceof SyntaxError) return error.message;
    throw error;
  }
  return 'invalid JSON';
};

/** Counts the keys (colons outside strings) and looks for numbers that are no plain integer of 15 digits. */
const scan = (text: string): { keys: number; odd: boolean } => {
  let keys = 0;
  let odd = false;
  let digits = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 34) {
      i = endOfString(text, i);
      digits = 0;
    } else if (c === 58) {
      keys++;
      digits = 0;
    } else if (c >= 48 && c <= 57) {
      if (++digits > 15) odd = true;
    } else if (digits > 0) {
      if (c === 46 || c === 101 || c === 69) odd = true;
      digits = 0;
    }
  }
  return { keys, odd };
};

const endOfString = (text: string, start: number): number => {
  let end = text.indexOf('"', start + 1);
  while (text.charCodeAt(end - 1) === 92) {
    let slashes = 1;
    while (text.charCodeAt(end - 1 - slashes) === 92) slashes++;
    if (slashes % 2 === 0) break;
    end = text.indexOf('"', end + 1);
  }
  return end;
};

const parseYaml = (text: string): ParsedBody => {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, {
    version: '1.1',
    uniqueKeys: false,
    merge: true,
    lineCounter: lines,
    logLevel: 'silent',
    customTags: (tags) => tags.filter((t) => typeof t === 'string' || !/timestamp|binary|set|omap|pairs/.test(t.tag)),
  });
  const first = 'length' in documents ? documents[0] : undefined;
  if (!first) return { value: null, duplicates: [], oddNumbers: undefined };
  const broken = first.errors[0];
  if (broken) {
    const reason = broken.message.split('\n')[0] ?? broken.message;
    throw badRequest(`error converting YAML to JSON: yaml: line ${broken.linePos?.[0]?.line ?? 1}: ${reason}`);
  }
  if (halfPairs.test(text) && hasSurrogateEscape(first.contents))
    throw badRequest('error converting YAML to JSON: yaml: found invalid Unicode character escape code');
  if (text.includes('*')) checkAnchors(first.contents);
  const duplicates: string[] = [];
  findDuplicates(first.contents, lines, duplicates);
  let value: Json;
  try {
    value = (first.toJS({ maxAliasCount: 100 }) ?? null) as Json;
  } catch (error) {
    throw badRequest(`error converting YAML to JSON: yaml: ${error instanceof Error ? error.message : String(error)}`);
  }
  return { value, duplicates, oddNumbers: undefined };
};

const surrogate = /[\ud800-\udfff]/;
/** YAML 1.1 names characters by their own number only, not by the halves of UTF-16. */
const hasSurrogateEscape = (node: YamlNode | null): boolean => {
  let found = false;
  visit(node, {
    Scalar: (_, { type, value }) => {
      if (type !== 'QUOTE_DOUBLE' || typeof value !== 'string' || !surrogate.test(value)) return undefined;
      found = true;
      return visit.BREAK;
    },
  });
  return found;
};

/** Refuses an alias within what it stands for. */
const checkAnchors = (contents: YamlNode | null): void => {
  visit(contents, {
    Alias: (_, { source }, path) => {
      for (const above of path)
        if ((isMap(above) || isSeq(above)) && above.anchor === source)
          throw badRequest(`error converting YAML to JSON: yaml: anchor '${source}' value contains itself`);
    },
  });
};

const findDuplicates = (node: YamlNode | null | undefined, lines: LineCounter, out: string[]): void => {
  if (isSeq(node)) for (const item of node.items) findDuplicates(item as YamlNode, lines, out);
  if (!isMap(node)) return;
  const seen = new Set<string>();
  for (const pair of node.items) {
    const key = isScalar(pair.key) ? String(pair.key.value) : String(pair.key);
    if (seen.has(key) && key !== '<<') {
      const at = isScalar(pair.key) && pair.key.range ? lines.linePos(pair.key.range[0]).line : 0;
      out.push(`line ${at}: key ${JSON.stringify(key)} already set in map`);
    }
    seen.add(key);
    findDuplicates(pair.value as YamlNode, lines, out);
  }
};
