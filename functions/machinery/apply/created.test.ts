import { expect, it } from 'vitest';
import { podBody } from '../../../bench/pod.ts';
import { seededRandom } from '../../clock/simulated.ts';
import { kindTypeName, schemaOf } from '../facts.ts';
import type { Json, JsonObject } from '../object.ts';
import type { ObjectSchema, Schema } from '../schema.ts';
import { newFields } from './compare.ts';
import { createdFields, fieldsText } from './created.ts';
import { rootOf } from './shape.ts';
import { skipped } from './update.ts';

it('gives the fields that a whole comparison gives, whatever was created before', () => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`SEED=${seed}`);
  const random = seededRandom(seed);
  const below = (n: number) => Math.floor(random() * n);
  const schema = schemaOf(kindTypeName('', 'v1', 'Pod') ?? '');
  const odd: Json[] = [null, '', 0, false, {}, [], 'x', { a: '' }, [{ name: 'n' }]];
  const mutate = (value: Json): Json => {
    if (random() < 0.02) return odd[below(odd.length)] as Json;
    if (Array.isArray(value)) {
      const items = value.filter(() => random() > 0.03).map(mutate);
      return random() < 0.05 ? [...items, ...structuredClone(items.slice(0, 1))] : items;
    }
    if (value === null || typeof value !== 'object') return random() < 0.1 ? `${below(3)}` : value;
    const entries = Object.entries(value).filter(() => random() > 0.02);
    if (random() < 0.05) entries.push([`k${below(3)}`, '']);
    return Object.fromEntries(entries.map(([key, child]) => [key, mutate(child as Json)]));
  };
  const tried = (make: () => unknown): unknown => {
    try {
      return make() ?? null;
    } catch (error) {
      return String(error);
    }
  };
  let shared = 0;
  for (let i = 0; i < 3000; i++) {
    const object = { ...(JSON.parse(podBody(`p${i}`)) as JsonObject), status: { phase: 'Pending', startTime: null } };
    const changed = (i % 3 === 0 ? object : mutate(object)) as JsonObject;
    if (Array.isArray(changed) || changed === null || typeof changed !== 'object') continue;
    const skip = skipped(undefined);
    const whole = tried(() => newFields(changed, rootOf(schema), skip));
    const before = tried(() => createdFields(changed, schema, skip));
    expect(before).toEqual(whole);
    if (before !== null && before === tried(() => createdFields(structuredClone(changed), schema, skip))) shared++;
  }
  expect(shared).toBeGreaterThan(1000);
});

const text: Schema = { type: 'string', format: '' };
const listOf = (listType: 'set' | 'map', items: Schema): ObjectSchema => ({
  type: 'object',
  name: '',
  fields: {
    list: {
      schema: { type: 'list', items, listType, keys: listType === 'map' ? ['k'] : [] },
      required: false,
      zero: false,
    },
  },
  atomic: false,
  preserveUnknown: false,
  embedded: false,
});
const item = (name: string): ObjectSchema => ({
  type: 'object',
  name,
  fields: { k: { schema: text, required: false, zero: false } },
  atomic: name === 'atomic',
  preserveUnknown: false,
  embedded: false,
});

it.each([
  ['a set of objects', listOf('set', item('atomic')), [{ k: 'a' }], [{ k: 'b' }]],
  ['a set of long texts', listOf('set', text), ['x'.repeat(300)], ['x'.repeat(8)]],
  ['a set of texts that begin alike', listOf('set', text), ['x'.repeat(300)], ['x'.repeat(257)]],
  ['a map of elements with long keys', listOf('map', item('')), [{ k: 'x'.repeat(300) }], [{ k: 'x'.repeat(8) }]],
])('takes no fields over from another object for %s', (_what, schema, first, second) => {
  const skip = skipped(undefined);
  for (const list of [first, second])
    expect(createdFields({ list }, schema, skip)).toEqual(newFields({ list }, rootOf(schema), skip));
});

it('writes a set in the order of its elements, however it came about', () => {
  const set = {
    'f:status': { 'f:phase': {}, 'f:conditions': { 'k:{"type":"B"}': {}, 'k:{"type":"A"}': {}, '.': {} } },
  };
  expect(fieldsText(set)).toBe(
    '{"f:status":{"f:conditions":{".":{},"k:{\\"type\\":\\"A\\"}":{},"k:{\\"type\\":\\"B\\"}":{}},"f:phase":{}}}',
  );
  const schema = schemaOf(kindTypeName('', 'v1', 'Pod') ?? '') as ObjectSchema;
  const pod = { spec: { terminationGracePeriodSeconds: 1, containers: [{ name: 'b' }, { name: 'a' }], affinity: {} } };
  for (let i = 0; i < 2; i++) {
    const fields = createdFields(structuredClone(pod), rootOf(schema), skipped({}));
    expect(fields && Object.keys(JSON.parse(fieldsText(fields))['f:spec'])).toEqual([
      'f:affinity',
      'f:containers',
      'f:terminationGracePeriodSeconds',
    ]);
  }
});
