import { describe, expect, it } from 'vitest';
import { createTestServer, specSchema, widgets } from './server-for-tests.ts';

type Definition = ReturnType<typeof widgets>;
const schema = specSchema({ a: { type: 'string' }, o: { type: 'object' } });
const one = (more: object, spec: object = {}): Definition => widgets([{ schema, ...more }], {}, spec);
const many = Array.from({ length: 9 }, (_, i) => `f${i}`);
const wide = specSchema(Object.fromEntries(many.map((name) => [name, { type: 'string' }])));
const annotated = (value: string, group = 'x.k8s.io'): Definition => {
  const made = one({}, { group });
  return {
    ...made,
    metadata: { ...made.metadata, annotations: { 'api-approved.kubernetes.io': value } },
  } as Definition;
};
const scale = (paths: object) => ({
  subresources: { scale: { specReplicasPath: '.spec.n', statusReplicasPath: '.status.n', ...paths } },
});
const webhook = (config: object) => ({ conversion: { strategy: 'Webhook', webhook: config } });
const url = 'https://hook.example.com/convert';

/** What is sent, and the fields of the causes for which it is refused; none where it is taken. */
const cases: [string, Definition, string[]][] = [
  ['a group without a dot', one({}, { group: 'example' }), ['spec.group']],
  ['a scope that is none', one({}, { scope: 'Both' }), ['spec.scope']],
  [
    'a column without a name',
    one({ additionalPrinterColumns: [{ type: 'string', jsonPath: '.a' }] }),
    ['spec.additionalPrinterColumns[0].name'],
  ],
  [
    'a column of no known type and format',
    one({
      additionalPrinterColumns: [{ name: 'A', type: 'text', format: 'loud', jsonPath: 'a' }],
    }),
    ['type', 'format', 'JSONPath'].map((f) => `spec.additionalPrinterColumns[0].${f}`),
  ],
  [
    'a column of one of two versions',
    widgets([
      { schema },
      { name: 'v2', schema, additionalPrinterColumns: [{ name: 'A', type: 'string', jsonPath: 'a' }] },
    ]),
    ['spec.versions[1].additionalPrinterColumns[0].JSONPath'],
  ],
  [
    'a scale outside spec and status',
    one(scale({ specReplicasPath: '.n', statusReplicasPath: '.spec.n', labelSelectorPath: '.metadata.x' })),
    ['specReplicasPath', 'statusReplicasPath', 'labelSelectorPath'].map((f) => `spec.subresources.scale.${f}`),
  ],
  ['a scale with its selector in spec', one(scale({ labelSelectorPath: '.spec.selector' })), []],
  [
    'selectable fields that are none',
    one({
      selectableFields: [{ jsonPath: '.spec.o' }, { jsonPath: '.metadata.name' }, { jsonPath: '.spec.none' }],
    }),
    [0, 1, 2].map((i) => `spec.selectableFields[${i}].jsonPath`),
  ],
  [
    'nine selectable fields',
    widgets([{ schema: wide, selectableFields: many.map((name) => ({ jsonPath: `.spec.${name}` })) }]),
    ['spec.selectableFields'],
  ],
  [
    'a warning of a version that is not deprecated',
    one({ deprecationWarning: 'x' }),
    ['spec.versions[0].deprecationWarning'],
  ],
  ['an empty warning', one({ deprecated: true, deprecationWarning: '' }), ['spec.versions[0].deprecationWarning']],
  [
    'a warning with a bell in it',
    one({ deprecated: true, deprecationWarning: 'a\u0007b' }),
    ['spec.versions[0].deprecationWarning'],
  ],
  [
    'a webhook at no address',
    one({}, webhook({ clientConfig: {}, conversionReviewVersions: ['v1'] })),
    ['spec.conversion.webhookClientConfig'],
  ],
  [
    'a webhook without encryption',
    one(
      {},
      webhook({
        clientConfig: { url: 'http://hook.example.com' },
        conversionReviewVersions: ['v1'],
      }),
    ),
    ['spec.conversion.webhookClientConfig.url'],
  ],
  [
    'a webhook that speaks no known version',
    one({}, webhook({ clientConfig: { url }, conversionReviewVersions: ['v9'] })),
    ['spec.conversion.conversionReviewVersions'],
  ],
  ['a webhook', one({}, webhook({ clientConfig: { url }, conversionReviewVersions: ['v1'] })), []],
  [
    'a webhook with conversion None',
    one(
      {},
      {
        conversion: { strategy: 'None', webhook: { clientConfig: { url }, conversionReviewVersions: ['v1'] } },
      },
    ),
    ['spec.conversion.webhookClientConfig', 'spec.conversion.conversionReviewVersions'],
  ],
  ['an approval that is no URL', annotated('yes'), ['metadata.annotations[api-approved.kubernetes.io]']],
  ['an approval', annotated('https://github.com/kubernetes/kubernetes/pull/1'), []],
  ['an approval refused in words', annotated('unapproved, tests', 'x.kubernetes.io'), []],
];

describe('definitions with', () => {
  for (const [title, given, fields] of cases)
    it(title, async () => {
      const { send, definitions } = await createTestServer();
      const { status, body } = await send('POST', definitions, given);
      const found = (body.details?.causes ?? []).map((cause: { field: string }) => cause.field);
      expect(found.sort()).toEqual([...fields].sort());
      expect(status).toBe(fields.length > 0 ? 422 : 201);
    });

  it('names, scope and kind that change are refused once established; a version that is still stored may not go', async () => {
    const { define, definitions, patch } = await createTestServer();
    await define(widgets([{ schema }, { name: 'v2', schema }]));
    const at = `${definitions}/widgets.example.com`;
    const refused = async (spec: object) => {
      const { body } = await patch('merge', at, { spec });
      return (body.details?.causes ?? []).map((cause: { field: string }) => cause.field);
    };
    expect(await refused({ scope: 'Cluster', names: { kind: 'Gadget' } })).toEqual(['spec.scope', 'spec.names.kind']);
    expect(await refused({ group: 'other.dev' })).toEqual(['spec.group']);
    const { body } = await patch('json', at, [
      { op: 'remove', path: '/spec/versions/0' },
      { op: 'replace', path: '/spec/versions/0/storage', value: true },
    ]);
    expect(body.details.causes.map((cause: { field: string }) => cause.field)).toEqual(['status.storedVersions[0]']);
    const migrated = await patch('json', `${at}/status`, [
      { op: 'replace', path: '/status/storedVersions', value: ['v2'] },
    ]);
    expect(migrated.status).toBe(200);
  });
});
