import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseBody } from './body.ts';
import { decode, decodeKind } from './decode.ts';
import { kindSchema, schemaOf } from './facts.ts';
import { type Json, type JsonObject, parseGroupVersion } from './object.ts';
import type { ObjectSchema } from './schema.ts';
import { StatusError } from './status.ts';

const pod = schemaOf('core.v1.Pod');
const deployment = schemaOf('apps.v1.Deployment');
const refusal = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof StatusError) return `${error.code} ${error.message}`;
    throw error;
  }
  return 'accepted';
};

describe('decode', () => {
  it('tells unknown and duplicate fields in the order of the text', () => {
    const schema = kindSchema('', 'v1', 'ConfigMap');
    if (!schema) throw new Error('no schema');
    const strictOf = (text: string) =>
      decodeKind(schema, parseBody(text), { version: 'v1', kind: 'ConfigMap' }).strict.join(', ');
    expect(strictOf('{"metadata":{"x":1,"name":"a","name":"b"},"y":2,"data":{"k":"v","k":"w"}}')).toBe(
      'unknown field "metadata.x", duplicate field "metadata.name", unknown field "y", duplicate field "data.k"',
    );
  });

  it('prunes and reports unknown fields with their path', () => {
    const body = { kind: 'Pod', metadata: { bogus: 1 }, spec: { containers: [{ name: 'a', immage: 'x' }] }, nope: 1 };
    const { value, strict } = decode(pod, body);
    expect(strict).toEqual([
      'unknown field "metadata.bogus"',
      'unknown field "spec.containers[0].immage"',
      'unknown field "nope"',
    ]);
    expect(value).toEqual({
      kind: 'Pod',
      metadata: {},
      spec: { containers: [{ name: 'a', resources: {} }] },
      status: {},
    });
  });

  it('refuses a wrong type with Go’s sentence', () => {
    const at = { version: 'v1', kind: 'Deployment' };
    expect(refusal(() => decodeKind(deployment, parseBody('{"spec":{"replicas":"3"}}'), at))).toBe(
      '400 Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32',
    );
    expect(refusal(() => decode(pod, { spec: { containers: [{ name: 1 }] } }))).toBe(
      '400 json: cannot unmarshal number into Go struct field Container.spec.containers.name of type string',
    );
    expect(refusal(() => decode(pod, { spec: { containers: {} } }))).toContain('object into Go struct field PodSpec');
    expect(refusal(() => decode(deployment, { spec: { replicas: 2 ** 31 } }))).toContain('number 2147483648');
  });

  it('refuses integers written as floats, and only where an integer is meant', () => {
    for (const n of ['3.0', '3e1', '99999999999999999999']) {
      const body = parseBody(`{"spec":{"terminationGracePeriodSeconds":${n}}}`);
      expect(refusal(() => decode(pod, body.value, { oddNumbers: body.oddNumbers }))).toContain(`number ${n}`);
    }
    const ok = parseBody('{"spec":{"terminationGracePeriodSeconds":30,"hostname":"3.0"}}');
    expect(ok.oddNumbers).toBeUndefined();
  });

  it('reads null as Go does: unset in a struct, the zero value in maps and lists', () => {
    const body = { metadata: { labels: null, annotations: { b: 'x', a: null } }, spec: { containers: [null] } };
    expect(decode(pod, body).value).toEqual({
      metadata: { annotations: { a: '', b: 'x' } },
      spec: { containers: [{ name: '', resources: {} }] },
      status: {},
    });
  });

  it('drops empty values where Go omits them and keeps them behind pointers', () => {
    const spec = { replicas: 0, minReadySeconds: 0, paused: false, selector: {}, template: { spec: { hostname: '' } } };
    expect(decode(deployment, { spec }).value.spec).toEqual({
      replicas: 0,
      selector: {},
      template: { metadata: {}, spec: { containers: null } },
      strategy: {},
    });
    for (const rules of [null, []]) {
      expect(decode(schemaOf('rbac.v1.Role'), { rules }).value).toEqual({ metadata: {}, rules });
    }
  });

  it('brings quantities, times and bytes into their canonical form', () => {
    const limits = { memory: '1024Mi', cpu: 1.5 };
    const status = { startTime: '2024-02-29T10:00:00+02:00' };
    const { value } = decode(pod, { spec: { containers: [{ name: 'c', resources: { limits } }] }, status });
    expect(value).toMatchObject({
      spec: { containers: [{ resources: { limits: { cpu: '1500m', memory: '1Gi' } } }] },
      status: { startTime: '2024-02-29T08:00:00Z' },
    });
    expect(refusal(() => decode(pod, { status: { startTime: '2023-02-29T10:00:00Z' } }))).toContain('parsing time');
    const secret = schemaOf('core.v1.Secret');
    expect(refusal(() => decode(secret, { data: { a: 'a?==' } }))).toBe('400 illegal base64 data at input byte 1');
  });

  it('keeps scoped defaults in their scope', () => {
    const given = { spec: { containers: [] } };
    expect(decode(pod, given, { defaults: true }).value.spec).toMatchObject({ enableServiceLinks: true });
    const template = decode(schemaOf('core.v1.PodTemplateSpec'), given, { defaults: true }).value.spec;
    expect(template).toMatchObject({ restartPolicy: 'Always' });
    expect(template).not.toHaveProperty('enableServiceLinks');
    const job = { template: given };
    expect(decode(schemaOf('batch.v1.Job'), { spec: job }, { defaults: true }).value.spec).toHaveProperty('suspend');
    const cron = decode(schemaOf('batch.v1.CronJob'), { spec: { jobTemplate: { spec: job } } }, { defaults: true });
    expect((cron.value.spec as { jobTemplate: { spec: JsonObject } }).jobTemplate.spec).not.toHaveProperty('suspend');
  });

  it('cannot be used to reach a prototype', () => {
    const body = JSON.parse('{"metadata":{"labels":{"__proto__":"x","constructor":"y"}},"__proto__":{"a":1}}') as Json;
    const { value, strict } = decode(pod, body);
    expect(strict).toEqual(['unknown field "__proto__"']);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect(JSON.stringify((value.metadata as JsonObject).labels)).toBe('{"__proto__":"x","constructor":"y"}');
  });

  it('does not share objects with its input and is idempotent', () => {
    const body: JsonObject = { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c' }] } };
    const before = JSON.stringify(body);
    const once = decode(pod, body, { defaults: true }).value;
    expect(decode(pod, once, { defaults: true }).value).toEqual(once);
    expect(JSON.stringify(body)).toBe(before);
    expect(once.metadata).not.toBe(body.metadata);
  });
});

// Recorded answers: every create of the built-in kinds in these areas, decoded with defaults, then compared field by field
// with what upstream stored. Rules that no table can say (strategies and admission) make up the difference.
interface Step {
  method: string;
  path: string;
  query?: string;
  contentType?: string;
  body?: Json;
  expect: { status: number; body?: JsonObject };
}
const recorded = (area: string): Step[] =>
  readFileSync(join(import.meta.dirname, `../../test/behaviour/api/${area}.jsonl`), 'utf8')
    .trim()
    .split('\n')
    .flatMap((line) => (JSON.parse(line) as { steps: Step[] }).steps);
const schemaFor = (o: JsonObject): ObjectSchema | undefined => {
  const { group, version } = parseGroupVersion(String(o.apiVersion ?? ''));
  return kindSchema(group, version, String(o.kind ?? ''));
};

/** Paths whose decoded value the recorded answer does not have. */
const beyondOf = (mine: Json | undefined, theirs: Json | undefined, path: string): string[] => {
  if (typeof mine !== 'object' || mine === null) return mine === theirs || /^"?</.test(String(theirs)) ? [] : [path];
  if (typeof theirs !== 'object' || theirs === null) return [path];
  return Object.keys(mine).flatMap((k) =>
    beyondOf((mine as JsonObject)[k], (theirs as JsonObject)[k], `${path}.${Array.isArray(mine) ? '*' : k}`),
  );
};

describe('recorded behaviour', () => {
  const creates = ['defaults', 'fieldvalidation', 'meta']
    .flatMap(recorded)
    .filter((s) => s.method === 'POST' && s.body !== undefined && s.contentType === undefined);

  it('holds nothing that upstream does not, dynamic rules aside', () => {
    let same = 0;
    let all = 0;
    const beyond: string[] = [];
    for (const step of creates) {
      const answer = step.expect.body;
      if (step.expect.status !== 201 || !answer) continue;
      const body = parseBody(typeof step.body === 'string' ? step.body : JSON.stringify(step.body)).value as JsonObject;
      const schema = schemaFor(answer);
      if (!schema) continue;
      const decoded = decode(schema, body, { defaults: true }).value;
      all++;
      const extra = beyondOf(decoded, answer, '');
      if (extra.length === 0) same++;
      beyond.push(...extra.map((path) => `${answer.kind}${path}`));
    }
    console.log(`the static decode stands within the recorded object in ${same} of ${all} creates`, [
      ...new Set(beyond),
    ]);
    expect(all).toBeGreaterThan(100);
    expect(same / all).toBeGreaterThan(0.88);
  });

  it('keeps every recorded object as it is, in the recorded order of fields', () => {
    let all = 0;
    const differing: string[] = [];
    for (const step of creates) {
      const answer = step.expect.body;
      if (step.expect.status !== 201 || !answer) continue;
      const schema = schemaFor(answer);
      if (!schema) continue;
      const placeholders = JSON.stringify(answer)
        .replaceAll('"<time>"', '"2024-01-01T00:00:00Z"')
        .replaceAll(/"<(nodePort|port)[^"]*>"/g, '30000');
      all++;
      const again = JSON.stringify(decode(schema, JSON.parse(placeholders) as Json).value);
      if (again !== placeholders) differing.push(`${again}\n${placeholders}`);
    }
    if (process.env.VERBOSE) console.log(differing.join('\n\n'));
    expect(differing.length / all).toBeLessThan(0.1);
  });

  it('refuses exactly the bodies that upstream refuses as BadRequest', () => {
    for (const area of ['fieldvalidation', 'meta']) {
      for (const step of recorded(area)) {
        if (step.method !== 'POST' || step.body === undefined || !/201|400/.test(String(step.expect.status))) continue;
        const text = typeof step.body === 'string' ? step.body : JSON.stringify(step.body);
        const strictly = /Strict/.test(step.query ?? '');
        const kind = (typeof step.body === 'object' ? step.body : step.expect.body) as JsonObject | undefined;
        const path = step.path.split('/');
        const known: Record<string, string> = { configmaps: 'ConfigMap', podtemplates: 'PodTemplate' };
        const name = known[path.at(-1) ?? ''];
        const schema = name ? kindSchema('', 'v1', name) : kind && schemaFor(kind);
        if (!schema) continue;
        const verdict = refusal(() => {
          const body = parseBody(text, step.contentType === 'application/yaml' ? 'yaml' : 'json');
          const { strict } = decodeKind(schema, body, { version: 'v1', kind: name ?? '' });
          if (strictly && strict.length) throw new StatusError({ ...status, message: strict.join(', ') });
        });
        expect({ text, refused: verdict.startsWith('400') }).toEqual({ text, refused: step.expect.status === 400 });
      }
    }
  });
});
const status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', code: 400 } as const;
