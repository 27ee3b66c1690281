/**
 * The schemas of a definition, held to upstream's rules when it is created or updated.
 *
 *   schemaCauses(next, old?) -> Cause[]   after loadSchemaEngines(next) was awaited
 */
import type { CustomResourceDefinition } from '../../../machinery/kinds.d.ts';
import { equalJson } from '../../../machinery/patch/equal.ts';
import { loadRegex } from '../../../machinery/regex.ts';
import { type Cause, cause } from '../../../machinery/status.ts';
import { defaultCauses } from './default-values.ts';
import { keywordCauses, type SoundVisitor } from './definition.ts';
import { type KeywordOptions, mapKeyCauses } from './list-keywords.ts';
import { compileNode } from './node.ts';
import { pruned } from './prune.ts';
import { CRD_RULES_BUDGET, hasRules, loadRules, ruleContexts, totalCauses } from './rules.ts';
import { type Structural, some, someAnywhere } from './structural.ts';
import { structuralCauses, unsupportedKeyword } from './structurality.ts';

type Version = CustomResourceDefinition['spec']['versions'][number];

interface Options extends KeywordOptions {
  prunedDefaults: boolean;
  /** Schemas that did not change may go on to cost too much. */
  unchanged: boolean;
}

const schemaOf = (version: Version): Structural | undefined =>
  version.schema?.openAPIV3Schema as unknown as Structural | undefined;
const schemasOf = (crd: CustomResourceDefinition | undefined): Structural[] =>
  (crd?.spec?.versions ?? []).map(schemaOf).filter((s) => s !== undefined);

const TYPES = new Set(['array', 'boolean', 'integer', 'number', 'object', 'string']);
const ROOT_WITH_STATUS = new Set([
  ...['description', 'type', 'format', 'title', 'maximum', 'exclusiveMaximum', 'minimum', 'exclusiveMinimum'],
  ...['maxLength', 'minLength', 'pattern', 'maxItems', 'minItems', 'uniqueItems', 'multipleOf', 'required', 'items'],
  ...['properties', 'externalDocs', 'example', 'x-kubernetes-preserve-unknown-fields', 'x-kubernetes-validations'],
]);

const isSet = (value: unknown): boolean =>
  value !== undefined && value !== null && value !== '' && value !== false && !(Array.isArray(value) && !value.length);

const rootWithStatus = (schema: Structural, path: string): Cause[] => {
  if (schema.type && schema.type !== 'object') {
    const why = 'only "object" is allowed as the type at the root of the schema if the status subresource is enabled';
    return [cause.invalid(`${path}.type`, schema.type, why)];
  }
  const odd = Object.keys(schema).some((keyword) => isSet(schema[keyword]) && !ROOT_WITH_STATUS.has(keyword));
  const why = `only ${[...ROOT_WITH_STATUS].join(', ')} are allowed at the root if the status subresource is enabled`;
  return odd ? [cause.invalid(path, '', why)] : [];
};

const isNonAtomicSet = (s: Structural): boolean => {
  const { items } = s;
  if (s['x-kubernetes-list-type'] !== 'set' || !items) return false;
  if (items.type === 'object') return items['x-kubernetes-map-type'] !== 'atomic';
  return items.type === 'array' && (items['x-kubernetes-list-type'] ?? 'atomic') !== 'atomic';
};
const hasLossyDefault = (schema: Structural): boolean =>
  some(schema, (s) => {
    if (s.default === undefined || s.default === null || unsupportedKeyword(s)) return false;
    return pruned(compileNode(s), s.default).lost;
  });

/** What a stored definition already breaks is not held against its next state. */
const optionsOf = (old: CustomResourceDefinition | undefined): Omit<Options, 'unchanged'> => {
  const broken = (holds: (s: Structural) => boolean): boolean => schemasOf(old).some((s) => someAnywhere(s, holds));
  return {
    validTypes: !broken((s) => Boolean(s.type) && !TYPES.has(s.type ?? '')),
    atomicSets: !broken(isNonAtomicSet),
    mapKeys: !broken((s) => mapKeyCauses(s, '').length > 0),
    prunedDefaults: !schemasOf(old).some(hasLossyDefault),
  };
};

