/** What a cluster with policies needs and others do not: loaded when the first policy is bound. */
export { compilePolicy } from './compile.ts';
export { evaluateHook, matchConditions, OutOfBudget } from './evaluate.ts';
export { decisionsOf, namespaceValue, objectValue, requestValue } from './inputs.ts';
export { applyMutation, MutationFault } from './mutate.ts';
