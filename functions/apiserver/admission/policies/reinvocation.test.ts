import { expect, it } from 'vitest';
import { createTestServer } from '../../custom/server-for-tests.ts';

const PATH = '/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolic';

/** `a` notes what it sees of a label in an annotation, `b` sets the label after it. */
const answered = async (reinvocationPolicy: string): Promise<object> => {
  const server = await createTestServer();
  const apply = (expression: string) => [{ patchType: 'ApplyConfiguration', applyConfiguration: { expression } }];
  const matchConstraints = {
    resourceRules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['configmaps'] }],
  };
  const policies = {
    a: apply(
      "Object{metadata: Object.metadata{annotations: {'seen': has(object.metadata.labels) ? object.metadata.labels.l : 'nothing'}}}",
    ),
    b: apply("Object{metadata: Object.metadata{labels: {'l': 'set'}}}"),
  };
  for (const [name, mutations] of Object.entries(policies)) {
    const spec = { matchConstraints, mutations, reinvocationPolicy };
    expect((await server.send('POST', `${PATH}ies`, { metadata: { name }, spec })).status).toBe(201);
    const binding = { metadata: { name }, spec: { policyName: name } };
    expect((await server.send('POST', `${PATH}ybindings`, binding)).status).toBe(201);
  }
  const { body } = await server.send('POST', '/api/v1/namespaces/default/configmaps', { metadata: { name: 'x' } });
  return { ...body.metadata.annotations, ...body.metadata.labels };
};

it('runs a policy once more after others changed the object, where it asks for that', async () => {
  expect(await answered('IfNeeded')).toEqual({ seen: 'set', l: 'set' });
  expect(await answered('Never')).toEqual({ seen: 'nothing', l: 'set' });
});
