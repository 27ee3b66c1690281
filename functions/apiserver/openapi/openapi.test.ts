import { describe, expect, it } from 'vitest';
import resources from '../../../facts/resources.json' with { type: 'json' };
import type { ResourceInfo } from '../registry.ts';
import { createOpenApi } from './documents.ts';
import { encodeSwagger } from './gnostic.ts';
import { fullName, kindOf, reachable, schemaOfType, typeNames } from './schemas.ts';

interface Fact {
  group: string;
  version: string;
  kind: string;
  plural: string;
  namespaced: boolean;
  verbs: string[];
  subresources?: Record<string, { verbs: string[]; kind: string }>;
}
const info = (fact: Fact): ResourceInfo =>
  ({
    group: fact.group,
    version: fact.version,
    resource: fact.plural,
    kind: fact.kind,
    listKind: `${fact.kind}List`,
    namespaced: fact.namespaced,
    verbs: new Set(fact.verbs),
    subresources: new Map(
      Object.entries(fact.subresources ?? {}).map(([name, s]) => [
        name,
        { name, kind: s.kind, group: fact.group, version: fact.version, verbs: new Set(s.verbs) },
      ]),
    ),
    custom: false,
  }) as unknown as ResourceInfo;
const stable = (resources.resources as Fact[]).filter((r) => r.version === 'v1' || r.version === 'v2').map(info);
const api = createOpenApi({
  resources: stable,
  descriptions: () => undefined,
  custom: () => ({}),
  version: 'v1.36.3',
});

/** Every $ref of a document points at something that is in it. */
const dangling = (document: unknown, names: Set<string>): string[] => {
  const found: string[] = [];
  const walk = (v: unknown): void => {
    if (Array.isArray(v)) v.forEach(walk);
    else if (v && typeof v === 'object') {
      for (const [k, x] of Object.entries(v)) {
        if (k === '$ref' && typeof x === 'string' && !names.has(x.split('/').at(-1) ?? '')) found.push(x);
        else walk(x);
      }
    }
  };
  walk(document);
  return found;
};

