import { beforeAll, describe, expect, it } from 'vitest';
import { createTestServer, specSchema, widget, widgets } from '../../custom/server-for-tests.ts';

type Server = Awaited<ReturnType<typeof createTestServer>>;
let server: Server;
const REGISTRATION = '/apis/admissionregistration.k8s.io/v1';
const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps';

const rule = (resources = ['configmaps'], groups = [''], operations = ['CREATE', 'UPDATE']) => ({
  resourceRules: [{ apiGroups: groups, apiVersions: ['v1'], operations, resources }],
});
interface Given {
  kind?: 'Validating' | 'Mutating';
  spec: Record<string, unknown>;
  binding?: object;
}

/** Stores a policy with its binding for one piece of work, and takes both away again. */
const withPolicy = async ({ kind = 'Validating', spec, binding = {} }: Given, work: () => Promise<void>) => {
  const path = `${REGISTRATION}/${kind.toLowerCase()}admissionpolic`;
  const shared = kind === 'Validating' ? {} : { reinvocationPolicy: 'Never' };
  const policy = {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: `${kind}AdmissionPolicy`,
    metadata: { name: 'p' },
    spec: { matchConstraints: rule(), ...shared, ...spec },
  };
  const bound = {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: `${kind}AdmissionPolicyBinding`,
    metadata: { name: 'b' },
    spec: { policyName: 'p', ...(kind === 'Validating' && { validationActions: ['Deny'] }), ...binding },
  };
  try {
    expect((await server.send('POST', `${path}ies`, policy)).body).toMatchObject({ metadata: { name: 'p' } });
    expect((await server.send('POST', `${path}ybindings`, bound)).body).toMatchObject({ metadata: { name: 'b' } });
    await work();
  } finally {
    await server.send('DELETE', `${path}ies/p`);
    await server.send('DELETE', `${path}ybindings/b`);
  }
};

const configMap = (data: Record<string, string> = { a: '1' }, metadata: object = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'x', ...metadata },
  data,
});
const create = (object: object = configMap(), path = CONFIG_MAPS) => server.send('POST', `${path}?dryRun=All`, object);
const deniedBy = (message: string) => `ValidatingAdmissionPolicy 'p' with binding 'b' denied request: ${message}`;

beforeAll(async () => {
  server = await createTestServer();
});

