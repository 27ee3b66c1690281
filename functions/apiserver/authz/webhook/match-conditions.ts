import type { FieldType, ObjectType, Type } from '../../../machinery/cel/types.ts';
import type { Value } from '../../../machinery/cel/values.ts';
import { loadRegex } from '../../../machinery/regex.ts';
import type { ReviewSpec } from './review.ts';

/** A condition that is compiled. Its variable `request` is the spec of a SubjectAccessReview (authorization.k8s.io/v1). */
export interface Condition {
  expression: string;
  program: { evaluate(variables: { request: Value }): { value: Value } | { fault: Error } | { overBudget: true } };
  /** The spec as the variable. */
  variable(spec: ReviewSpec): Value;
}
export type Conditions = readonly Condition[];
export type Compiled = Condition | { expression: string; fault: string };

/** `skip`: one is false. Faults: none is false, and these could not be told. */
export type Verdict = 'call' | 'skip' | { faults: string[] };

const engine = async () => {
  const [environment, types, values] = await Promise.all([
    import('../../../machinery/cel/environment.ts'),
    import('../../../machinery/cel/types.ts'),
    import('../../../machinery/cel/values.ts'),
    loadRegex(),
  ]);
  return { ...environment, ...types, ...values };
};
type Engine = Awaited<ReturnType<typeof engine>>;

const requestType = (cel: Engine): ObjectType => {
  const { string, listOf, mapOf, List, ObjectValue, fromJson } = cel;
  const adaptOf = (type: Type): FieldType['adapt'] => {
    if (type.kind === 'object') return (json) => new ObjectValue(type, json as Record<string, unknown>);
    if (type.kind !== 'list') return fromJson;
    const adapt = adaptOf(type.element) as (json: unknown) => Value;
    return (json) => new List(json as unknown[], adapt);
  };
  const struct = (name: string, fields: Readonly<Record<string, Type>>): ObjectType => ({
    kind: 'object',
    name: `kubernetes.${name}`,
    fields: new Map(Object.entries(fields).map(([json, type]) => [json, { type, json, adapt: adaptOf(type) }])),
  });
  const strings = listOf(string);
  const requirements = listOf(struct('SelectorRequirement', { key: string, operator: string, values: strings }));
  return struct('SubjectAccessReviewSpec', {
    resourceAttributes: struct('ResourceAttributes', {
      namespace: string,
      verb: string,
      group: string,
      version: string,
      resource: string,
      subresource: string,
      name: string,
      fieldSelector: struct('FieldSelectorAttributes', { rawSelector: string, requirements }),
      labelSelector: struct('LabelSelectorAttributes', { rawSelector: string, requirements }),
    }),
    nonResourceAttributes: struct('NonResourceAttributes', { path: string, verb: string }),
    user: string,
    groups: strings,
    extra: mapOf(string, strings),
    uid: string,
  });
};

const noSubject = { user: '', groups: [], uid: '', extra: {} };
const noResource = { namespace: '', verb: '', group: '', version: '', resource: '', subresource: '', name: '' };

/** Every text of it is there, empty ones too, so that expressions need not ask whether they are. */
const whole = (spec: ReviewSpec): Record<string, unknown> => ({
  ...noSubject,
  ...spec,
  ...(spec.resourceAttributes && { resourceAttributes: { ...noResource, ...spec.resourceAttributes } }),
});

/** Compiles expressions, in their order. The expression language is loaded when it is first needed. */
export const compileConditions = async (expressions: readonly string[]): Promise<Compiled[]> => {
  const cel = await engine();
  const request = requestType(cel);
  const environment = cel.createEnvironment({ variables: { request } });
  return expressions.map((expression) => {
    const made = environment.compile(expression);
    if ('issues' in made) return { expression, fault: `compilation failed: ${made.describe()}` };
    const type = cel.typeText(made.program.type);
    if (type !== 'bool') return { expression, fault: `must evaluate to bool but got ${type}` };
    return {
      expression,
      program: made.program,
      variable: (spec) => new cel.ObjectValue(request, whole(spec)),
    };
  });
};

/** Asks the conditions in turn; the first that is false ends it. */
export const askConditions = (conditions: Conditions, spec: ReviewSpec): Verdict => {
  const request = conditions[0]?.variable(spec);
  if (request === undefined) return 'call';
  const faults: string[] = [];
  for (const { expression, program } of conditions) {
    const outcome = program.evaluate({ request });
    if ('value' in outcome && outcome.value === false) return 'skip';
    if ('value' in outcome && outcome.value === true) continue;
    const why = 'fault' in outcome ? outcome.fault.message : 'the expression takes too long';
    faults.push(`cel evaluation error: expression '${expression}' resulted in error: ${why}`);
  }
  return faults.length > 0 ? { faults } : 'call';
};
