import facts from '../../../facts/facts.json' with { type: 'json' };
import { parseGroupVersion } from '../../machinery/object.ts';

/** An OpenAPI schema object: version 3 (with allOf around a $ref that has siblings) or version 2. */
export type OpenApiSchema = { [keyword: string]: unknown };
export type OpenApiVersion = 2 | 3;

/** Texts for `kubectl explain`: the type's own under '', a field's under its name. */
export type Descriptions = (type: string) => Readonly<Record<string, string>> | undefined;

interface Facts {
  prefixes: Record<string, string>;
  groups: Record<string, string>;
  kinds: string[];
  allGroupVersions: string[];
  /** Group versions that list a meta kind as their own, or 'all'. */
  metaKinds: Record<string, string[] | 'all'>;
  types: Record<string, Record<string, unknown>>;
}
const FACTS = facts as unknown as Facts;
export const typeNames: readonly string[] = Object.keys(FACTS.types);
const kinds = new Set(FACTS.kinds);

/** `core.v1.Pod` -> `io.k8s.api.core.v1.Pod`; the mark of the short name picks the prefix. */
export const fullName = (short: string): string => {
  const mark = short.startsWith('~~') ? '~~' : /^[~+*]/.test(short) ? (short[0] ?? '') : '';
  return `${FACTS.prefixes[mark]}${short.slice(mark.length)}`;
};

export interface GroupVersionKind {
  group: string;
  version: string;
  kind: string;
}

/** The GVK of a short type name that is a kind; undefined for other types. */
export const kindOf = (short: string): GroupVersionKind | undefined => {
  if (!kinds.has(short)) return undefined;
  const parts = short.split('.');
  const pkg = parts.slice(0, -2).join('.');
  return { group: FACTS.groups[pkg] ?? pkg, version: parts.at(-2) ?? '', kind: parts.at(-1) ?? '' };
};

const shortNames = new Map<string, string>();
for (const name of kinds) {
  const k = kindOf(name);
  if (k) shortNames.set(`${k.group}/${k.version}/${k.kind}`, name);
}
/** The short type name of a GVK, or undefined. */
export const typeOfKind = (k: GroupVersionKind): string | undefined =>
  shortNames.get(`${k.group}/${k.version}/${k.kind}`);

