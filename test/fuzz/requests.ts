import type { ResourceInfo } from '../../functions/apiserver/registry.ts';
import { groupVersion, type Json, type JsonObject } from '../../functions/machinery/object.ts';
import { type Body, encodeBody } from './bodies.ts';
import { generated } from './generate.ts';
import { type Headers, headersOf } from './headers.ts';
import { mutate } from './mutate.ts';
import { patchFor, patchTypes } from './patches.ts';
import { queryOf } from './queries.ts';
import type { Random } from './random.ts';
import { anything, nameOf, nastyTexts } from './values.ts';
import { type Memory, resourceId, type World } from './world.ts';

/** One request, as bytes and texts. `resource` where it goes to one. */
export interface FuzzRequest {
  method: string;
  path: string;
  headers: Headers;
  body: Buffer | undefined;
  resource?: ResourceInfo;
  subresource?: string;
  /** Read for so long, then abandoned. */
  watchMs?: number;
  /** Asks to leave HTTP/1.1. */
  upgrade?: boolean;
}

export const namespaces = ['fuzz-0', 'fuzz-1', 'fuzz-2'];
const crowded = ['fuzz-0', 'fuzz-0', 'fuzz-0', 'fuzz-0', 'fuzz-0', 'fuzz-1', 'fuzz-2'];
const verbs = [
  ...[
    'create',
    'create',
    'create',
    'create',
    'update',
    'update',
    'update',
    'patch',
    'patch',
    'patch',
    'patch',
    'patch',
  ],
  ...['get', 'get', 'list', 'list', 'delete', 'delete', 'watch', 'deletecollection', 'sub', 'sub'],
];
const methods: Record<string, string> = {
  get: 'GET',
  list: 'GET',
  watch: 'GET',
  create: 'POST',
  update: 'PUT',
  patch: 'PATCH',
  delete: 'DELETE',
  deletecollection: 'DELETE',
};
/** Answers to these go on until someone ends them. */
const watched = /\/watch\/|[?&]watch=(?!0(&|$)|false(&|$))/;
const NEIGHBOURS = 3000;
/** Objects that would refuse or reroute the requests of all others. */
const inTheWay = /webhookconfigurations|policybindings|apiservices/;

const collectionPath = (resource: ResourceInfo, namespace: string): string => {
  const root = resource.group ? `/apis/${resource.group}/${resource.version}` : `/api/${resource.version}`;
  return resource.namespaced && namespace
    ? `${root}/namespaces/${namespace}/${resource.resource}`
    : `${root}/${resource.resource}`;
};

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** An object to start from: recorded, remembered, or made by the schema. */
const baseOf = (random: Random, world: World, resource: ResourceInfo, known: JsonObject | undefined): JsonObject => {
  if (known && random.chance(0.6)) return structuredClone(known);
  const recorded = (world.recorded.get(resourceId(resource)) ?? []).filter(
    (r) => r.method !== 'PATCH' && r.subresource === '',
  );
  if (recorded.length > 0 && random.chance(0.75)) {
    const accepted = recorded.filter((r) => r.accepted);
    const { body } = random.pick(accepted.length > 0 && random.chance(0.8) ? accepted : recorded);
    if (isObject(body)) return structuredClone(body);
  }
  if (resource.custom) return { spec: { size: random.int(5) }, x: anything(random) };
  const made = generated(random, resource.schema);
  return isObject(made) ? made : {};
};

const shape = (random: Random, base: JsonObject, resource: ResourceInfo, name: string, namespace: string): void => {
  const metadata = isObject(base.metadata) ? base.metadata : {};
  base.metadata = metadata;
  if (random.chance(0.95)) {
    base.apiVersion = groupVersion(resource.group, resource.version);
    base.kind = resource.kind;
  }
  const named = resource.resource === 'customresourcedefinitions' && typeof metadata.name === 'string';
  if (!named && random.chance(0.95)) metadata.name = name;
  if (random.chance(0.04)) {
    delete metadata.name;
    metadata.generateName = 'g-';
  }
  if (resource.namespaced && namespace && random.chance(0.5)) metadata.namespace = namespace;
  else if (random.chance(0.98)) delete metadata.namespace;
  if (random.chance(0.9)) delete metadata.deletionTimestamp;
  if (random.chance(0.97)) delete metadata.finalizers;
};