describe('validating', () => {
  it.each([
    ['a message', { expression: "object.data.a == '2'", message: ' told ' }, 'told'],
    ['an expression for it', { expression: 'false', messageExpression: "'got ' + object.data.a" }, 'got 1'],
    ['one that fails', { expression: 'false', messageExpression: "'' + object.data.no", message: 'else' }, 'else'],
    ['one of two lines', { expression: 'false', messageExpression: "'a\\nb'" }, 'failed expression: false'],
    ['none', { expression: ' 1 == 2 ' }, 'failed expression: 1 == 2'],
    [
      'an absent key',
      { expression: 'object.data.no == 1' },
      "expression 'object.data.no == 1' resulted in error: no such key: no",
    ],
    [
      'a wrong type',
      { expression: 'object.data.a > 1' },
      "expression 'object.data.a > 1' resulted in error: no such overload",
    ],
    [
      'a field of null',
      { expression: "oldObject.kind == ''" },
      "expression 'oldObject.kind == ''' resulted in error: no such key: kind",
    ],
  ])('denies with %s', async (_, validation, message) => {
    await withPolicy({ spec: { validations: [validation] } }, async () => {
      const { status, body } = await create();
      expect(status).toBe(422);
      expect(body).toMatchObject({
        reason: 'Invalid',
        message: `configmaps "x" is forbidden: ${deniedBy(message)}`,
        details: { name: 'x', kind: 'configmaps', causes: [{ message: deniedBy(message) }] },
      });
    });
  });

  it.each([
    ['Forbidden', 403],
    ['RequestEntityTooLarge', 413],
    ['Invalid', 422],
  ])('answers the reason %s with %i', async (reason, code) => {
    await withPolicy({ spec: { validations: [{ expression: 'false', reason }] } }, async () => {
      expect(await create()).toMatchObject({ status: code, body: { reason, code } });
    });
  });

  it('takes effect with the next request, and ends with its deletion', async () => {
    await withPolicy({ spec: { validations: [{ expression: 'false' }] } }, async () => {
      expect((await create()).status).toBe(422);
    });
    expect((await create()).status).toBe(201);
  });

  it('warns, and says it for the audit', async () => {
    const spec = {
      validations: [{ expression: 'false', message: 'no' }],
      auditAnnotations: [{ key: 'k', valueExpression: "'v' + object.data.a" }],
    };
    await withPolicy({ spec, binding: { validationActions: ['Warn', 'Audit'] } }, async () => {
      const { status, headers } = await create();
      expect(status).toBe(201);
      expect(headers.get('warning')).toContain(
        "Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': no",
      );
    });
  });

  it('evaluates variables where they are used, by one another', async () => {
    const variables = [
      { name: 'a', expression: 'object.data.a' },
      { name: 'b', expression: "variables.a + '!'" },
      { name: 'bad', expression: 'object.no.such' },
    ];
    const validations = [{ expression: "variables.b == '1!'" }, { expression: "variables.b == ''" }];
    await withPolicy({ spec: { variables, validations } }, async () => {
      expect((await create()).body.message).toContain("failed expression: variables.b == ''");
    });
    await withPolicy({ spec: { variables, validations: [{ expression: 'variables.bad == 1' }] } }, async () => {
      expect((await create()).body.message).toContain('composited variable "bad" fails to evaluate: no such key: no');
    });
  });

  it.each([
    ["object.data.a == 'x'", 'Fail', 201],
    ['object.no == 1', 'Fail', 422],
    ['object.no == 1', 'Ignore', 201],
  ])('asks the condition %s under %s', async (expression, failurePolicy, status) => {
    const matchConditions = [{ name: 'c', expression }];
    await withPolicy({ spec: { matchConditions, failurePolicy, validations: [{ expression: 'false' }] } }, async () => {
      expect((await create()).status).toBe(status);
    });
  });

  it('bounds the cost of a call and of all validations', async () => {
    const long = (n: number) => `lists.range(${n}).all(x, lists.range(${n}).all(y, x + y >= 0))`;
    await withPolicy({ spec: { validations: [{ expression: long(600) }] } }, async () => {
      expect((await create()).body.message).toContain('operation cancelled: actual cost limit exceeded');
    });
    const validations = Array.from({ length: 60 }, () => ({ expression: long(200) }));
    await withPolicy({ spec: { validations } }, async () => {
      expect((await create()).body.message).toContain('running out of cost budget');
    });
  });

  it('knows the request, the namespace and who asks', async () => {
    const messageExpression =
      'request.operation + request.userInfo.username + request.namespace + request.options.kind + namespaceObject.metadata.name';
    await withPolicy({ spec: { validations: [{ expression: 'false', messageExpression }] } }, async () => {
      expect((await create()).body.message).toContain('CREATErootdefaultCreateOptionsdefault');
    });
  });

  it('asks the authorizer for the caller and for service accounts', async () => {
    const of = (who: string) => `${who}.group('').resource('pods').namespace('default').check('get').allowed()`;
    // More than two checks are beyond the cost of one call.
    const expression = `${of('authorizer')} && !${of("authorizer.serviceAccount('default', 'x')")}`;
    const own = "authorizer.requestResource.check('create').allowed()";
    await withPolicy({ spec: { validations: [{ expression }, { expression: own }] } }, async () => {
      expect((await create()).status).toBe(201);
    });
    await withPolicy({ spec: { validations: [{ expression: `!(${expression})` }] } }, async () => {
      expect((await create()).status).toBe(422);
    });
  });

  it('never stands in the way of its own repair', async () => {
    const matchConstraints = rule(['*'], ['*'], ['*']);
    await withPolicy({ spec: { matchConstraints, validations: [{ expression: 'false' }] } }, async () => {
      expect((await create()).status).toBe(422);
    });
    expect((await create()).status).toBe(201);
  });
});

