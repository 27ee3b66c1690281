/**
 * The schema of a definition, keyword by keyword: what upstream refuses besides what is not structural.
 *
 *   keywordCauses(schema, path, options) -> Cause[]
 */
import { type Cause, cause } from '../../../machinery/status.ts';
import { validFieldPath } from './field-path.ts';
import { checkListType, type KeywordOptions, mapKeyCauses } from './list-keywords.ts';
import { type Structural, type ValidationRule, valuesOf } from './structural.ts';
import { unsupportedKeyword } from './structurality.ts';

/** What is known of the place of a schema from those above it. */
interface Place {
  root: boolean;
  insideMeta: boolean;
  /** Why a default may not stand here. */
  noDefault: string | undefined;
}

const TYPES = ['array', 'boolean', 'integer', 'number', 'object', 'string'];
const REASONS = ['FieldValueDuplicate', 'FieldValueForbidden', 'FieldValueInvalid', 'FieldValueRequired'];
const META = new Set(['metadata', 'kind', 'apiVersion']);
const filled = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Object.keys(value).length > 0;

const checkStandard = (out: Cause[], s: Structural, place: Place, path: string, options: KeywordOptions): void => {
  if (options.validTypes && s.type && !TYPES.includes(s.type))
    out.push(cause.notSupported(`${path}.type`, s.type, TYPES));
  if (s.default !== undefined && s.default !== null && place.noDefault !== undefined)
    out.push(cause.forbidden(`${path}.default`, `must not be set ${place.noDefault}`));
  const refuse = (keyword: string): void =>
    void out.push(cause.forbidden(`${path}.${keyword}`, `${keyword} is not supported`));
  if (s.id) refuse('id');
  if (s.additionalItems !== undefined) refuse('additionalItems');
  if (filled(s.patternProperties)) refuse('patternProperties');
  if (filled(s.definitions)) refuse('definitions');
  if (s.dependencies !== undefined) refuse('dependencies');
  if (s.$ref !== undefined) refuse('$ref');
  if (s.type === 'null')
    out.push(cause.forbidden(`${path}.type`, 'type cannot be set to null, use nullable as an alternative'));
  if (Array.isArray(s.items) && s.items.length > 0)
    out.push(cause.forbidden(`${path}.items`, 'items must be a schema object and not an array'));
  if (place.insideMeta && s['x-kubernetes-embedded-resource'])
    out.push(cause.forbidden(`${path}.x-kubernetes-embedded-resource`, 'must not be used inside of resource meta'));
  if (s.uniqueItems)
    out.push(
      cause.forbidden(
        `${path}.uniqueItems`,
        'uniqueItems cannot be set to true since the runtime complexity becomes quadratic',
      ),
    );
};

const checkRule = (out: Cause[], s: Structural, rule: ValidationRule, path: string): void => {
  const text = (rule.rule ?? '').trim();
  const message = (rule.message ?? '').trim();
  const breaks = /[\n\r]/;
  const at = `${path}.message`;
  if (text === '') out.push(cause.required(`${path}.rule`, 'rule is not specified'));
  else if (rule.message && message === '') out.push(cause.invalid(at, rule.message, 'must be non-empty if specified'));
  else if (breaks.test(message)) out.push(cause.invalid(at, rule.message, 'must not contain line breaks'));
  else if (breaks.test(text) && message === '')
    out.push(cause.required(at, 'message must be specified if rule contains line breaks'));
  if (rule.messageExpression && rule.messageExpression.trim() === '')
    out.push(cause.required(`${path}.messageExpression`, 'messageExpression must be non-empty if specified'));
  if (rule.reason !== undefined && !REASONS.includes(rule.reason))
    out.push(cause.notSupported(`${path}.reason`, rule.reason, REASONS));
  const { fieldPath } = rule;
  if (!fieldPath) return;
  const where = `${path}.fieldPath`;
  if (fieldPath.trim() === '') out.push(cause.invalid(where, fieldPath, 'must be non-empty if specified'));
  if (breaks.test(fieldPath)) out.push(cause.invalid(where, fieldPath, 'must not contain line breaks'));
  if (unsupportedKeyword(s) === undefined && 'fault' in validFieldPath(fieldPath, s))
    out.push(cause.invalid(where, fieldPath, 'must be a valid path'));
};

