import { type Structural, valuesOf } from './structural.ts';

/** `.spec.a`, `.spec['a.b']`: fields and map keys, as rules and selectable fields name them. */
export type FieldPath = { path: string; root: string; schema: Structural | undefined } | { fault: string };

const ESCAPES: Record<string, string> = {
  a: '\u0007',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  "'": "'",
  '\\': '\\',
};

/** Splits at `.`, `[` and `]`, with quoted texts as one token. */
const tokens = (text: string): string[] => {
  const out: string[] = [];
  let at = 0;
  while (at < text.length) {
    const c = text[at];
    if (c === '.' || c === '[' || c === ']') {
      out.push(c);
      at++;
      continue;
    }
    let end = at + 1;
    if (c === "'") {
      while (end < text.length && !(text[end] === "'" && text[end - 1] !== '\\')) end++;
      end++;
    } else while (end < text.length && !'.[]'.includes(text[end] ?? '')) end++;
    out.push(text.slice(at, end));
    at = end;
  }
  return out;
};

const unquote = (text: string): string | undefined => {
  if (text.length < 2 || !text.startsWith("'") || !text.endsWith("'")) return undefined;
  let broken = false;
  const out = text.slice(1, -1).replace(/\\./gs, (pair) => {
    const c = ESCAPES[pair[1] ?? ''];
    if (c === undefined) broken = true;
    return c ?? '';
  });
  return broken ? undefined : out;
};

/** The normal form of a path that a schema declares, and the schema it leads to; or why it does not lead anywhere. */
export const validFieldPath = (text: string, root: Structural, brackets = true): FieldPath => {
  const list = tokens(text);
  let schema: Structural | undefined = root;
  let path = '';
  let first = '';
  for (let i = 0; i < list.length; ) {
    const token = list[i++];
    if (token !== '.' && token !== '[') return { fault: `expected [ or . but got: ${token}` };
    if (token === '[' && !brackets) return { fault: 'array notation is not allowed' };
    const given: string | undefined = list[i++];
    if (given === undefined) return { fault: 'unexpected end of JSON path' };
    const name: string | undefined = token === '[' ? unquote(given) : given;
    if (name === undefined) return { fault: `expected single quoted string but got ${given}` };
    const named: boolean = schema?.properties !== undefined && Object.keys(schema.properties).length > 0;
    if (!schema || (!named && schema.additionalProperties === undefined))
      return { fault: 'does not refer to a valid field' };
    const next: Structural | undefined = named ? schema.properties?.[name] : valuesOf(schema);
    if (named && !next) return { fault: 'does not refer to a valid field' };
    path = named ? (path ? `${path}.${name}` : name) : `${path}[${name}]`;
    if (first === '') first = name;
    schema = next;
    if (token === '[' && list[i++] !== ']') return { fault: 'expected ]' };
  }
  return { path, root: first, schema };
};
