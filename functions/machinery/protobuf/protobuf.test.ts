import { readdirSync, readFileSync } from 'node:fs';
import protobuf from 'protobufjs';
import { describe, expect, it } from 'vitest';
import protoJson from '../../../facts/proto.json' with { type: 'json' };
import { decode } from '../decode.ts';
import { nullEmpties } from '../empties.ts';
import { kindSchema } from '../facts.ts';
import { type Json, type JsonObject, parseGroupVersion } from '../object.ts';
import { equalJson } from '../patch/equal.ts';
import { StatusError } from '../status.ts';
import {
  decodeProtobuf,
  decodeWatchFrames,
  encodeProtobuf,
  encodeWatchFrame,
  hasProtobuf,
  isProtobuf,
} from './codec.ts';

const folder = new URL('../../../test/behaviour/api/', import.meta.url);
const isObject = (v: unknown): v is JsonObject => v !== null && typeof v === 'object' && !Array.isArray(v);

/** Every object of a built-in kind in the recorded answers, decoded by its schema; placeholders of times made times. */
const recorded = (): JsonObject[] => {
  const out: JsonObject[] = [];
  const visit = (v: unknown): void => {
    if (!isObject(v)) return;
    if (typeof v.kind === 'string' && typeof v.apiVersion === 'string') out.push(v);
    else if (Array.isArray(v.watch)) for (const e of v.watch as JsonObject[]) visit(e.object);
  };
  for (const file of readdirSync(folder).filter((f) => f.endsWith('.jsonl'))) {
    for (const line of readFileSync(new URL(file, folder), 'utf8').trim().split('\n')) {
      const text = line.replaceAll('<time>', '2026-01-02T03:04:05Z');
      for (const step of (JSON.parse(text) as { steps: { expect: { body?: Json } }[] }).steps) visit(step.expect.body);
    }
  }
  return out;
};
const schemaFor = (o: JsonObject) => {
  const { group, version } = parseGroupVersion(String(o.apiVersion));
  return kindSchema(group, version, String(o.kind));
};
const clean = (o: JsonObject): JsonObject | undefined => {
  const schema = schemaFor(o);
  if (!schema) return undefined;
  try {
    const { value } = decode<JsonObject>(schema, o);
    nullEmpties(schema, value);
    return value;
  } catch (err) {
    if (err instanceof StatusError) return undefined;
    throw err;
  }
};
/** Protobuf carries no apiVersion and kind inside a StatefulSet; upstream's defaulting puts them back. */
const untyped = (o: JsonObject): boolean => !JSON.stringify(o).includes('"volumeClaimTemplates":[{"kind"');
const objects = recorded()
  .map(clean)
  .filter((o) => o !== undefined)
  .filter(untyped)
  .filter((o) => hasProtobuf(String(o.apiVersion), String(o.kind)));

describe('recorded objects', () => {
  it('come back from protobuf as they were', () => {
    const wrong: string[] = [];
    for (const o of objects) {
      const bytes = encodeProtobuf(o);
      const back = bytes && clean(decodeProtobuf(bytes));
      if (!equalJson(back, o)) wrong.push(`${o.kind} ${JSON.stringify(o)}\n  -> ${JSON.stringify(back)}`);
    }
    expect(wrong.length ? `${wrong.length} of ${objects.length}: ${wrong.slice(0, 3).join('\n')}` : '').toBe('');
    expect(objects.length).toBeGreaterThan(800);
  });
  it('come back through watch frames, also when cut', () => {
    const some = objects.filter((_, i) => i % 20 === 0);
    const frames = some.map((o) => encodeWatchFrame('ADDED', o)).filter((f) => f !== undefined);
    const bytes = Buffer.concat(frames);
    const whole = decodeWatchFrames(bytes);
    expect(whole.used).toBe(bytes.length);
    expect(whole.events.map((e) => [e.type, clean(e.object)])).toEqual(some.map((o) => ['ADDED', o]));
    const cut = decodeWatchFrames(bytes.subarray(0, bytes.length - 1));
    expect(cut.events).toHaveLength(some.length - 1);
  });
});

