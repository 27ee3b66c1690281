import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Json, JsonObject } from '../object.ts';
import type { Field, ObjectSchema, Schema } from '../schema.ts';
import { StatusError } from '../status.ts';
import { equalJson } from './equal.ts';
import { applyJsonPatch, maxOperations } from './json-patch.ts';
import { applyMergePatch } from './merge-patch.ts';
import { applyStrategicMergePatch, strategicUnsupported } from './strategic.ts';

const text: Schema = { type: 'string', format: '' };
const field = (
  schema: Schema,
  mergeKey?: string,
  strategies: ('merge' | 'replace' | 'retainKeys')[] = ['merge'],
): Field => ({
  schema,
  required: false,
  zero: false,
  ...(mergeKey !== undefined && { patch: { strategies, mergeKey } }),
});
const object = (fields: Record<string, Field>): ObjectSchema => ({
  type: 'object',
  name: '',
  fields,
  atomic: false,
  preserveUnknown: false,
  embedded: false,
});
const list = (items: Schema): Schema => ({ type: 'list', items, listType: 'atomic', keys: [] });
const strings: Schema = { type: 'map', values: text, atomic: false };
const container = object({
  name: field(text),
  image: field(text),
  args: field(list(text)),
  env: field(list(object({ name: field(text), value: field(text) })), 'name'),
  ports: field(list(object({ containerPort: field(text), protocol: field(text) })), 'containerPort'),
  volumeMounts: field(list(object({ mountPath: field(text) })), 'mountPath'),
});
const podSpec = object({
  containers: field(list(container), 'name'),
  volumes: field(list(object({ name: field(text) })), 'name', ['merge', 'retainKeys']),
  imagePullSecrets: field(list(object({ name: field(text) })), 'name'),
  tolerations: field(list({ type: 'any' })),
  nodeSelector: field(strings),
  hostAliases: field(list(object({ ip: field(text) })), 'ip'),
});
const meta = object({ finalizers: field(list(text), ''), labels: field(strings), annotations: field(strings) });
const schema = object({
  metadata: field(meta),
  data: field(strings),
  template: field(object({ metadata: field(meta), spec: field(podSpec) })),
  spec: field(object({ strategy: field(object({ type: field(text) }), '', ['retainKeys']) })),
});

interface Step {
  method: string;
  path: string;
  query?: string;
  contentType?: string;
  body: Json;
  expect: { status: number; body: JsonObject };
}
const cases: { id: string; steps: Step[] }[] = readFileSync(
  new URL('../../../test/behaviour/api/patch.jsonl', import.meta.url),
  'utf8',
)
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line));

const patchWith = (step: Step, live: JsonObject): Json => {
  const patch = typeof step.body === 'string' ? (JSON.parse(step.body) as Json) : step.body;
  if (step.contentType === 'application/json-patch+json') return applyJsonPatch(live, patch);
  if (step.contentType === 'application/merge-patch+json') return applyMergePatch(live, patch);
  return applyStrategicMergePatch(live, patch, schema);
};
/** Applying the patch again to the recorded answer, and looking at what the patch names, needs no defaulting. */
const bare = (o: Json): Json =>
  JSON.parse(JSON.stringify(o), (key, value) =>
    ['managedFields', 'resourceVersion', 'generation', 'status', 'creationTimestamp', 'kind', 'apiVersion'].includes(
      key,
    )
      ? undefined
      : value,
  );

const templateOf = (o: JsonObject): JsonObject => (o.template as JsonObject).spec as JsonObject;
const fill = (o: JsonObject): void => {
  for (const c of templateOf(o).containers as JsonObject[]) {
    c.resources ??= {};
    c.terminationMessagePath ??= '/dev/termination-log';
    c.terminationMessagePolicy ??= 'File';
    c.imagePullPolicy ??= 'IfNotPresent';
    for (const p of (c.ports ?? []) as JsonObject[]) p.protocol ??= 'TCP';
    if ((c.env as Json[] | undefined)?.length === 0) delete c.env;
  }
  for (const v of (templateOf(o).volumes ?? []) as JsonObject[]) {
    const path = v.hostPath as JsonObject | undefined;
    if (path) path.type ??= '';
  }
  delete templateOf(o).nope;
  const selector = templateOf(o).nodeSelector;
  if (selector && Object.keys(selector).length === 0) delete templateOf(o).nodeSelector;
};

