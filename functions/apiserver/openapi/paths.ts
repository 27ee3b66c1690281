import type { ResourceInfo, SubresourceInfo } from '../registry.ts';
import { fullName, type OpenApiSchema, type OpenApiVersion, typeOfKind } from './schemas.ts';

/** PATCH bodies by media type, in the order upstream lists them. Custom resources take no strategic merge patch. */
const PATCH_TYPES = [
  'application/apply-patch+yaml',
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
];
const BODY_TYPES = ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf'];
const CUSTOM_BODY_TYPES = BODY_TYPES.slice(0, 2);
const bodyTypes = (s: Shape): string[] => (s.info.custom ? CUSTOM_BODY_TYPES : BODY_TYPES);
const PARAMETERS: Record<string, { type: string; description: string }> = {
  allowWatchBookmarks: { type: 'boolean', description: 'Asks for BOOKMARK events in a watch.' },
  continue: { type: 'string', description: 'Where a list that was cut by limit goes on.' },
  dryRun: { type: 'string', description: 'With the value All, nothing is persisted.' },
  fieldManager: { type: 'string', description: 'Name of the actor that makes the change.' },
  fieldSelector: { type: 'string', description: 'Restricts the objects by their fields.' },
  fieldValidation: {
    type: 'string',
    description: 'What becomes of unknown or duplicate fields: Ignore, Warn or Strict.',
  },
  force: { type: 'boolean', description: 'Takes fields over from other managers in an apply.' },
  gracePeriodSeconds: { type: 'integer', description: 'Seconds before the object is deleted.' },
  labelSelector: { type: 'string', description: 'Restricts the objects by their labels.' },
  limit: { type: 'integer', description: 'How many objects a list returns at most.' },
  orphanDependents: { type: 'boolean', description: 'Deprecated: use propagationPolicy.' },
  propagationPolicy: { type: 'string', description: 'Orphan, Background or Foreground.' },
  resourceVersion: { type: 'string', description: 'Which revision a read may be served from.' },
  resourceVersionMatch: { type: 'string', description: 'How resourceVersion is applied to a list.' },
  sendInitialEvents: { type: 'boolean', description: 'Starts a watch with the objects that exist.' },
  timeoutSeconds: { type: 'integer', description: 'Ends the call after this long, whatever happens.' },
  watch: { type: 'boolean', description: 'Streams changes instead of a list.' },
};
const LIST = [
  'allowWatchBookmarks',
  'continue',
  'fieldSelector',
  'labelSelector',
  'limit',
  'resourceVersion',
  'resourceVersionMatch',
  'sendInitialEvents',
  'timeoutSeconds',
  'watch',
];
const WRITE = ['dryRun', 'fieldManager', 'fieldValidation'];
const DELETE = ['dryRun', 'gracePeriodSeconds', 'orphanDependents', 'propagationPolicy'];

type Operation = OpenApiSchema;
export type PathItem = Record<string, Operation | OpenApiSchema[]>;

interface Shape {
  info: ResourceInfo;
  /** Kind of the body and of what the operation is about (Scale for a scale subresource). */
  gvk: { group: string; version: string; kind: string };
  /** Component or definition name of the body. */
  body: string;
  version: OpenApiVersion;
}

const query = (version: OpenApiVersion, name: string): OpenApiSchema => {
  const p = PARAMETERS[name] ?? { type: 'string', description: '' };
  const base = { name, in: 'query', description: p.description };
  return version === 3
    ? { ...base, schema: { type: p.type, uniqueItems: true } }
    : { ...base, type: p.type, uniqueItems: true };
};

const ref = (s: Shape, name: string): OpenApiSchema => ({
  $ref: `${s.version === 3 ? '#/components/schemas/' : '#/definitions/'}${name}`,
});

const answer = (s: Shape, name: string): OpenApiSchema =>
  s.version === 3
    ? { description: 'OK', content: Object.fromEntries(bodyTypes(s).map((t) => [t, { schema: ref(s, name) }])) }
    : { description: 'OK', schema: ref(s, name) };

const operation = (
  s: Shape,
  action: string,
  queries: string[],
  input: { name: string; types: string[] } | undefined,
  output: string,
): Operation => {
  const camel = (text: string) => text.replace(/^./, (c) => c.toUpperCase());
  const group = s.info.group === '' ? 'core' : (s.info.group.split('.')[0] ?? '');
  const parameters = queries.map((q) => query(s.version, q));
  if (s.version === 2 && input)
    parameters.unshift({ name: 'body', in: 'body', required: true, schema: ref(s, input.name) });
  return {
    tags: [`${group}_${s.info.version}`],
    operationId: `${action}${camel(group)}${camel(s.info.version)}${s.info.namespaced ? 'Namespaced' : ''}${s.gvk.kind}`,
    ...(parameters.length > 0 && { parameters }),
    ...(s.version === 3 &&
      input && {
        requestBody: {
          content: Object.fromEntries(input.types.map((t) => [t, { schema: ref(s, input.name) }])),
          required: true,
        },
      }),
    ...(s.version === 2 && { consumes: input?.types ?? ['*/*'], produces: bodyTypes(s) }),
    responses: { '200': answer(s, output), '401': { description: 'Unauthorized' } },
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': s.gvk,
  };
};

