import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { notAcceptable } from '../machinery/status.ts';
import { aggregatorOf } from './aggregation/aggregator.ts';
import { withRemoteDiscovery, withRemoteGroup, withRemoteGroups } from './aggregation/discovery.ts';
import { type RemoteSwagger, remoteIndex, remoteSwaggers } from './aggregation/openapi.ts';
import { groupPriorityOf } from './api-services.ts';
import type { Server } from './context.ts';
import { customOpenApi } from './custom-openapi.ts';
import { aggregatedDiscovery, apiGroup, apiGroupList, apiResourceList, apiVersions, etagOf } from './discovery.ts';
import { BUILT_IN } from './fleet/cluster-kind.ts';
import { health, healthPaths } from './health.ts';
import type { Metrics } from './metrics.ts';
import { cachedDescriptions } from './openapi/descriptions.ts';
import { createOpenApi, type OpenApi } from './openapi/documents.ts';
import { encodeSwagger } from './openapi/gnostic.ts';
import type { ResourceInfo } from './registry.ts';
import type { RequestInfo } from './request-info.ts';

/** What is served besides objects: discovery, OpenAPI, health, version, metrics and the list of paths. */

const compress = promisify(gzip);
export const VERSION = 'v1.36.3';
const TEXT = 'text/plain; charset=utf-8';
/** Asked for by this name or with an @ for the third dot, which is no media type to a strict parser: answered by this. */
const GNOSTIC = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';
const gzipBytesMin = 1024;

const json = (value: object, headers: Record<string, string> = {}): Response =>
  new Response(`${JSON.stringify(value)}\n`, {
    headers: { 'content-type': 'application/json', 'cache-control': 'no-cache, private', ...headers },
  });
const found = (document: object | undefined): Response | undefined => document && json(document);

/** What upstream's mux answers for a path that nothing serves. */
export const pageNotFound = (): Response =>
  new Response('404 page not found\n', {
    status: 404,
    headers: { 'content-type': TEXT, 'x-content-type-options': 'nosniff' },
  });

/** Throws a 406 Status where nothing in Accept can hold a discovery document. */
export const negotiateDocument = (accept: string | null): void => {
  if (!accept) return;
  const readable = accept
    .split(',')
    .some(
      (clause) =>
        /^\s*(\*\/\*|application\/(\*|json|yaml|vnd\.kubernetes\.protobuf))/.test(clause) &&
        (!/;\s*as=/.test(clause) || /;\s*v=v2(beta1)?\s*(;|$)/.test(clause)),
    );
  if (!readable) throw notAcceptable(['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf']);
};

/** True below `/api` or `/apis/{built-in group}`: there an unknown path is answered with a Status. */
export const inApi = (server: Server, info: RequestInfo): boolean => {
  const [, root, group] = info.path.split('/');
  if (root === 'api') return true;
  return root === 'apis' && server.registry.all(info.cluster).some((r) => r.group === group && !r.custom);
};

const bytesWithEtag = async (
  request: Request,
  body: Uint8Array | string,
  headers: Record<string, string>,
): Promise<Response> => {
  const matched = request.headers.get('if-none-match');
  if (matched && headers.etag && matched.split(',').some((tag) => tag.trim() === headers.etag))
    return new Response(null, { status: 304, headers });
  if (body.length >= gzipBytesMin && (request.headers.get('accept-encoding') ?? '').includes('gzip')) {
    const packed = await compress(body, { level: 1 });
    return new Response(packed, { headers: { ...headers, 'content-encoding': 'gzip' } });
  }
  return new Response(body as BodyInit, { headers });
};

/** One document in the two forms of its members that documents are put together from. */
interface Swagger {
  /** JSON of the members without their braces. */
  paths: string;
  definitions: string;
  /** Everything else of the document, as JSON without its braces. */
  rest: string;
  /** The names of its definitions. */
  names: ReadonlySet<string>;
  etag: string;
  protobuf(): Uint8Array;
}
interface Documents {
  builtin: OpenApi;
  custom: OpenApi | undefined;
  v2?: { key: string; json: string; etag: string; protobuf(): Uint8Array };
}

