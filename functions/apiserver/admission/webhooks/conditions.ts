import type { Environment, Program } from '../../../machinery/cel/environment.ts';
import type { Value } from '../../../machinery/cel/values.ts';
import { loadRegex } from '../../../machinery/regex.ts';
import type { AnyObject } from '../../context.ts';
import type { AdmissionRequest } from '../admission.ts';
import type { Hook, Match } from './configurations.ts';
import { requestFields } from './review.ts';

/** What the match conditions of a webhook (KEP-3716) come to; `fault` where they could not be told and it must not pass. */
export type Verdict = 'call' | 'skip' | { fault: string };

interface Engine {
  environment: Environment;
  budget: number;
  fromJson(json: unknown): Value;
}

let engine: Promise<Engine> | undefined;

/** The expression language, loaded by the first webhook that has conditions. */
const loadEngine = async (): Promise<Engine> => {
  const [{ createEnvironment, MATCH_CONDITIONS_BUDGET }, { dyn }, { fromJson }] = await Promise.all([
    import('../../../machinery/cel/environment.ts'),
    import('../../../machinery/cel/types.ts'),
    import('../../../machinery/cel/values.ts'),
    loadRegex(),
  ]);
  const environment = createEnvironment({ variables: { object: dyn, oldObject: dyn, request: dyn } });
  return { environment, budget: MATCH_CONDITIONS_BUDGET, fromJson };
};

type Compiled = { expression: string } & ({ program: Program } | { fault: string });

const compiled = new WeakMap<Hook, readonly Compiled[]>();

const compile = (hook: Hook, { environment }: Engine): readonly Compiled[] => {
  const known = compiled.get(hook);
  if (known) return known;
  const made = (hook.spec.matchConditions ?? []).map(({ expression }): Compiled => {
    const one = environment.compile(expression);
    return 'program' in one
      ? { expression, program: one.program }
      : { expression, fault: `compilation error: ${one.describe()}` };
  });
  compiled.set(hook, made);
  return made;
};

/**
 * Asks the conditions in turn. One that is false ends it; where none is and some failed, the failure policy decides.
 * `objects` are as the hook sees them.
 */
export const askConditions = async (
  request: AdmissionRequest,
  match: Match,
  objects: { object?: AnyObject | undefined; old?: AnyObject | undefined },
): Promise<Verdict> => {
  const { hook } = match;
  if (!hook.spec.matchConditions?.length) return 'call';
  engine ??= loadEngine();
  const ready = await engine;
  const variables = {
    object: ready.fromJson(objects.object ?? null),
    oldObject: ready.fromJson(objects.old ?? null),
    request: ready.fromJson(requestFields(request, match)),
  };
  const faults: string[] = [];
  let left = ready.budget;
  for (const one of compile(hook, ready)) {
    if ('fault' in one) {
      faults.push(one.fault);
      continue;
    }
    const result = one.program.evaluate(variables, left);
    left -= result.cost;
    if ('value' in result && result.value === false) return 'skip';
    if ('value' in result && result.value === true) continue;
    if ('overBudget' in result) {
      faults.push('validation failed due to running out of cost budget, no further validation rules will be run');
      break;
    }
    const why = 'fault' in result ? result.fault.message : 'the result is no bool';
    faults.push(`expression '${one.expression}' resulted in error: ${why}`);
  }
  if (faults.length === 0) return 'call';
  if (hook.spec.failurePolicy === 'Ignore') return 'skip';
  return { fault: faults.length === 1 ? (faults[0] ?? '') : `[${faults.join(', ')}]` };
};
