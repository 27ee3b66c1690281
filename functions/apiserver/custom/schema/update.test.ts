import { beforeAll, describe, expect, it } from 'vitest';
import type { Json, KubeObject } from '../../../machinery/object.ts';
import { customKind } from './custom-kind.ts';
import { loadRules } from './rules.ts';
import type { Structural, ValidationRule } from './structural.ts';

beforeAll(loadRules);

const text: Structural = { type: 'string', maxLength: 20 };
const ruled = (s: Structural, ...rules: (string | ValidationRule)[]): Structural => ({
  ...s,
  'x-kubernetes-validations': rules.map((rule) => (typeof rule === 'string' ? { rule } : rule)),
});
const spec = (properties: Record<string, Structural>, more: Structural = {}): Structural => ({
  type: 'object',
  properties: { spec: { type: 'object', properties, ...more } },
});
const object = (value: Json): KubeObject => ({ metadata: { name: 'w' }, spec: value }) as KubeObject;
const updated = (schema: Structural, old: Json, next: Json): { causes: string[]; warnings: string[] } => {
  const warnings: string[] = [];
  const causes = customKind(schema).validateUpdate(object(next), object(old), (one) => warnings.push(one));
  return { causes: causes.map((c) => `${c.reason} ${c.field}`).sort(), warnings };
};
const created = (schema: Structural, value: Json): string[] =>
  customKind(schema)
    .validateCreate(object(value))
    .map((c) => `${c.reason} ${c.field}`)
    .sort();

// KEP-4008: what an update does not touch is not held against it.
describe('ratcheting', () => {
  const short: Structural = { type: 'string', maxLength: 3 };
  const list: Structural = {
    type: 'array',
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['k'],
    items: { type: 'object', required: ['k'], properties: { k: { type: 'string' }, v: short } },
  };
  const schema = spec({
    a: short,
    b: { type: 'integer' },
    atomic: { type: 'array', items: short },
    list,
    map: { type: 'object', additionalProperties: short },
    o: { type: 'object', required: ['z'], properties: { x: short, y: { type: 'string' }, z: { type: 'string' } } },
  });
  const old = {
    a: 'long-value',
    b: 1,
    atomic: ['long', 'x'],
    list: [
      { k: '1', v: 'long' },
      { k: '2', v: 's' },
    ],
    map: { k: 'long', j: 's' },
    o: { x: 'long', y: '1' },
  };
  const cases: [name: string, next: Record<string, Json>, causes: string[]][] = [
    ['a field beside', { b: 2 }, []],
    ['the field itself', { a: 'other-long' }, ['FieldValueTooLong spec.a']],
    ['an atomic list', { atomic: ['long', 'y'] }, ['FieldValueTooLong spec.atomic[0]']],
    [
      'items of a map list in another order',
      {
        list: [
          { k: '2', v: 't' },
          { k: '1', v: 'long' },
        ],
      },
      [],
    ],
    ['an item of a map list', { list: [{ k: '1', v: 'longer' }] }, ['FieldValueTooLong spec.list[0].v']],
    ['another entry of a map', { map: { k: 'long', j: 't' } }, []],
    ['an entry of a map', { map: { k: 'longer', j: 's' } }, ['FieldValueTooLong spec.map.k']],
    ['an object that lacks a field', { o: { x: 'long', y: '2' } }, ['FieldValueRequired spec.o.z']],
  ];
  for (const [name, change, causes] of cases)
    it(name, () => expect(updated(schema, old, { ...old, ...change }).causes).toEqual(causes));

  it('a new object is held to everything', () => expect(created(schema, old)).toHaveLength(6));

  it('duplicates are let pass while there are some', () => {
    const set = spec({ s: { type: 'array', 'x-kubernetes-list-type': 'set', items: { type: 'string' } } });
    expect(updated(set, { s: ['a', 'a'] }, { s: ['b', 'b'] }).causes).toEqual([]);
    expect(updated(set, { s: ['a'] }, { s: ['b', 'b'] }).causes).toEqual(['FieldValueDuplicate spec.s[1]']);
  });

  it('a rule that an unchanged part breaks becomes a warning', () => {
    const schema = spec({ a: ruled(text, "self != 'bad'"), b: text });
    const result = updated(schema, { a: 'bad', b: '1' }, { a: 'bad', b: '2' });
    expect(result.causes).toEqual([]);
    expect(result.warnings).toEqual([
      expect.stringContaining('spec.a: Invalid value: "bad": failed rule: self != \'bad\''),
    ]);
    expect(updated(schema, { a: 'bad' }, { a: 'bad', b: '2' }).causes).toEqual([]);
    expect(updated(schema, { a: 'ok' }, { a: 'bad' }).causes).toEqual(['FieldValueInvalid spec.a']);
  });
});

