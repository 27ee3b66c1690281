/**
 * What makes a schema structural (KEP apiextensions: structural schemas): types outside of combinators only, and nothing in a
 * combinator that is not declared outside of it.
 *
 *   structuralCauses(schema, path) -> Cause[]    the invariants and the completeness
 *   unsupportedKeyword(schema) -> string?        a keyword that keeps a schema from being looked at as structural at all
 */
import { patternError } from '../../../machinery/regex.ts';
import { type Cause, cause } from '../../../machinery/status.ts';
import { type Structural, valuesOf } from './structural.ts';

type Level = 'root' | 'item' | 'field';

const filled = (value: unknown): boolean =>
  typeof value === 'string'
    ? value !== ''
    : typeof value === 'object' && value !== null && Object.keys(value).length > 0;

/** The first keyword, anywhere, for which upstream builds no structural schema. */
export const unsupportedKeyword = (s: Structural): string | undefined => {
  for (const keyword of ['id', '$schema', '$ref', 'patternProperties', 'dependencies', 'definitions'])
    if (filled(s[keyword])) return `OpenAPIV3Schema '${keyword.replace('$schema', 'schema')}' is not supported`;
  if (s.additionalItems !== undefined) return "OpenAPIV3Schema 'additionalItems' is not supported";
  if (s['x-kubernetes-preserve-unknown-fields'] === false)
    return "internal error: 'x-kubernetes-preserve-unknown-fields' must be true or undefined";
  if (Array.isArray(s.items)) return "OpenAPIV3Schema 'items' must be a schema, but is an array";
  const below = [s.items, valuesOf(s), s.not, ...Object.values(s.properties ?? {})];
  for (const inner of [...below, ...(s.allOf ?? []), ...(s.anyOf ?? []), ...(s.oneOf ?? [])]) {
    const found = inner && unsupportedKeyword(inner);
    if (found) return found;
  }
  return undefined;
};

const keysOf = (s: Structural | undefined): string[] =>
  Object.entries(s ?? {})
    .filter(([, value]) => value !== undefined && value !== false && value !== '')
    .map(([keyword]) => keyword);

/** anyOf: [{type: integer}, {type: string}], which int-or-string schemas may spell out. */
const isIntOrString = (list: Structural[] | undefined): boolean =>
  list?.length === 2 &&
  list[0]?.type === 'integer' &&
  list[1]?.type === 'string' &&
  list.every((one) => keysOf(one).length === 1);

const FORBIDDEN: [keyword: string, why: string][] = [
  ['title', 'must be empty to be structural'],
  ['description', 'must be empty to be structural'],
  ['nullable', 'must be false to be structural'],
  ['x-kubernetes-preserve-unknown-fields', 'must be false to be structural'],
  ['x-kubernetes-embedded-resource', 'must be false to be structural'],
  ['x-kubernetes-int-or-string', 'must be false to be structural'],
  ['x-kubernetes-list-map-keys', 'must be empty to be structural'],
  ['x-kubernetes-list-type', 'must be undefined to be structural'],
  ['x-kubernetes-map-type', 'must be undefined to be structural'],
  ['x-kubernetes-validations', 'must be empty to be structural'],
];

/** A schema within a combinator: it may hold value checks only. */
const nested = (out: Cause[], v: Structural, skipAnyOf: boolean, path: string): void => {
  valueChecks(out, v, skipAnyOf, false, path);
  if (v.items) nested(out, v.items, false, `${path}.items`);
  for (const [name, field] of Object.entries(v.properties ?? {}))
    nested(out, field, false, `${path}.properties[${name}]`);
  if (v.type) out.push(cause.forbidden(`${path}.type`, 'must be empty to be structural'));
  if (v.additionalProperties)
    out.push(cause.forbidden(`${path}.additionalProperties`, 'must be undefined to be structural'));
  if (v.default !== undefined && v.default !== null)
    out.push(cause.forbidden(`${path}.default`, 'must be undefined to be structural'));
  for (const [keyword, why] of FORBIDDEN) {
    const value = v[keyword];
    if (value === true || (typeof value === 'string' && value !== '') || (Array.isArray(value) && value.length > 0))
      out.push(cause.forbidden(`${path}.${keyword}`, why));
  }
  if (v.properties?.metadata)
    out.push(cause.forbidden(`${path}.properties[metadata]`, 'must not be specified in a nested context'));
};

const valueChecks = (out: Cause[], s: Structural, skipAnyOf: boolean, skipFirst: boolean, path: string): void => {
  if (!skipAnyOf) s.anyOf?.forEach((v, i) => void nested(out, v, false, `${path}.anyOf[${i}]`));
  s.allOf?.forEach((v, i) => void nested(out, v, skipFirst && i === 0, `${path}.allOf[${i}]`));
  s.oneOf?.forEach((v, i) => void nested(out, v, false, `${path}.oneOf[${i}]`));
  if (s.not) nested(out, s.not, false, `${path}.not`);
  const why = s.pattern ? patternError(s.pattern) : undefined;
  if (why)
    out.push(cause.invalid(`${path}.pattern`, s.pattern, `must be a valid regular expression, but isn't: ${why}`));
};

