/**
 * Label and field selectors, compiled once and then matched.
 *
 *   parseLabelSelector('app in (a,b),!old') -> Selector     throws StatusError 400 with upstream's sentence
 *   labelSelector({ matchLabels, matchExpressions })        the same from an object; undefined selects nothing
 *   parseFieldSelector('status.phase!=Failed')              requirements; matchFields(requirements, read)
 *   checkFieldLabels(requirements, supported)               throws 400 `field label not supported: x`
 */
import type { LabelSelector } from './kinds.d.ts';
import { labelValue, qualifiedName } from './names.ts';
import { badRequest } from './status.ts';

export type Labels = Readonly<Record<string, string | undefined>> | undefined | null;
export type Operator = '=' | '!=' | 'in' | 'notin' | 'exists' | '!' | '>' | '<';
export interface Requirement {
  key: string;
  operator: Operator;
  values: readonly string[];
}
export interface Selector {
  requirements: readonly Requirement[];
  matches(labels: Labels): boolean;
  /** True where it selects everything. */
  empty: boolean;
}

const matchesOne = (r: Requirement, labels: Labels): boolean => {
  const value = labels && Object.hasOwn(labels, r.key) ? labels[r.key] : undefined;
  switch (r.operator) {
    case '=':
    case 'in':
      return value !== undefined && r.values.includes(value);
    case '!=':
    case 'notin':
      return value === undefined || !r.values.includes(value);
    case 'exists':
      return value !== undefined;
    case '!':
      return value === undefined;
    default: {
      if (value === undefined || !/^[+-]?\d+$/.test(value)) return false;
      const [a, b] = [BigInt(value.replace('+', '')), BigInt((r.values[0] ?? '0').replace('+', ''))];
      return r.operator === '>' ? a > b : a < b;
    }
  }
};

/** A selector that matches where every requirement does. */
export const selectorOf = (requirements: readonly Requirement[]): Selector => ({
  requirements,
  empty: requirements.length === 0,
  matches: (labels) => {
    for (const r of requirements) if (!matchesOne(r, labels)) return false;
    return true;
  },
});
export const everything: Selector = selectorOf([]);
export const nothing: Selector = { requirements: [], empty: false, matches: () => false };

const operators: Record<string, Operator> = { In: 'in', NotIn: 'notin', Exists: 'exists', DoesNotExist: '!' };

/** A LabelSelector object: undefined selects nothing, {} everything. Unknown operators throw StatusError 400. */
export const labelSelector = (selector: LabelSelector | undefined | null): Selector => {
  if (!selector) return nothing;
  const out: Requirement[] = [];
  for (const [key, value] of Object.entries(selector.matchLabels ?? {}))
    out.push({ key, operator: '=', values: [value] });
  for (const e of selector.matchExpressions ?? []) {
    const operator = operators[e.operator];
    if (!operator) throw badRequest(`${JSON.stringify(e.operator)} is not a valid label selector operator`);
    out.push({ key: e.key, operator, values: e.values ?? [] });
  }
  return out.length ? selectorOf(out) : everything;
};

interface Tokens {
  tokens: string[];
  at: number;
}
const parseFailure = (why: string) => badRequest(`unable to parse requirement: ${why}`);
const NO_BEGINNING = "!, identifier, or 'end of string'";
const shown = (token: string | undefined): string => `'${token ?? ''}'`;
const isWord = (token: string | undefined): token is string => token !== undefined && !/^[=!<>(),]/.test(token);

const parseValues = (t: Tokens): string[] => {
  if (t.tokens[t.at] !== '(') throw parseFailure(`found ${shown(t.tokens[t.at])} expected: '('`);
  const values: string[] = [];
  t.at++;
  for (;;) {
    const token = t.tokens[t.at];
    if (isWord(token)) {
      values.push(token);
      t.at++;
    } else if (token === ',' || token === ')') values.push('');
    else throw parseFailure(`found ${shown(token)}, expected: ',', ')' or identifier`);
    const next = t.tokens[t.at++];
    if (next === ')') return [...new Set(values)].sort();
    if (next !== ',') throw parseFailure(`found ${shown(next)}, expected: ',' or ')'`);
  }
};

