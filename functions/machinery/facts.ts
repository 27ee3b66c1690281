/**
 * The built-in types as schemas, compiled on first use from facts/facts.json (shapes), facts/defaults.json (static
 * defaults) and facts/encoding.json (field order and emptiness, generate-encoding.ts).
 *
 *   schemaOf('core.v1.PodSpec')            by short type name; throws for a name that the facts do not hold
 *   kindSchema('apps', 'v1', 'Deployment') by group, version and kind; undefined where Kubernetes has no such kind
 *   kindTypeName(group, version, kind)     the short type name, or undefined
 */
import defaultsJson from '../../facts/defaults.json' with { type: 'json' };
import encodingJson from '../../facts/encoding.json' with { type: 'json' };
import factsJson from '../../facts/facts.json' with { type: 'json' };
import type { Json, JsonObject } from './object.ts';
import type { Field, ListSchema, ObjectSchema, ScalarSchema, Schema } from './schema.ts';

type TypeFacts = Record<string, string | Record<string, Json>>;
const types = factsJson.types as unknown as Record<string, TypeFacts>;
const encoding = encodingJson as Record<string, string>;
const staticDefaults = defaultsJson.static as unknown as Record<string, JsonObject>;
const scopedDefaults = defaultsJson.scoped as unknown as Record<string, JsonObject>;

/**
 * Some defaults hold only where the type stands. `plain` types nest without them; the field of the owner named here
 * opens the scope. VolumeAttachment's inline volume source is decoded without any volume default.
 */
const scopeOpeners: Record<string, string> = {
  'core.v1.Pod.spec': 'core.v1.PodSpec',
  'batch.v1.Job.spec': 'batch.v1.JobSpec',
  'core.v1.PersistentVolume.spec': 'core.v1.PersistentVolumeSpec',
};
const openedOnly = new Set(Object.values(scopeOpeners));
type Scope = 'plain' | 'opened' | 'inline';

const compiled = new Map<string, Schema>();
const any: Schema = { type: 'any' };
const scalar = (type: ScalarSchema['type'], format = ''): ScalarSchema => ({ type, format });
const special: Record<string, Schema> = {
  '~meta.v1.Time': scalar('string', 'date-time'),
  '~meta.v1.MicroTime': scalar('string', 'micro-time'),
  '~~api.resource.Quantity': scalar('string', 'quantity'),
  '~~util.intstr.IntOrString': scalar('string', 'int-or-string'),
  '+apiextensions.v1.JSON': any,
  '+apiextensions.v1.JSONSchemaPropsOrArray': any,
  '+apiextensions.v1.JSONSchemaPropsOrBool': any,
  '+apiextensions.v1.JSONSchemaPropsOrStringArray': any,
  '~meta.v1.FieldsV1': any,
  '~meta.v1.Patch': any,
  '~~runtime.RawExtension': any,
};

/** Splits `TYPE flags` where TYPE may hold a parenthesised inner code. */
const split = (code: string): [string, string[]] => {
  let depth = 0;
  for (let i = 0; i < code.length; i++) {
    const c = code[i];
    if (c === '(') depth++;
    else if (c === ')') depth--;
    else if (c === ' ' && depth === 0) return [code.slice(0, i), code.slice(i + 1).split(' ')];
  }
  return [code, []];
};

const flag = (flags: string[], prefix: string): string | undefined =>
  flags.find((f) => f.startsWith(prefix))?.slice(prefix.length);

const compileList = (inner: Schema, flags: string[]): ListSchema => {
  const list = flag(flags, 'list=') ?? 'atomic';
  const keys = /^map\((.*)\)$/.exec(list)?.[1]?.split(',') ?? [];
  return { type: 'list', items: inner, listType: keys.length ? 'map' : list === 'set' ? 'set' : 'atomic', keys };
};

/** A field may say that it is granular where its type is atomic elsewhere (a volume's claimRef). */
const granular = (schema: Schema): Schema => (schema.type === 'object' ? { ...schema, atomic: false } : schema);

const compileCode = (token: string, flags: string[], scope: Scope): Schema => {
  if (token.startsWith('[]') || token.startsWith('{}')) {
    const rest = token.slice(2);
    const [t, f] = split(rest.startsWith('(') ? rest.slice(1, -1) : rest);
    const inner = compileCode(t, f, scope);
    if (token.startsWith('[]')) return compileList(inner, flags);
    return { type: 'map', values: inner, atomic: flags.includes('map=atomic') };
  }
  if (token.startsWith('@')) {
    const type = compileType(token.slice(1), scope);
    return flags.includes('map=granular') ? granular(type) : type;
  }
  if (token === 'any') return any;
  if (token === 'object') return { type: 'map', values: any, atomic: false };
  const [type = 'string', format = ''] = token.split(':');
  const values = flag(flags, 'enum=');
  return {
    type: type as ScalarSchema['type'],
    format,
    ...(values !== undefined && { enum: values.split('|').map((v) => v.replaceAll('%20', ' ')) }),
  };
};