describe('OpenAPI', () => {
  it('lists the values of enumerations, beside the text and of elements', () => {
    for (const version of [2, 3] as const) {
      const describe = () => ({ imagePullPolicy: 'When.' });
      const container = schemaOfType('core.v1.Container', version, describe).properties as Record<string, unknown>;
      expect(container.imagePullPolicy).toEqual({
        type: 'string',
        enum: ['Always', 'IfNotPresent', 'Never'],
        description: 'When.\n\nPossible enum values:\n - `"Always"`\n - `"IfNotPresent"`\n - `"Never"`',
      });
      const claim = schemaOfType('core.v1.PersistentVolumeClaimSpec', version, describe).properties as {
        accessModes?: { items?: unknown };
      };
      expect(claim.accessModes?.items).toMatchObject({ type: 'string' });
      expect(JSON.stringify(claim.accessModes?.items)).not.toContain('Possible');
    }
  });
  it('names types as upstream does', () => {
    expect(fullName('core.v1.Pod')).toBe('io.k8s.api.core.v1.Pod');
    expect(fullName('~meta.v1.Time')).toBe('io.k8s.apimachinery.pkg.apis.meta.v1.Time');
    expect(fullName('~~util.intstr.IntOrString')).toBe('io.k8s.apimachinery.pkg.util.intstr.IntOrString');
    expect(kindOf('apps.v1.Deployment')).toEqual({ group: 'apps', version: 'v1', kind: 'Deployment' });
    expect(kindOf('core.v1.PodSpec')).toBeUndefined();
  });

  it('wraps a $ref with siblings in allOf, in version 3 only', () => {
    const v3 = schemaOfType('core.v1.Pod', 3, () => undefined) as { properties: Record<string, unknown> };
    expect(v3.properties.spec).toEqual({
      allOf: [{ $ref: '#/components/schemas/io.k8s.api.core.v1.PodSpec' }],
      default: {},
    });
    const v2 = schemaOfType('core.v1.Pod', 2, () => undefined) as { properties: Record<string, unknown> };
    expect(v2.properties.spec).toEqual({ $ref: '#/definitions/io.k8s.api.core.v1.PodSpec' });
  });

  it('carries list keys, patch keys and element flags', () => {
    const spec = schemaOfType('core.v1.ContainerSpecProbeThatIsNot', 3, () => undefined);
    expect(spec).toEqual({ type: 'object' });
    const service = schemaOfType('core.v1.ServiceSpec', 3, () => undefined) as {
      properties: Record<string, Record<string, unknown>>;
    };
    expect(service.properties.ports).toMatchObject({
      type: 'array',
      items: { allOf: [{ $ref: '#/components/schemas/io.k8s.api.core.v1.ServicePort' }], default: {} },
      'x-kubernetes-list-map-keys': ['port', 'protocol'],
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-patch-merge-key': 'port',
      'x-kubernetes-patch-strategy': 'merge',
    });
  });

  it('compiles every type, and nothing it refers to is missing', () => {
    const all = reachable(typeNames);
    expect(all.size).toBe(typeNames.length);
    const names = new Set(typeNames.map(fullName));
    for (const name of typeNames)
      expect(
        dangling(
          schemaOfType(name, 3, () => undefined),
          names,
        ),
        name,
      ).toEqual([]);
  });

  it('documents every group version, closed under $ref, with the parameters kubectl looks for', () => {
    const index = api.index('/clusters/a').paths;
    expect(index['apis/apps/v1']?.serverRelativeURL).toMatch(
      /^\/clusters\/a\/openapi\/v3\/apis\/apps\/v1\?hash=[0-9A-F]{128}$/,
    );
    for (const path of Object.keys(index)) {
      const document = JSON.parse(api.v3(path)?.body ?? '{}');
      expect(dangling(document, new Set(Object.keys(document.components.schemas))), path).toEqual([]);
    }
    const apps = JSON.parse(api.v3('apis/apps/v1')?.body ?? '{}');
    const patch = apps.paths['/apis/apps/v1/namespaces/{namespace}/deployments/{name}'].patch;
    expect(patch['x-kubernetes-group-version-kind']).toEqual({ group: 'apps', version: 'v1', kind: 'Deployment' });
    expect(Object.keys(patch.requestBody.content)).toContain('application/strategic-merge-patch+json');
    expect(patch.parameters.map((p: { name: string }) => p.name)).toContain('fieldValidation');
    expect(api.v3('apis/nope/v1')).toBeUndefined();
  });

  it('names operations as upstream does, with the answers they may give', () => {
    const { paths } = api.v2();
    const all = '/apis/rbac.authorization.k8s.io/v1';
    const ids = (path: string) =>
      Object.fromEntries(
        Object.entries(paths[path] ?? {}).flatMap(([method, one]) =>
          'operationId' in one ? [[method, one.operationId]] : [],
        ),
      );
    expect(ids(`${all}/namespaces/{namespace}/roles`)).toEqual({
      get: 'listRbacAuthorizationV1NamespacedRole',
      post: 'createRbacAuthorizationV1NamespacedRole',
      delete: 'deleteRbacAuthorizationV1CollectionNamespacedRole',
    });
    expect(ids(`${all}/roles`)).toEqual({ get: 'listRbacAuthorizationV1RoleForAllNamespaces' });
    expect(ids('/api/v1/namespaces/{namespace}/pods/{name}/status')).toEqual({
      get: 'readCoreV1NamespacedPodStatus',
      put: 'replaceCoreV1NamespacedPodStatus',
      patch: 'patchCoreV1NamespacedPodStatus',
    });
    const created = paths['/api/v1/namespaces/{namespace}/pods']?.post as { responses: object; tags: string[] };
    expect(Object.keys(created.responses)).toEqual(['200', '201', '202', '401']);
    expect(created.tags).toEqual(['core_v1']);
  });

  it('encodes the swagger document for gnostic', () => {
    const document = api.v2();
    const known = new Set([...Object.keys(document.definitions), ...Object.keys(document.parameters)]);
    expect(dangling(document, known)).toEqual([]);
    const bytes = encodeSwagger(document);
    expect(bytes.length).toBeGreaterThan(500_000);
    expect([...bytes.subarray(0, 5)]).toEqual([0x0a, 3, 0x32, 0x2e, 0x30]);
  });
});