const openApiOf = (resources: readonly ResourceInfo[]): OpenApi =>
  createOpenApi({ resources, descriptions: cachedDescriptions, custom: customOpenApi, version: VERSION });

let ofBuiltin: { key: readonly string[]; api: OpenApi } | undefined;

/** The built-in groups' documents are the same in every cluster: one instance in the process. */
const builtinOpenApi = (resources: readonly ResourceInfo[]): OpenApi => {
  const key = resources.map((r) => `${r.group}/${r.version}/${r.resource}`);
  if (ofBuiltin?.key.length !== key.length || ofBuiltin.key.some((k, i) => k !== key[i]))
    ofBuiltin = { key, api: openApiOf(resources) };
  return ofBuiltin.api;
};

/** By the list of served resources, which the registry replaces whenever it changes. */
const instances = new WeakMap<readonly ResourceInfo[], Documents>();
const documentsOf = (resources: readonly ResourceInfo[]): Documents => {
  const known = instances.get(resources);
  if (known) return known;
  const custom = resources.filter((r) => r.custom);
  const made: Documents = {
    builtin: builtinOpenApi(resources.filter((r) => !r.custom)),
    custom: custom.length > 0 ? openApiOf(custom) : undefined,
  };
  instances.set(resources, made);
  return made;
};

