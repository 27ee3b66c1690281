import { describe, expect, it } from 'vitest';
import { schemaOf } from '../facts.ts';
import type { Json, JsonObject } from '../object.ts';
import type { Schema } from '../schema.ts';
import { applyConflict, applyPatch } from './apply.ts';
import {
  difference,
  type FieldNode,
  type FieldSet,
  fieldsOf,
  has,
  intersection,
  isMember,
  leaf,
  pathsOf,
  union,
  without,
} from './fields.ts';
import { ancientChanges, isReset, type ManagedFields, maxUpdateManagers } from './managers.ts';
import { trackUpdate } from './update.ts';

const seed = Number(process.env.SEED ?? Date.now() % 1e9);
const random = (() => {
  let state = seed;
  return (n: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
})();
const randomSet = (): FieldSet => {
  let out: FieldSet;
  for (let i = random(8); i > 0; i--) {
    const path = Array.from({ length: 1 + random(3) }, () => `n${random(3)}`);
    out = union(out, fieldsOf([path]));
  }
  return out;
};
const members = (set: FieldSet): string[] => pathsOf(set).sort();

describe(`field sets, SEED=${seed}`, () => {
  it('behave as sets of paths', () => {
    for (let i = 0; i < 500; i++) {
      const [a, b] = [randomSet(), randomSet()];
      const [x, y] = [new Set(members(a)), new Set(members(b))];
      expect(members(union(a, b))).toEqual([...new Set([...x, ...y])].sort());
      expect(members(difference(a, b))).toEqual([...x].filter((p) => !y.has(p)).sort());
      expect(members(intersection(a, b))).toEqual([...x].filter((p) => y.has(p)).sort());
      expect(members(without(a, b))).toEqual(
        [...x].filter((p) => ![...y].some((q) => p === q || p.startsWith(`${q}.`))).sort(),
      );
    }
  });
  it('write paths as upstream does', () => {
    const set: FieldNode = {
      'f:a': { 'k:{"name":"c","port":1}': { '.': leaf, 'f:x': leaf }, 'v:"s"': leaf, 'i:3': leaf },
    };
    expect(pathsOf(set)).toEqual(['.a[3]', '.a[name="c",port=1]', '.a[name="c",port=1].x', '.a[="s"]']);
    expect(has(set, ['f:a', 'v:"s"'])).toBe(true);
    expect(has(set, ['f:a'])).toBe(false);
    expect(isMember(leaf)).toBe(true);
  });
});

const configMap = schemaOf('core.v1.ConfigMap');
const at = (second: number): string => `2026-01-01T00:00:${String(second).padStart(2, '0')}Z`;
const map = (data: JsonObject, managedFields?: Json): JsonObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'x', uid: 'u', ...(managedFields !== undefined && { managedFields }) },
  data,
});
const write = (
  before: JsonObject | undefined,
  after: JsonObject,
  manager: string,
  second: number,
): ManagedFields[] | undefined =>
  trackUpdate({ before, after, schema: configMap, manager, apiVersion: 'v1', now: at(second) });