// KEP-2876: x-kubernetes-validations.
describe('rules', () => {
  it('with oldSelf run where there is an old value', () => {
    const schema = spec({ a: ruled(text, 'self == oldSelf'), n: ruled({ type: 'integer' }, 'self >= oldSelf') });
    expect(created(schema, { a: '1' })).toEqual([]);
    expect(updated(schema, { a: '1', n: 2 }, { a: '2', n: 1 }).causes).toEqual([
      'FieldValueInvalid spec.a',
      'FieldValueInvalid spec.n',
    ]);
    expect(updated(schema, {}, { a: '2' }).causes).toEqual([]);
  });

  it('with an optional oldSelf run always', () => {
    const schema = spec({ a: ruled(text, { rule: "oldSelf.hasValue() || self != 'no'", optionalOldSelf: true }) });
    expect(created(schema, { a: 'no' })).toEqual(['FieldValueInvalid spec.a']);
    expect(updated(schema, { a: 'yes' }, { a: 'no' }).causes).toEqual([]);
    expect(updated(schema, {}, { a: 'no' }).causes).toEqual(['FieldValueInvalid spec.a']);
  });

  it('find the old items of map lists by their keys', () => {
    const item = ruled(
      { type: 'object', required: ['k'], properties: { k: text, v: text } },
      { rule: 'self.v == oldSelf.v', fieldPath: '.v' },
    );
    const keys = { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['k'] };
    const schema = spec({ l: { type: 'array', maxItems: 3, ...keys, items: item } });
    const old = { l: [{ k: '1', v: 'a' }] };
    const next = {
      l: [
        { k: '2', v: 'new' },
        { k: '1', v: 'b' },
      ],
    };
    expect(updated(schema, old, next).causes).toEqual(['FieldValueInvalid spec.l[1].v']);
  });

  it('have reasons and messages', () => {
    const reasons = ['FieldValueForbidden', 'FieldValueRequired', 'FieldValueDuplicate', 'FieldValueInvalid'];
    const rules = reasons.map((reason) => ({ rule: "self == 'x'", reason }));
    const schema = spec({ a: ruled(text, ...rules, { rule: 'false', messageExpression: "'got ' + self" }) });
    const causes = customKind(schema).validateCreate(object({ a: 'y' }));
    expect(causes.map((c) => c.reason)).toEqual([...reasons, 'FieldValueInvalid']);
    expect(causes.at(-1)?.message).toBe('Invalid value: "y": got y');
  });

  it('that fail to run are refused where they stand', () => {
    const schema = spec({ i: ruled({ type: 'integer' }, '10 / self > 1') }, ruled({}, { rule: 'self.i > self.j' }));
    expect(created(spec({ i: ruled({ type: 'integer' }, '10 / self > 1') }), { i: 0 })).toEqual([
      'FieldValueInvalid spec.i',
    ]);
    expect(created(schema, { i: 'x' })).toEqual(['FieldValueInvalid <nil>', 'FieldValueTypeInvalid spec.i']);
  });

  it('stop where an object costs too much', () => {
    const items: Structural = { type: 'string', maxLength: 5 };
    const schema = spec({ l: ruled({ type: 'array', items }, 'self.all(x, self.all(y, x == y || x != y))', 'true') });
    const many = Array.from({ length: 1000 }, (_, i) => String(i));
    const causes = customKind(schema).validateCreate(object({ l: many }));
    expect(causes).toHaveLength(1);
    expect(causes[0]?.message).toContain('call cost exceeds limit');
  });

  it('see null fields as absent, and do not run on null', () => {
    const nullable: Structural = { type: 'string', nullable: true, maxLength: 5 };
    const schema = spec({ n: ruled(nullable, "self != 'z'") }, ruled({}, '!has(self.n)'));
    expect(created(schema, { n: null })).toEqual([]);
    expect(created(schema, { n: 'z' })).toEqual(['FieldValueInvalid spec', 'FieldValueInvalid spec.n']);
  });
});
