import { expect, it } from 'vitest';
import { createTestServer, specSchema, widget, widgets } from './server-for-tests.ts';

const path = '/apis/example.com/v1/namespaces/default/widgets';
const name = 'widgets.example.com';

it('a definition goes after its objects, and they after their own finalizers', async () => {
  const { send, define, definitions, until, condition, patch } = await createTestServer();
  await define(widgets());
  expect(
    (await send('POST', path, { ...widget('a'), metadata: { name: 'a', finalizers: ['x.dev/hold'] } })).status,
  ).toBe(201);
  expect((await send('POST', path, widget('b'))).status).toBe(201);
  const deleted = await send('DELETE', `${definitions}/${name}`);
  expect(deleted.status).toBe(200);
  expect(deleted.body.metadata).toMatchObject({ finalizers: ['customresourcecleanup.apiextensions.k8s.io'] });
  expect(deleted.body.metadata).not.toHaveProperty('deletionGracePeriodSeconds');
  expect(condition(deleted.body, 'Terminating')).toMatchObject({ status: 'True', reason: 'InstanceDeletionPending' });
  await until(`${path}/b`, ({ status }) => status === 404);
  const held = await until(`${definitions}/${name}`, ({ body }) => {
    return condition(body, 'Terminating')?.reason === 'InstanceDeletionInProgress';
  });
  expect(held.body.status.conditions.map((c: { type: string }) => c.type)).toEqual([
    'NamesAccepted',
    'Established',
    'Terminating',
  ]);
  const refused = await send('POST', path, widget('c'));
  expect(refused.status).toBe(403);
  expect(refused.body.message).toContain('create not allowed while custom resource definition is terminating');
  const shown = await send('GET', '/apis/example.com/v1');
  expect(shown.body.resources[0].verbs).toEqual(['delete', 'deletecollection', 'get', 'list', 'watch']);
  await patch('merge', `${path}/a`, { metadata: { finalizers: null } });
  await until(`${definitions}/${name}`, ({ status }) => status === 404);
  expect((await send('GET', path)).status).toBe(404);
  expect((await send('GET', '/apis/example.com')).status).toBe(404);
});

it('a definition made anew does not show the objects of the old one', async () => {
  const { send, define, definitions, until } = await createTestServer();
  await define(widgets());
  await send('POST', path, widget('a'));
  await send('DELETE', `${definitions}/${name}`);
  await until(`${definitions}/${name}`, ({ status }) => status === 404);
  await define(widgets());
  expect((await send('GET', path)).body.items).toEqual([]);
});

