import type { ExpressionWarning, JsonSchema } from '../machinery/cel/type-check.ts';
import { kindSchema } from '../machinery/facts.ts';
import type { CustomResourceDefinition, ValidatingAdmissionPolicy } from '../machinery/kinds.d.ts';
import { kindOfResource } from '../machinery/resource-kinds.ts';
import type { Controller } from './controller.ts';
import { ownKey } from './owners.ts';
import { customResourceDefinitions, validatingAdmissionPolicies } from './resources.ts';
import { statusWrite } from './status-patch.ts';

export interface PolicyObserved {
  policy: ValidatingAdmissionPolicy;
  warnings: readonly ExpressionWarning[];
}
type Spec = NonNullable<ValidatingAdmissionPolicy['spec']>;

const customKinds = (definitions: readonly CustomResourceDefinition[]) =>
  definitions.flatMap(({ spec }) =>
    (spec?.versions ?? [])
      .filter(({ served }) => served)
      .map(({ name, schema }) => ({
        group: spec?.group ?? '',
        version: name,
        resource: spec?.names?.plural ?? '',
        kind: spec?.names?.kind ?? '',
        schema: (schema?.openAPIV3Schema ?? {}) as JsonSchema,
      })),
  );

/** The language is loaded when the first policy is to be checked. */
const warningsOf = async (
  spec: Spec,
  definitions: readonly CustomResourceDefinition[],
): Promise<ExpressionWarning[]> => {
  const [{ checkTypes, typeOfDefinition, typeOfKind }, { loadRegex }] = await Promise.all([
    import('../machinery/cel/type-check.ts'),
    import('../machinery/regex.ts'),
  ]);
  await loadRegex();
  const custom = customKinds(definitions);
  return checkTypes(
    spec,
    (group, version, resource) => {
      const known = kindOfResource(group, version, resource);
      if (known) return [known];
      return custom.filter((one) => one.group === group && one.version === version && one.resource === resource);
    },
    ({ group, version, kind }) => {
      const schema = kindSchema(group, version, kind);
      if (schema) return typeOfKind(schema);
      const found = custom.find((one) => one.group === group && one.version === version && one.kind === kind);
      return found && typeOfDefinition(found.schema);
    },
  );
};

/** Says in a policy's status what type checking has to say of its expressions, once for each generation. */
export const admissionPolicyStatusController: Controller<PolicyObserved> = {
  name: 'validatingadmissionpolicy-status',
  watches: [{ resource: validatingAdmissionPolicies, keys: ownKey }],
  async observe(read, key) {
    const policy = await read.get<ValidatingAdmissionPolicy>(validatingAdmissionPolicies, '', key.name);
    const { spec, status, metadata } = policy ?? {};
    if (!policy || !spec || metadata?.deletionTimestamp) return undefined;
    if ((metadata?.generation ?? 0) <= (status?.observedGeneration ?? 0)) return undefined;
    const definitions = await read.list<CustomResourceDefinition>(customResourceDefinitions);
    return { policy, warnings: await warningsOf(spec, definitions) };
  },
  decide({ policy, warnings }) {
    const typeChecking = warnings.length > 0 ? { expressionWarnings: warnings } : {};
    const status = { ...policy.status, observedGeneration: policy.metadata.generation ?? 0, typeChecking };
    return { writes: statusWrite(policy, validatingAdmissionPolicies, status) };
  },
};
