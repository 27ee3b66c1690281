import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decode } from '../decode.ts';
import { kindSchema } from '../facts.ts';
import { type Json, type JsonObject, parseGroupVersion } from '../object.ts';
import { equalJson } from '../patch/equal.ts';
import type { ObjectSchema } from '../schema.ts';
import { StatusError } from '../status.ts';
import { applyConflict, applyPatch } from './apply.ts';
import { difference, type FieldSet, fieldsOf, pathsOf } from './fields.ts';
import type { ManagedFields } from './managers.ts';
import { trackUpdate } from './update.ts';

interface Step {
  method: string;
  path: string;
  query?: string;
  headers?: Record<string, string>;
  contentType?: string;
  body?: Json;
  expect: { status: number; body?: JsonObject };
}
interface Case {
  id: string;
  steps: Step[];
}
const folder = new URL('../../../test/behaviour/api/', import.meta.url);
const casesOf = (file: string): Case[] =>
  readFileSync(new URL(file, folder), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Case);

const isObject = (v: Json | undefined): v is JsonObject => v !== null && typeof v === 'object' && !Array.isArray(v);
const schemaFor = (o: JsonObject): ObjectSchema | undefined => {
  const { group, version } = parseGroupVersion(String(o.apiVersion));
  return kindSchema(group, version, String(o.kind));
};
const managedOf = (o: JsonObject | undefined): ManagedFields[] =>
  ((o?.metadata as JsonObject | undefined)?.managedFields ?? []) as unknown as ManagedFields[];
const managerOf = (step: Step): string => {
  const given = new URLSearchParams(step.query).get('fieldManager');
  const agent = Object.entries(step.headers ?? {}).find(([k]) => k.toLowerCase() === 'user-agent')?.[1];
  return given || (agent ?? 'corpus').split('/')[0] || '';
};
const now = '<time>';
const hasStatus = (schema: ObjectSchema): boolean => schema.fields.status !== undefined;
const resets = (schema: ObjectSchema) => (hasStatus(schema) ? fieldsOf([['status']]) : undefined);

/** Set by strategies, renumbered by the normalisation, an empty list decoded as null, or granular by `map=granular`. */
const odd = /^\.(stringData|data\.username)|<uid|2222-2222|^\.(endpoints|spec\.limits)$|^\.spec\.claimRef/;

describe('managedFields of recorded creates', () => {
  const creates = readdirSync(folder)
    .filter((f) => f.endsWith('.jsonl'))
    .flatMap(casesOf)
    .flatMap((c) => c.steps.map((step) => ({ id: c.id, step })))
    .filter(
      ({ step }) => step.method === 'POST' && step.expect.status === 201 && managedOf(step.expect.body).length === 1,
    );
  const wrong: string[] = [];
  let exact = 0;
  let compared = 0;
  for (const { id, step } of creates) {
    const answer = step.expect.body;
    if (!isObject(step.body) || !answer || typeof answer.apiVersion !== 'string') continue;
    const schema = schemaFor(answer);
    if (!schema || JSON.stringify(step.body).includes('$REPEAT')) continue;
    const owned = (after: JsonObject): FieldSet =>
      trackUpdate({
        before: undefined,
        after,
        schema,
        manager: managerOf(step),
        apiVersion: String(answer.apiVersion),
        now,
        resetFields: resets(schema),
      })?.[0]?.fieldsV1;
    const body = { ...step.body, apiVersion: answer.apiVersion, kind: answer.kind ?? '' };
    const least = owned(decode<JsonObject>(schema, body, { defaults: true }).value);
    const most = owned({ ...answer, metadata: { ...(answer.metadata as JsonObject), managedFields: null } });
    const recorded = managedOf(answer)[0]?.fieldsV1;
    const paths = [...pathsOf(difference(least, recorded)), ...pathsOf(difference(difference(recorded, most), least))];
    compared += pathsOf(recorded).length;
    if (equalJson(recorded as Json | undefined, least as Json | undefined)) exact++;
    if (paths.some((path) => !odd.test(path))) wrong.push(`${id} ${answer.kind}: ${paths.join(' ')}`);
  }
  it('hold what the body and the static defaults set, and nothing that the answer does not hold', () => {
    expect(wrong).toEqual([]);
    expect(exact).toBeGreaterThan(250);
    expect(compared).toBeGreaterThan(3000);
  });
});

