/** Policies compiled: their variables in order, each known to those after it, and all the rest. */
import {
  admissionEnvironment,
  compileFor,
  type Expression,
  RESULTS,
  variablesType,
} from '../../../machinery/cel/admission.ts';
import { dyn } from '../../../machinery/cel/types.ts';
import type { Policy, Programs } from './source.ts';

/** Compiles all expressions of a policy; one that does not compile tells of it when it is to run. */
export const compilePolicy = ({ spec }: Policy): Programs => {
  const params = spec?.paramKind !== undefined;
  const { type, add } = variablesType();
  const env = admissionEnvironment({ params, authorizer: true, variables: type });
  const variables = (spec?.variables ?? []).map(({ name, expression: source }) => {
    const expression = compileFor(env, source);
    add(name, 'program' in expression ? expression.program.type : dyn);
    return { name, expression };
  });
  const messageEnv = admissionEnvironment({ params, authorizer: false, variables: type });
  const patchEnv = admissionEnvironment({ params, authorizer: true, variables: type, patches: true });
  return {
    variables,
    conditions: (spec?.matchConditions ?? []).map(({ expression }) => compileFor(env, expression, RESULTS.condition)),
    validations: (spec?.validations ?? []).map(({ expression }) => compileFor(env, expression, RESULTS.condition)),
    messages: (spec?.validations ?? []).map(({ messageExpression }) =>
      messageExpression ? compileFor(messageEnv, messageExpression, RESULTS.message) : undefined,
    ),
    annotations: (spec?.auditAnnotations ?? []).map(({ valueExpression }) =>
      compileFor(env, valueExpression, RESULTS.annotation),
    ),
    mutations: (spec?.mutations ?? []).map(
      ({ patchType, jsonPatch, applyConfiguration }): Expression =>
        patchType === 'JSONPatch'
          ? compileFor(patchEnv, jsonPatch?.expression ?? '', RESULTS.jsonPatch)
          : compileFor(patchEnv, applyConfiguration?.expression ?? '', RESULTS.apply),
    ),
  };
};
