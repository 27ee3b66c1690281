// The expressions in built-in kinds: device selectors, admission policies, webhooks' match conditions.
import type { ExpressionFault } from '../../machinery/cel/admission.ts';
import type { Environment } from '../../machinery/cel/environment.ts';
import type { FieldType, Type } from '../../machinery/cel/types.ts';
import { loadRegex } from '../../machinery/regex.ts';
import { type Cause, cause } from '../../machinery/status.ts';

type Admission = typeof import('../../machinery/cel/admission.ts');
interface Engine {
  device: Environment;
  bool: Type;
  dyn: Type;
  admission: Admission;
}

let engine: Engine | undefined;

/** Loads the expression language, which few writes need: a strategy's ready(). */
export const loadExpressions = async (): Promise<void> => {
  if (engine) return;
  const [{ createEnvironment }, types, admission] = await Promise.all([
    import('../../machinery/cel/environment.ts'),
    import('../../machinery/cel/types.ts'),
    import('../../machinery/cel/admission.ts'),
    loadRegex(),
  ]);
  const { bool, dyn, mapOf, string } = types;
  const properties = mapOf(string, mapOf(string, dyn));
  const field = (json: string, type: Type): [string, FieldType] => [json, { type, json, adapt: (value) => value }];
  const fields = new Map([
    field('driver', string),
    field('attributes', properties),
    field('capacity', properties),
    field('allowMultipleAllocations', bool),
  ]);
  const device = createEnvironment({ variables: { device: { kind: 'object', name: 'device', fields } } });
  engine = { device, bool, dyn, admission };
};

/** Why the selector of a device does not compile; undefined where it does, and where the language was not loaded. */
export const deviceExpressionFault = (source: string): string | undefined => {
  const compiled = engine?.device.compile(source, { result: [engine.bool, engine.dyn] });
  return compiled && 'issues' in compiled ? compiled.describe() : undefined;
};

export type ExpressionKind = keyof Admission['RESULTS'];

/** The expressions of one policy, checked in their order: what is a variable is known from then on. */
export interface PolicyExpressions {
  /** Why an expression does not compile, in upstream's words; undefined where it does. */
  fault(kind: ExpressionKind, source: string): ExpressionFault | undefined;
  variableFault(name: string, source: string): ExpressionFault | undefined;
}

/** What an expression that cannot be used is refused with: upstream counts faults of its constants as its own. */
export const faultCause = (path: string, source: unknown, { fault, unusable }: ExpressionFault): Cause =>
  unusable ? cause.internal(path, fault) : cause.invalid(path, source, fault);

const everything: PolicyExpressions = { fault: () => undefined, variableFault: () => undefined };

/** `params`: the policy has a paramKind. `composed`: it may have variables. */
export const policyExpressions = (params: boolean, composed = false): PolicyExpressions => {
  if (!engine) return everything;
  const { admissionEnvironment, compileFor, RESULTS, variablesType } = engine.admission;
  const unknown = engine.dyn;
  const variables = composed ? variablesType() : undefined;
  const given = { params, ...(variables && { variables: variables.type }) };
  const main = admissionEnvironment({ ...given, authorizer: true });
  const fault = (kind: ExpressionKind, source: string): ExpressionFault | undefined => {
    const patches = kind === 'apply' || kind === 'jsonPatch';
    const env =
      kind === 'message'
        ? admissionEnvironment({ ...given, authorizer: false })
        : patches
          ? admissionEnvironment({ ...given, authorizer: true, patches })
          : main;
    const compiled = compileFor(env, source, RESULTS[kind]);
    return 'fault' in compiled ? compiled : undefined;
  };
  const variableFault = (name: string, source: string): ExpressionFault | undefined => {
    const compiled = compileFor(main, source);
    variables?.add(name, 'program' in compiled ? compiled.program.type : unknown);
    return 'fault' in compiled ? compiled : undefined;
  };
  return { fault, variableFault };
};