const patchesOf = (c: Case): Step[] => c.steps.filter((s) => s.contentType === 'application/apply-patch+yaml');
const bare = (set: Json): Json => JSON.parse(JSON.stringify(set)) as Json;
const refusedElsewhere =
  /no-manager|no-name|namespace|no-api-version|invalid|missing-key|dry-run|uid|resource-version|scale|yaml|status-missing/;

describe('recorded applies', () => {
  for (const c of casesOf('apply.jsonl').filter((k) => patchesOf(k).length > 0 && !refusedElsewhere.test(k.id))) {
    it(c.id, () => {
      let live: JsonObject | undefined;
      for (const step of c.steps) {
        const answer = step.expect.body;
        const applied = typeof step.body === 'string' ? undefined : step.body;
        const target = isObject(applied) ? schemaFor(applied) : undefined;
        if (step.contentType === 'application/apply-patch+yaml' && isObject(applied) && target)
          replay(step, live, applied, target);
        if (step.method === 'DELETE') live = undefined;
        else if (answer && step.expect.status < 300 && answer.kind !== 'Status') live = answer;
      }
    });
  }
});

const replay = (step: Step, live: JsonObject | undefined, applied: JsonObject, schema: ObjectSchema): void => {
  const query = new URLSearchParams(step.query);
  const run = () =>
    applyPatch({
      live,
      applied,
      schema,
      force: query.get('force') === 'true',
      manager: query.get('fieldManager') ?? '',
      apiVersion: String(applied.apiVersion),
      now,
      resetFields: resets(schema),
    });
  const { status, body } = step.expect;
  if (status === 500 || status === 400) {
    if (!JSON.stringify(applied).includes('"data":{"a":1}') && !JSON.stringify(applied).includes('"data":["x"]')) {
      expect(run).toThrow(StatusError);
    }
    return;
  }
  const before = bare(live ?? null);
  const got = run();
  expect(bare(live ?? null)).toEqual(before);
  if (status === 409) {
    const causes = isObject(body?.details) ? body.details.causes : undefined;
    expect('conflicts' in got && got.conflicts.map(({ reason, field }) => ({ reason, field }))).toEqual(causes);
    if ('conflicts' in got) expect(applyConflict(got.conflicts).code).toBe(409);
    return;
  }
  if ('conflicts' in got) throw new Error(`conflicts: ${JSON.stringify(got.conflicts)}`);
  const inOrder = (list: ManagedFields[]): Json =>
    bare(
      list.toSorted((a, b) =>
        `${a.manager} ${a.operation}`.localeCompare(`${b.manager} ${b.operation}`),
      ) as unknown as Json,
    );
  expect(inOrder(managedOf(got.object))).toEqual(inOrder(managedOf(body)));
  const decoded = decode<JsonObject>(schema, { ...got.object, metadata: {} }, { defaults: true }).value;
  const want = { ...body, metadata: decoded.metadata ?? {} };
  if (!applied.stringData)
    for (const key of ['data', 'rules'] as const) expect(decoded[key]).toEqual(want[key as keyof typeof want]);
  const names = (o: JsonObject): Json =>
    (((o.template as JsonObject)?.spec as JsonObject)?.containers as JsonObject[] | undefined)?.map(
      (k) => [k.name, k.env, k.ports, k.args] as Json,
    ) ?? null;
  expect(bare(names(decoded))).toEqual(bare(names(want)));
};