describe('updates', () => {
  it('leave everything as it was when no field changes', () => {
    const fields = write(undefined, map({ a: '1' }), 'one', 1);
    const live = map({ a: '1' }, fields as unknown as Json);
    expect(write(live, map({ a: '1' }), 'two', 2)).toBe(fields);
  });
  it('take changed fields over and give the own entry a new time', () => {
    const one = write(undefined, map({ a: '1', b: '1' }), 'one', 1);
    const two = write(map({ a: '1', b: '1' }, one as unknown as Json), map({ a: '2', b: '1' }), 'two', 2);
    expect(two?.map((e) => [e.manager, e.time, pathsOf(e.fieldsV1)])).toEqual([
      ['one', at(1), ['.data', '.data.b']],
      ['two', at(2), ['.data.a']],
    ]);
    const again = write(map({ a: '2', b: '1' }, two as unknown as Json), map({ a: '3', b: '1' }), 'two', 3);
    expect(again?.map((e) => [e.manager, e.time])).toEqual([
      ['one', at(1)],
      ['two', at(3)],
    ]);
  });
  it('do not track an object again whose managedFields were emptied', () => {
    const live = map({ a: '1' }, write(undefined, map({ a: '1' }), 'one', 1) as unknown as Json);
    expect(isReset([{}])).toBe(true);
    expect(write(live, map({ a: '1' }, []), 'two', 2)).toBeUndefined();
    expect(write(live, map({ a: '1' }, [{}]), 'two', 2)).toBeUndefined();
    expect(write(map({ a: '1' }), map({ a: '2' }), 'two', 3)).toBeUndefined();
  });
  it('merge the oldest of more than ten updaters', () => {
    let live = map({});
    let managed = write(undefined, map({ k: '0' }), 'm0', 0);
    for (let i = 1; i <= 15; i++) {
      live = map({ ...(live.data as JsonObject), k: '0' }, managed as unknown as Json);
      live.data = Object.fromEntries(Array.from({ length: i }, (_, j) => [`k${j || ''}`, '0']));
      managed = write(live, map({ ...(live.data as JsonObject), [`k${i}`]: '0' }), `m${i}`, i);
    }
    expect(managed).toHaveLength(maxUpdateManagers);
    expect(managed?.[0]?.manager).toBe(ancientChanges);
    expect(managed?.reduce<FieldSet>((sum, e) => union(sum, e.fieldsV1), undefined)?.['f:data']).toBeDefined();
    expect(pathsOf(managed?.reduce<FieldSet>((sum, e) => union(sum, e.fieldsV1), undefined))).toHaveLength(17);
  });
});

const crd: Schema = {
  type: 'object',
  name: '',
  atomic: false,
  preserveUnknown: false,
  embedded: false,
  fields: {
    spec: {
      required: false,
      zero: false,
      schema: {
        type: 'object',
        name: '',
        atomic: false,
        preserveUnknown: true,
        embedded: false,
        fields: {
          tags: {
            required: false,
            zero: false,
            schema: { type: 'list', items: { type: 'string', format: '' }, listType: 'set', keys: [] },
          },
        },
      },
    },
  },
};

describe('custom resources', () => {
  const resource = (spec: JsonObject): JsonObject => ({
    apiVersion: 'x.dev/v1',
    kind: 'X',
    metadata: { name: 'x' },
    spec,
  });
  it('own spec itself when created, and unknown fields one by one', () => {
    const managed = trackUpdate({
      before: undefined,
      after: resource({ tags: ['a'], free: { deep: [1] } }),
      schema: crd,
      manager: 'm',
      apiVersion: 'x.dev/v1',
      now: at(0),
    });
    expect(pathsOf(managed?.[0]?.fieldsV1)).toEqual([
      '.spec',
      '.spec.free',
      '.spec.free.deep',
      '.spec.tags',
      '.spec.tags[="a"]',
    ]);
  });
  it('are applied without any schema', () => {
    const apply = (live: JsonObject | undefined, spec: JsonObject, manager: string) =>
      applyPatch({
        live,
        applied: resource(spec),
        schema: { type: 'any' },
        force: false,
        manager,
        apiVersion: 'x.dev/v1',
        now: at(0),
      });
    const one = apply(undefined, { a: { b: 1 }, list: [1] }, 'one');
    if (!('object' in one)) throw new Error('conflict');
    const two = apply(one.object, { a: { c: 2 } }, 'two');
    if (!('object' in two)) throw new Error('conflict');
    expect(two.object.spec).toEqual({ a: { b: 1, c: 2 }, list: [1] });
    const less = apply(two.object, { list: [1] }, 'one');
    expect('object' in less && less.object.spec).toEqual({ a: { c: 2 }, list: [1] });
    expect('conflicts' in apply(two.object, { list: [2] }, 'two')).toBe(true);
  });
});

it('tells one conflict in a line, and several grouped by their managers', () => {
  const by = (name: string, field: string) => ({
    reason: 'FieldManagerConflict' as const,
    message: `conflict with "${name}"`,
    field,
  });
  expect(applyConflict([by('a', '.spec.x')]).message).toBe('Apply failed with 1 conflict: conflict with "a": .spec.x');
  expect(applyConflict([by('a', '.x'), by('b', '.x'), by('a', '.y')]).message).toBe(
    'Apply failed with 3 conflicts: conflicts with "a":\n- .x\n- .y\nconflicts with "b":\n- .x',
  );
});
