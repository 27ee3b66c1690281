import type { Json } from '../../functions/machinery/object.ts';

const rich = {
  type: 'object',
  required: ['spec'],
  properties: {
    apiVersion: { type: 'string' },
    kind: { type: 'string' },
    metadata: { type: 'object' },
    status: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
    spec: {
      type: 'object',
      properties: {
        size: { type: 'integer', format: 'int32', minimum: 0, maximum: 1000, default: 1 },
        ratio: { type: 'number', multipleOf: 0.5 },
        name: { type: 'string', pattern: '^[a-z]+$', maxLength: 20 },
        when: { type: 'string', format: 'date-time' },
        mode: { type: 'string', enum: ['a', 'b'] },
        port: { 'x-kubernetes-int-or-string': true },
        tags: { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'set', maxItems: 10 },
        parts: {
          type: 'array',
          maxItems: 10,
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['name'],
          items: {
            type: 'object',
            required: ['name'],
            properties: { name: { type: 'string' }, value: { type: 'integer', default: 3 } },
          },
        },
        free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
        inner: { type: 'object', 'x-kubernetes-embedded-resource': true, 'x-kubernetes-preserve-unknown-fields': true },
        map: { type: 'object', additionalProperties: { type: 'string', nullable: true } },
        on: { type: 'boolean', nullable: true },
      },
      'x-kubernetes-validations': [{ rule: '!has(self.size) || self.size != 13', message: 'unlucky' }],
    },
  },
};

const version = (name: string, storage: boolean): Json => ({
  name,
  served: true,
  storage,
  schema: { openAPIV3Schema: rich as unknown as Json },
  subresources: { status: {}, scale: { specReplicasPath: '.spec.size', statusReplicasPath: '.status.size' } },
  selectableFields: [{ jsonPath: '.spec.mode' }],
  additionalPrinterColumns: [
    { name: 'Size', type: 'integer', jsonPath: '.spec.size' },
    { name: 'First', type: 'string', jsonPath: '.spec.parts[0].name' },
    { name: 'When', type: 'date', jsonPath: '.spec.when' },
  ],
});

const definition = (plural: string, kind: string, scope: string, versions: Json[]): Json => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `${plural}.fuzz.example` },
  spec: { group: 'fuzz.example', scope, names: { plural, kind, singular: kind.toLowerCase() }, versions },
});

const free = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };

/** A kind with every schema feature in two versions, and a cluster-scoped one without any. */
export const definitions: readonly Json[] = [
  definition('widgets', 'Widget', 'Namespaced', [version('v1', true), version('v1beta1', false)]),
  definition('gizmos', 'Gizmo', 'Cluster', [
    { name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: free as unknown as Json } },
  ]),
];

export const customExamples: Record<string, Json> = {
  'fuzz.example/widgets': {
    apiVersion: 'fuzz.example/v1',
    kind: 'Widget',
    metadata: { name: 'a' },
    spec: {
      size: 2,
      name: 'abc',
      mode: 'a',
      port: 80,
      tags: ['x', 'y'],
      parts: [{ name: 'p' }, { name: 'q', value: 1 }],
      free: { a: { b: [1, 'c', null] } },
      inner: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'b' } },
      map: { a: 'b', c: null },
    },
  },
  'fuzz.example/gizmos': {
    apiVersion: 'fuzz.example/v1',
    kind: 'Gizmo',
    metadata: { name: 'a' },
    anything: { at: ['all', 1.5, null] },
  },
};