/** Non-pointer structs are encoded even when empty, whatever their omitempty says. */
const isStruct = (s: Schema): boolean =>
  s.type === 'object' ||
  s.type === 'any' ||
  (s.type === 'string' && /^(date-time|micro-time|quantity|int-or-string)$/.test(s.format));

const patchOf = (flags: string[]): Field['patch'] => {
  const text = flag(flags, 'patch=');
  if (text === undefined) return undefined;
  const m = /^([^(]*)(?:\((.*)\))?$/.exec(text);
  const strategies = (m?.[1] ?? '').split(',') as ('merge' | 'replace' | 'retainKeys')[];
  return { strategies, mergeKey: m?.[2] ?? '' };
};

const defaultOf = (type: string, field: string, flags: string[], scope: Scope): Json | undefined => {
  const fixed = staticDefaults[type]?.[field];
  if (fixed !== undefined) return fixed;
  const scoped = scopedDefaults[type];
  if (scoped !== undefined && (scope === 'inline' || (openedOnly.has(type) && scope !== 'opened'))) return undefined;
  if (scoped?.[field] !== undefined) return scoped[field];
  const own = flags.find((f) => f.length > 1 && f.startsWith('='));
  return own === undefined ? undefined : (JSON.parse(own.slice(1).replaceAll('%20', ' ')) as Json);
};

/** Lists whose defaults stand for an absent one only: an empty one is refused later, and never encoded. */
const KEPT_EMPTY = new Set(['autoscaling.v2.HPAScalingRules.policies']);

const compileField = (type: string, name: string, code: string, marks: string | undefined, scope: Scope): Field => {
  const [token, flags] = split(code);
  const opens = scopeOpeners[`${type}.${name}`] !== undefined;
  const inner: Scope = scope === 'inline' ? 'inline' : opens ? 'opened' : 'plain';
  const schema = compileCode(token, flags, inner);
  const pointer = marks?.includes('*') ?? false;
  const always = marks?.includes('!') ?? flags.includes('=');
  const omitZero = marks?.includes('~') ?? false;
  const zero = always || (marks !== undefined && !pointer && !omitZero && isStruct(schema));
  const def = defaultOf(type, name, flags, scope);
  const patch = patchOf(flags);
  return {
    schema,
    required: flags.some((f) => /^!\d*$/.test(f)),
    zero,
    pointer,
    dropEmpty: marks !== undefined && !pointer && !zero && !KEPT_EMPTY.has(`${type}.${name}`),
    ...(def !== undefined && { default: def }),
    ...(patch && { patch }),
  };
};

const compileType = (name: string, scope: Scope): Schema => {
  const known = special[name];
  if (known) return known;
  const id = `${name} ${scope}`;
  const cached = compiled.get(id);
  if (cached) return cached;
  const facts = types[name];
  if (!facts) throw new Error(`facts hold no type ${name}`);
  const extensions = (facts[''] ?? {}) as Record<string, Json>;
  const schema: ObjectSchema = {
    type: 'object',
    name,
    fields: {},
    atomic: extensions['x-kubernetes-map-type'] === 'atomic',
    preserveUnknown: false,
    embedded: false,
  };
  compiled.set(id, schema);
  const inner = name === 'storage.v1.VolumeAttachment' ? 'inline' : scope;
  const marks = new Map((encoding[name] ?? '').split(' ').map((t) => [t.replace(/[*!~]+$/, ''), t] as const));
  const ordered = [...marks.keys(), ...Object.keys(facts).filter((f) => !marks.has(f))];
  for (const field of ordered) {
    const code = facts[field];
    if (field === '' || typeof code !== 'string') continue;
    schema.fields[field] = compileField(name, field, code, marks.get(field)?.slice(field.length), inner);
  }
  return schema;
};

/** The schema of a type by its short name in facts.json. Throws where the facts hold no such object type. */
export const schemaOf = (typeName: string): ObjectSchema => {
  const schema = compileType(typeName, 'plain');
  if (schema.type !== 'object') throw new Error(`${typeName} is not an object type`);
  return schema;
};

const byKind = new Map<string, string>();
const groups = factsJson.groups as Record<string, string>;
for (const name of factsJson.kinds) {
  const parts = name.split('.');
  const kind = parts.pop() ?? '';
  const version = parts.pop() ?? '';
  byKind.set(`${groups[parts.join('.')] ?? parts.join('.')}/${version}/${kind}`, name);
}
for (const kind of ['Status', 'DeleteOptions', 'APIGroup', 'APIGroupList', 'APIResourceList', 'WatchEvent']) {
  byKind.set(`/v1/${kind}`, `~meta.v1.${kind}`);
}

/** The short type name of a kind. */
export const kindTypeName = (group: string, version: string, kind: string): string | undefined =>
  byKind.get(`${group}/${version}/${kind}`);

/** The schema of a kind, or undefined where Kubernetes has no such kind. */
export const kindSchema = (group: string, version: string, kind: string): ObjectSchema | undefined => {
  const name = kindTypeName(group, version, kind);
  return name === undefined ? undefined : schemaOf(name);
};
