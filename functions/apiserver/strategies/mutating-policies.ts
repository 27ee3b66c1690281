// MutatingAdmissionPolicies and their bindings (KEP-3962).
import type { MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding } from '../../machinery/kinds.d.ts';
import type { KubeObject } from '../../machinery/object.ts';
import { cause } from '../../machinery/status.ts';
import type { Strategy } from '../registry.ts';
import { checkBinding, checkOperations, checkPolicy } from './admission-policies.ts';
import { at, type Causes, oneOf, required, requiredOneOf } from './checks.ts';
import { faultCause, loadExpressions, type PolicyExpressions } from './expressions.ts';

type Mutation = NonNullable<NonNullable<MutatingAdmissionPolicy['spec']>['mutations']>[number];

const OPERATIONS = ['*', 'CONNECT', 'CREATE', 'UPDATE'];
/** By patchType: the field that it is written in, and what the other one is. */
const FIELDS = {
  ApplyConfiguration: { own: 'applyConfiguration', other: 'jsonPatch', kind: 'apply' },
  JSONPatch: { own: 'jsonPatch', other: 'applyConfiguration', kind: 'jsonPatch' },
} as const;
const isKnown = (type: string): type is keyof typeof FIELDS => Object.hasOwn(FIELDS, type);

const checkMutation = (out: Causes, path: string, mutation: Mutation, expressions: PolicyExpressions): void => {
  const { patchType } = mutation;
  if (!required(out, `${path}.patchType`, patchType)) return;
  if (!isKnown(patchType)) {
    oneOf(out, `${path}.patchType`, patchType, Object.keys(FIELDS));
    return;
  }
  const { own, other, kind } = FIELDS[patchType];
  const where = `${path}.${own}`;
  if (required(out, where, mutation[own], `must be specified when patchType is ${patchType}`)) {
    const source = mutation[own]?.expression?.trim() ?? '';
    if (required(out, `${where}.expression`, source)) {
      const fault = expressions.fault(kind, source);
      if (fault) out.push(faultCause(`${where}.expression`, source, fault));
    }
  }
  if (mutation[other])
    out.push(cause.invalid(`${path}.${other}`, `{${other}}`, `must not be specified when patchType is ${patchType}`));
};

const validatePolicy = (object: KubeObject): Causes => {
  const out: Causes = [];
  const { spec = {} } = object as unknown as MutatingAdmissionPolicy;
  const expressions = checkPolicy(out, spec, true, OPERATIONS);
  if (!spec.mutations?.length) out.push(cause.required('spec.mutations', 'mutations must contain at least one item'));
  spec.mutations?.forEach((mutation, i) => {
    checkMutation(out, at('spec.mutations', i), mutation, expressions);
  });
  requiredOneOf(out, 'spec.reinvocationPolicy', spec.reinvocationPolicy, ['IfNeeded', 'Never']);
  return out;
};

const validateBinding = (object: KubeObject): Causes => {
  const out: Causes = [];
  const { spec = {} } = object as unknown as MutatingAdmissionPolicyBinding;
  checkBinding(out, spec);
  if (spec.matchResources) checkOperations(out, 'spec.matchResources', spec.matchResources, OPERATIONS);
  return out;
};

/** Strategies by `group/Kind`. */
export const mutatingPolicyStrategies: Readonly<Record<string, Strategy>> = {
  'admissionregistration.k8s.io/MutatingAdmissionPolicy': { ready: loadExpressions, validate: validatePolicy },
  'admissionregistration.k8s.io/MutatingAdmissionPolicyBinding': { validate: validateBinding },
};
