/**
 * Runs the rules of a kind over an object (KEP-2876), within a budget, and lets pass what unchanged parts break (KEP-4008).
 *
 *   compileTree(node, isResource) -> RuleTree?
 *   runRules(tree, value, { old?, path, budget, warn? }) -> { causes, budget }
 */

import { escapeName } from '../../../machinery/cel/field-names.ts';
import { NONE, Optional, type Value } from '../../../machinery/cel/values.ts';
import type { Json, JsonObject } from '../../../machinery/object.ts';
import { type Cause, cause } from '../../../machinery/status.ts';
import { ABSENT, type Old, oldField, oldItems, unchanged } from './correlate.ts';
import { type Declaration, declarationOf } from './declaration.ts';
import type { Node } from './node.ts';
import { compileRules, type RuleProgram } from './rule-programs.ts';
import { some } from './structural.ts';

export interface RuleTree {
  node: Node;
  declaration: Declaration | undefined;
  rules: RuleProgram[];
  items: RuleTree | undefined;
  values: RuleTree | undefined;
  properties: ReadonlyMap<string, RuleTree> | undefined;
}
export interface RunOptions {
  /** Left out where there is no old value. */
  old?: Json;
  path: string;
  /** What the rules may cost together. */
  budget: number;
  /** Told of what unchanged parts break. */
  warn?: (text: string) => void;
}

const MESSAGE_BYTES_MAX = 5 * 1024;

/** The rules of a schema and those below it; undefined where there are none. */
export const compileTree = (node: Node, isResource: boolean, known?: Declaration): RuleTree | undefined => {
  const { schema } = node;
  if (!some(schema, (s) => (s['x-kubernetes-validations']?.length ?? 0) > 0)) return undefined;
  const declaration = known ?? declarationOf(schema, isResource);
  const properties = new Map<string, RuleTree>();
  for (const [name, child] of node.properties ?? []) {
    const escaped = escapeName(name);
    // A field of a type that rules cannot see is left out with all below it.
    const seen = escaped === undefined ? undefined : declaration?.fields?.get(escaped);
    if (!declaration || (escaped !== undefined && !seen)) continue;
    const tree = compileTree(child, child.embedded, seen);
    if (tree) properties.set(name, tree);
  }
  const element = declaration?.element;
  return {
    node,
    declaration,
    rules: declaration ? compileRules(schema, declaration) : [],
    items: node.items && compileTree(node.items, node.items.embedded, element),
    values: node.values && compileTree(node.values, node.values.embedded, element),
    properties: properties.size > 0 ? properties : undefined,
  };
};

interface Walk {
  causes: Cause[];
  budget: number;
  warn: ((text: string) => void) | undefined;
}
/** Whether the place, or the nearest one above it that has an old value, is what it was. */
type IsUnchanged = () => boolean;

const field = (path: string): string => path || '<nil>';

const stop = (walk: Walk, one: Cause): void => {
  walk.causes.push(one);
  walk.budget = -1;
};

const ruleText = ({ rule }: RuleProgram): string => (rule.message || rule.rule).trim();
const OUT_OF_BUDGET = 'validation failed due to running out of cost budget, no further validation rules will be run';

/** What a failed rule is told with; undefined where the message expression used up the budget. */
const detailOf = (
  walk: Walk,
  one: RuleProgram,
  variables: Record<string, Value | undefined>,
  path: string,
): string | undefined => {
  const { rule, message } = one;
  const standard = rule.message ? rule.message.trim() : `failed rule: ${ruleText(one)}`;
  if (!message) return standard;
  const result = message.evaluate(variables);
  if (result.cost > walk.budget || 'overBudget' in result) {
    const why = 'messageExpression evaluation failed due to running out of cost budget';
    stop(walk, cause.invalid(field(path), null, `${why}, no further validation rules will be run`));
    return undefined;
  }
  walk.budget -= result.cost;
  const text = 'value' in result && typeof result.value === 'string' ? result.value.trim() : '';
  return text === '' || text.includes('\n') || Buffer.byteLength(text) > MESSAGE_BYTES_MAX ? standard : text;
};

const failure = (path: string, value: Json, detail: string, reason: string | undefined): Cause => {
  if (reason === 'FieldValueForbidden') return cause.forbidden(path, detail);
  if (reason === 'FieldValueRequired') return cause.required(path, detail);
  const isDuplicate = reason === 'FieldValueDuplicate';
  if (value === null || typeof value !== 'object')
    return isDuplicate ? cause.duplicate(path, value) : cause.invalid(path, value, detail);
  // Objects and lists are not shown.
  return isDuplicate
    ? { ...cause.duplicate(path, ''), message: 'Duplicate value' }
    : { ...cause.invalid(path, '', detail), message: `Invalid value: ${detail}` };
};

