/**
 * Runs the expressions of a policy within Kubernetes' budgets: a call may cost 1,000,000, all validations of a policy
 * 10,000,000 together, its match conditions 2,500,000. Variables are evaluated where they are first used.
 */
import type { Expression } from '../../../machinery/cel/admission.ts';
import { MATCH_CONDITIONS_BUDGET, OBJECT_BUDGET } from '../../../machinery/cel/environment.ts';
import { dyn, type FieldType } from '../../../machinery/cel/types.ts';
import { EvalFault, ObjectValue, type Value } from '../../../machinery/cel/values.ts';
import type { Variables } from './inputs.ts';
import type { Hook, Programs } from './source.ts';

/** All budget is spent; what is left is not run. */
export class OutOfBudget extends Error {
  constructor() {
    super('validation failed due to running out of cost budget, no further validation rules will be run');
  }
}

export type Outcome = { value: Value } | { error: string };
export interface Decision {
  /** 'error' where the expression could not be evaluated. */
  result: 'admit' | 'deny' | 'error';
  message: string;
  reason: string;
}
export interface Annotation {
  key: string;
  value: string;
  error: string;
}
export interface Evaluated {
  decisions: readonly Decision[];
  annotations: readonly Annotation[];
}

const MESSAGE_BYTES_MAX = 5 * 1024;
const CALL_EXCEEDED = 'operation cancelled: actual cost limit exceeded';

interface Meter {
  left: number;
}

const types = new WeakMap<Programs, ReadonlyMap<string, FieldType>>();
const fieldsOf = (programs: Programs): ReadonlyMap<string, FieldType> => {
  const known = types.get(programs);
  if (known) return known;
  const made = new Map<string, FieldType>();
  for (const { name } of programs.variables) made.set(name, { type: dyn, json: name, adapt: (value) => value });
  types.set(programs, made);
  return made;
};

const spend = (meter: Meter, cost: number): void => {
  meter.left -= cost;
  if (meter.left < 0) throw new OutOfBudget();
};

/** `variables` for one run: every one is evaluated once, and costs where it is first used. */
const variablesOf = (programs: Programs, inputs: Variables, meter: Meter): Variables => {
  if (programs.variables.length === 0) return inputs;
  const held: Record<string, unknown> = Object.create(null);
  const all: Record<string, Value | undefined> = {
    ...inputs,
    variables: new ObjectValue({ kind: 'object', name: 'kubernetes.variables', fields: fieldsOf(programs) }, held),
  };
  for (const { name, expression } of programs.variables) {
    let known: Value | EvalFault | undefined;
    Object.defineProperty(held, name, {
      enumerable: true,
      configurable: true,
      get: () => {
        known ??= variable(name, expression, all, meter);
        if (known instanceof EvalFault) throw known;
        return known;
      },
    });
  }
  return all;
};

const variable = (name: string, expression: Expression, inputs: Variables, meter: Meter): Value | EvalFault => {
  if ('fault' in expression)
    return new EvalFault(`composited variable "${name}" fails to compile: ${expression.fault}`);
  const made = expression.program.evaluate(inputs);
  spend(meter, made.cost);
  if ('value' in made) return made.value;
  const why = 'fault' in made ? made.fault.message : CALL_EXCEEDED;
  return new EvalFault(`composited variable "${name}" fails to evaluate: ${why}`);
};

const run = (expression: Expression, inputs: Variables, meter: Meter): Outcome => {
  if ('fault' in expression) return { error: `compilation error: ${expression.fault}` };
  const made = expression.program.evaluate(inputs);
  spend(meter, made.cost);
  if ('value' in made) return { value: made.value };
  const why = 'fault' in made ? made.fault.message : CALL_EXCEEDED;
  return { error: `expression '${expression.source}' resulted in error: ${why}` };
};

/** Runs one expression with a budget of its own. Throws OutOfBudget. */
export const runOne = (programs: Programs, expression: Expression, inputs: Variables): Outcome => {
  const meter = { left: OBJECT_BUDGET };
  return run(expression, variablesOf(programs, inputs, meter), meter);
};

/**
 * Whether the match conditions hold: all of them, or `false` where one does not, whatever the others say. What cannot be
 * evaluated is an error, unless the policy ignores failures: then nothing matches.
 */
