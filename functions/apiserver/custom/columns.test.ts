import { expect, it } from 'vitest';
import { columnsTable } from './columns.ts';
import { createTestServer, specSchema, widget, widgets } from './server-for-tests.ts';

const NOW = Date.parse('2026-01-02T03:04:05Z');
const object = {
  metadata: { name: 'w', creationTimestamp: '2026-01-02T03:03:05Z' },
  spec: {
    a: 'x<y',
    n: 5,
    f: 1.5,
    on: true,
    list: ['p', 'q'],
    map: { b: '<', a: '1' },
    when: '2026-01-02T00:04:05Z',
    none: null,
  },
};
const cells = (type: string, jsonPath: string) =>
  columnsTable([{ name: 'C', type, jsonPath }]).cells(object as never, NOW)[1];

it('shows a value under the type of its column, nothing where it is of another type or not there', () => {
  const cases: [string, string, unknown][] = [
    ['string', '.spec.a', 'x<y'],
    ['string', '.spec.n', '5'],
    ['string', '.spec.on', 'true'],
    ['string', '.spec.map', '{"a":"1","b":"\\u003c"}'],
    ['string', '.spec.list', '["p","q"]'],
    ['string', '.spec.list[*]', 'p'],
    ['string', '.spec.none', '<no value>'],
    ['string', '.spec.missing', null],
    ['string', '.spec.list[7]', null],
    ['integer', '.spec.n', 5],
    ['integer', '.spec.f', 1],
    ['integer', '.spec.a', null],
    ['number', '.spec.f', 1.5],
    ['number', '.spec.a', null],
    ['boolean', '.spec.on', true],
    ['boolean', '.spec.a', null],
    ['date', '.spec.when', '3h'],
    ['date', '.spec.a', '<invalid>'],
    ['date', '.spec.n', null],
  ];
  for (const [type, path, wanted] of cases) expect(cells(type, path), `${type} ${path}`).toBe(wanted);
});

it('has name and age without columns, and ends before a column whose path is none', () => {
  const plain = columnsTable(undefined);
  expect(plain.columns.map((c) => [c.name, c.type, c.format])).toEqual([
    ['Name', 'string', 'name'],
    ['Age', 'date', ''],
  ]);
  expect(plain.cells(object as never, NOW)).toEqual(['w', '60s']);
  const broken = columnsTable([
    { name: 'A', type: 'string', jsonPath: '.spec.a' },
    { name: 'B', type: 'string', jsonPath: '.spec.list[x]' },
    { name: 'C', type: 'string', jsonPath: '.spec.a' },
  ]);
  expect(broken.columns.map((c) => c.name)).toEqual(['Name', 'A']);
  expect(broken.cells(object as never, NOW)).toEqual(['w', 'x<y']);
});

it('tables of lists, objects and watches have the columns of the version asked for', async () => {
  const { send, fetch, define } = await createTestServer();
  const schema = specSchema({ a: { type: 'string' } });
  const column = (name: string) => [{ name, type: 'string', jsonPath: '.spec.a', priority: 1, description: 'an a' }];
  await define(
    widgets([
      { schema, additionalPrinterColumns: column('One') },
      { name: 'v2', schema, additionalPrinterColumns: column('Two') },
    ]),
  );
  const path = '/apis/example.com/v1/namespaces/default/widgets';
  await send('POST', path, widget('w', { spec: { a: 'x' } }));
  const accept = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' };
  const shown = async (at: string) => {
    const { body } = await send('GET', at, undefined, accept);
    return [body.columnDefinitions.map((c: { name: string }) => c.name), body.rows.map((r: { cells: [] }) => r.cells)];
  };
  expect(await shown(path)).toEqual([['Name', 'One'], [['w', 'x']]]);
  expect(await shown(`${path.replace('/v1/', '/v2/')}/w`)).toEqual([['Name', 'Two'], [['w', 'x']]]);
  const watched = await fetch('GET', `${path}?watch=true&timeoutSeconds=1`, undefined, accept);
  const [first] = (await watched.text())
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(first.object.columnDefinitions[1]).toMatchObject({ name: 'One', priority: 1, description: 'an a' });
  expect(first.object.rows[0].cells).toEqual(['w', 'x']);
});

it('scale: replicas are read and written where the definition says, and refused where they are not there', async () => {
  const { send, define, patch } = await createTestServer();
  const scale = { specReplicasPath: '.spec.size.n', statusReplicasPath: '.status.n', labelSelectorPath: '.status.s' };
  await define(widgets([{ subresources: { status: {}, scale } }]));
  const at = '/apis/example.com/v1/namespaces/default/widgets/w';
  await send('POST', at.slice(0, -2), widget('w', { spec: {} }));
  const missing = await send('GET', `${at}/scale`);
  expect([missing.status, missing.body.message]).toEqual([
    400,
    'the spec replicas field ".spec.size.n" does not exist',
  ]);
  const empty = await patch('merge', `${at}/scale`, { metadata: { labels: { a: 'b' } } });
  expect([empty.status, empty.body.message]).toEqual([400, 'the spec replicas field ".spec.size.n" cannot be empty']);
  expect((await patch('merge', `${at}/scale`, { spec: { replicas: 3 } })).status).toBe(200);
  await patch('merge', `${at}/status`, { status: { n: 2, s: 'app=w' } });
  const { body } = await send('GET', `${at}/scale`);
  expect(body).toMatchObject({ kind: 'Scale', spec: { replicas: 3 }, status: { replicas: 2, selector: 'app=w' } });
  const whole = (await send('GET', at)).body;
  expect(whole).toMatchObject({ spec: { size: { n: 3 } }, metadata: { generation: 2 } });
  const refused = await patch('merge', `${at}/scale`, { spec: { replicas: -1 } });
  expect(refused.body.details).toMatchObject({ kind: 'Widget', causes: [{ field: '.spec.size.n' }] });
});