/** The messages of the facts as protobufjs has them: an encoder and decoder that shares nothing with ours. */
const library = (): protobuf.Root => {
  const root = new protobuf.Root();
  const messages = protoJson as unknown as Record<string, Record<string, [number, string, string]>>;
  for (const [full, fields] of Object.entries(messages)) {
    const dot = full.lastIndexOf('.');
    const type = new protobuf.Type(full.slice(dot + 1));
    for (const [name, [id, of, label]] of Object.entries(fields)) {
      if (label === 'm') type.add(new protobuf.MapField(name, id, 'string', of.slice(of.indexOf(',') + 1, -1)));
      else {
        const target = of.includes('.') && !of.startsWith('.') ? `.${of}` : of;
        type.add(new protobuf.Field(name, id, target, label === 'r' ? 'repeated' : 'optional'));
      }
    }
    root.define(full.slice(0, dot)).add(type);
  }
  return root;
};

const plain = { longs: Number, bytes: String } as const;
const readWith = (root: protobuf.Root, name: string, bytes: Uint8Array): JsonObject => {
  const type = root.lookupType(name);
  return type.toObject(type.decode(bytes), plain) as JsonObject;
};

describe('another implementation', () => {
  const root = library();
  const pod: JsonObject = {
    kind: 'Pod',
    apiVersion: 'v1',
    metadata: { name: 'p', labels: { a: '1' }, creationTimestamp: '2026-01-02T03:04:05Z', generation: 300 },
    spec: {
      containers: [
        {
          name: 'c',
          image: 'i',
          ports: [{ containerPort: 8080, protocol: 'TCP' }],
          resources: { limits: { cpu: '1', memory: '1Gi' } },
          livenessProbe: { httpGet: { path: '/x'.repeat(100), port: 'http' }, periodSeconds: 5 },
        },
      ],
      volumes: [{ name: 'v', hostPath: { path: '/x', type: '' } }],
      priority: -5,
      terminationGracePeriodSeconds: 30,
    },
    status: {},
  };
  it('reads what is written', () => {
    const bytes = encodeProtobuf(pod);
    if (!bytes) throw new Error('no protobuf');
    expect(isProtobuf(bytes)).toBe(true);
    const envelope = readWith(root, 'k8s.io.apimachinery.pkg.runtime.Unknown', bytes.subarray(4));
    expect(envelope.typeMeta).toEqual({ apiVersion: 'v1', kind: 'Pod' });
    const got = readWith(root, 'k8s.io.api.core.v1.Pod', Buffer.from(String(envelope.raw), 'base64'));
    expect(got.metadata).toEqual({
      name: 'p',
      labels: { a: '1' },
      creationTimestamp: { seconds: 1767323045, nanos: 0 },
      generation: 300,
    });
    expect(got.spec).toEqual({
      containers: [
        {
          name: 'c',
          image: 'i',
          ports: [{ containerPort: 8080, protocol: 'TCP' }],
          resources: { limits: { cpu: { string: '1' }, memory: { string: '1Gi' } } },
          livenessProbe: {
            handler: { httpGet: { path: '/x'.repeat(100), port: { type: 1, intVal: 0, strVal: 'http' } } },
            periodSeconds: 5,
          },
        },
      ],
      volumes: [{ name: 'v', volumeSource: { hostPath: { path: '/x', type: '' } } }],
      priority: -5,
      terminationGracePeriodSeconds: 30,
    });
  });
  it('reads every recorded object, and writes it so that it is read back', () => {
    const unknown = root.lookupType('k8s.io.apimachinery.pkg.runtime.Unknown');
    const magic = Buffer.from('k8s\0');
    let checked = 0;
    for (const o of objects.filter((_, i) => i % 3 === 0)) {
      const bytes = encodeProtobuf(o);
      if (!bytes) throw new Error('no protobuf');
      const envelope = unknown.decode(bytes.subarray(4)) as unknown as { raw: Uint8Array };
      const { group, version } = parseGroupVersion(String(o.apiVersion));
      const name = Object.keys(protoJson).find(
        (m) => m.endsWith(`.${version}.${o.kind}`) && m.includes(`.${group.split('.')[0] || 'core'}.`),
      );
      if (!name) continue;
      const type = root.lookupType(name);
      const again = type.encode(type.decode(envelope.raw)).finish();
      const body = unknown
        .encode(unknown.create({ typeMeta: { apiVersion: o.apiVersion, kind: o.kind }, raw: again }))
        .finish();
      expect(clean(decodeProtobuf(Buffer.concat([magic, body])))).toEqual(o);
      checked++;
    }
    expect(checked).toBeGreaterThan(200);
  });
});

