import { beforeAll, describe, expect, it } from 'vitest';
import type { CustomResourceDefinition } from '../../../machinery/kinds.d.ts';
import { schemaCauses } from './definition-schema.ts';
import { loadRules } from './rules.ts';
import type { Structural } from './structural.ts';

beforeAll(loadRules);

const definition = (...schemas: (Structural | undefined)[]): CustomResourceDefinition =>
  ({
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'widgets.example.com' },
    spec: {
      group: 'example.com',
      names: { plural: 'widgets', kind: 'Widget' },
      scope: 'Cluster',
      versions: schemas.map((openAPIV3Schema, i) => ({
        name: `v${i + 1}`,
        served: true,
        storage: i === 0,
        ...(openAPIV3Schema && { schema: { openAPIV3Schema } }),
      })),
    },
  }) as unknown as CustomResourceDefinition;
const spec = (f: Structural): Structural => ({
  type: 'object',
  properties: { spec: { type: 'object', properties: { f } } },
});
const faults = (crd: CustomResourceDefinition, old?: CustomResourceDefinition): string[] =>
  schemaCauses(crd, old)
    .map((c) => `${c.reason} ${c.field}`)
    .sort();
const FIELD = 'openAPIV3Schema.properties[spec].properties[f]';
const unbounded: Structural = {
  type: 'array',
  items: { type: 'string' },
  'x-kubernetes-validations': [{ rule: 'self.all(x, self.exists_one(y, y == x))' }],
};

// Besides what test/behaviour-tables/tables/custom-schemas.yaml holds: places, updates, and totals.
describe('schemas of definitions', () => {
  it('that are equal in all versions are told of once', () => {
    expect(faults(definition(spec({}), spec({})))).toEqual([`FieldValueRequired spec.validation.${FIELD}.type`]);
  });

  it('that differ are told of by version', () => {
    expect(faults(definition(spec({ type: 'string' }), spec({})))).toEqual([
      `FieldValueRequired spec.versions[1].schema.${FIELD}.type`,
    ]);
  });

  it('have to be there in every version', () => {
    expect(faults(definition(spec({ type: 'string' }), undefined))).toEqual([
      'FieldValueRequired spec.versions[1].schema.openAPIV3Schema',
    ]);
  });

  it('with rules that could cost too much are refused, unless they were there before', () => {
    const crd = definition(spec(unbounded));
    const rule = `FieldValueForbidden spec.validation.${FIELD}.x-kubernetes-validations[0].rule`;
    const total = 'FieldValueForbidden spec.validation.openAPIV3Schema';
    expect(faults(crd)).toEqual([total, rule, rule]);
    expect(faults(crd, crd)).toEqual([total, rule]);
    expect(faults(crd, definition(spec({ type: 'string' })))).toEqual([total, rule, rule]);
  });

  it('may go on to break what was not checked when they were stored', () => {
    const set: Structural = {
      type: 'array',
      'x-kubernetes-list-type': 'set',
      items: { type: 'object', properties: { a: { type: 'string' } } },
    };
    const crd = definition(spec(set));
    expect(faults(crd)).toEqual([`FieldValueInvalid spec.validation.${FIELD}.items.x-kubernetes-map-type`]);
    expect(faults(crd, crd)).toEqual([]);
    const unpruned: Structural = { type: 'object', properties: { a: { type: 'string' } }, default: { b: 1 } };
    expect(faults(definition(spec(unpruned)))).toEqual([`FieldValueInvalid spec.validation.${FIELD}.default`]);
    expect(faults(definition(spec(unpruned)), definition(spec(unpruned)))).toEqual([]);
  });

  it('with faults elsewhere are not looked at for their rules', () => {
    const rules = { 'x-kubernetes-validations': [{ rule: 'nonsense' }] };
    const sound: Structural = { type: 'string', maxLength: 5, ...rules };
    const where = `spec.validation.${FIELD}`;
    expect(faults(definition(spec(sound)))).toEqual([`FieldValueInvalid ${where}.x-kubernetes-validations[0].rule`]);
    expect(faults(definition(spec({ ...sound, default: 7 })))).toEqual([`FieldValueTypeInvalid ${where}.default`]);
  });
});