const checkSchema = (schema: Structural, path: string, status: boolean, options: Options): Cause[] => {
  const out = status ? rootWithStatus(schema, path) : [];
  if (schema.nullable) out.push(cause.forbidden(`${path}.nullable`, 'nullable cannot be true at the root'));
  const unsupported = unsupportedKeyword(schema);
  const rules: Cause[] = [];
  let contexts: ReturnType<typeof ruleContexts>;
  let sound: SoundVisitor | undefined;
  if (!unsupported) {
    const structural = structuralCauses(schema, path);
    const causes =
      structural.length > 0 ? structural : defaultCauses(schema, path, options.prunedDefaults, CRD_RULES_BUDGET);
    out.push(...causes);
    if (causes.length === 0) {
      contexts = ruleContexts(schema, path, options.unchanged);
      sound = (s, at) => void rules.push(...(contexts?.check(s, at) ?? []));
    }
  }
  out.push(...keywordCauses(schema, path, options, sound), ...rules);
  if (out.length === 0 && unsupported) out.push(cause.invalid(path, '', unsupported));
  if (contexts) out.push(...totalCauses(contexts.tally, path));
  return out;
};

/** Where upstream tells the faults of a schema: equal schemas of all versions count as one of the definition. */
const placesOf = (
  crd: CustomResourceDefinition,
): { schema: Structural; path: string; status: boolean; name: string }[] => {
  const versions = crd.spec?.versions ?? [];
  const [first] = versions;
  if (!first) return [];
  const hasStatus = (v: Version): boolean => v.subresources?.status !== undefined;
  const schema = schemaOf(first);
  if (versions.every((v) => equalJson(schemaOf(v) as never, schema as never))) {
    const path = 'spec.validation.openAPIV3Schema';
    return schema ? [{ schema, path, status: versions.some(hasStatus), name: first.name }] : [];
  }
  return versions.flatMap((v, i) => {
    const own = schemaOf(v);
    const path = `spec.versions[${i}].schema.openAPIV3Schema`;
    return own ? [{ schema: own, path, status: hasStatus(v), name: v.name }] : [];
  });
};

/** The faults of a definition's schemas. `old` is the state that an update starts from. */
export const schemaCauses = (crd: CustomResourceDefinition, old?: CustomResourceDefinition): Cause[] => {
  const out: Cause[] = [];
  const options = optionsOf(old);
  const before = new Map((old?.spec?.versions ?? []).map((v) => [v.name, schemaOf(v)]));
  crd.spec?.versions?.forEach((v, i) => {
    if (!schemaOf(v)) out.push(cause.required(`spec.versions[${i}].schema.openAPIV3Schema`));
  });
  if (
    crd.spec?.preserveUnknownFields &&
    schemasOf(crd).some((s) => someAnywhere(s, (one) => one.default !== undefined && one.default !== null))
  )
    out.push(cause.invalid('spec.preserveUnknownFields', true, 'must be false in order to use defaults in the schema'));
  for (const { schema, path, status, name } of placesOf(crd)) {
    const was = before.get(name);
    const unchanged = was !== undefined && equalJson(was as never, schema as never);
    out.push(...checkSchema(schema, path, status, { ...options, unchanged }));
  }
  return out;
};

/** Loads what a definition's validation needs: patterns and the expression language only where it has some. */
export const loadSchemaEngines = (crd: CustomResourceDefinition): Promise<void> | undefined => {
  const has = (holds: (s: Structural) => boolean): boolean => schemasOf(crd).some((s) => someAnywhere(s, holds));
  if (schemasOf(crd).some(hasRules)) return loadRules();
  return has((s) => Boolean(s.pattern)) ? loadRegex() : undefined;
};
