// The expressions in built-in kinds: device selectors, admission policies, webhooks' match conditions.
import type { Environment } from '../../machinery/cel/environment.ts';
import type { FieldType, Type } from '../../machinery/cel/types.ts';
import { loadRegex } from '../../machinery/regex.ts';

type Result = 'bool' | 'string' | 'any';
interface Engine {
  device: Environment;
  policy: Environment;
  /** A policy without parameters knows no `params`. */
  policyWithoutParams: Environment;
  results: Record<Result, Type[] | undefined>;
}

let engine: Engine | undefined;

/** Loads the expression language, which few writes need: a strategy's ready(). */
export const loadExpressions = async (): Promise<void> => {
  if (engine) return;
  const [{ createEnvironment }, types] = await Promise.all([
    import('../../machinery/cel/environment.ts'),
    import('../../machinery/cel/types.ts'),
    loadRegex(),
  ]);
  const { bool, dyn, mapOf, nullType, string } = types;
  const properties = mapOf(string, mapOf(string, dyn));
  const field = (json: string, type: Type): [string, FieldType] => [json, { type, json, adapt: (value) => value }];
  const fields = new Map([
    field('driver', string),
    field('attributes', properties),
    field('capacity', properties),
    field('allowMultipleAllocations', bool),
  ]);
  const known = { object: dyn, oldObject: dyn, request: dyn, namespaceObject: dyn, variables: dyn };
  engine = {
    device: createEnvironment({ variables: { device: { kind: 'object', name: 'device', fields } } }),
    policy: createEnvironment({ variables: { ...known, params: dyn } }),
    policyWithoutParams: createEnvironment({ variables: known }),
    results: { bool: [bool, dyn], string: [string, nullType, dyn], any: undefined },
  };
};

/**
 * Why an expression does not compile in one of the environments, or to that result; undefined where it does, where the
 * language was not loaded, and for what asks the authorizer, which this does not know.
 */
export const expressionFault = (
  where: 'device' | 'policy' | 'policyWithoutParams',
  source: string,
  result: Result,
): string | undefined => {
  if (!engine || /\bauthorizer\b/.test(source)) return undefined;
  const wanted = engine.results[result];
  const compiled = engine[where].compile(source, wanted && { result: wanted });
  return 'issues' in compiled ? compiled.describe() : undefined;
};
