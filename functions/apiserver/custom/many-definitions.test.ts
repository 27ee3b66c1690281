// Definitions of the size and number that cert-manager and Crossplane's providers bring: many kinds, thousands of fields,
// deep, with rules. FIGURES=1 prints what they take.
import { expect, it } from 'vitest';
import { createTestServer } from './server-for-tests.ts';

const KINDS = 24;
const DEPTH = 7;
const LEAVES = 6;

/** An object with texts, numbers, a list and a map on each of its levels, two branches a level near the top, with rules. */
const level = (depth: number): object => {
  const properties: Record<string, object> = {};
  for (let i = 0; i < LEAVES; i++) {
    const description = `Field ${i} of level ${depth}, described in as many words as generators carry over from Go.`;
    properties[`text${i}`] = { type: 'string', description, maxLength: 63, pattern: '^[a-z0-9-]*$' };
    properties[`count${i}`] = { type: 'integer', description, format: 'int32', minimum: 0, default: i };
  }
  properties.list = {
    type: 'array',
    maxItems: 16,
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['name'],
    items: {
      type: 'object',
      required: ['name'],
      properties: { name: { type: 'string', maxLength: 63 }, port: { 'x-kubernetes-int-or-string': true } },
    },
  };
  properties.labels = { type: 'object', maxProperties: 16, additionalProperties: { type: 'string', maxLength: 63 } };
  if (depth < DEPTH) properties.left = level(depth + 1);
  if (depth < 4) properties.right = level(depth + 1);
  return {
    type: 'object',
    properties,
    'x-kubernetes-validations': [
      { rule: 'self.count0 <= self.count5 || !has(self.text0)', message: 'count0 must not exceed count5' },
      { rule: "!has(self.labels) || self.labels.all(k, k.startsWith('a') || self.labels[k] != '')" },
    ],
  };
};

const definition = (i: number) => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `bigs${i}.example.com` },
  spec: {
    group: 'example.com',
    scope: 'Namespaced',
    names: { plural: `bigs${i}`, kind: `Big${i}`, shortNames: [`b${i}`], categories: ['bigs'] },
    versions: ['v1', 'v1alpha1'].map((name) => ({
      name,
      served: true,
      storage: name === 'v1',
      subresources: { status: {} },
      additionalPrinterColumns: [{ name: 'Text', type: 'string', jsonPath: '.spec.text0' }],
      schema: { openAPIV3Schema: { type: 'object', properties: { spec: level(0), status: { type: 'object' } } } },
    })),
  },
});

const countOf = (schema: unknown): number =>
  JSON.stringify(schema).match(/"description"|"additionalProperties"/g)?.length ?? 0;

it('two dozen large definitions are established, described and served in time, and do not fill the memory', async () => {
  const server = await createTestServer();
  const { send, patch, until, definitions, condition } = server;
  const before = process.memoryUsage();
  const began = performance.now();
  const bytes = JSON.stringify(definition(0)).length;
  for (let i = 0; i < KINDS; i++) expect((await send('POST', definitions, definition(i))).status).toBe(201);
  for (let i = 0; i < KINDS; i++)
    await until(`${definitions}/bigs${i}.example.com`, ({ body }) => condition(body, 'Established')?.status === 'True');
  const established = performance.now() - began;

  const at = '/apis/example.com/v1/namespaces/default/bigs7';
  const object = { apiVersion: 'example.com/v1', kind: 'Big7', metadata: { name: 'a' } };
  const spec = { text0: 'x', left: { list: [{ name: 'http', port: 80 }], labels: { a: '' } } };
  const first = performance.now();
  const made = await send('POST', at, { ...object, spec });
  const firstMs = performance.now() - first;
  expect([made.status, made.body.spec?.count5, made.body.spec?.left.count3]).toEqual([201, 5, 3]);
  const again = performance.now();
  expect(
    (await patch('apply', `${at}/a?fieldManager=m`, { ...object, spec: { left: { list: [{ name: 'dns' }] } } })).body
      .spec.left.list,
  ).toHaveLength(2);
  const refused = await patch('merge', `${at}/a`, { spec: { count0: 9, left: { labels: { b: '' } } } });
  expect(refused.body.details.causes.map((one: { field: string }) => one.field).sort()).toEqual(['spec', 'spec.left']);
  const writesMs = performance.now() - again;
  expect((await send('GET', '/apis/example.com/v1alpha1/namespaces/default/bigs7')).body.items).toHaveLength(1);

  const next = { ...definition(99) };
  const added = performance.now();
  expect((await send('POST', definitions, next)).status).toBe(201);
  await until('/apis/example.com/v1', ({ body }) =>
    body.resources?.some((one: { name: string }) => one.name === 'bigs99'),
  );
  const discovered = performance.now() - added;
  const v3 = await send('GET', '/openapi/v3/apis/example.com/v1');
  expect(Object.keys(v3.body.components.schemas)).toContain('com.example.v1.Big99');
  const describedV3 = performance.now() - added;
  const v2 = await send('GET', '/openapi/v2');
  expect(Object.keys(v2.body.definitions)).toContain('com.example.v1.Big99');
  const describedV2 = performance.now() - added;
  const after = process.memoryUsage();
  const memory = (after.heapUsed + after.external - before.heapUsed - before.external) / KINDS;
  if (process.env.FIGURES)
    console.log({
      fields: countOf(definition(0)),
      bytes,
      established,
      firstMs,
      writesMs,
      discovered,
      describedV3,
      describedV2,
      memory,
    });
  expect(countOf(definition(0).spec.versions[0])).toBeGreaterThan(1000);
  expect(established).toBeLessThan(15_000);
  expect(discovered).toBeLessThan(1000);
  expect(describedV3).toBeLessThan(1000);
  // The whole Swagger document, 24 definitions anew: alone it takes half a second.
  expect(describedV2).toBeLessThan(2000);
  expect(memory).toBeLessThan(16 << 20);
}, 60_000);
