import { expect, it } from 'vitest';
import { createTestServer, specSchema, widgets } from './custom/server-for-tests.ts';

const NAME = 'com.example.v1.Widget';
const definitionOf = async (schema: object, version: 'v2' | 'v3' = 'v2') => {
  const { send, define } = await createTestServer();
  await define(widgets([{ schema }]));
  if (version === 'v2') return (await send('GET', '/openapi/v2')).body.definitions[NAME];
  return (await send('GET', '/openapi/v3/apis/example.com/v1')).body.components.schemas[NAME];
};
/** What is left of a definition without what every object has. */
const own = ({ 'x-kubernetes-group-version-kind': _gvk, ...definition }: Record<string, unknown>) => {
  const {
    apiVersion: _a,
    kind: _k,
    metadata: _m,
    ...properties
  } = (definition.properties ?? {}) as Record<string, unknown>;
  return { ...definition, ...(definition.properties !== undefined && { properties }) };
};

it('version 2 says of a schema what kubectl can read', async () => {
  const spec = {
    a: { type: 'string', nullable: true },
    b: { anyOf: [{ minimum: 1 }], type: 'integer', default: 3, maximum: 9 },
    c: { 'x-kubernetes-int-or-string': true },
    d: { type: 'object', description: 'open', 'x-kubernetes-preserve-unknown-fields': true },
    e: { type: 'array', nullable: true, items: { type: 'string' } },
  };
  const schema = specSchema(spec);
  (schema.properties.spec as { required?: string[] }).required = ['a', 'b'];
  expect(own(await definitionOf(schema)).properties).toEqual({
    spec: {
      type: 'object',
      required: ['b'],
      properties: {
        a: {},
        b: { type: 'integer', maximum: 9 },
        c: { 'x-kubernetes-int-or-string': true },
        d: { description: 'open', 'x-kubernetes-preserve-unknown-fields': true },
        e: {},
      },
    },
  });
});

it('a root that keeps everything is an object of no known fields in version 2, and has its fields in version 3', async () => {
  const open = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true, properties: { a: { type: 'string' } } };
  expect(own(await definitionOf(open))).toEqual({ type: 'object' });
  const v3 = await definitionOf(open, 'v3');
  expect(v3).toMatchObject({ 'x-kubernetes-preserve-unknown-fields': true });
  expect(Object.keys(v3.properties)).toEqual(['a', 'apiVersion', 'kind', 'metadata']);
});

it('version 3 unfolds int-or-string, keeps defaults, and completes embedded objects', async () => {
  const embedded = { type: 'object', 'x-kubernetes-embedded-resource': true, properties: { spec: { type: 'object' } } };
  const v3 = await definitionOf(
    specSchema({ p: { 'x-kubernetes-int-or-string': true, default: 1 }, t: embedded }),
    'v3',
  );
  const { p, t } = v3.properties.spec.properties;
  expect(p).toEqual({
    'x-kubernetes-int-or-string': true,
    default: 1,
    anyOf: [{ type: 'integer' }, { type: 'string' }],
  });
  expect(t.required).toEqual(['kind', 'apiVersion']);
  expect(Object.keys(t.properties)).toEqual(['spec', 'apiVersion', 'kind', 'metadata']);
});

it('both versions follow the definitions: versions added, renamed, no longer served, gone', async () => {
  const { send, define, patch, definitions, until } = await createTestServer();
  const shown = async () => {
    const { body, headers } = await send('GET', '/openapi/v2');
    const v3 = await send('GET', '/openapi/v3');
    const names = Object.keys(body.definitions).filter((name) => /^com\.example\.\w+\.Widget$/.test(name));
    const paths = Object.keys(v3.body.paths).filter((path) => path.startsWith('apis/example.com/'));
    return { names, paths, etag: headers.get('etag') };
  };
  const before = await shown();
  expect(before).toMatchObject({ names: [], paths: [] });
  await define(widgets([{}, { name: 'v2' }]));
  const both = await shown();
  expect(both.names.sort()).toEqual([NAME, 'com.example.v2.Widget']);
  expect(both.paths.sort()).toEqual(['apis/example.com/v1', 'apis/example.com/v2']);
  expect(both.etag).not.toBe(before.etag);
  expect((await send('GET', '/openapi/v2', undefined, { 'if-none-match': both.etag ?? '' })).status).toBe(304);
  const at = `${definitions}/widgets.example.com`;
  await patch('json', at, [{ op: 'replace', path: '/spec/versions/1/name', value: 'v3' }]);
  expect((await shown()).names.sort()).toEqual([NAME, 'com.example.v3.Widget']);
  await patch('json', at, [{ op: 'replace', path: '/spec/versions/1/served', value: false }]);
  expect((await shown()).paths).toEqual(['apis/example.com/v1']);
  await send('DELETE', at);
  await until(at, ({ status }) => status === 404);
  expect(await shown()).toEqual(before);
});

it('every reference of the Swagger document is to be found in it', async () => {
  const { send, define } = await createTestServer();
  await define(
    widgets([
      {
        schema: specSchema({}),
        subresources: { status: {}, scale: { specReplicasPath: '.spec.n', statusReplicasPath: '.status.n' } },
      },
    ]),
  );
  const { body } = await send('GET', '/openapi/v2');
  const refs = [...JSON.stringify(body).matchAll(/"#\/definitions\/([^"]+)"/g)].map((m) => m[1] ?? '');
  expect(refs.length).toBeGreaterThan(100);
  expect(refs.filter((name) => !(name in body.definitions))).toEqual([]);
  expect(body).toMatchObject({ swagger: '2.0', info: { title: 'Kubernetes' } });
});
