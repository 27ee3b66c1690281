/** Rules of one schema (x-kubernetes-validations), compiled; what is wrong with those that do not compile. */
import { createEnvironment, type Environment, type Program } from '../../../machinery/cel/environment.ts';
import { bool, optionalOf, typeText } from '../../../machinery/cel/types.ts';
import { type Declaration, sizeBelow } from './declaration.ts';
import { validFieldPath } from './field-path.ts';
import type { Structural, ValidationRule } from './structural.ts';

export interface RuleProgram {
  rule: ValidationRule;
  program: Program | undefined;
  fault: string | undefined;
  /** The highest cost of a run; 0 where it does not compile. */
  cost: number;
  usesOldSelf: boolean;
  message: Program | undefined;
  messageFault: string | undefined;
  messageCost: number;
  /** The rule's fieldPath in normal form, '' where it has none. */
  fieldPath: string;
}

const compileMessage = (out: RuleProgram, env: Environment, cost: (program: Program) => number): void => {
  const { messageExpression } = out.rule;
  if (!messageExpression) return;
  const made = env.compile(messageExpression);
  if ('issues' in made)
    out.messageFault = `messageExpression ${made.unusable ? 'instantiation' : 'compilation'} failed: ${made.describe()}`;
  else if (typeText(made.program.type) !== 'string') out.messageFault = 'messageExpression must evaluate to a string';
  else {
    out.message = made.program;
    out.messageCost = cost(made.program);
  }
};

const compileRule = (
  rule: ValidationRule,
  schema: Structural,
  env: Environment,
  declaration: Declaration,
): RuleProgram => {
  const none = { program: undefined, fault: undefined, cost: 0, usesOldSelf: false };
  const out: RuleProgram = {
    rule,
    ...none,
    message: undefined,
    messageFault: undefined,
    messageCost: 0,
    fieldPath: '',
  };
  if (!rule.rule?.trim()) return out;
  const made = env.compile(rule.rule);
  if ('issues' in made) {
    out.fault = `${made.unusable ? 'program instantiation' : 'compilation'} failed: ${made.describe()}`;
    return out;
  }
  if (typeText(made.program.type) !== typeText(bool)) {
    out.fault = 'cel expression must evaluate to a bool';
    return out;
  }
  const cost = (program: Program): number => program.estimate(sizeBelow(declaration));
  out.program = made.program;
  out.usesOldSelf = made.program.uses.has('oldSelf');
  out.cost = cost(made.program);
  compileMessage(out, env, cost);
  const path = rule.fieldPath ? validFieldPath(rule.fieldPath, schema) : undefined;
  if (path && 'path' in path) out.fieldPath = path.path;
  return out;
};

/** Compiles the rules of a schema, in their order. */
export const compileRules = (schema: Structural, declaration: Declaration): RuleProgram[] => {
  const { type } = declaration;
  const plain = createEnvironment({ variables: { self: type, oldSelf: type } });
  const optional = createEnvironment({ variables: { self: type, oldSelf: optionalOf(type) } });
  return (schema['x-kubernetes-validations'] ?? []).map((rule) =>
    compileRule(rule, schema, rule.optionalOldSelf ? optional : plain, declaration),
  );
};