const parseRequirement = (t: Tokens): Requirement => {
  const negated = t.tokens[t.at] === '!';
  if (negated) t.at++;
  const key = t.tokens[t.at];
  if (!isWord(key)) throw parseFailure(`found ${shown(key)}, expected: identifier`);
  t.at++;
  if (negated) return { key, operator: '!', values: [] };
  const operator = t.tokens[t.at];
  if (operator === undefined || operator === ',') return { key, operator: 'exists', values: [] };
  t.at++;
  if (operator === 'in' || operator === 'notin') return { key, operator, values: parseValues(t) };
  if (!['=', '==', '!=', '>', '<'].includes(operator)) {
    throw parseFailure(`found ${shown(operator)}, expected: in, notin, =, ==, !=, gt, lt`);
  }
  const value = isWord(t.tokens[t.at]) ? (t.tokens[t.at++] ?? '') : '';
  return { key, operator: operator === '==' ? '=' : (operator as Operator), values: [value] };
};

const checkRequirement = (r: Requirement): void => {
  const key = qualifiedName(r.key);
  const fail = (field: string, value: string, why: string) =>
    badRequest(`unable to parse requirement: ${field}: Invalid value: ${JSON.stringify(value)}: ${why}`);
  if (key.length) throw fail('<nil>', r.key, key.join('; '));
  for (const [i, value] of r.values.entries()) {
    const wrong = labelValue(value);
    if (wrong.length) throw fail(`values[${i}][${r.key}]`, value, wrong.join('; '));
    if ((r.operator === '>' || r.operator === '<') && !/^[+-]?\d+$/.test(value)) {
      throw fail(`values[${i}]`, value, "for 'Gt', 'Lt' operators, the value must be an integer");
    }
  }
};

/** Parses the text form of a label selector; '' selects everything. */
export const parseLabelSelector = (text: string): Selector => {
  const tokens = text.match(/==|!=|[=!<>(),]|[^\s=!<>(),]+/g) ?? [];
  if (tokens.length === 0) return everything;
  const t: Tokens = { tokens, at: 0 };
  const out: Requirement[] = [];
  for (;;) {
    if (!isWord(tokens[t.at]) && tokens[t.at] !== '!')
      throw badRequest(`found ${shown(tokens[t.at])}, expected: ${out.length ? "identifier after ','" : NO_BEGINNING}`);
    const requirement = parseRequirement(t);
    checkRequirement(requirement);
    out.push(requirement);
    if (t.at >= tokens.length) return selectorOf(out);
    if (tokens[t.at] !== ',') throw badRequest(`found ${shown(tokens[t.at])}, expected: ',' or 'end of string'`);
    t.at++;
  }
};

export interface FieldRequirement {
  field: string;
  operator: '=' | '!=';
  value: string;
}

const unescapeValue = (text: string, whole: string): string => {
  const bad = /\\(?![\\,=])/.exec(text);
  if (bad || /(?:^|[^\\])=/.test(text.replaceAll('\\\\', ''))) {
    throw badRequest(`invalid field selector: ${whole}: invalid escape sequence or '=' in value`);
  }
  return text.replace(/\\([\\,=])/g, '$1');
};

/** Parses a field selector: terms of field=value, field==value or field!=value; `\\`, `\,` and `\=` are escapes. */
export const parseFieldSelector = (text: string): FieldRequirement[] => {
  const terms = text.match(/(?:\\.|[^,\\])+/gs) ?? [];
  return terms.map((term) => {
    const m = /^((?:\\.|[^=!\\])*)(==|=|!=)(.*)$/s.exec(term);
    if (!m) throw badRequest(`invalid selector: '${text}'; can't understand '${term}'`);
    const operator = m[2] === '!=' ? '!=' : '=';
    return { field: m[1] ?? '', operator, value: unescapeValue(m[3] ?? '', text) };
  });
};

/** Throws StatusError 400, with the sentence that `refusal` gives, for a field that the resource does not offer to select by. */
export const checkFieldLabels = (
  requirements: readonly FieldRequirement[],
  supported: readonly string[],
  refusal = (field: string) => `field label not supported: ${field}`,
): void => {
  for (const r of requirements) {
    if (!supported.includes(r.field)) throw badRequest(refusal(r.field));
  }
};

/** True where every requirement holds; read gives '' for an unset field, as upstream does. */
export const matchFields = (requirements: readonly FieldRequirement[], read: (field: string) => string): boolean =>
  requirements.every((r) => (read(r.field) === r.value) === (r.operator === '='));