const depthOfChange = (random: Random): number => random.pick([0, 0, 0, 0, 0, 1, 1, 1, 2, 3, 10]);
const written = [
  'application/json',
  'application/json',
  'application/json',
  'application/yaml',
  'application/vnd.kubernetes.protobuf',
];

const objectBody = (random: Random, value: Json): Body => {
  const changes = depthOfChange(random);
  mutate(random, value, changes);
  const rest = random.chance(0.01) ? anything(random) : value;
  return encodeBody(random, rest, random.pick(written), changes === 0 ? 0.02 : 0.4);
};

const patchBody = (random: Random, world: World, resource: ResourceInfo, base: JsonObject): Body => {
  const recorded = (world.recorded.get(resourceId(resource)) ?? []).filter((r) => r.method === 'PATCH');
  if (recorded.length > 0 && random.chance(0.15)) {
    const { body, contentType } = random.pick(recorded);
    const copy = structuredClone(body);
    mutate(random, copy, depthOfChange(random));
    return encodeBody(random, copy, contentType, 0.3);
  }
  const type = random.pick(patchTypes);
  return encodeBody(random, patchFor(random, type, base), type, 0.15);
};

const deleteBody = (random: Random, memory: Memory): Body | undefined => {
  if (random.chance(0.6)) return undefined;
  const options: JsonObject = { apiVersion: 'v1', kind: 'DeleteOptions' };
  if (random.chance(0.3)) options.gracePeriodSeconds = random.pick([0, 1, -1, 30, '5', 1.5, 2 ** 40]);
  if (random.chance(0.3)) options.propagationPolicy = random.pick(['Orphan', 'Background', 'Foreground', 'x', 1]);
  if (random.chance(0.2))
    options.preconditions = { resourceVersion: random.pick(memory.versions), uid: random.pick(['', 'x']) };
  if (random.chance(0.2)) options.dryRun = random.pick([['All'], ['x'], 'All', []]);
  return objectBody(random, options);
};

const subresourceBody = (
  random: Random,
  world: World,
  resource: ResourceInfo,
  subresource: string,
  base: JsonObject,
): Json => {
  const recorded = (world.recorded.get(resourceId(resource)) ?? []).filter((r) => r.subresource === subresource);
  if (recorded.length > 0 && random.chance(0.6)) return structuredClone(random.pick(recorded).body);
  return base;
};

const documents: readonly string[] = [
  ...[
    '/',
    '/api',
    '/apis',
    '/api/v1',
    '/apis/apps',
    '/apis/apps/v1',
    '/apis/nope',
    '/apis/nope/v1',
    '/openapi/v2',
    '/openapi/v3',
    '/version',
  ],
  ...[
    '/openapi/v3/apis/apps/v1',
    '/openapi/v3/api/v1',
    '/openapi/v3/apis/fuzz.example/v1',
    '/openapi/v3/nope',
    '/metrics',
    '/healthz',
    '/livez',
  ],
  ...[
    '/readyz',
    '/readyz?verbose',
    '/livez/ping',
    '/healthz/nope',
    '/readyz?exclude=ping',
    '/readyz?exclude=%00',
    '/logs',
    '/debug/pprof/',
    '/ui',
  ],
  ...[
    '/.well-known/openid-configuration',
    '/openid/v1/jwks',
    '/apis/',
    '/api/',
    '//',
    '/api//v1',
    '/api/v1/',
    '/api/v1/pods/',
    '/%2e%2e/',
    '/../x',
  ],
  ...[
    '/api/v1/namespaces/%zz/pods',
    '/clusters/x/api/v1/pods',
    '/clusters/__proto__/api',
    '/clusters/',
    '/clusters/default/version',
    '/clusters//api',
  ],
  ...[
    '/api/v1/watch/pods',
    '/api/v1/watch/namespaces/fuzz-0/pods/x',
    '/api/v1/proxy/nodes/x',
    '/apis/__proto__/v1/x',
    '/apis/apps/__proto__/x',
    '*',
  ],
  ...[
    '/api/v1/__proto__',
    '/api/v1/constructor/toString',
    '/api/v1/namespaces/fuzz-0/pods/a/__proto__',
    '/skiff/v1/nodes/x/tunnel',
    '/skiff/v1/tunnels/x',
  ],
  ...[
    '/api/v1/namespaces//pods',
    '/api/v1/namespaces/fuzz-0/pods/a/b/c/d/e',
    '/api/v1/nodes/a/proxy/x',
    '/api/v1/namespaces/fuzz-0/services/a/proxy/',
  ],
];
const documentTypes = [
  ...[
    'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList',
    'application/com.github.proto-openapi.spec.v2@v1.0+protobuf',
  ],
  ...['application/vnd.kubernetes.protobuf', 'text/plain', 'application/yaml', 'application/openmetrics-text', '*/*'],
];

