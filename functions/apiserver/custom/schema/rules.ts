/**
 * The door to the rules of custom kinds: the expression language is loaded when the first kind with rules needs it.
 *
 *   await loadRules()                              once, before the functions below
 *   rulesOf(node, isResource) -> RuleTree?         compiled; undefined where a schema has none
 *   ruleCauses(tree, value, options)               see run-rules.ts
 */
import type { Json } from '../../../machinery/object.ts';
import { loadRegex } from '../../../machinery/regex.ts';
import type { Cause } from '../../../machinery/status.ts';
import type { CostTally, RuleContexts } from './definition-rules.ts';
import type { Node } from './node.ts';
import type { RuleTree, RunOptions } from './run-rules.ts';
import { type Structural, some } from './structural.ts';

export type { RuleTree } from './run-rules.ts';

/** What all rules may cost for one object, in the units of cost.ts. */
export const CRD_RULES_BUDGET = 10_000_000;

interface Engine {
  run: typeof import('./run-rules.ts');
  definition: typeof import('./definition-rules.ts');
}
let engine: Engine | undefined;
let loading: Promise<void> | undefined;

const load = async (): Promise<void> => {
  const [run, definition] = await Promise.all([import('./run-rules.ts'), import('./definition-rules.ts'), loadRegex()]);
  engine = { run, definition };
};

export const loadRules = (): Promise<void> => {
  loading ??= load();
  return loading;
};

const loaded = (): Engine => {
  if (!engine) throw new Error('loadRules() was not awaited');
  return engine;
};

export const hasRules = (schema: Structural): boolean =>
  some(schema, (s) => (s['x-kubernetes-validations']?.length ?? 0) > 0);

export const rulesOf = (node: Node, isResource: boolean): RuleTree | undefined =>
  hasRules(node.schema) ? loaded().run.compileTree(node, isResource) : undefined;

export const ruleCauses = (tree: RuleTree, value: Json, options: RunOptions): { causes: Cause[]; budget: number } =>
  loaded().run.runRules(tree, value, options);

/** The contexts in which the rules of a definition are checked; undefined where it has none. */
export const ruleContexts = (schema: Structural, path: string, unchanged: boolean): RuleContexts | undefined =>
  hasRules(schema) ? loaded().definition.createRuleContexts(schema, path, unchanged) : undefined;

export const totalCauses = (tally: CostTally, path: string): Cause[] =>
  loaded().definition.totalCostCauses(tally, path);