describe('parameters', () => {
  const paramKind = { apiVersion: 'v1', kind: 'ConfigMap' };
  const validations = [
    { expression: 'params.data.max == object.data.a', messageExpression: "'' + params.metadata.name" },
  ];
  const bound = (paramRef: object) => ({ paramRef: { parameterNotFoundAction: 'Deny', ...paramRef } });
  beforeAll(async () => {
    for (const [name, max] of [
      ['p1', '1'],
      ['p2', '2'],
    ] as const)
      await server.send('POST', CONFIG_MAPS, configMap({ max }, { name, labels: { params: 'yes' } }));
  });

  it.each([
    ['by name', { name: 'p1' }, 201, undefined],
    ['by name, refused', { name: 'p2' }, 422, 'p2'],
    ['by labels, all of them', { selector: { matchLabels: { params: 'yes' } } }, 422, 'p2'],
    ['that are missing', { name: 'p3' }, 422, 'no params found for policy binding with `Deny` parameterNotFoundAction'],
    ['that may be missing', { name: 'p3', parameterNotFoundAction: 'Allow' }, 201, undefined],
    ['of another namespace', { name: 'p1', namespace: 'kube-system' }, 422, 'no params found'],
  ])('are found %s', async (_, paramRef, status, message) => {
    await withPolicy({ spec: { paramKind, validations }, binding: bound(paramRef) }, async () => {
      const answer = await create();
      expect(answer.status).toBe(status);
      if (message) expect(answer.body.message).toContain(message);
    });
  });

  it('are null without a reference, and a fault where the kind is unknown', async () => {
    await withPolicy({ spec: { paramKind, validations: [{ expression: 'params == null' }] } }, async () => {
      expect((await create()).status).toBe(201);
    });
    const spec = { paramKind: { apiVersion: 'v1', kind: 'Nope' }, validations };
    await withPolicy({ spec, binding: bound({ name: 'p1' }) }, async () => {
      expect((await create()).body.message).toContain(
        "failed to configure policy: failed to find resource referenced by paramKind: '/v1, Kind=Nope'",
      );
    });
  });
});

describe('mutating', () => {
  const apply = (expression: string) => ({ patchType: 'ApplyConfiguration', applyConfiguration: { expression } });
  const patch = (expression: string) => ({ patchType: 'JSONPatch', jsonPatch: { expression } });
  const mutating = (mutations: object[], more: object = {}) => ({
    kind: 'Mutating' as const,
    spec: { mutations, ...more },
  });

  it.each([
    ['an apply configuration', apply("Object{data: {'z': object.data.a + '0'}}"), { a: '1', z: '10' }],
    ['a patch', patch("[JSONPatch{op: 'add', path: '/data/z', value: 'y'}]"), { a: '1', z: 'y' }],
    ['a patch whose test fails', patch("[JSONPatch{op: 'test', path: '/data/a', value: '2'}]"), { a: '1' }],
  ])('lays %s over the object', async (_, mutation, data) => {
    await withPolicy(mutating([mutation]), async () => {
      expect((await create(configMap({ a: '1' }))).body.data).toEqual(data);
    });
  });

  it('escapes keys in the paths of patches', async () => {
    const mutation = patch(
      "[JSONPatch{op: 'add', path: '/metadata/annotations', value: {}}, JSONPatch{op: 'add', path: '/metadata/annotations/' + jsonpatch.escapeKey('a.b/c'), value: 'x'}]",
    );
    await withPolicy(mutating([mutation]), async () => {
      expect((await create()).body.metadata.annotations).toEqual({ 'a.b/c': 'x' });
    });
  });

  it('defaults what it made, and leaves ownership alone', async () => {
    const matchConstraints = rule(['pods']);
    const container = "Object.spec.containers{name: 'side', image: 'i'}";
    const mutation = apply(`Object{spec: Object.spec{containers: [${container}]}}`);
    await withPolicy(mutating([mutation], { matchConstraints }), async () => {
      const pod = {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'x' },
        spec: { containers: [{ name: 'a', image: 'i' }] },
      };
      await server.send('POST', '/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'default' } });
      const { body } = await create(pod, '/api/v1/namespaces/default/pods');
      const [own, side] = body.spec.containers;
      expect([own.name, side.name, side.terminationMessagePath]).toEqual(['a', 'side', '/dev/termination-log']);
      expect(JSON.stringify(body.metadata.managedFields)).not.toContain('side');
    });
  });

  it.each([
    [apply('Object{spec: Object.spec{x: 1}}'), '.spec: field not declared in schema'],
    [
      apply("Object{metadata: Object.spec{labels: {'a': 'b'}}}"),
      'unexpected type name "Object.spec", expected "Object.metadata"',
    ],
    [apply("Object{metadata: Object.metadata{labels: {'a': 1}}}"), '.metadata.labels.a: expected string'],
    [patch("[JSONPatch{op: 'remove', path: '/data/z'}]"), "JSON Patch: error in remove for path: '/data/z'"],
    [apply("Object{data: {'z': object.data.no}}"), 'no such key: no'],
  ])('refuses what does not fit: %j', async (mutation, message) => {
    await withPolicy(mutating([mutation]), async () => {
      const { status, body } = await create();
      expect([status, body.reason]).toEqual([403, 'Invalid']);
      expect(body.message).toContain(`policy 'p' with binding 'b' denied request: `);
      expect(body.message).toContain(message);
    });
    await withPolicy(mutating([mutation], { failurePolicy: 'Ignore' }), async () => {
      expect((await create()).status).toBe(201);
    });
  });

  it.each([
    ["[JSONPatch{op: 'add', path: '/nope', value: 1}]", 'strict decoding error: unknown field "nope"'],
    ["[JSONPatch{op: 'replace', path: '', value: {'a': 'b'}}]", 'strict decoding error: unknown field "a"'],
    ["[JSONPatch{op: 'add', path: '/data/z', value: 1}]", 'cannot unmarshal number'],
    ["[JSONPatch{op: 'replace', path: '/kind', value: 'Secret'}]", 'no kind "Secret" is registered'],
    ["[JSONPatch{op: 'replace', path: '/apiVersion', value: 'v2'}]", 'is registered for version "v2"'],
  ])('a patch that leaves no object of the kind is a failure, ignored or not: %s', async (source, message) => {
    for (const failurePolicy of ['Fail', 'Ignore'])
      await withPolicy(mutating([patch(source)], { failurePolicy }), async () => {
        const { status, body } = await create();
        expect([status, body.reason]).toEqual([500, 'InternalError']);
        expect(body.message).toContain(message);
      });
  });

  it.each([
    [apply("Object{kind: 'Secret', apiVersion: 'v2'}")],
    [patch("[JSONPatch{op: 'remove', path: '/kind'}, JSONPatch{op: 'remove', path: '/apiVersion'}]")],
  ])('the kind of an object stays: %j', async (mutation) => {
    await withPolicy(mutating([mutation]), async () => {
      const { status, body } = await create();
      expect([status, body.apiVersion, body.kind]).toEqual([201, 'v1', 'ConfigMap']);
    });
  });

  it('does not replace atomic lists by an apply configuration', async () => {
    const matchConstraints = rule(['pods']);
    const mutation = apply("Object{spec: Object.spec{containers: [Object.spec.containers{name: 'a', args: ['x']}]}}");
    await withPolicy(mutating([mutation], { matchConstraints }), async () => {
      const pod = {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'x' },
        spec: { containers: [{ name: 'a', image: 'i' }] },
      };
      const { body } = await create(pod, '/api/v1/namespaces/default/pods');
      expect(body.message).toContain('may not mutate atomic arrays, maps or structs: .spec.containers[0].args');
    });
  });
});