const pathParameters = (version: OpenApiVersion, names: string[]): OpenApiSchema[] =>
  names.map((name) => {
    const base = { name, in: 'path', required: true, description: `${name} of the object` };
    return version === 3
      ? { ...base, schema: { type: 'string', uniqueItems: true } }
      : { ...base, type: 'string', uniqueItems: true };
  });

const itemOperations = (s: Shape, verbs: ReadonlySet<string>): Record<string, Operation> => {
  const patch = { name: fullName('~meta.v1.Patch'), types: s.info.custom ? PATCH_TYPES.slice(0, 3) : PATCH_TYPES };
  const body = { name: s.body, types: bodyTypes(s) };
  const status = fullName('~meta.v1.Status');
  return {
    ...(verbs.has('get') && { get: operation(s, 'get', [], undefined, s.body) }),
    ...(verbs.has('update') && { put: operation(s, 'put', WRITE, body, s.body) }),
    ...(verbs.has('create') && { post: operation(s, 'post', WRITE, body, s.body) }),
    ...(verbs.has('patch') && { patch: operation(s, 'patch', [...WRITE, 'force'], patch, s.body) }),
    ...(verbs.has('delete') && {
      delete: operation(s, 'delete', DELETE, { name: fullName('~meta.v1.DeleteOptions'), types: bodyTypes(s) }, status),
    }),
  };
};

const collectionOperations = (s: Shape, verbs: ReadonlySet<string>, list: string): Record<string, Operation> => ({
  ...(verbs.has('list') && { get: operation(s, 'list', LIST, undefined, list) }),
  ...(verbs.has('create') && { post: operation(s, 'post', WRITE, { name: s.body, types: bodyTypes(s) }, s.body) }),
  ...(verbs.has('deletecollection') && {
    delete: operation(s, 'deletecollection', [...DELETE, ...LIST.slice(1, 8)], undefined, fullName('~meta.v1.Status')),
  }),
});

/** Component name of a kind: upstream's for built-in types, `dev.example.v1.Widget` (reversed group) for custom ones. */
export const componentName = (k: { group: string; version: string; kind: string }): string => {
  const short = typeOfKind(k);
  return short ? fullName(short) : [...k.group.split('.').reverse(), k.version, k.kind].join('.');
};

const subresourcePath = (info: ResourceInfo, sub: SubresourceInfo, base: string, version: OpenApiVersion) => {
  const gvk = { group: sub.group, version: sub.version, kind: sub.kind };
  const known = typeOfKind(gvk) !== undefined || info.custom;
  if (!known) return [];
  const s: Shape = { info, gvk, body: componentName(gvk), version };
  const names = info.namespaced ? ['name', 'namespace'] : ['name'];
  const item: PathItem = { ...itemOperations(s, sub.verbs), parameters: pathParameters(version, names) };
  return [[`${base}/{name}/${sub.name}`, item] as const];
};

/** The paths of the served resources with their operations, as both OpenAPI versions list them. */
export const pathsOf = (resources: readonly ResourceInfo[], version: OpenApiVersion): Record<string, PathItem> => {
  const paths: Record<string, PathItem> = {};
  for (const info of resources) {
    const root = info.group === '' ? `/api/${info.version}` : `/apis/${info.group}/${info.version}`;
    const base = info.namespaced ? `${root}/namespaces/{namespace}/${info.resource}` : `${root}/${info.resource}`;
    const gvk = { group: info.group, version: info.version, kind: info.kind };
    const s: Shape = { info, gvk, body: componentName(gvk), version };
    const list = componentName({ ...gvk, kind: info.listKind });
    const scope = info.namespaced ? ['namespace'] : [];
    const collection = collectionOperations(s, info.verbs, info.verbs.has('list') ? list : s.body);
    paths[base] = { ...collection, ...(scope.length > 0 && { parameters: pathParameters(version, scope) }) };
    if (info.namespaced && info.verbs.has('list')) {
      paths[`${root}/${info.resource}`] = { get: operation(s, 'list', LIST, undefined, list) };
    }
    const item = itemOperations(s, new Set([...info.verbs].filter((v) => v !== 'create')));
    if (Object.keys(item).length > 0) {
      paths[`${base}/{name}`] = { ...item, parameters: pathParameters(version, ['name', ...scope]) };
    }
    for (const sub of info.subresources.values()) {
      for (const [path, sitem] of subresourcePath(info, sub, base, version)) paths[path] = sitem;
    }
  }
  return paths;
};