const members = (value: object): string => JSON.stringify(value).slice(1, -1);
const once = <T>(make: () => T): (() => T) => {
  let made: { value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
};

const swaggers = new WeakMap<OpenApi, Swagger>();
/** A document with its members apart; without the definitions that the document it is added to has already. */
const swaggerOf = (api: OpenApi, present?: ReadonlySet<string>): Swagger => {
  const known = swaggers.get(api);
  if (known) return known;
  const { paths, definitions: all, ...rest } = api.v2();
  const definitions = Object.fromEntries(Object.entries(all).filter(([name]) => !present?.has(name)));
  const base = { paths: members(paths), definitions: members(definitions), rest: members(rest) };
  const head = present ? { swagger: '', info: { title: '', version: '' } } : rest;
  const made: Swagger = {
    ...base,
    names: new Set(Object.keys(definitions)),
    etag: etagOf(base.paths + base.definitions),
    protobuf: once(() => encodeSwagger({ ...head, paths, definitions } as Parameters<typeof encodeSwagger>[0])),
  };
  swaggers.set(api, made);
  return made;
};

/** Swagger of another API server with its members apart, without what the document it is added to has already. */
const addedSwagger = ({ paths, definitions: all }: RemoteSwagger, present: Set<string>): Swagger => {
  const definitions = Object.fromEntries(Object.entries(all).filter(([name]) => !present.has(name)));
  for (const name of Object.keys(definitions)) present.add(name);
  const head = { swagger: '', info: { title: '', version: '' } };
  const base = { paths: members(paths), definitions: members(definitions), rest: '' };
  return {
    ...base,
    names: new Set(Object.keys(definitions)),
    etag: etagOf(base.paths + base.definitions),
    protobuf: once(() => encodeSwagger({ ...head, paths, definitions } as Parameters<typeof encodeSwagger>[0])),
  };
};

/**
 * The whole Swagger document: the built-in part is kept, those of custom resources and of other API servers are added to
 * its text and its messages.
 */
const wholeSwagger = (d: Documents, remote: readonly RemoteSwagger[], key: string): NonNullable<Documents['v2']> => {
  const base = swaggerOf(d.builtin);
  const own = d.custom && swaggerOf(d.custom, base.names);
  const present = new Set([...base.names, ...(own?.names ?? [])]);
  const added = [...(own ? [own] : []), ...remote.map((one) => addedSwagger(one, present))];
  const all = (member: 'paths' | 'definitions'): string =>
    [base, ...added].flatMap((one) => one[member] || []).join(',');
  return {
    key,
    json: `{${base.rest},"paths":{${all('paths')}},"definitions":{${all('definitions')}}}`,
    etag: added.length > 0 ? etagOf(base.etag + added.map((one) => one.etag).join('')) : base.etag,
    // Concatenated messages are merged by whoever reads them.
    protobuf: once(() =>
      added.length > 0 ? Buffer.concat([base, ...added].map((one) => one.protobuf())) : base.protobuf(),
    ),
  };
};

const openApiV2 = async (d: Documents, request: Request, remote: readonly RemoteSwagger[]): Promise<Response> => {
  const key = remote.length > 0 ? etagOf(JSON.stringify(remote)) : '';
  if (d.v2?.key !== key) d.v2 = wholeSwagger(d, remote, key);
  const accept = request.headers.get('accept') ?? '';
  const common = { etag: d.v2.etag, vary: 'Accept-Encoding, Accept', 'cache-control': 'no-cache, private' };
  if (accept.includes('com.github.proto-openapi.spec.v2'))
    return bytesWithEtag(request, d.v2.protobuf(), { ...common, 'content-type': GNOSTIC });
  return bytesWithEtag(request, d.v2.json, { ...common, 'content-type': 'application/json' });
};

const openApi = async (server: Server, info: RequestInfo, request: Request): Promise<Response | undefined> => {
  const d = documentsOf(server.registry.all(info.cluster));
  if (info.path === '/openapi/v2') return openApiV2(d, request, await remoteSwaggers(server, info.cluster));
  const prefix = info.cluster === 'default' ? '' : `/clusters/${info.cluster}`;
  if (info.path === '/openapi/v3') {
    const elsewhere = await remoteIndex(server, info.cluster, prefix);
    const paths = { ...d.builtin.index(prefix).paths, ...d.custom?.index(prefix).paths, ...elsewhere };
    const body = JSON.stringify({ paths });
    return bytesWithEtag(request, body, { 'content-type': TEXT, etag: etagOf(body), vary: 'Accept-Encoding' });
  }
  const path = info.path.slice('/openapi/v3/'.length);
  const document = d.custom?.v3(path) ?? d.builtin.v3(path);
  if (!document) return new Response(null, { status: 404 });
  const named = info.query.get('hash');
  if (named !== null && named !== '' && named !== document.hash) {
    const location = `${prefix}/openapi/v3/${path}?hash=${document.hash}`;
    return new Response(null, { status: 301, headers: { location } });
  }
  return bytesWithEtag(request, document.body, {
    'content-type': 'application/json',
    etag: `"${document.hash}"`,
    vary: 'Accept-Encoding',
    'cache-control': named ? 'public, immutable, max-age=31536000' : 'no-cache, private',
  });
};

const rootDocument = async (server: Server, info: RequestInfo, request: Request): Promise<Response> => {
  const all = server.registry.all(info.cluster);
  const root = info.path === '/api' ? 'api' : 'apis';
  const match = /application\/json;[^,]*v=(v2|v2beta1);[^,]*as=APIGroupDiscoveryList/.exec(
    request.headers.get('accept') ?? '',
  );
  if (!match?.[1] && root === 'api') return json(apiVersions(server.address ?? ''));
  const aggregator = aggregatorOf(server);
  if (!match?.[1]) return json(withRemoteGroups(apiGroupList(all), await aggregator.of(info.cluster), groupPriorityOf));
  const found = root === 'api' ? [] : await aggregator.found(info.cluster);
  const body = withRemoteDiscovery(aggregatedDiscovery(all, root, match[1]), found, groupPriorityOf);
  const etag = etagOf(JSON.stringify(body));
  const type = `application/json;g=apidiscovery.k8s.io;v=${match[1]};as=APIGroupDiscoveryList`;
  if (request.headers.get('if-none-match') === etag) return new Response(null, { status: 304, headers: { etag } });
  return json(body, { 'content-type': type, etag, vary: 'Accept' });
};

/** GET /: everything that can be asked for, sorted. */
const paths = (resources: readonly ResourceInfo[]) => {
  const groups = resources.flatMap(({ group, version }) =>
    group === '' ? [`/api/${version}`] : [`/apis/${group}`, `/apis/${group}/${version}`],
  );
  const open = resources.map(({ group, version }) =>
    group === '' ? `/openapi/v3/api/${version}` : `/openapi/v3/apis/${group}/${version}`,
  );
  const fixed = [
    '/.well-known/openid-configuration',
    '/api',
    '/apis',
    '/metrics',
    '/openapi/v2',
    '/openapi/v3',
    '/openid/v1/jwks',
    '/version',
  ];
  return { paths: [...new Set([...fixed, ...healthPaths, ...groups, ...open])].sort() };
};

const version = {
  major: '1',
  minor: '36',
  emulationMajor: '1',
  emulationMinor: '36',
  minCompatibilityMajor: '1',
  minCompatibilityMinor: '35',
  gitVersion: VERSION,
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: 'none',
  compiler: 'node',
  // Go's words, which clients know.
  platform: `${process.platform}/${process.arch === 'x64' ? 'amd64' : process.arch}`,
};

/** The service's names, by which pods reach the server whose own address they may not reach. */
const SERVICE_NAME = /^kubernetes(\.default(\.svc(\.cluster\.local)?)?)?$/;

const openIdDocument = (server: Server, info: RequestInfo, request: Request): Response | undefined => {
  const prefix = info.cluster === 'default' ? '' : `/clusters/${info.cluster}`;
  const host = request.headers.get('host') ?? '';
  const address = SERVICE_NAME.test(host.replace(/:\d+$/, '')) ? host : (server.address ?? '');
  const found = server.openId?.document(info.cluster, info.path, `https://${address}${prefix}`);
  const headers = { 'content-type': found?.contentType ?? '', 'cache-control': 'public, max-age=3600' };
  return found && new Response(found.body, { headers });
};

/** The answer to a GET outside the resources; undefined where nothing is served at the path. */
export const documentOf = async (
  server: Server,
  metrics: Metrics,
  info: RequestInfo,
  request: Request,
): Promise<Response | undefined> => {
  const parts = info.path.split('/');
  const all = server.registry.all(info.cluster);
  switch (parts[1]) {
    case '':
      return json(paths(all));
    case 'api':
      if (parts.length === 2) return rootDocument(server, info, request);
      return parts.length === 3 ? found(apiResourceList(all, '', parts[2] ?? '')) : undefined;
    case 'apis':
      if (parts.length === 2) return rootDocument(server, info, request);
      if (parts.length === 3) {
        const group = parts[2] ?? '';
        return found(withRemoteGroup(apiGroup(all, group), group, await aggregatorOf(server).of(info.cluster)));
      }
      return parts.length === 4 ? found(apiResourceList(all, parts[2] ?? '', parts[3] ?? '')) : undefined;
    case 'openapi':
      return /^\/openapi\/(v2$|v3($|\/))/.test(info.path) ? openApi(server, info, request) : undefined;
    case 'healthz':
    case 'livez':
    case 'readyz':
      return health(server, info);
    case 'openid':
    case '.well-known':
      return openIdDocument(server, info, request);
    case 'version':
      return parts.length === 2 ? json(version) : undefined;
    case 'debug': {
      const text = await server.flow?.document(info);
      return text === undefined ? undefined : new Response(text, { headers: { 'content-type': TEXT } });
    }
    case 'metrics':
      // They are about the process, and so about every cluster: the operator's to read.
      if (parts.length > 2 || !BUILT_IN.has(info.cluster)) return undefined;
      return new Response(metrics.render(server, info.cluster), {
        headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' },
      });
    default:
      return undefined;
  }
};