describe('matching', () => {
  const spec = { validations: [{ expression: 'false' }] };
  it.each([
    ['excluded names', { excludeResourceRules: [{ ...rule().resourceRules[0], resourceNames: ['x'] }] }, 201],
    ['other names', { resourceRules: [{ ...rule().resourceRules[0], resourceNames: ['y'] }] }, 201],
    ['the cluster scope', { resourceRules: [{ ...rule().resourceRules[0], scope: 'Cluster' }] }, 201],
    ['labels of the object', { objectSelector: { matchLabels: { a: 'b' } } }, 201],
    [
      'labels of the namespace',
      { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'default' } } },
      422,
    ],
    ['those of another', { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'other' } } }, 201],
  ])('goes by %s', async (_, matchResources, status) => {
    await withPolicy({ spec, binding: { matchResources } }, async () => {
      expect((await create()).status).toBe(status);
    });
  });

  it('finds other versions of a resource, in the version of the rule', async () => {
    await server.define(
      widgets([
        { name: 'v1', schema: specSchema({ a: { type: 'string' } }) },
        { name: 'v2', storage: false, schema: specSchema({ a: { type: 'string' } }) },
      ]),
    );
    const messageExpression = 'object.apiVersion + request.kind.version + request.requestKind.version';
    const given = (matchPolicy: string) => ({
      spec: {
        matchConstraints: { ...rule(['widgets'], ['example.com']), matchPolicy },
        validations: [{ expression: 'false', messageExpression }],
      },
    });
    const path = '/apis/example.com/v2/namespaces/default/widgets';
    await withPolicy(given('Equivalent'), async () => {
      expect((await create(widget('w', {}, 'v2'), path)).body.message).toContain('example.com/v1v1v2');
    });
    await withPolicy(given('Exact'), async () => {
      expect((await create(widget('w', {}, 'v2'), path)).status).toBe(201);
    });
  });
});
