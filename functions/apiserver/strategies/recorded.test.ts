// The recorded cases of areas validation and defaults, run without a server: decode, defaults, prepare, validate. What the
// pipeline does around a strategy (admission, allocation, authorization) is left out, so some cases cannot pass here; the
// whole ones are `npm run replay:api`.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { decode } from '../../machinery/decode.ts';
import { kindSchema } from '../../machinery/facts.ts';
import type { Service } from '../../machinery/kinds.d.ts';
import { validateObjectMeta, validateObjectMetaUpdate } from '../../machinery/metadata.ts';
import type { JsonObject, KubeObject } from '../../machinery/object.ts';
import type { Cause } from '../../machinery/status.ts';
import { createMemoryStore } from '../../store/memory.ts';
import type { StrategyContext } from '../registry.ts';
import { strategyFor } from './index.ts';
import { createServiceAllocator } from './service-allocation.ts';

interface Step {
  method: string;
  path: string;
  contentType?: string;
  query?: string;
  body?: JsonObject;
  expect: { status: number; headers?: { warnings?: number }; body?: JsonObject };
}
interface Case {
  id: string;
  steps: Step[];
}
interface Resource {
  group: string;
  version: string;
  kind: string;
  plural: string;
  namespaced: boolean;
}

const root = join(import.meta.dirname, '../../..');
const { resources } = JSON.parse(readFileSync(join(root, 'facts/resources.json'), 'utf8')) as { resources: Resource[] };
const casesOf = (area: string): Case[] =>
  readFileSync(join(root, `test/behaviour/api/${area}.jsonl`), 'utf8')
    .replace(/\$REPEAT\((.),(\d+)\)/g, (_, x: string, n: string) => x.repeat(Number(n)))
    .replaceAll('$NS', 'ns')
    .replaceAll('$ID', 'id')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Case);

const warned: string[] = [];
const ctx: StrategyContext = {
  cluster: 'test',
  namespace: 'ns',
  now: Date.parse('2026-01-01T00:00:00Z'),
  uuid: () => 'b7b6ac3e-6d5b-4a53-9a0f-0d4c42f6e6a1',
  subresource: '',
  dryRun: false,
  warn: (text) => void warned.push(text),
  user: { username: 'admin', uid: '', groups: ['system:masters'], extra: {} },
};

const resourceOf = (path: string): Resource | undefined => {
  const m = /^\/(?:api|apis\/([^/]+))\/([^/]+)\/(?:namespaces\/ns\/)?([^/]+)/.exec(path);
  return resources.find((r) => r.group === (m?.[1] ?? '') && r.version === m?.[2] && r.plural === m?.[3]);
};

const merge = (base: unknown, patch: unknown): unknown => {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const out: Record<string, unknown> = { ...(base as Record<string, unknown> | undefined) };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete out[key];
    else out[key] = merge(out[key], value);
  }
  return out;
};

const decoded = (r: Resource, body: JsonObject): KubeObject => {
  const schema = kindSchema(r.group, r.version, r.kind);
  if (!schema) throw new Error(`no schema of ${r.kind}`);
  const { value } = decode<JsonObject>(schema, structuredClone(body), { defaults: true });
  const object = value as unknown as KubeObject;
  object.metadata ??= {};
  strategyFor(r.group, r.kind).defaults?.(object);
  return object;
};

const rulesOf = (r: Resource) => {
  const { validateName } = strategyFor(r.group, r.kind);
  return { namespaced: r.namespaced, ...(validateName && { validateName: (name: string) => validateName(name) }) };
};

const allocator = createServiceAllocator({ store: createMemoryStore() });

const create = async (r: Resource, body: JsonObject): Promise<{ object: KubeObject; causes: Cause[] }> => {
  const strategy = strategyFor(r.group, r.kind);
  const object = decoded(r, body);
  const meta = object.metadata;
  if (r.namespaced) meta.namespace ??= 'ns';
  meta.uid = ctx.uuid();
  meta.creationTimestamp = '2026-01-01T00:00:00Z';
  if (meta.generateName && !meta.name) meta.name = `${meta.generateName}abcde`;
  strategy.prepareForCreate?.(object, ctx);
  if (r.kind === 'Service') {
    const allocation = await allocator.allocate('test', object as Service, false);
    // Upstream allocates before it validates, and answers with what the allocation refused alone.
    if (!allocation.ok) return { object, causes: allocation.causes };
    await allocation.undo();
  }
  const causes = [...validateObjectMeta(meta, rulesOf(r)), ...(strategy.validate?.(object, ctx) ?? [])];
  return { object, causes };
};

