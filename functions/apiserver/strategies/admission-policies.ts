// ValidatingAdmissionPolicies and their bindings (KEP-3488), and what they share with webhooks: rules and conditions.
import { RESERVED_WORDS } from '../../machinery/cel/field-names.ts';
import type {
  MatchCondition,
  NamedRuleWithOperations,
  ParamRef,
  RuleWithOperations,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
} from '../../machinery/kinds.d.ts';
import type { KubeObject } from '../../machinery/object.ts';
import { cause } from '../../machinery/status.ts';
import type { Strategy } from '../registry.ts';
import {
  at,
  type Causes,
  checkSelector,
  checkSubdomain,
  invalidEach,
  oneOf,
  required,
  requiredOneOf,
} from './checks.ts';
import {
  type ExpressionKind,
  faultCause,
  loadExpressions,
  type PolicyExpressions,
  policyExpressions,
} from './expressions.ts';
import { dns1035Label, dnsSubdomain, pathSegment, qualifiedName } from './names.ts';

type Spec = NonNullable<ValidatingAdmissionPolicy['spec']>;

const CONDITIONS_MAX = 64;
const ANNOTATIONS_MAX = 20;
const ANNOTATION_BYTES_MAX = 5 * 1024;
const EXCLUSIVE = 'name and selector are mutually exclusive';
const OPERATIONS = ['*', 'CONNECT', 'CREATE', 'DELETE', 'UPDATE'];
const REASONS = ['Forbidden', 'Invalid', 'RequestEntityTooLarge'];

const checkStar = (out: Causes, path: string, values: readonly string[]): void => {
  if (values.length > 1 && values.includes('*'))
    out.push(cause.invalid(path, values, "if '*' is present, must not specify other values"));
};

const checkResources = (out: Causes, path: string, resources: readonly string[]): void => {
  const whole = new Set<string>();
  const everywhere = new Set<string>();
  resources.forEach((one, i) => {
    if (one === '') out.push(cause.required(at(path, i)));
    const [resource = '', sub] = one.split(/\/(.*)/s);
    if (sub === undefined) return;
    const refuse = (by: string) =>
      out.push(cause.invalid(at(path, i), one, `if '${by}' is present, must not specify ${one}`));
    if (whole.has(resource)) refuse(`${resource}/*`);
    if (everywhere.has(sub)) refuse(`*/${sub}`);
    if (sub === '*') whole.add(resource);
    if (resource === '*') everywhere.add(sub);
  });
  if (resources.length > 1 && resources.includes('*/*'))
    out.push(cause.invalid(path, resources, "if '*/*' is present, must not specify other resources"));
  if (resources.includes('*') && resources.some((one) => one !== '*' && !one.includes('/')))
    out.push(
      cause.invalid(path, resources, "if '*' is present, must not specify other resources without subresources"),
    );
};

/** One rule of a webhook or admission policy: operations and what they are done to. */
export const checkRule = (out: Causes, path: string, rule: RuleWithOperations): void => {
  for (const field of ['operations', 'apiGroups', 'apiVersions', 'resources'] as const) {
    const values = rule[field] ?? [];
    if (values.length === 0) out.push(cause.required(`${path}.${field}`));
    if (field === 'resources') {
      checkResources(out, `${path}.${field}`, values);
      continue;
    }
    checkStar(out, `${path}.${field}`, values);
    values.forEach((value, i) => {
      if (field === 'operations') oneOf(out, at(`${path}.${field}`, i), value, OPERATIONS);
      else if (field === 'apiVersions' && value === '') out.push(cause.required(at(`${path}.${field}`, i)));
    });
  }
  if (rule.scope !== undefined) oneOf(out, `${path}.scope`, rule.scope, ['*', 'Cluster', 'Namespaced']);
};

const NOT_SPECIFIED = 'expression is not specified';

const checkExpression = (
  out: Causes,
  path: string,
  source: string | undefined,
  kind: ExpressionKind,
  expressions: PolicyExpressions,
): void => {
  if (!required(out, path, source?.trim(), NOT_SPECIFIED)) return;
  const fault = expressions.fault(kind, source ?? '');
  if (fault) out.push(faultCause(path, source, fault));
};

/** The conditions of a webhook or policy (KEP-3716): they know no variables of a policy, but its parameters. */
export const checkMatchConditions = (
  out: Causes,
  path: string,
  conditions: readonly MatchCondition[] | undefined,
  hasParams = false,
): void => {
  const count = conditions?.length ?? 0;
  if (count > CONDITIONS_MAX) out.push(cause.tooMany(path, count, CONDITIONS_MAX));
  if (!conditions?.length) return;
  const names = new Set<string>();
  const expressions = policyExpressions(hasParams);
  conditions.forEach((condition, i) => {
    const entry = at(path, i);
    const source = condition.expression?.trim();
    const fault = required(out, `${entry}.expression`, source) ? expressions.fault('condition', source) : undefined;
    if (fault) out.push(faultCause(`${entry}.expression`, source, fault));
    if (required(out, `${entry}.name`, condition.name))
      invalidEach(out, `${entry}.name`, condition.name, qualifiedName(condition.name));
    if (condition.name && names.has(condition.name)) out.push(cause.duplicate(`${entry}.name`, condition.name));
    names.add(condition.name);
  });
};

