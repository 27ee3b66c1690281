import type { Json, JsonObject } from '../../functions/machinery/object.ts';
import { mutate } from './mutate.ts';
import type { Random } from './random.ts';
import { anything, nastyTexts, put, scalar } from './values.ts';

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Pointers (RFC 6901) to what is there, beside it, and to nothing. */
const pointerInto = (random: Random, root: Json): string => {
  if (random.chance(0.12))
    return random.pick([
      '',
      '/',
      'x',
      '/-',
      '/~',
      '/~2',
      '//',
      '/metadata/labels/a~1b',
      '/spec/-1',
      '/spec/01',
      '/__proto__/x',
    ]);
  if (random.chance(0.1)) return `/${random.pick(nastyTexts)}/${random.pick(nastyTexts)}`;
  let pointer = '';
  let value: Json | undefined = root;
  for (let depth = random.int(6); depth >= 0; depth--) {
    if (Array.isArray(value)) {
      const at: string = random.chance(0.15)
        ? random.pick(['-', '99999', '-1', '1e0', '00', String(value.length)])
        : String(random.int(value.length + 1));
      pointer += `/${at}`;
      value = value[Number(at)];
    } else if (isObject(value)) {
      const keys = Object.keys(value);
      const key =
        keys.length > 0 && random.chance(0.85)
          ? random.pick(keys)
          : random.pick(['a', 'labels', 'annotations', '__proto__', 'constructor']);
      pointer += `/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
      value = Object.hasOwn(value, key) ? value[key] : undefined;
    } else break;
  }
  return pointer;
};

const operations = ['add', 'add', 'remove', 'replace', 'copy', 'move', 'test'] as const;

const jsonPatch = (random: Random, base: Json): Json => {
  const count = random.chance(0.004) ? random.pick([10_000, 10_001]) : 1 + random.int(5);
  const list: Json[] = [];
  for (let i = 0; i < count; i++) {
    const op = random.chance(0.02) ? random.pick(nastyTexts) : random.pick(operations);
    const step: JsonObject = { op, path: pointerInto(random, base) };
    if (op === 'copy' || op === 'move') step.from = pointerInto(random, base);
    else if (op !== 'remove') step.value = random.chance(0.5) ? anything(random) : scalar(random);
    list.push(step);
  }
  // Each copy doubles what the one before made.
  if (random.chance(0.005)) {
    list.length = 0;
    list.push({ op: 'add', path: '/metadata/annotations', value: { a: 'x'.repeat(1000) } });
    for (let i = 0; i < 60; i++)
      list.push({ op: 'copy', from: '/metadata/annotations', path: `/metadata/annotations/c${i}` });
  }
  if (random.chance(0.05)) mutate(random, list, 2);
  return random.chance(0.02) ? anything(random) : list;
};

/** A part of a value: what a merge patch or an apply configuration says. */
const part = (random: Random, value: Json, depth = 0): Json => {
  if (Array.isArray(value)) return value.map((item) => part(random, item, depth + 1));
  if (!isObject(value)) return value;
  const out: JsonObject = {};
  for (const [key, inner] of Object.entries(value))
    if (inner !== undefined && random.chance(depth === 0 ? 0.8 : 0.55))
      put(out, key, random.chance(0.06) ? null : part(random, inner, depth + 1));
  return out;
};

const directives: readonly JsonObject[] = [
  { $patch: 'delete' },
  { $patch: 'replace' },
  { $patch: 'merge' },
  { $patch: 'x' },
  { $patch: 1 },
  { $retainKeys: ['name'] },
  { $retainKeys: 'x' },
  { '$setElementOrder/containers': [{ name: 'a' }] },
  { '$setElementOrder/x': 1 },
  { '$deleteFromPrimitiveList/finalizers': ['a'] },
  { '$deleteFromPrimitiveList/finalizers': {} },
];

const strategic = (random: Random, base: Json): Json => {
  const patch = part(random, base);
  const spots: JsonObject[] = [];
  const walk = (value: Json | undefined): void => {
    if (isObject(value)) spots.push(value);
    if (typeof value === 'object' && value !== null) for (const inner of Object.values(value)) walk(inner);
  };
  walk(patch);
  for (let i = random.int(3); i > 0 && spots.length > 0; i--)
    Object.assign(random.pick(spots), random.pick(directives));
  return patch;
};

const bare = (base: Json): Json => {
  const copy = structuredClone(base);
  if (isObject(copy) && isObject(copy.metadata)) {
    for (const field of ['managedFields', 'uid', 'creationTimestamp', 'generation', 'resourceVersion'])
      delete copy.metadata[field];
    delete copy.status;
  }
  return copy;
};

const types = {
  'application/json-patch+json': jsonPatch,
  'application/merge-patch+json': (random: Random, base: Json) => part(random, base),
  'application/strategic-merge-patch+json': strategic,
  'application/apply-patch+yaml': (random: Random, base: Json) =>
    random.chance(0.6) ? bare(base) : part(random, bare(base)),
};

export const patchTypes = Object.keys(types) as (keyof typeof types)[];

/** A patch of a type, made from an object that it may be sent to. */
export const patchFor = (random: Random, type: keyof typeof types, base: Json): Json => {
  const patch = types[type](random, structuredClone(base));
  if (random.chance(0.35) && type !== 'application/json-patch+json') mutate(random, patch, 1 + random.int(3));
  return patch;
};