/** Splits `TYPE flags...`, where a TYPE's element with flags of its own stands in parentheses. */
const split = (code: string): { type: string; flags: string[] } => {
  let depth = 0;
  for (let i = 0; i < code.length; i++) {
    if (code[i] === '(') depth++;
    else if (code[i] === ')') depth--;
    else if (code[i] === ' ' && depth === 0)
      return { type: code.slice(0, i), flags: code.slice(i + 1).split(/ (?=[^"]*(?:"[^"]*"[^"]*)*$)/) };
  }
  return { type: code, flags: [] };
};

const inner = (text: string): string => (text.startsWith('(') && text.endsWith(')') ? text.slice(1, -1) : text);

const zeroOf = (type: string): unknown => {
  if (type.startsWith('string')) return '';
  if (/^(integer|number)/.test(type)) return 0;
  return type === 'boolean' ? false : {};
};

/** The values of an `enum=` flag, in order. */
const enumOf = (flag: string): string[] =>
  flag
    .slice('enum='.length)
    .split('|')
    .map((value) => value.replaceAll('%20', ' '))
    .sort();

/** What upstream's documents say of a field with an enumeration, after its own text; elements of a list have none. */
const withEnum = (description: string | undefined, values: unknown): string | undefined => {
  if (!Array.isArray(values) || description === undefined) return description;
  const lines = values.map((value) => `\n - \`${JSON.stringify(value)}\``);
  return `${description ? `${description}\n\n` : ''}Possible enum values:${lines.join('')}`;
};

/** The bare schema of a TYPE, without the flags beside it. */
const typeSchema = (type: string, version: OpenApiVersion): OpenApiSchema => {
  if (type.startsWith('[]')) return { type: 'array', items: codeSchema(inner(type.slice(2)), version) };
  if (type.startsWith('{}')) return { type: 'object', additionalProperties: codeSchema(inner(type.slice(2)), version) };
  if (type.startsWith('@')) {
    const root = version === 3 ? '#/components/schemas/' : '#/definitions/';
    return { $ref: root + fullName(type.slice(1)) };
  }
  if (type === 'any') return {};
  const [name, format] = type.split(':');
  return format ? { type: name, format } : { type: name };
};

const flagSchema = (flag: string, type: string): OpenApiSchema => {
  if (flag.startsWith('enum=')) return { enum: enumOf(flag) };
  if (flag === '=') return { default: zeroOf(type) };
  if (flag.startsWith('=')) return { default: JSON.parse(flag.slice(1)) };
  if (flag.startsWith('x=')) return JSON.parse(flag.slice(2));
  if (flag.startsWith('map=')) return { 'x-kubernetes-map-type': flag.slice(4) };
  const list = /^list=(\w+)(?:\((.*)\))?$/.exec(flag);
  if (list) {
    return {
      ...(list[2] && { 'x-kubernetes-list-map-keys': list[2].split(',') }),
      'x-kubernetes-list-type': list[1],
    };
  }
  const patch = /^patch=([\w,]+)(?:\((.*)\))?$/.exec(flag);
  if (patch) {
    return {
      ...(patch[2] && { 'x-kubernetes-patch-merge-key': patch[2] }),
      'x-kubernetes-patch-strategy': patch[1],
    };
  }
  return {};
};

const codeSchema = (code: string, version: OpenApiVersion, description?: string): OpenApiSchema => {
  const { type, flags } = split(code);
  const bare = typeSchema(type, version);
  const rest: OpenApiSchema = Object.assign({}, ...flags.map((f) => flagSchema(f, type)));
  if (version === 2) delete rest.default;
  const text = withEnum(description, rest.enum);
  if (text) rest.description = text;
  if ('$ref' in bare && version === 3 && Object.keys(rest).length > 0) return { allOf: [bare], ...rest };
  return { ...bare, ...rest };
};

const requiredOf = (fields: [string, string][]): string[] =>
  fields
    .flatMap(([name, code]) => {
      const flag = split(code).flags.find((f) => /^!\d*$/.test(f));
      return flag ? [{ name, order: flag.length > 1 ? Number(flag.slice(1)) : 0 }] : [];
    })
    .sort((a, b) => a.order - b.order || (a.name < b.name ? -1 : 1))
    .map((r) => r.name);

/** Kinds that many group versions list as their own (DeleteOptions, WatchEvent). */
const sharedKinds = (short: string): GroupVersionKind[] | undefined => {
  const listed = FACTS.metaKinds[short];
  if (!listed) return undefined;
  const kind = short.split('.').at(-1) ?? '';
  return (listed === 'all' ? FACTS.allGroupVersions : listed).map((gv) => ({ ...parseGroupVersion(gv), kind }));
};

/** The schema of a type by its short name in facts.json. */
export const schemaOfType = (short: string, version: OpenApiVersion, descriptions: Descriptions): OpenApiSchema => {
  const { '': own, ...rest } = FACTS.types[short] ?? {};
  const texts = descriptions(short);
  const whole = { ...(own as OpenApiSchema | undefined) };
  const v2 = whole['x-kubernetes-v2-schema'] as OpenApiSchema | undefined;
  delete whole['x-kubernetes-v2-schema'];
  const described = texts?.['']?.trim() ? { description: texts[''] } : {};
  if (v2 && version === 2) return { ...described, ...v2 };
  const fields = Object.entries(rest) as [string, string][];
  const gvk = kindOf(short);
  const groupVersionKinds = gvk ? [gvk] : sharedKinds(short);
  if (whole.type === null) delete whole.type;
  else if (!whole.type) whole.type = 'object';
  const required = requiredOf(fields);
  return {
    ...described,
    ...whole,
    ...(required.length > 0 && { required }),
    ...(fields.length > 0 && {
      properties: Object.fromEntries(fields.map(([n, code]) => [n, codeSchema(code, version, texts?.[n] ?? '')])),
    }),
    ...(groupVersionKinds && { 'x-kubernetes-group-version-kind': groupVersionKinds }),
  };
};

/** Short names of every type reachable from the given ones, themselves included. */
export const reachable = (roots: Iterable<string>): Set<string> => {
  const seen = new Set<string>();
  const walk = (short: string): void => {
    if (seen.has(short) || !FACTS.types[short]) return;
    seen.add(short);
    for (const [name, code] of Object.entries(FACTS.types[short] ?? {})) {
      if (name === '') continue;
      for (const m of String(code).matchAll(/@([~+*]*[\w.]+)/g)) walk(m[1] ?? '');
    }
  };
  for (const root of roots) walk(root);
  return seen;
};