/** Schemas whose rules may be looked at: they and all below them are without fault. */
export type SoundVisitor = (schema: Structural, path: string) => void;

const visitProperties = (state: State, s: Structural, place: Place, path: string): boolean => {
  let sound = true;
  for (const [name, field] of Object.entries(s.properties ?? {})) {
    const meta = (place.root || s['x-kubernetes-embedded-resource'] === true) && META.has(name);
    const inner: Place = {
      root: false,
      insideMeta: meta || place.insideMeta,
      noDefault: meta && place.root ? `in top-level ${name}` : place.noDefault,
    };
    sound = visit(state, field, inner, `${path}.properties[${name}]`) && sound;
  }
  return sound;
};

const visitBelow = (state: State, s: Structural, place: Place, path: string): boolean => {
  const inner = { ...place, root: false };
  let sound = true;
  const values = valuesOf(s);
  if (values) {
    const noDefault = place.insideMeta ? 'inside additionalProperties applying to object metadata' : place.noDefault;
    sound = visit(state, values, { ...inner, noDefault }, `${path}.additionalProperties`) && sound;
  }
  sound = visitProperties(state, s, place, path) && sound;
  if (s.not) sound = visit(state, s.not, inner, `${path}.not`) && sound;
  for (const keyword of ['allOf', 'oneOf', 'anyOf'] as const)
    s[keyword]?.forEach((one, i) => {
      sound = visit(state, one, inner, `${path}.${keyword}[${i}]`) && sound;
    });
  const items: unknown = s.items;
  if (Array.isArray(items))
    items.forEach((one: Structural, i) => {
      sound = visit(state, one, inner, `${path}.items[${i}]`) && sound;
    });
  else if (s.items) sound = visit(state, s.items, inner, `${path}.items`) && sound;
  return sound;
};

interface State {
  out: Cause[];
  options: KeywordOptions;
  sound: SoundVisitor | undefined;
}

/** True where neither the schema nor one below it has a fault. */
const visit = (state: State, s: Structural, place: Place, path: string): boolean => {
  const { out, options } = state;
  const before = out.length;
  checkStandard(out, s, place, path, options);
  const extra = s.additionalProperties;
  if (filled(s.properties) && (extra === false || typeof extra === 'object'))
    out.push(
      cause.forbidden(`${path}.additionalProperties`, 'additionalProperties and properties are mutual exclusive'),
    );
  const own = out.length === before;
  const below = visitBelow(state, s, place, path);
  const middle = out.length;
  if (s['x-kubernetes-preserve-unknown-fields'] === false)
    out.push(cause.invalid(`${path}.x-kubernetes-preserve-unknown-fields`, false, 'must be true or undefined'));
  checkListType(out, s, path, options);
  if (options.mapKeys) out.push(...mapKeyCauses(s, path));
  s['x-kubernetes-validations']?.forEach(
    (rule, i) => void checkRule(out, s, rule, `${path}.x-kubernetes-validations[${i}]`),
  );
  const sound = own && below && out.length === middle;
  if (sound && s['x-kubernetes-validations']?.length) state.sound?.(s, path);
  return sound;
};

/** The faults of a definition's schema; `sound` is told of each schema with rules that can be compiled. */
export const keywordCauses = (
  schema: Structural,
  path: string,
  options: KeywordOptions,
  sound?: SoundVisitor,
): Cause[] => {
  const state: State = { out: [], options, sound };
  visit(state, schema, { root: true, insideMeta: false, noDefault: undefined }, path);
  return state.out;
};