const prune = (o: JsonObject): JsonObject => {
  if (o.template) fill(o);
  const m = o.metadata as JsonObject;
  for (const key of ['labels', 'annotations', 'finalizers'] as const) {
    if (m[key] && Object.keys(m[key]).length === 0) delete m[key];
  }
  if (o.data) for (const k of Object.keys(o.data)) (o.data as JsonObject)[k] ??= '';
  return o;
};

const replayable = cases.filter(
  (c) =>
    !/uid|resource-version|current-|same-rv|apiservice|dry-run|manager|options/.test(c.id) &&
    c.steps.some((s) => s.method === 'PATCH'),
);

describe('recorded patches', () => {
  let compared = 0;
  for (const c of replayable) {
    const run = (): void => {
      let live: JsonObject | undefined;
      for (const step of c.steps) {
        if (step.method === 'PATCH' && step.expect.status === 200 && live && !step.path.endsWith('/status')) {
          const frozen = structuredClone(live);
          const got = patchWith(step, live);
          expect(live).toEqual(frozen);
          if (step.expect.body.metadata) {
            expect(bare(prune(structuredClone(got) as JsonObject))).toEqual(bare(step.expect.body));
            compared++;
          }
        }
        if (step.expect.status < 300 && step.expect.body.kind !== 'Status' && step.expect.body.metadata)
          live = step.expect.body;
      }
    };
    const creation = /creation|generation/.test(c.id);
    if (!creation) it(c.id, run);
  }
  it('compares most of them', () => expect(compared).toBeGreaterThan(35));
  const failing = [
    'json-test-fails',
    'json-unknown-op',
    'json-not-array',
    'strategic-no-merge-key',
    'strategic-bad-directive',
  ];
  for (const c of cases.filter((k) => failing.some((f) => k.id.endsWith(f)))) {
    it(`${c.id} is refused`, () => {
      const [created, step] = c.steps;
      if (!created || !step) throw new Error('no steps');
      const code = step.expect.status === 500 ? 400 : step.expect.status;
      try {
        patchWith(step, created.expect.body);
        expect.unreachable();
      } catch (err) {
        expect(err instanceof StatusError && err.code).toBe(code);
      }
    });
  }
});

const codeOf = (f: () => unknown): number => {
  try {
    f();
  } catch (err) {
    if (err instanceof StatusError) return err.code;
    throw err;
  }
  return 200;
};

describe('json patch', () => {
  it('walks lists, with - and negative indices', () => {
    const doc = { a: [1, 2, { b: 3 }] };
    expect(applyJsonPatch(doc, [{ op: 'add', path: '/a/-', value: 4 }])).toEqual({ a: [1, 2, { b: 3 }, 4] });
    expect(applyJsonPatch(doc, [{ op: 'add', path: '/a/0', value: 0 }])).toEqual({ a: [0, 1, 2, { b: 3 }] });
    expect(applyJsonPatch(doc, [{ op: 'replace', path: '/a/2/b', value: 9 }])).toEqual({ a: [1, 2, { b: 9 }] });
    expect(applyJsonPatch(doc, [{ op: 'remove', path: '/a/-1' }])).toEqual({ a: [1, 2] });
    expect(doc).toEqual({ a: [1, 2, { b: 3 }] });
  });
  it('refuses what does not apply', () => {
    const refusals: Json[] = [
      [{ op: 'add', path: '/x/y', value: 1 }],
      [{ op: 'replace', path: '/x/y', value: 1 }],
      [{ op: 'remove', path: '/x' }],
      [{ op: 'move', from: '/x', path: '/y' }],
      [{ op: 'add', path: '/l/5', value: 1 }],
      [{ op: 'add', path: '/l/01', value: 1 }],
      [{ op: 'test', path: '/l', value: [] }],
      [{ path: '/l' }],
    ];
    for (const patch of refusals) expect(codeOf(() => applyJsonPatch({ l: [1] }, patch))).toBe(422);
  });
  it('replaces a key that is not there, as upstream does', () => {
    expect(applyJsonPatch({ a: 1 }, [{ op: 'replace', path: '/x', value: 1 }])).toEqual({ a: 1, x: 1 });
  });
  it('copies what is not there as null, as upstream does', () => {
    expect(applyJsonPatch({ a: 1 }, [{ op: 'copy', from: '/x', path: '/y' }])).toEqual({ a: 1, y: null });
  });
  it('tests an absent path as null', () => {
    expect(applyJsonPatch({}, [{ op: 'test', path: '/a', value: null }])).toEqual({});
  });
  it('limits operations and copies', () => {
    const ops = Array.from({ length: maxOperations + 1 }, () => ({ op: 'test', path: '', value: {} }));
    expect(codeOf(() => applyJsonPatch({}, ops))).toBe(413);
    const doubling = Array.from({ length: 30 }, (_, i) => ({ op: 'copy', from: '', path: `/k${i}` }));
    expect(codeOf(() => applyJsonPatch({ a: 'x'.repeat(100) }, doubling))).toBe(413);
  });
  it('does not reach the prototype', () => {
    const out = applyJsonPatch({}, [{ op: 'add', path: '/__proto__', value: { polluted: true } }]) as Record<
      string,
      unknown
    >;
    expect(out.polluted).toBeUndefined();
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });
});