const runRule = (
  walk: Walk,
  one: RuleProgram,
  value: Json,
  self: Value,
  old: Old,
  path: string,
  same: IsUnchanged,
  adapt: Declaration['adapt'],
): void => {
  const { rule, program } = one;
  const at = field(path);
  if (one.fault !== undefined) {
    walk.causes.push(cause.invalid(at, null, `rule compile error: ${one.fault}`));
    return;
  }
  const hasOld = old !== ABSENT && old !== null;
  if (!program || (one.usesOldSelf && !hasOld && !rule.optionalOldSelf)) return;
  const oldValue = hasOld && one.usesOldSelf ? adapt(old) : undefined;
  const optional = oldValue === undefined ? NONE : new Optional(oldValue);
  const variables = { self, oldSelf: rule.optionalOldSelf ? optional : oldValue };
  const result = program.evaluate(variables);
  if (result.cost > walk.budget) {
    stop(walk, cause.invalid(at, null, OUT_OF_BUDGET));
    return;
  }
  walk.budget -= result.cost;
  if ('overBudget' in result) {
    const why = 'no further validation rules will be run due to call cost exceeds limit for rule';
    stop(walk, cause.invalid(at, null, `${why}: ${ruleText(one)}`));
    return;
  }
  if ('fault' in result) {
    walk.causes.push(cause.invalid(at, null, `${result.fault.message} evaluating rule: ${ruleText(one)}`));
    return;
  }
  if (result.value === true) return;
  const where = one.fieldPath ? (path ? `${path}.${one.fieldPath}` : one.fieldPath) : path;
  const detail = detailOf(walk, one, variables, where);
  if (detail === undefined) return;
  const found = failure(field(where), value, detail, rule.reason);
  if (!one.usesOldSelf && same()) walk.warn?.(`${found.field}: ${found.message}`);
  else walk.causes.push(found);
};

const runHere = (walk: Walk, tree: RuleTree, value: Json, old: Old, path: string, same: IsUnchanged): void => {
  const { declaration } = tree;
  if (!declaration || tree.rules.length === 0) return;
  if (walk.budget <= 0) {
    stop(walk, cause.invalid(field(path), null, OUT_OF_BUDGET));
    return;
  }
  let self: Value;
  try {
    self = declaration.adapt(value);
  } catch (error) {
    walk.causes.push(cause.invalid(field(path), null, error instanceof Error ? error.message : String(error)));
    return;
  }
  for (const one of tree.rules) {
    runRule(walk, one, value, self, old, path, same, declaration.adapt);
    if (walk.budget < 0) return;
  }
};

const visitObject = (
  walk: Walk,
  tree: RuleTree,
  value: JsonObject,
  old: Old,
  path: string,
  same: IsUnchanged,
): void => {
  for (const name of Object.keys(value)) {
    const declared = tree.properties?.get(name);
    const child = declared ?? (tree.node.properties?.has(name) ? undefined : tree.values);
    if (!child) continue;
    const at = declared ? (path ? `${path}.${name}` : name) : `${path}[${name}]`;
    visit(walk, child, value[name] ?? null, oldField(tree.node, old, name), at, same);
    if (walk.budget < 0) return;
  }
};

const visit = (walk: Walk, tree: RuleTree, value: Json, old: Old, path: string, above: IsUnchanged): void => {
  if (value === null) return;
  let known: boolean | undefined;
  const same: IsUnchanged = () => {
    known ??= old === ABSENT ? above() : unchanged(tree.node, value, old);
    return known;
  };
  runHere(walk, tree, value, old, path, same);
  if (walk.budget < 0) return;
  if (Array.isArray(value)) {
    const { items } = tree;
    if (!items) return;
    const find = oldItems(tree.node, old);
    for (let i = 0; i < value.length && walk.budget >= 0; i++) {
      const item = value[i] ?? null;
      visit(walk, items, item, find(item), `${path}[${i}]`, same);
    }
  } else if (typeof value === 'object') visitObject(walk, tree, value, old, path, same);
};

/** The rules that a value breaks, and what is left of the budget: less than 0 where it ran out. */
export const runRules = (tree: RuleTree, value: Json, options: RunOptions): { causes: Cause[]; budget: number } => {
  const walk: Walk = { causes: [], budget: options.budget, warn: options.warn };
  visit(walk, tree, value, options.old === undefined ? ABSENT : options.old, options.path, () => false);
  return { causes: walk.causes, budget: walk.budget };
};