const update = (r: Resource, old: KubeObject, body: JsonObject): { object: KubeObject; causes: Cause[] } => {
  const strategy = strategyFor(r.group, r.kind);
  const next = decoded(r, body);
  for (const field of ['uid', 'creationTimestamp', 'namespace', 'resourceVersion', 'generation'] as const) {
    const value = old.metadata[field];
    if (value !== undefined) (next.metadata as Record<string, unknown>)[field] ??= value;
  }
  strategy.prepareForUpdate?.(next, old, ctx);
  const causes = [
    ...validateObjectMetaUpdate(next.metadata, old.metadata),
    ...(strategy.validate?.(next, ctx) ?? []),
    ...(strategy.validateUpdate?.(next, old, ctx) ?? []),
  ];
  return { object: next, causes };
};

const shown = (causes: readonly { reason?: string; field?: string }[]): string =>
  causes
    .map((c) => `${c.reason}:${c.field}`)
    .sort()
    .join(' ');

const ADDED = [
  'tolerations',
  'priority',
  'preemptionPolicy',
  'clusterIP',
  'clusterIPs',
  'nodePort',
  'healthCheckNodePort',
];
const bare = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(bare);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([key, v]) => v !== undefined && !ADDED.includes(key));
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, v]) => [key, bare(v)]));
};
const content = (object: JsonObject): string =>
  JSON.stringify(bare({ ...object, metadata: undefined, kind: undefined, apiVersion: undefined }))
    .replaceAll(ctx.uuid(), '<uid:1>')
    .replaceAll('2026-01-01T00:00:00Z', '<time>')
    .replace(/"message":"[^"]*"/g, '"message":"<text>"');

/** What went wrong with a case; undefined where it passes, null where it cannot be run without a server. */
const run = async (c: Case): Promise<string | undefined | null> => {
  const stored = new Map<string, KubeObject>();
  for (const step of c.steps) {
    const r = resourceOf(step.path);
    const wanted = step.expect.status;
    if (!r || typeof step.body !== 'object' || ![200, 201, 422].includes(wanted)) return null;
    const key = step.path.split('/').slice(-2).join('/');
    let result: { object: KubeObject; causes: Cause[] };
    if (step.method === 'POST') {
      result = await create(r, step.body);
      result.object.metadata.resourceVersion = '1';
    } else {
      const old = stored.get(key);
      if (!old || (step.contentType ?? '').includes('json-patch')) return null;
      const body = step.method === 'PUT' ? step.body : (merge(structuredClone(old), step.body) as JsonObject);
      result = update(r, old, body);
    }
    const details = step.expect.body?.details as { causes?: { reason: string; field: string }[] } | undefined;
    const want = shown(details?.causes ?? []);
    const got = shown(result.causes);
    if (want !== got) return `${step.method} wants [${want}] got [${got}]`;
    if (wanted === 422) continue;
    const wantWarnings = step.expect.headers?.warnings ?? 0;
    const warnings = strategyFor(r.group, r.kind).warnings?.(result.object, undefined, ctx) ?? [];
    warnings.push(...warned.splice(0));
    if (wantWarnings !== warnings.length) return `wants ${wantWarnings} warnings, got ${JSON.stringify(warnings)}`;
    stored.set(`${r.plural}/${result.object.metadata.name}`, result.object);
    if (!c.id.startsWith('defaults/') || !step.expect.body) continue;
    const wantBody = content(step.expect.body);
    const gotBody = content(result.object as unknown as JsonObject);
    if (wantBody !== gotBody) return `\n  wants ${wantBody}\n  got   ${gotBody}`;
  }
  return undefined;
};

const tally = async (area: string): Promise<{ passed: number; failed: string[]; left: number }> => {
  const failed: string[] = [];
  let passed = 0;
  let left = 0;
  for (const c of casesOf(area)) {
    let outcome: string | undefined | null;
    try {
      outcome = await run(c);
    } catch (error) {
      outcome = `threw ${error instanceof Error ? (process.env.STACKS ? error.stack : error.message) : error}`;
    }
    if (outcome === undefined) passed++;
    else if (outcome === null) left++;
    else failed.push(`${c.id}: ${outcome}`);
  }
  return { passed, failed, left };
};

describe('recorded cases', () => {
  for (const [area, floor] of [
    ['validation', 315],
    ['defaults', 98],
  ] as const) {
    it(`${area}: at least ${floor} pass`, async () => {
      const { passed, failed, left } = await tally(area);
      const summary = `${area}: ${passed} passed, ${failed.length} failed, ${left} need a server`;
      if (failed.length > 0) console.log(`${summary}\n${failed.join('\n')}`);
      expect(passed, summary).toBeGreaterThanOrEqual(floor);
    });
  }
});
