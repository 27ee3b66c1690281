import type { ResourceInfo, SubresourceInfo } from '../registry.ts';
import { returnsDeleted } from '../verbs/rules.ts';
import { bodyParameter, DELETE, LIST, pathParameters, queryParameter, WRITE } from './parameters.ts';
import { fullName, type OpenApiSchema, type OpenApiVersion, typeOfKind } from './schemas.ts';

/** PATCH bodies by media type, in the order upstream lists them. Custom resources take no strategic merge patch. */
const PATCH_TYPES = [
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
  'application/apply-patch+yaml',
];
const CUSTOM_PATCH_TYPES = PATCH_TYPES.filter((type) => !type.includes('strategic'));
const BODY_TYPES = ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf'];
const CUSTOM_BODY_TYPES = BODY_TYPES.slice(0, 2);
const bodyTypes = (s: Shape): string[] => (s.info.custom ? CUSTOM_BODY_TYPES : BODY_TYPES);
/** A collection is deleted with the parameters of a list, besides those of a watch. */
const COLLECTION = LIST.filter((name) => name !== 'allowWatchBookmarks' && name !== 'watch');

type Operation = OpenApiSchema;
export type PathItem = Record<string, Operation | OpenApiSchema[]>;

interface Shape {
  info: ResourceInfo;
  /** Kind of the body and of what the operation is about (Scale for a scale subresource). */
  gvk: { group: string; version: string; kind: string };
  /** Component or definition name of the body. */
  body: string;
  version: OpenApiVersion;
  subresource?: string;
  /** The list over all namespaces. */
  everywhere?: boolean;
}

const ref = (s: Shape, name: string): OpenApiSchema => ({
  $ref: `${s.version === 3 ? '#/components/schemas/' : '#/definitions/'}${name}`,
});

const answer = (s: Shape, name: string, description: string, types: readonly string[]): OpenApiSchema =>
  s.version === 3
    ? { description, content: Object.fromEntries(types.map((t) => [t, { schema: ref(s, name) }])) }
    : { description, schema: ref(s, name) };

/** What upstream calls each action in operation ids, and the codes besides 200 that it may answer with. */
const ACTIONS: Record<string, { verb: string; codes: [string, string][] }> = {
  get: { verb: 'read', codes: [] },
  list: { verb: 'list', codes: [] },
  put: { verb: 'replace', codes: [['201', 'Created']] },
  post: {
    verb: 'create',
    codes: [
      ['201', 'Created'],
      ['202', 'Accepted'],
    ],
  },
  patch: { verb: 'patch', codes: [['201', 'Created']] },
  delete: { verb: 'delete', codes: [['202', 'Accepted']] },
  deletecollection: { verb: 'delete', codes: [] },
};

const camel = (text: string): string => text.replace(/^./, (c) => c.toUpperCase());
/** `Core`, `Apps`, `RbacAuthorization`, `StableExampleCom`. */
const groupName = (group: string): string =>
  (group || 'core')
    .replace(/\.k8s\.io$/, '')
    .split('.')
    .map(camel)
    .join('');

const operationId = (s: Shape, action: string): string => {
  const { info } = s;
  const scope = info.namespaced && !s.everywhere ? 'Namespaced' : '';
  const end = s.everywhere ? 'ForAllNamespaces' : camel(s.subresource ?? '');
  const verb = ACTIONS[action]?.verb ?? action;
  const collection = action === 'deletecollection' ? 'Collection' : '';
  return `${verb}${groupName(info.group)}${camel(info.version)}${collection}${scope}${info.kind}${end}`;
};

const STREAMS = ['application/json;stream=watch', 'application/vnd.kubernetes.protobuf;stream=watch'];

