import { describe, expect, it } from 'vitest';
import type { CustomResourceDefinition, ValidatingAdmissionPolicy } from '../machinery/kinds.d.ts';
import { admissionPolicyStatusController as controller } from './admission-policy-status.ts';
import { customResourceDefinitions, validatingAdmissionPolicies } from './resources.ts';

const definition = {
  metadata: { name: 'crons.example.com' },
  spec: {
    group: 'example.com',
    names: { plural: 'crons', kind: 'Cron' },
    versions: [
      {
        name: 'v1',
        served: true,
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: { spec: { type: 'object', properties: { replicas: { type: 'integer' } } } },
          },
        },
      },
    ],
  },
} as unknown as CustomResourceDefinition;

type Spec = NonNullable<ValidatingAdmissionPolicy['spec']>;
const policyOf = (groups: string[], resources: string[], spec: Partial<Spec>, observed = 0) =>
  ({
    metadata: { name: 'p', uid: 'u', generation: 2 },
    spec: {
      matchConstraints: {
        resourceRules: [{ apiGroups: groups, apiVersions: ['v1'], operations: ['CREATE'], resources }],
      },
      ...spec,
    },
    status: { observedGeneration: observed },
  }) as unknown as ValidatingAdmissionPolicy;

const statusOf = async (policy: ValidatingAdmissionPolicy) => {
  const read = {
    get: async (resource: object) => (resource === validatingAdmissionPolicies ? policy : undefined),
    list: async (resource: object) => (resource === customResourceDefinitions ? [definition] : []),
  };
  const observed = await controller.observe(read as never, { namespace: '', name: 'p' });
  if (!observed) return undefined;
  const [write] = controller.decide(observed, 0).writes;
  return write?.op === 'patch' && write.subresource === 'status' ? write.merge.status : undefined;
};

describe('status of validating admission policies', () => {
  it('says that expressions fit the kinds they are about', async () => {
    const validations = [{ expression: 'object.spec.replicas > 1 && object.metadata.namespace != ""' }];
    expect(await statusOf(policyOf(['apps'], ['deployments'], { validations }))).toEqual({
      observedGeneration: 2,
      typeChecking: {},
    });
  });

  it('tells what does not fit, for each kind', async () => {
    const validations = [
      { expression: "object.spec.replicas > '1'", messageExpression: "'got ' + object.spec.replicas" },
    ];
    const policy = policyOf(['', 'apps'], ['deployments', 'configmaps'], { validations });
    const { typeChecking } = (await statusOf(policy)) as { typeChecking: { expressionWarnings: object[] } };
    expect(typeChecking.expressionWarnings).toEqual([
      {
        fieldRef: 'spec.validations[0].expression',
        warning: [
          "/v1, Kind=ConfigMap: ERROR: <input>:1:7: undefined field 'spec'\n | object.spec.replicas > '1'\n | ......^\n",
          "apps/v1, Kind=Deployment: ERROR: <input>:1:22: found no matching overload for '_>_' applied to '(int, string)'\n | object.spec.replicas > '1'\n | .....................^\n",
        ].join('\n'),
      },
      expect.objectContaining({ fieldRef: 'spec.validations[0].messageExpression' }),
    ]);
  });

  it('knows custom kinds by their schemas', async () => {
    const policy = policyOf(['example.com'], ['crons'], {
      validations: [{ expression: 'object.spec.replicas == 1' }, { expression: 'object.spec.replica == 1' }],
    });
    const { typeChecking } = (await statusOf(policy)) as { typeChecking: { expressionWarnings: object[] } };
    expect(typeChecking.expressionWarnings).toHaveLength(1);
    expect(JSON.stringify(typeChecking)).toContain("undefined field 'replica'");
  });

  it('passes over wildcards, and what it has said already', async () => {
    const validations = [{ expression: 'object.nope == 1' }];
    expect(await statusOf(policyOf(['*'], ['deployments'], { validations }))).toMatchObject({ typeChecking: {} });
    expect(await statusOf(policyOf(['apps'], ['deployments'], { validations }, 2))).toBeUndefined();
  });
});