describe('odd bodies', () => {
  it('are refused with 400, never anything else', () => {
    const seed = Number(process.env.SEED ?? Date.now() % 1e9);
    let state = seed;
    const random = (n: number): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * n);
    };
    for (let i = 0; i < 3000; i++) {
      const o = objects[random(objects.length)];
      const bytes = o && encodeProtobuf(o);
      if (!bytes) continue;
      for (let k = 1 + random(3); k > 0; k--) bytes[random(bytes.length)] = random(256);
      try {
        decodeProtobuf(bytes.subarray(0, 1 + random(bytes.length)));
      } catch (err) {
        expect(err instanceof StatusError && err.code, `SEED=${seed} ${err}`).toBe(400);
      }
    }
  });
  it('drops the empty fields that Go writes below items, where the schema is a value of any shape', () => {
    const items = { type: 'string', description: '', nullable: false, minLength: 0, format: '' };
    const names = { plural: 'x', kind: 'X' };
    const versions = [
      { name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'array', items: [items] } } },
      { name: 'v2', served: true, storage: false, schema: { openAPIV3Schema: { type: 'array', items } } },
    ];
    const spec = { group: 'x.dev', names, scope: 'Cluster', versions };
    const metadata = { name: 'x.x.dev' };
    const crd = { apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition', metadata, spec };
    const bytes = encodeProtobuf(crd);
    const back = decodeProtobuf(bytes ?? Buffer.alloc(0)) as typeof crd;
    expect(back.spec.versions.map((v) => v.schema.openAPIV3Schema.items)).toEqual([
      [{ type: 'string', minLength: 0 }],
      { type: 'string', minLength: 0 },
    ]);
  });
  it('may hold JSON in the envelope', () => {
    const root = library();
    const unknown = root.lookupType('k8s.io.apimachinery.pkg.runtime.Unknown');
    const body = unknown
      .encode(unknown.create({ raw: Buffer.from('{"kind":"X"}'), contentType: 'application/json' }))
      .finish();
    expect(decodeProtobuf(Buffer.concat([Buffer.from('k8s\0'), body]))).toEqual({ kind: 'X' });
  });
  it('have no form for custom resources and tables', () => {
    expect(encodeProtobuf({ apiVersion: 'x.dev/v1', kind: 'X', metadata: {} })).toBeUndefined();
    expect(hasProtobuf('meta.k8s.io/v1', 'Table')).toBe(false);
    expect(hasProtobuf('apps/v1', 'DeleteOptions')).toBe(true);
  });
  it('end whatever the numbers are', () => {
    const generation = (value: number) => {
      const body = encodeProtobuf({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { generation: value } });
      return (decodeProtobuf(body ?? Buffer.alloc(0)).metadata as JsonObject).generation;
    };
    expect(generation(Number.POSITIVE_INFINITY)).toBeGreaterThan(2 ** 62);
    expect(generation(Number.NEGATIVE_INFINITY)).toBe(-(2 ** 63));
    expect(generation(Number.NaN) ?? 0).toBe(0);
    expect(generation(-1.5)).toBe(-1);
    expect(generation(2 ** 53)).toBe(2 ** 53);
  });
});

it('writes bytes that are JSON as Go does, which clients compare with their own', () => {
  const text = 'a && b < c > d \u2028';
  const object = {
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata: { name: 'r' },
    data: { spec: { command: text } },
    revision: 1,
  };
  const bytes = encodeProtobuf(object) ?? Buffer.alloc(0);
  expect(bytes.includes('{"spec":{"command":"a \\u0026\\u0026 b \\u003c c \\u003e d \\u2028"}}')).toBe(true);
  expect(decodeProtobuf(bytes)).toMatchObject({ data: object.data });
});