/** What an operation reads and writes: built-in kinds take any body but a patch. */
const mediaTypes = (
  s: Shape,
  action: string,
  given: string[] | undefined,
): { consumes: string[]; produces: string[] } => {
  const any = action !== 'patch' && !s.info.custom;
  const streams = action === 'list' && !s.info.custom ? STREAMS : [];
  const bodies = s.info.custom ? CUSTOM_BODY_TYPES : ['*/*'];
  return { consumes: any || !given ? bodies : given, produces: [...bodyTypes(s), ...streams] };
};

const operation = (
  s: Shape,
  action: string,
  queries: string[],
  input: { name: string; types: string[] } | undefined,
  output: string,
): Operation => {
  const parameters = queries.map((q) => queryParameter(s.version, q, action === 'patch'));
  if (s.version === 2 && input) parameters.unshift(bodyParameter(input.name));
  const codes = ACTIONS[action]?.codes ?? [];
  const media = mediaTypes(s, action, input?.types);
  const group = groupName(s.info.group);
  return {
    tags: [`${group.replace(/^./, (c) => c.toLowerCase())}_${s.info.version}`],
    operationId: operationId(s, action),
    ...(parameters.length > 0 && { parameters }),
    ...(s.version === 3 &&
      input && {
        requestBody: {
          content: Object.fromEntries(media.consumes.map((t) => [t, { schema: ref(s, input.name) }])),
          ...(!action.startsWith('delete') && { required: true }),
        },
      }),
    ...(s.version === 2 && { ...media, schemes: ['https'] }),
    responses: {
      '200': answer(s, output, 'OK', media.produces),
      ...Object.fromEntries(codes.map(([code, text]) => [code, answer(s, output, text, media.produces)])),
      '401': { description: 'Unauthorized' },
    },
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': s.gvk,
  };
};

const deleteOptions = (s: Shape) => ({ name: fullName('~meta.v1.DeleteOptions'), types: bodyTypes(s) });

const itemOperations = (s: Shape, verbs: ReadonlySet<string>): Record<string, Operation> => {
  const patch = { name: fullName('~meta.v1.Patch'), types: s.info.custom ? CUSTOM_PATCH_TYPES : PATCH_TYPES };
  const body = { name: s.body, types: bodyTypes(s) };
  const status = fullName('~meta.v1.Status');
  return {
    ...(verbs.has('get') && { get: operation(s, 'get', [], undefined, s.body) }),
    ...(verbs.has('update') && { put: operation(s, 'put', WRITE, body, s.body) }),
    ...(verbs.has('create') && { post: operation(s, 'post', WRITE, body, s.body) }),
    ...(verbs.has('patch') && { patch: operation(s, 'patch', [...WRITE, 'force'], patch, s.body) }),
    ...(verbs.has('delete') && {
      delete: operation(
        s,
        'delete',
        DELETE,
        deleteOptions(s),
        returnsDeleted(s.info) && s.info.resource !== 'namespaces' ? s.body : status,
      ),
    }),
  };
};

const collectionOperations = (s: Shape, verbs: ReadonlySet<string>, list: string): Record<string, Operation> => ({
  ...(verbs.has('list') && { get: operation(s, 'list', LIST, undefined, list) }),
  ...(verbs.has('create') && { post: operation(s, 'post', WRITE, { name: s.body, types: bodyTypes(s) }, s.body) }),
  ...(verbs.has('deletecollection') && {
    delete: s.info.custom
      ? operation(s, 'deletecollection', LIST, undefined, fullName('~meta.v1.Status'))
      : operation(s, 'deletecollection', [...DELETE, ...COLLECTION], deleteOptions(s), fullName('~meta.v1.Status')),
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
  const s: Shape = { info, gvk, body: componentName(gvk), version, subresource: sub.name };
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
    paths[base] = { ...collection, parameters: pathParameters(version, scope) };
    if (info.namespaced && info.verbs.has('list')) {
      const get = operation({ ...s, everywhere: true }, 'list', LIST, undefined, list);
      paths[`${root}/${info.resource}`] = { get, parameters: pathParameters(version, []) };
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