describe('merge patch', () => {
  it('follows the examples of RFC 7386', () => {
    const rows: [JsonObject, Json, JsonObject][] = [
      [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
      [{ a: 'b' }, { a: null }, {}],
      [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
      [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
      [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
      [{ e: null }, { a: 1 }, { e: null, a: 1 }],
      [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
    ];
    for (const [doc, patch, want] of rows) expect(applyMergePatch(doc, patch)).toEqual(want);
  });
  it('refuses anything but an object', () => {
    for (const patch of ['x', 1, null, []]) expect(codeOf(() => applyMergePatch({}, patch))).toBe(400);
  });
});

describe('strategic merge patch', () => {
  const smp = (doc: JsonObject, patch: Json): JsonObject => applyStrategicMergePatch(doc, patch, podSpec);
  it('replaces a list by a directive in it', () => {
    const doc = { containers: [{ name: 'a' }, { name: 'b' }] };
    expect(smp(doc, { containers: [{ $patch: 'replace' }, { name: 'c' }] })).toEqual({ containers: [{ name: 'c' }] });
  });
  it('deletes an object by directive', () => {
    expect(smp({ nodeSelector: { a: '1' } }, { nodeSelector: { $patch: 'delete' } })).toEqual({ nodeSelector: {} });
  });
  it('drops directives and nulls where nothing stood', () => {
    expect(
      smp(
        {},
        {
          containers: [
            { name: 'a', image: null },
            { name: 'b', $patch: 'delete' },
          ],
        },
      ),
    ).toEqual({
      containers: [{ name: 'a' }],
    });
  });
  it('holds retainKeys to the patch', () => {
    expect(
      codeOf(() => smp({ volumes: [{ name: 'v' }] }, { volumes: [{ name: 'v', $retainKeys: ['name'], x: {} }] })),
    ).toBe(400);
  });
  it('answers custom resources with 415', () => {
    expect((strategicUnsupported() as StatusError).code).toBe(415);
  });
});

describe('equalJson', () => {
  it('ignores order and undefined', () => {
    expect(equalJson({ a: 1, b: undefined, c: [1] }, { c: [1], a: 1 })).toBe(true);
    expect(equalJson({ a: 1 }, { b: 1 })).toBe(false);
    expect(equalJson([1, 2], [2, 1])).toBe(false);
    expect(equalJson({}, [])).toBe(false);
  });
});

describe('a field named __proto__', () => {
  it('does not become a prototype', () => {
    const patch = JSON.parse('{"__proto__": {"polluted": true}}') as Json;
    for (const out of [applyMergePatch({}, patch), applyStrategicMergePatch({}, patch, podSpec)]) {
      expect((out as Record<string, unknown>).polluted).toBeUndefined();
    }
  });
});
