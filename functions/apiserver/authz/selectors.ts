import {
  type FieldRequirement,
  parseFieldSelector,
  parseLabelSelector,
  type Requirement,
} from '../../machinery/selectors.ts';
import type { Attributes } from './authorizer.ts';

/** What a list, watch or deletecollection is bounded by. A part that could not be read bounds nothing. */
export interface Selectors {
  fields: readonly FieldRequirement[];
  labels: readonly Requirement[];
}

const none: readonly never[] = [];
const collections = new Set(['list', 'watch', 'deletecollection']);
/** Watches by their path know no selectors, as upstream has it: some of them are of one object. */
const watchPath = /^\/(api|apis\/[^/]+)\/[^/]+\/watch\//;

/** Impersonation asks whether a verb may be used by somebody who acts as another: `impersonate-on:MODE:VERB`. */
const plainVerb = (verb: string): string =>
  verb.startsWith('impersonate-on:') ? verb.slice(verb.lastIndexOf(':') + 1) : verb;

const attempt = <T>(parse: () => readonly T[]): readonly T[] => {
  try {
    return parse();
  } catch {
    return none;
  }
};

const textOf = ({ query, verb, path }: Attributes, name: string): string =>
  query && collections.has(plainVerb(verb)) && !watchPath.test(path) ? (query.get(name) ?? '') : '';

/**
 * The field requirements of a request, read by the parser that the list itself uses, so that both see the same terms; of a
 * question those that it names.
 */
export const fieldsOf = (a: Attributes): readonly FieldRequirement[] => {
  if (a.selectors) return a.selectors.fields;
  const text = textOf(a, 'fieldSelector');
  return text === '' ? none : attempt(() => parseFieldSelector(text));
};

/** The label requirements of a request, as above. */
export const labelsOf = (a: Attributes): readonly Requirement[] => {
  if (a.selectors) return a.selectors.labels;
  const text = textOf(a, 'labelSelector');
  return text === '' ? none : attempt(() => parseLabelSelector(text).requirements);
};

/** Whether a request is bounded to objects of which a field has this value. */
export const isBoundTo = (a: Attributes, field: string, value: string): boolean =>
  fieldsOf(a).some((one) => one.field === field && one.operator === '=' && one.value === value);

/** As upstream, a request whose options cannot be read is of no name: it will be refused anyway. */
const isReadable = (a: Attributes): boolean => {
  try {
    parseLabelSelector(textOf(a, 'labelSelector'));
  } catch {
    return false;
  }
  return /^[+-]?\d*$/.test(textOf(a, 'limit'));
};

const isSegment = (name: string): boolean => name !== '.' && name !== '..' && !/[/%]/.test(name);

/**
 * The name that rules with resourceNames compare. A list or watch by `metadata.name=x` asks for x alone; a
 * deletecollection never has a name.
 */
export const requestedName = (a: Attributes): string => {
  if (a.name || !a.query || a.selectors) return a.name;
  const verb = plainVerb(a.verb);
  if (verb !== 'list' && verb !== 'watch') return '';
  let name: string | undefined;
  // Of several the first in order, as upstream sorts them; nothing has two names, so the list is empty then.
  for (const { field, operator, value } of fieldsOf(a))
    if (field === 'metadata.name' && operator === '=' && (name === undefined || value < name)) name = value;
  return name !== undefined && isSegment(name) && isReadable(a) ? name : '';
};