export const matchConditions = (
  programs: Programs,
  ignores: boolean,
  inputs: Variables,
): { matches: boolean } | { error: string } => {
  if (programs.conditions.length === 0) return { matches: true };
  const meter = { left: MATCH_CONDITIONS_BUDGET };
  const all = variablesOf(programs, { ...inputs, namespaceObject: null }, meter);
  const errors: string[] = [];
  try {
    const outcomes = programs.conditions.map((condition) => run(condition, all, meter));
    for (const outcome of outcomes) {
      if ('error' in outcome) errors.push(outcome.error);
      else if (outcome.value === false) return { matches: false };
    }
  } catch (error) {
    if (!(error instanceof OutOfBudget)) throw error;
    errors.push(error.message);
  }
  if (errors.length === 0) return { matches: true };
  if (ignores) return { matches: false };
  const unique = [...new Set(errors)];
  return { error: unique.length === 1 ? `${unique[0]}` : `[${unique.join(', ')}]` };
};

const failed = (message: string): Decision => ({ result: 'error', message, reason: '' });

const evaluatedMessage = (outcome: Outcome | undefined): string => {
  if (!outcome || 'error' in outcome || typeof outcome.value !== 'string') return '';
  const text = outcome.value.trim();
  return Buffer.byteLength(text) > MESSAGE_BYTES_MAX || text.includes('\n') ? '' : text;
};

const denial = (hook: Hook, i: number, message: Outcome | undefined): Decision => {
  const validation = hook.spec.validations?.[i];
  const text =
    evaluatedMessage(message) ||
    validation?.message?.trim() ||
    `failed expression: ${(validation?.expression ?? '').trim()}`;
  return { result: 'deny', message: text, reason: validation?.reason || 'Invalid' };
};

const messagesOf = (programs: Programs, inputs: Variables, left: number): (Outcome | undefined)[] | OutOfBudget => {
  const meter = { left };
  const all = variablesOf(programs, inputs, meter);
  try {
    return programs.messages.map((message) => message && run(message, all, meter));
  } catch (error) {
    if (error instanceof OutOfBudget) return error;
    throw error;
  }
};

const decisionsOf = (hook: Hook, inputs: Variables): Decision[] => {
  const { programs } = hook;
  const meter = { left: OBJECT_BUDGET };
  const all = variablesOf(programs, inputs, meter);
  let outcomes: Outcome[];
  try {
    outcomes = programs.validations.map((validation) => run(validation, all, meter));
  } catch (error) {
    if (error instanceof OutOfBudget) return [failed(error.message)];
    throw error;
  }
  const needed = outcomes.some((outcome) => 'error' in outcome || outcome.value !== true);
  if (!needed) return outcomes.map(() => ({ result: 'admit', message: '', reason: '' }));
  const messages = messagesOf(programs, inputs, meter.left);
  return outcomes.map((outcome, i) => {
    if ('error' in outcome) return failed(outcome.error);
    if (messages instanceof OutOfBudget) return failed(`failed messageExpression: ${messages.message}`);
    return outcome.value === true ? { result: 'admit', message: '', reason: '' } : denial(hook, i, messages[i]);
  });
};

const annotationOf = (key: string, outcome: Outcome): Annotation => {
  if ('error' in outcome) return { key, value: '', error: outcome.error };
  return { key, value: typeof outcome.value === 'string' ? outcome.value.trim() : '', error: '' };
};

/** What a validating policy has to say of a request. */
export const evaluateHook = (hook: Hook, inputs: Variables): Evaluated => {
  const { programs, ignores } = hook;
  const matched = matchConditions(programs, ignores, inputs);
  if ('error' in matched) return { decisions: [failed(matched.error)], annotations: [] };
  if (!matched.matches) return { decisions: [], annotations: [] };
  const decisions = decisionsOf(hook, inputs);
  if (programs.annotations.length === 0) return { decisions, annotations: [] };
  const meter = { left: OBJECT_BUDGET };
  const all = variablesOf(programs, inputs, meter);
  try {
    const annotations = programs.annotations.map((annotation, i) =>
      annotationOf(hook.spec.auditAnnotations?.[i]?.key ?? '', run(annotation, all, meter)),
    );
    return { decisions, annotations };
  } catch (error) {
    if (!(error instanceof OutOfBudget)) throw error;
    return { decisions: [failed(error.message)], annotations: [] };
  }
};
