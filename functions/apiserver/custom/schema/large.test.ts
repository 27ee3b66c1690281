import { beforeAll, describe, expect, it } from 'vitest';
import { schemaOf } from '../../../machinery/facts.ts';
import type { CustomResourceDefinition } from '../../../machinery/kinds.d.ts';
import type { JsonObject, KubeObject } from '../../../machinery/object.ts';
import type { Schema } from '../../../machinery/schema.ts';
import { customKind } from './custom-kind.ts';
import { loadSchemaEngines, schemaCauses } from './definition-schema.ts';
import type { Structural } from './structural.ts';

/** A built-in type as the schema that generators of definitions write for it. */
const structural = (schema: Schema): Structural => {
  if (schema.type === 'list') return { type: 'array', items: structural(schema.items) };
  if (schema.type === 'map') return { type: 'object', additionalProperties: structural(schema.values) };
  if (schema.type === 'any') return { 'x-kubernetes-preserve-unknown-fields': true };
  if (schema.type !== 'object') {
    if (schema.format === 'int-or-string') return { 'x-kubernetes-int-or-string': true };
    if (schema.format === 'quantity')
      return { 'x-kubernetes-int-or-string': true, pattern: '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$' };
    return { type: schema.type };
  }
  const fields = Object.entries(schema.fields);
  const required = fields.filter(([, field]) => field.required).map(([name]) => name);
  return {
    type: 'object',
    description: 'A description as long as one usually is, which the validation has to carry along.',
    properties: Object.fromEntries(fields.map(([name, field]) => [name, structural(field.schema)])),
    ...(required.length > 0 && { required }),
  };
};

const template = structural(schemaOf('core.v1.PodSpec'));
// As large as the largest definitions in use: some embed the type of pods several times.
const schema: Structural = {
  type: 'object',
  properties: {
    spec: {
      type: 'object',
      properties: Object.fromEntries(
        ['main', 'extra', 'other', 'fourth', 'fifth', 'sixth'].map((name) => [name, structuredClone(template)]),
      ),
      'x-kubernetes-validations': [{ rule: '!has(self.other) || has(self.main)' }],
    },
  },
};
const definition = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'larges.example.com' },
  spec: {
    group: 'example.com',
    names: { plural: 'larges', kind: 'Large' },
    scope: 'Cluster',
    versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: schema } }],
  },
} as unknown as CustomResourceDefinition;

const container = {
  name: 'web',
  image: 'web:1',
  env: Array.from({ length: 10 }, (_, i) => ({ name: `VARIABLE_${i}`, value: String(i) })),
  resources: { requests: { cpu: '100m', memory: '64Mi' }, limits: { memory: 134217728 } },
  ports: [{ containerPort: 80, name: 'http' }],
  readinessProbe: { httpGet: { path: '/', port: 'http' }, periodSeconds: 5 },
};
const object = {
  metadata: { name: 'large' },
  spec: { main: { containers: [container, { ...container, name: 'side' }], nodeSelector: { a: 'b' } } },
};

beforeAll(() => loadSchemaEngines(definition));

describe('a definition of the largest kind', () => {
  it('is checked and its objects are validated in time', () => {
    const bytes = JSON.stringify(schema).length;
    expect(bytes).toBeGreaterThan(400_000);
    const began = performance.now();
    expect(schemaCauses(definition)).toEqual([]);
    const checked = performance.now() - began;
    const kind = customKind(schema);
    const make = (): KubeObject =>
      kind.coerce(object as unknown as JsonObject, { defaults: true }).value as unknown as KubeObject;
    expect(kind.validateCreate(make())).toEqual([]);
    const rounds = 200;
    const from = performance.now();
    for (let i = 0; i < rounds; i++) kind.validateCreate(make());
    const each = (performance.now() - from) / rounds;
    if (process.env.FIGURES) console.log({ bytes, checked, each });
    expect(checked).toBeLessThan(2000);
    expect(each).toBeLessThan(5);
  });
});