it('watches end when their definition changes or goes, after the last change', async () => {
  const { send, define, definitions, fetch, patch } = await createTestServer();
  await define(widgets());
  await send('POST', path, widget('a'));
  const first = await fetch('GET', `${path}?watch=true`);
  await patch('merge', `${definitions}/${name}`, { spec: { names: { categories: ['all'] } } });
  expect(await first.text()).toMatch(/^\{"type":"ADDED".*\n$/);
  const second = await fetch('GET', `${path}?watch=true`);
  const text = second.text();
  await send('DELETE', `${definitions}/${name}`);
  const lines = (await text).trim().split('\n');
  expect(lines.map((line) => JSON.parse(line).type)).toEqual(['ADDED', 'DELETED']);
});

it('names go to whoever has them first, and are free when it goes', async () => {
  const { send, define, definitions, until, condition } = await createTestServer();
  await define(widgets([{}], { shortNames: ['wd'] }));
  const other = widgets([{}], { plural: 'gadgets', singular: 'widget', shortNames: ['wd'], kind: 'Widget' });
  await send('POST', definitions, other);
  const at = `${definitions}/gadgets.example.com`;
  const { body } = await until(at, (answer) => condition(answer.body, 'NamesAccepted') !== undefined);
  expect(condition(body, 'NamesAccepted')).toMatchObject({ status: 'False', reason: 'ListKindConflict' });
  expect(condition(body, 'Established')).toMatchObject({ status: 'False', reason: 'NotAccepted' });
  expect(body.status.acceptedNames).toEqual({ plural: 'gadgets', kind: '' });
  expect((await send('GET', '/apis/example.com/v1/gadgets')).status).toBe(404);
  await send('DELETE', `${definitions}/${name}`);
  const freed = await until(at, (answer) => condition(answer.body, 'Established')?.status === 'True');
  expect(freed.body.status.acceptedNames).toMatchObject({ singular: 'widget', shortNames: ['wd'], kind: 'Widget' });
  expect((await send('GET', '/apis/example.com/v1/gadgets')).status).toBe(200);
});

it('a definition that was never established goes without a look at its objects', async () => {
  const { send, define, definitions, until, condition } = await createTestServer();
  await define(widgets());
  await send('POST', definitions, widgets([{}], { plural: 'gadgets' }));
  const at = `${definitions}/gadgets.example.com`;
  await until(at, (answer) => condition(answer.body, 'NamesAccepted') !== undefined);
  await send('DELETE', at);
  await until(at, ({ status }) => status === 404);
});

it('says whether a definition in a protected group is approved', async () => {
  const { send, definitions, until, condition } = await createTestServer();
  const made = widgets([{}], {}, { group: 'x.k8s.io' });
  const metadata = { ...made.metadata, annotations: { 'api-approved.kubernetes.io': 'unapproved, a test' } };
  expect((await send('POST', definitions, { ...made, metadata })).status).toBe(201);
  const { body } = await until(
    `${definitions}/widgets.x.k8s.io`,
    (a) => condition(a.body, 'Established') !== undefined,
  );
  expect(condition(body, 'KubernetesAPIApprovalPolicyConformant')).toMatchObject({
    status: 'False',
    reason: 'UnapprovedAnnotation',
  });
});

it('the server owns the statuses it writes', async () => {
  const { send, define, definitions } = await createTestServer();
  await define(widgets());
  const { body } = await send('GET', `${definitions}/${name}`);
  expect(
    body.metadata.managedFields.map((m: { manager: string; subresource?: string }) => [m.manager, m.subresource]),
  ).toEqual([
    ['kube-apiserver', 'status'],
    ['test', undefined],
  ]);
  expect(body.metadata.generation).toBe(1);
});

it('versions: the storage version changes, and a version is no longer served', async () => {
  const { send, define, definitions, patch, until } = await createTestServer();
  const schema = specSchema({ a: { type: 'string' } });
  const v2 = specSchema({ a: { type: 'string' }, b: { type: 'string', default: 'filled' } });
  await define(widgets([{ schema }, { name: 'v2', schema: v2 }]));
  await send('POST', path, widget('old', { spec: { a: '1' } }));
  const second = path.replace('/v1/', '/v2/');
  // Defaults of the version that an object is stored in are filled in, of others only in what is sent.
  expect((await send('GET', `${second}/old`)).body).toMatchObject({ apiVersion: 'example.com/v2', spec: { a: '1' } });
  expect((await send('GET', `${second}/old`)).body.spec).not.toHaveProperty('b');
  const versions = [
    { name: 'v1', served: true, storage: false, schema: { openAPIV3Schema: schema } },
    { name: 'v2', served: true, storage: true, schema: { openAPIV3Schema: v2 } },
  ];
  const changed = await patch('merge', `${definitions}/${name}`, { spec: { versions } });
  expect(changed.body.status.storedVersions).toEqual(['v1', 'v2']);
  await until(`${second}/old`, ({ status }) => status === 200);
  const made = await send('POST', second, widget('new', { spec: { a: '2' } }, 'v2'));
  expect(made.body.spec).toEqual({ a: '2', b: 'filled' });
  expect((await send('GET', `${path}/new`)).body).toMatchObject({ apiVersion: 'example.com/v1', spec: { a: '2' } });
  expect((await send('GET', `${path}/new`)).body.spec).not.toHaveProperty('b');
  await patch('json', `${definitions}/${name}`, [{ op: 'replace', path: '/spec/versions/0/served', value: false }]);
  const gone = await until(path, ({ status }) => status === 404);
  expect(gone.body).toContain('404 page not found');
  const both = await send('GET', second);
  expect(both.body.items.map((i: { apiVersion: string }) => i.apiVersion)).toEqual([
    'example.com/v2',
    'example.com/v2',
  ]);
});

it('a default added to the schema is seen in what is stored, and a field taken away is not', async () => {
  const { send, define, definitions, patch, until } = await createTestServer();
  await define(widgets([{ schema: specSchema({ a: { type: 'string' }, gone: { type: 'string' } }) }]));
  await send('POST', path, widget('w', { spec: { a: '1', gone: 'x' } }));
  const next = specSchema({ a: { type: 'string' }, b: { type: 'integer', default: 7 } });
  await patch('json', `${definitions}/${name}`, [
    { op: 'replace', path: '/spec/versions/0/schema/openAPIV3Schema', value: next },
  ]);
  const { body } = await until(`${path}/w`, (answer) => answer.body.spec.b === 7);
  expect(body.spec).toEqual({ a: '1', b: 7 });
});

it('selects by fields of the definition, of objects too that were there before the field was selectable', async () => {
  const { send, define, definitions, patch, until } = await createTestServer();
  const schema = specSchema({ a: { type: 'string' }, on: { type: 'boolean' } });
  await define(widgets([{ schema, selectableFields: [{ jsonPath: '.spec.a' }] }]));
  await send('POST', path, widget('x', { spec: { a: '1', on: true } }));
  await send('POST', path, widget('y', { spec: { a: '2' } }));
  const names = async (selector: string) => {
    const { body } = await send('GET', `${path}?fieldSelector=${encodeURIComponent(selector)}`);
    return body.items?.map((item: { metadata: { name: string } }) => item.metadata.name) ?? body.message;
  };
  expect(await names('spec.a=1')).toEqual(['x']);
  expect(await names('spec.a!=1')).toEqual(['y']);
  expect(await names('metadata.namespace=default,spec.a=2')).toEqual(['y']);
  expect(await names('spec.on=true')).toContain('field label not supported: spec.on');
  const fields = [{ jsonPath: '.spec.a' }, { jsonPath: '.spec.on' }];
  await patch('json', `${definitions}/${name}`, [
    { op: 'replace', path: '/spec/versions/0/selectableFields', value: fields },
  ]);
  await until(`${path}?fieldSelector=spec.on%3Dtrue`, ({ status }) => status === 200);
  expect(await names('spec.on=true')).toEqual(['x']);
  expect(await names('spec.on=')).toEqual(['y']);
});