const documentRequest = (random: Random, token: string): FuzzRequest => {
  const headers = headersOf(random, token);
  if (random.chance(0.4)) headers.accept = random.pick(documentTypes);
  const method = random.chance(0.7)
    ? 'GET'
    : random.pick(['HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'PROPFIND', 'X']);
  const path = random.chance(0.9)
    ? random.pick(documents)
    : `/${encodeURIComponent(random.pick(nastyTexts).toWellFormed())}`;
  const body = ['POST', 'PUT', 'PATCH'].includes(method) ? Buffer.from('{}') : undefined;
  return {
    method,
    path: path.slice(0, 8000),
    headers,
    body,
    ...(method === 'GET' && watched.test(path) && { watchMs: 5 }),
  };
};

const streams: readonly string[] = [
  ...[
    '/api/v1/namespaces/fuzz-0/pods/n0-l0/exec?command=x',
    '/api/v1/namespaces/fuzz-0/pods/n0-l0/attach',
    '/api/v1/pods/x/exec',
  ],
  ...[
    '/api/v1/namespaces/fuzz-0/pods/n1-l0/portforward?ports=0',
    '/api/v1/namespaces/fuzz-0/pods/%zz/exec',
    '/api/v1/nodes/x/proxy/exec/a',
  ],
  ...[
    '/skiff/v1/nodes/x/tunnel',
    '/skiff/v1/nodes/__proto__/tunnel',
    '/skiff/v1/tunnels/x',
    '/clusters/x/skiff/v1/nodes/a/tunnel',
    '/',
    '*',
  ],
  ...[
    '/api/v1/namespaces/fuzz-0/services/a/proxy/ws',
    '/api/v1/namespaces/fuzz-0/pods?watch=1',
    '/version',
    '/api/v1/namespaces/fuzz-0/pods/a/log',
  ],
];

/** A request that leaves HTTP, to where that is offered and where it is not. */
const upgradeRequest = (random: Random, token: string): FuzzRequest => {
  const upgrade = random.pick(['websocket', 'SPDY/3.1', 'h2c', 'skiff-tunnel', 'x', '']);
  const headers: Headers = { ...headersOf(random, token), connection: 'Upgrade', upgrade };
  if (random.chance(0.5)) {
    headers['sec-websocket-key'] = random.pick(['dGhlIHNhbXBsZSBub25jZQ==', 'x', '']);
    headers['sec-websocket-version'] = random.pick(['13', '8', 'x']);
    headers['sec-websocket-protocol'] = random.pick([
      'v5.channel.k8s.io',
      'x',
      'base64url.bearer.authorization.k8s.io.eA',
      ',,',
    ]);
  }
  const method = random.pick(['GET', 'GET', 'POST', 'DELETE', 'X']);
  return { method, path: random.pick(streams), headers, body: undefined, upgrade: true, watchMs: 5 };
};

const methodOf = (random: Random, verb: string): string =>
  random.chance(0.01) ? random.pick(['HEAD', 'OPTIONS', 'POST', 'PUT', 'TRACE', 'LOCK']) : (methods[verb] ?? 'GET');

interface Target {
  resource: ResourceInfo;
  verb: string;
  subresource: string;
  name: string;
  namespace: string;
}

/** Requests to the same few resources follow each other, so that they meet what those before them made. */
const resourceAt = (random: Random, { resources }: World, index: number): ResourceInfo => {
  const around = Math.imul(Math.floor(index / NEIGHBOURS) + 1, 7919);
  return random.chance(0.1)
    ? random.pick(resources)
    : (resources[(around + random.int(5)) % resources.length] ?? random.pick(resources));
};

/** What a request is made from. */
export interface Making {
  random: Random;
  world: World;
  memory: Memory;
  lane: number;
  index: number;
  token: string;
}

/** Where an object of the kind is known to stand. */
const placeOfKnown = (random: Random, memory: Memory, resource: ResourceInfo): Partial<Target> => {
  const known = [...memory.objects.values()].filter((object) => object.kind === resource.kind);
  const metadata = known.length > 0 && random.chance(0.75) ? random.pick(known).metadata : undefined;
  if (!isObject(metadata) || typeof metadata.name !== 'string') return {};
  return { name: metadata.name, ...(typeof metadata.namespace === 'string' && { namespace: metadata.namespace }) };
};

const targetOf = ({ random, world, memory, lane, index }: Making): Target => {
  const resource = resourceAt(random, world, index);
  const namespace = random.chance(0.96) ? random.pick(crowded) : random.pick(['', 'nope', '__proto__', 'a%2Fb', '%00']);
  let verb = random.pick(verbs);
  let subresource = '';
  if (verb === 'sub') {
    subresource =
      random.chance(0.95) && resource.subresources.size > 0 ? random.pick([...resource.subresources.keys()]) : 'status';
    verb = random.pick(['get', 'update', 'patch', 'patch', 'create', 'delete']);
    if (subresource === 'proxy' && random.chance(0.5)) subresource = 'proxy/a/../b';
  }
  const known = verb === 'create' && !subresource ? {} : placeOfKnown(random, memory, resource);
  return { resource, verb, subresource, name: nameOf(random, lane), namespace, ...known };
};

const bodyOf = (random: Random, world: World, memory: Memory, target: Target, path: string): Body | undefined => {
  const { resource, verb, subresource, name, namespace } = target;
  if (verb === 'delete' || verb === 'deletecollection') return deleteBody(random, memory);
  if (verb !== 'create' && verb !== 'update' && verb !== 'patch') return undefined;
  const base = baseOf(random, world, resource, memory.objects.get(path));
  shape(random, base, resource, name, namespace);
  if (verb === 'patch') return patchBody(random, world, resource, base);
  return objectBody(random, subresource ? subresourceBody(random, world, resource, subresource, base) : base);
};

/** The request that these numbers make: from nothing else but what the lane remembers. */
export const makeRequest = (making: Making): FuzzRequest => {
  const { random, world, memory, token } = making;
  if (random.chance(0.04)) return random.chance(0.2) ? upgradeRequest(random, token) : documentRequest(random, token);
  const target = targetOf(making);
  const { resource, verb, subresource, name, namespace } = target;
  const collection = collectionPath(resource, random.chance(0.95) || verb !== 'list' ? namespace : '');
  const inCollection =
    verb === 'list' || verb === 'watch' || verb === 'deletecollection' || (verb === 'create' && !subresource);
  const plain = inCollection ? collection : `${collection}/${encodeURIComponent(name.toWellFormed())}`;
  const path = subresource ? `${plain}/${subresource}` : plain;
  const must: Record<string, string> = {};
  const wide = verb === 'deletecollection' && !resource.namespaced;
  if (wide || (inTheWay.test(resource.resource) && verb !== 'get' && verb !== 'list')) must.dryRun = 'All';
  if (verb === 'watch') Object.assign(must, { watch: random.pick(['1', 'true']), timeoutSeconds: '5' });
  if (verb === 'patch' && random.chance(0.8)) must.fieldManager = random.pick(['m1', 'm2']);
  const body = bodyOf(random, world, memory, target, plain);
  const headers = headersOf(random, token);
  if (body?.contentType !== undefined) headers['content-type'] = body.contentType;
  const full = path + queryOf(random, memory, verb, must);
  const method = methodOf(random, verb);
  return {
    method,
    path: full,
    headers,
    body: body?.bytes,
    resource,
    subresource,
    ...(method === 'GET' && !subresource && watched.test(full) && { watchMs: random.pick([0, 1, 5, 30]) }),
  };
};