const EMPTY_TYPE: Record<Level, string> = {
  root: 'must not be empty at the root',
  item: 'must not be empty for specified array items',
  field: 'must not be empty for specified object fields',
};

const checkType = (out: Cause[], s: Structural, level: Level, path: string): void => {
  const embedded = s['x-kubernetes-embedded-resource'] === true;
  const at = `${path}.type`;
  if (embedded && s.type !== 'object') {
    const why = 'must be object if x-kubernetes-embedded-resource is true';
    out.push(s.type ? cause.invalid(at, s.type, why) : cause.required(at, why));
  } else if (!s.type && !s['x-kubernetes-int-or-string'] && !s['x-kubernetes-preserve-unknown-fields'])
    out.push(cause.required(at, EMPTY_TYPE[level]));
  if (level === 'root' && s.type && s.type !== 'object')
    out.push(cause.invalid(at, s.type, 'must be object at the root'));
};

/** metadata may restrict name and generateName only, and only at the root. */
const checkMetadata = (out: Cause[], s: Structural, level: Level, path: string): void => {
  const checked = level === 'root' || s['x-kubernetes-embedded-resource'] === true;
  for (const name of ['kind', 'apiVersion']) {
    const field = s.properties?.[name];
    const at = `${path}.properties[${name}].type`;
    if (checked && field && field.type !== 'string') out.push(cause.invalid(at, field.type ?? '', 'must be string'));
  }
  const metadata = s.properties?.metadata;
  if (!metadata) return;
  const at = `${path}.properties[metadata]`;
  if (checked && metadata.type !== 'object')
    out.push(cause.invalid(`${at}.type`, metadata.type ?? '', 'must be object'));
  if (level !== 'root') return;
  const names = Object.keys(metadata.properties ?? {});
  const other = keysOf(metadata).filter((keyword) => !['type', 'default', 'properties'].includes(keyword));
  if (other.length > 0 || names.some((name) => name !== 'name' && name !== 'generateName')) {
    const why = 'must not specify anything other than name and generateName, but metadata is implicitly specified';
    out.push(cause.forbidden(at, why));
  }
};

const invariants = (out: Cause[], s: Structural, level: Level, path: string): void => {
  const embedded = s['x-kubernetes-embedded-resource'] === true;
  const preserve = s['x-kubernetes-preserve-unknown-fields'] === true;
  if (s.type === 'array' && !s.items) out.push(cause.required(`${path}.items`, 'must be specified'));
  if (s.items) invariants(out, s.items, 'item', `${path}.items`);
  for (const [name, field] of Object.entries(s.properties ?? {}))
    invariants(out, field, 'field', `${path}.properties[${name}]`);
  const at = `${path}.additionalProperties`;
  if (s.additionalProperties !== undefined) {
    if (level === 'root') out.push(cause.forbidden(at, 'must not be used at the root'));
    const values = valuesOf(s);
    if (values) invariants(out, values, 'field', at);
    if (embedded) out.push(cause.forbidden(at, 'must not be used if x-kubernetes-embedded-resource is set'));
  }
  if (s['x-kubernetes-int-or-string']) {
    const why = 'must be false if x-kubernetes-int-or-string is true';
    if (preserve) out.push(cause.invalid(`${path}.x-kubernetes-preserve-unknown-fields`, true, why));
    if (embedded) out.push(cause.invalid(`${path}.x-kubernetes-embedded-resource`, true, why));
  }
  valueChecks(out, s, isIntOrString(s.anyOf), isIntOrString(s.allOf?.[0]?.anyOf), path);
  checkType(out, s, level, path);
  checkMetadata(out, s, level, path);
  if (embedded && !preserve && Object.keys(s.properties ?? {}).length === 0) {
    const why =
      'must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields';
    out.push(cause.required(`${path}.properties`, why));
  }
};

/** Whatever a combinator looks at has to be declared outside of it. */
const complete = (out: Cause[], v: Structural, s: Structural | undefined, path: string, from: string): void => {
  if (!s) {
    out.push(cause.required(path, `because it is defined in ${from}`));
    return;
  }
  combinatorsComplete(out, v, s, path, from);
  if (v.items) complete(out, v.items, s.items, `${path}.items`, `${from}.items`);
  for (const [name, field] of Object.entries(v.properties ?? {}))
    complete(out, field, s.properties?.[name], `${path}.properties[${name}]`, `${from}.properties[${name}]`);
};

const combinatorsComplete = (out: Cause[], v: Structural, s: Structural, path: string, from: string): void => {
  if (v.not) complete(out, v.not, s, path, `${from}.not`);
  for (const keyword of ['allOf', 'anyOf', 'oneOf'] as const)
    v[keyword]?.forEach((one, i) => void complete(out, one, s, path, `${from}.${keyword}[${i}]`));
};

/** Why a schema is not structural; none where it is. */
export const structuralCauses = (schema: Structural, path: string): Cause[] => {
  const out: Cause[] = [];
  invariants(out, schema, 'root', path);
  combinatorsComplete(out, schema, schema, path, path);
  return out;
};