const checkNamedRules = (out: Causes, path: string, rules: readonly NamedRuleWithOperations[] | undefined): void => {
  rules?.forEach((rule, i) => {
    const where = at(path, i);
    rule.resourceNames?.forEach((name, n) => {
      const entry = at(`${where}.resourceNames`, n);
      invalidEach(out, entry, name, pathSegment(name));
      if ((rule.resourceNames ?? []).indexOf(name) < n) out.push(cause.duplicate(entry, name));
    });
    checkRule(out, where, rule);
  });
};

/** Which requests a policy or a binding is about. */
export const checkMatch = (out: Causes, path: string, match: Spec['matchConstraints']): void => {
  if (!match) return;
  oneOf(out, `${path}.matchPolicy`, match.matchPolicy, ['Equivalent', 'Exact']);
  checkSelector(out, `${path}.namespaceSelector`, match.namespaceSelector);
  checkSelector(out, `${path}.objectSelector`, match.objectSelector);
  checkNamedRules(out, `${path}.resourceRules`, match.resourceRules);
  checkNamedRules(out, `${path}.excludeResourceRules`, match.excludeResourceRules);
};

const checkParamKind = (
  out: Causes,
  path: string,
  { apiVersion = '', kind = '' }: NonNullable<Spec['paramKind']>,
): void => {
  const where = `${path}.apiVersion`;
  if (required(out, where, apiVersion)) {
    const [first = '', second, ...more] = apiVersion.split('/');
    const version = second ?? first;
    if (more.length > 0) out.push(cause.invalid(where, apiVersion, `unexpected GroupVersion string: ${apiVersion}`));
    else if (second !== undefined && first !== '') invalidEach(out, where, first, dnsSubdomain(first));
    if (more.length === 0 && version === '') out.push(cause.invalid(where, apiVersion, 'version must be specified'));
    else if (more.length === 0) invalidEach(out, where, version, dns1035Label(version));
  }
  if (required(out, `${path}.kind`, kind)) invalidEach(out, `${path}.kind`, kind, dns1035Label(kind.toLowerCase()));
};

const checkValidation = (
  out: Causes,
  path: string,
  one: NonNullable<Spec['validations']>[number],
  expressions: PolicyExpressions,
): void => {
  checkExpression(out, `${path}.expression`, one.expression, 'condition', expressions);
  const { message, messageExpression, reason } = one;
  const blank = (field: string, text: string | undefined): boolean => {
    if (!text) return false;
    if (text.trim() !== '') return false;
    out.push(cause.invalid(`${path}.${field}`, text, 'must be non-empty if specified'));
    return true;
  };
  if (!blank('messageExpression', messageExpression) && messageExpression)
    checkExpression(out, `${path}.messageExpression`, messageExpression, 'message', expressions);
  if (!blank('message', message) && message?.trim().includes('\n'))
    out.push(cause.invalid(`${path}.message`, message, 'must not contain line breaks'));
  oneOf(out, `${path}.reason`, reason, REASONS);
};

const checkAnnotations = (out: Causes, spec: Spec, name: string, expressions: PolicyExpressions): void => {
  const path = 'spec.auditAnnotations';
  const list = spec.auditAnnotations ?? [];
  if (list.length > ANNOTATIONS_MAX)
    out.push(cause.invalid(path, list, `must not have more than ${ANNOTATIONS_MAX} auditAnnotations`));
  list.forEach(({ key, valueExpression }, i) => {
    const entry = at(path, i);
    if (name) invalidEach(out, `${entry}.key`, key, qualifiedName(`${name}/${key}`));
    else out.push(cause.invalid(`${entry}.key`, key, 'requires metadata.name be non-empty'));
    const where = `${entry}.valueExpression`;
    const source = valueExpression?.trim() ?? '';
    if (required(out, where, source, 'valueExpression is not specified')) {
      if (Buffer.byteLength(source) > ANNOTATION_BYTES_MAX)
        out.push(cause.required(where, `must not exceed ${ANNOTATION_BYTES_MAX} bytes in length`));
      else {
        const fault = expressions.fault('annotation', source);
        if (fault) out.push(faultCause(where, valueExpression, fault));
      }
    }
    if (list.findIndex((one) => one.key === key) < i) out.push(cause.duplicate(`${entry}.key`, key));
  });
};

