import type { Json, JsonObject } from '../../functions/machinery/object.ts';
import type { ScalarSchema, Schema } from '../../functions/machinery/schema.ts';
import type { Random } from './random.ts';
import { anything, put, scalar } from './values.ts';

/** Values that fields of these names mostly take, so that what is made gets past the first checks. */
const byName: Record<string, readonly Json[]> = {
  name: ['a', 'b', 'web', 'x-1'],
  namespace: ['fuzz-0', 'default', ''],
  generateName: ['g-'],
  image: ['nginx', 'a:1', 'x/y@sha256:00'],
  port: [80, 8080, 'http'],
  containerPort: [80, 443],
  targetPort: [80, 'http'],
  nodePort: [30000, 31000, 0],
  replicas: [0, 1, 2],
  apiVersion: ['v1', 'apps/v1'],
  kind: ['Pod', 'Secret', 'Deployment'],
  apiGroup: ['', 'apps', 'rbac.authorization.k8s.io'],
  schedule: ['* * * * *', '0 0 * * *'],
  mountPath: ['/a', '/b'],
  path: ['/', '/x', '/data/y'],
  host: ['a.example', ''],
  provisioner: ['x.example/p'],
  driver: ['d.example'],
  controller: ['c.example/c'],
  expression: ['true', 'object.metadata.name != "x"', 'self.size() < 5'],
  cidr: ['10.0.0.0/8', 'fd00::/64'],
  ip: ['10.0.0.1', '::1'],
  uid: ['00000000-0000-0000-0000-000000000000'],
  ownerReferences: [null],
  resourceVersion: [''],
  deletionTimestamp: [null],
  managedFields: [null],
};

const byFormat: Record<string, readonly Json[]> = {
  'date-time': ['2026-01-01T00:00:00Z', '2020-02-29T12:00:00Z'],
  'micro-time': ['2026-01-01T00:00:00.000000Z'],
  quantity: ['1', '100m', '1Gi', '0'],
  'int-or-string': [1, '50%', 'http'],
  byte: ['YQ==', ''],
  double: [0.5, 1],
};

const leaf = (random: Random, schema: ScalarSchema, name: string): Json => {
  if (random.chance(0.04)) return scalar(random);
  const named = byName[name];
  if (schema.enum && random.chance(0.95)) return random.pick(schema.enum);
  if (named && random.chance(0.9)) return random.pick(named);
  const formatted = byFormat[schema.format];
  if (formatted) return random.pick(formatted);
  if (schema.type === 'boolean') return random.chance(0.5);
  if (schema.type === 'integer' || schema.type === 'number') return random.pick([0, 1, 1, 2, 3, 30, 80, 600, -1]);
  return random.pick(['a', 'b', 'x', 'Always', 'None', '1', 'a.example/b', 'default', 'TCP']);
};

/** How many values one object may still take: some types hold themselves in a dozen fields. */
interface Budget {
  left: number;
}

const valueAt = (random: Random, schema: Schema, name: string, depth: number, budget: Budget): Json => {
  const inner = (of: Schema, key: string): Json => valueAt(random, of, key, depth + 1, budget);
  budget.left--;
  if (schema.type === 'any') return anything(random, 2);
  if (schema.type === 'list')
    return Array.from({ length: random.pick([0, 1, 1, 1, 2, 3]) }, () => inner(schema.items, name));
  if (schema.type === 'map') {
    const map: JsonObject = {};
    for (let i = random.int(3); i > 0; i--)
      put(map, random.pick(['a', 'b', 'cpu', 'memory', 'x.example/k']), inner(schema.values, name));
    return map;
  }
  if (schema.type !== 'object') return leaf(random, schema, name);
  const object: JsonObject = {};
  const likely = depth > 12 || budget.left < 0 ? 0 : 0.9 / (depth + 2);
  for (const [key, field] of Object.entries(schema.fields)) {
    const must = field.required && depth < 16;
    if (must ? random.chance(0.99) : random.chance(likely)) put(object, key, inner(field.schema, key));
  }
  return object;
};

/** A value of a schema: what is required is there, the rest less often the deeper it stands. */
export const generated = (random: Random, schema: Schema): Json => valueAt(random, schema, '', 0, { left: 400 });
