/**
 * One version of a custom kind: its schema made ready on first use, and what the generic engine asks of it.
 *
 *   customKind(schema) -> CustomKind
 *   await kind.ready()   before a validation: loads what its patterns and rules need, undefined where they need nothing
 */
import type { Json, JsonObject, KubeObject } from '../../../machinery/object.ts';
import { loadRegex } from '../../../machinery/regex.ts';
import type { Decoded } from '../../../machinery/schema.ts';
import { type Cause, cause } from '../../../machinery/status.ts';
import { embeddedCauses } from './embedded.ts';
import { compileNode, type Node } from './node.ts';
import { coerce, pruneDefaults } from './prune.ts';
import {
  CRD_RULES_BUDGET,
  loadRules,
  type RuleTree,
  ruleCauses,
  rulesOf,
  hasRules as schemaHasRules,
} from './rules.ts';
import { type Structural, someAnywhere } from './structural.ts';
import { duplicateCauses } from './unique.ts';
import { validateValue } from './validate.ts';

export interface CustomKind {
  coerce(object: JsonObject, options: { defaults: boolean; found?: readonly string[] }): Decoded<JsonObject>;
  ready(): Promise<void> | undefined;
  validateCreate(object: KubeObject): Cause[];
  /** Faults of what did not change are let pass (KEP-4008); `warn` is told of rules that such a part breaks. */
  validateUpdate(next: KubeObject, old: KubeObject, warn: (text: string) => void): Cause[];
  validateStatusUpdate(next: KubeObject, old: KubeObject, warn: (text: string) => void): Cause[];
}

const BLOCKING = new Set([
  'FieldValueNotSupported',
  'FieldValueRequired',
  'FieldValueTooLong',
  'FieldValueTooMany',
  'FieldValueTypeInvalid',
]);
const UNCHECKED =
  'some validation rules were not checked because the object was invalid; correct the existing errors to complete validation';

const asJson = (object: KubeObject): JsonObject => object as unknown as JsonObject;

export const customKind = (schema: Structural): CustomKind => {
  let compiled: Node | undefined;
  let rules: { tree: RuleTree | undefined } | undefined;
  let readiness: Promise<void> | undefined;
  const hasRules = schemaHasRules(schema);
  const hasPatterns = someAnywhere(schema, (s) => Boolean(s.pattern));

  const node = (): Node => {
    if (!compiled) {
      compiled = compileNode(schema);
      pruneDefaults(compiled);
    }
    return compiled;
  };
  const checkRules = (out: Cause[], object: Json, old?: Json, warn?: (text: string) => void): Cause[] => {
    if (!hasRules) return out;
    rules ??= { tree: rulesOf(node(), true) };
    if (!rules.tree) return out;
    if (out.some((one) => BLOCKING.has(one.reason))) return [...out, cause.invalid('<nil>', null, UNCHECKED)];
    const at = { path: '', budget: CRD_RULES_BUDGET, ...(old !== undefined && { old }), ...(warn && { warn }) };
    return [...out, ...ruleCauses(rules.tree, object, at).causes];
  };
  return {
    coerce: (object, options) => coerce(node(), object, options),
    ready: () => {
      if (!hasRules && !hasPatterns) return undefined;
      readiness ??= hasRules ? loadRules() : loadRegex();
      return readiness;
    },
    validateCreate: (given) => {
      const object = asJson(given);
      const out = validateValue(node(), object);
      out.push(...embeddedCauses(node(), object), ...duplicateCauses(node(), object));
      return checkRules(out, object);
    },
    validateUpdate: (next, before, warn) => {
      const object = asJson(next);
      const old = asJson(before);
      const out = validateValue(node(), object, { old });
      out.push(...embeddedCauses(node(), object));
      if (duplicateCauses(node(), old).length === 0) out.push(...duplicateCauses(node(), object));
      return checkRules(out, object, old, warn);
    },
    validateStatusUpdate: (next, before, warn) => {
      const object = asJson(next);
      const old = asJson(before);
      const status = node().properties?.get('status');
      const out: Cause[] = [];
      if (status && object.status !== undefined)
        out.push(...validateValue(status, object.status, { path: 'status', old: old.status ?? null }));
      const found = duplicateCauses(node(), object);
      if (found.length > 0 && duplicateCauses(node(), old).length === 0) out.push(...found);
      return checkRules(out, object, old, warn);
    },
  };
};