/** What all policies share; the expressions that follow know the variables. */
export const checkPolicy = (
  out: Causes,
  spec: Pick<Spec, 'failurePolicy' | 'paramKind' | 'matchConstraints' | 'matchConditions' | 'variables'>,
  composed: boolean,
  operations?: readonly string[],
): PolicyExpressions => {
  requiredOneOf(out, 'spec.failurePolicy', spec.failurePolicy, ['Fail', 'Ignore']);
  if (spec.paramKind) checkParamKind(out, 'spec.paramKind', spec.paramKind);
  if (!spec.matchConstraints) out.push(cause.required('spec.matchConstraints'));
  else {
    checkMatch(out, 'spec.matchConstraints', spec.matchConstraints);
    if (!spec.matchConstraints.resourceRules?.length) out.push(cause.required('spec.matchConstraints.resourceRules'));
    if (operations) checkOperations(out, 'spec.matchConstraints', spec.matchConstraints, operations);
  }
  checkMatchConditions(out, 'spec.matchConditions', spec.matchConditions, spec.paramKind !== undefined);
  const expressions = policyExpressions(spec.paramKind !== undefined, composed);
  spec.variables?.forEach(({ name, expression }, i) => {
    const entry = at('spec.variables', i);
    if (required(out, `${entry}.name`, name?.trim(), 'name is not specified') && !isIdentifier(name))
      out.push(cause.invalid(`${entry}.name`, name, 'must be a valid CEL identifier'));
    if (!required(out, `${entry}.expression`, expression?.trim(), NOT_SPECIFIED)) return;
    const fault = expressions.variableFault(name, expression);
    if (fault) out.push(faultCause(`${entry}.expression`, expression, fault));
  });
  return expressions;
};

/** Some operations are nothing that can be mutated. */
export const checkOperations = (
  out: Causes,
  path: string,
  match: NonNullable<Spec['matchConstraints']>,
  allowed: readonly string[],
): void => {
  for (const rule of match.resourceRules ?? [])
    for (const operation of rule.operations ?? []) oneOf(out, `${path}.resourceRules.operations`, operation, allowed);
};

const isIdentifier = (name: string): boolean => /^[A-Za-z_]\w*$/.test(name) && !RESERVED_WORDS.has(name);

const validatePolicy = (object: KubeObject): Causes => {
  const out: Causes = [];
  const { spec = {}, metadata } = object as unknown as ValidatingAdmissionPolicy;
  const expressions = checkPolicy(out, spec, (spec.variables?.length ?? 0) > 0);
  if (!spec.validations?.length && !spec.auditAnnotations?.length) {
    const detail = 'validations or auditAnnotations must contain at least one item';
    out.push(cause.required('spec.validations', detail), cause.required('spec.auditAnnotations', detail));
  }
  spec.validations?.forEach((validation, i) => {
    checkValidation(out, at('spec.validations', i), validation, expressions);
  });
  checkAnnotations(out, spec, metadata?.name ?? '', expressions);
  return out;
};

/** Which policy a binding binds, and its parameters. */
export const checkBinding = (
  out: Causes,
  spec: { policyName?: string; paramRef?: ParamRef; matchResources?: Spec['matchConstraints'] },
): void => {
  if (required(out, 'spec.policyName', spec.policyName)) checkSubdomain(out, 'spec.policyName', spec.policyName ?? '');
  const ref = spec.paramRef;
  if (ref) {
    const path = 'spec.paramRef';
    if (ref.name) invalidEach(out, `${path}.name`, ref.name, pathSegment(ref.name));
    if (ref.name && ref.selector) out.push(cause.forbidden(`${path}.name`, EXCLUSIVE));
    checkSelector(out, `${path}.selector`, ref.selector);
    if (ref.name && ref.selector) out.push(cause.forbidden(`${path}.selector`, EXCLUSIVE));
    if (!ref.name && !ref.selector) out.push(cause.required(path, 'one of name or selector must be specified'));
    requiredOneOf(out, `${path}.parameterNotFoundAction`, ref.parameterNotFoundAction, ['Deny', 'Allow']);
  }
  checkMatch(out, 'spec.matchResources', spec.matchResources);
};

const validateBinding = (object: KubeObject): Causes => {
  const out: Causes = [];
  const { spec: given } = object as unknown as ValidatingAdmissionPolicyBinding;
  const spec: Partial<NonNullable<typeof given>> = given ?? {};
  checkBinding(out, spec);
  const actions = spec.validationActions ?? [];
  actions.forEach((action, i) => {
    const where = at('spec.validationActions', i);
    oneOf(out, where, action, ['Audit', 'Deny', 'Warn']);
    if (actions.indexOf(action) < i) out.push(cause.duplicate(where, action));
  });
  if (actions.includes('Deny') && actions.includes('Warn'))
    out.push(cause.invalid('spec.validationActions', actions, 'must not contain both Deny and Warn'));
  if (actions.length === 0)
    out.push(cause.required('spec.validationActions', 'at least one validation action is required'));
  return out;
};

/** Strategies by `group/Kind`. */
export const policyStrategies: Readonly<Record<string, Strategy>> = {
  'admissionregistration.k8s.io/ValidatingAdmissionPolicy': { ready: loadExpressions, validate: validatePolicy },
  'admissionregistration.k8s.io/ValidatingAdmissionPolicyBinding': { validate: validateBinding },
};
