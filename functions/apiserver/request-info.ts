import { badRequest } from '../machinery/status.ts';

/** What a request asks for, worked out once from its method and path; upstream's RequestInfo. */
export interface RequestInfo {
  /** From `/clusters/{id}/...`, else `default`. */
  cluster: string;
  method: string;
  /** The path below the cluster, with no trailing slash besides the root's. */
  path: string;
  /** A slash was behind the path of what is no resource: for rules of paths it is another one. */
  slash?: true;
  query: URLSearchParams;
  /** True for `/api/v1/...` and `/apis/group/version/...` with a resource. */
  isResource: boolean;
  verb: string;
  group: string;
  version: string;
  /** For the resource `namespaces` it is the name, as upstream has it. */
  namespace: string;
  resource: string;
  subresource: string;
  name: string;
  /** Path segments after the subresource: what a proxy passes on. */
  rest: string;
}

/** HTTP/2 takes any word for a method, those that every object answers to among them. */
const verbOf: ReadonlyMap<string, string> = new Map([
  ['GET', 'get'],
  ['HEAD', 'get'],
  ['POST', 'create'],
  ['PUT', 'update'],
  ['PATCH', 'patch'],
  ['DELETE', 'delete'],
]);
const namespaceSubresources = new Set(['status', 'finalize']);
const noQuery = new URLSearchParams();
const clusterId = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

const decode = (segment: string): string => {
  if (!segment.includes('%')) return segment;
  try {
    return decodeURIComponent(segment);
  } catch {
    throw badRequest(`invalid URL escape in path segment ${JSON.stringify(segment)}`);
  }
};

const truthy = (value: string | null): boolean => value !== null && value !== 'false' && value !== '0';

/** The path below the cluster's prefix, and the cluster. */
export const splitCluster = (pathname: string): { cluster: string; path: string } => {
  if (!pathname.startsWith('/clusters/')) return { cluster: 'default', path: pathname };
  const end = pathname.indexOf('/', 10);
  const cluster = end < 0 ? pathname.slice(10) : pathname.slice(10, end);
  if (!clusterId.test(cluster)) return { cluster: 'default', path: pathname };
  return { cluster, path: end < 0 ? '/' : pathname.slice(end) };
};

const fillResource = (info: RequestInfo, parts: readonly string[], from: number): void => {
  let at = from;
  let deprecatedWatch = false;
  if (parts[at] === 'watch' && parts.length > at + 1) {
    deprecatedWatch = true;
    at++;
  }
  if (parts[at] === 'namespaces' && parts.length > at + 1) {
    info.namespace = decode(parts[at + 1] ?? '');
    const next = parts[at + 2];
    if (next !== undefined && !(namespaceSubresources.has(next) && parts.length === at + 3)) at += 2;
  }
  info.resource = decode(parts[at] ?? '');
  info.name = decode(parts[at + 1] ?? '');
  info.subresource = decode(parts[at + 2] ?? '');
  if (parts.length > at + 3) info.rest = parts.slice(at + 3).join('/');
  info.isResource = info.resource !== '';
  info.verb = verbOf.get(info.method) ?? '';
  if (!info.name && info.verb === 'get') info.verb = truthy(info.query.get('watch')) ? 'watch' : 'list';
  if (deprecatedWatch) info.verb = 'watch';
  if (!info.name && info.verb === 'delete') info.verb = 'deletecollection';
};

/** Parses method and URL. Throws a 400 Status for a malformed escape. */
export const requestInfo = (method: string, url: string): RequestInfo => {
  const start = url.startsWith('/') ? 0 : url.indexOf('/', url.indexOf('://') + 3);
  const mark = url.indexOf('?', Math.max(start, 0));
  const pathname = start < 0 ? '/' : mark < 0 ? url.slice(start) : url.slice(start, mark);
  const { cluster, path } = splitCluster(pathname);
  const info: RequestInfo = {
    cluster,
    method,
    path: path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path,
    query: mark < 0 ? noQuery : new URLSearchParams(url.slice(mark + 1)),
    isResource: false,
    verb: method.toLowerCase(),
    group: '',
    version: '',
    namespace: '',
    resource: '',
    subresource: '',
    name: '',
    rest: '',
  };
  // The first is what stands before the leading slash.
  const parts = info.path.split('/');
  if (parts[1] === 'api' && parts.length > 3) {
    info.version = parts[2] ?? '';
    fillResource(info, parts, 3);
  } else if (parts[1] === 'apis' && parts.length > 4) {
    info.group = parts[2] ?? '';
    info.version = parts[3] ?? '';
    fillResource(info, parts, 4);
  }
  if (!info.isResource && path !== info.path) info.slash = true;
  return info;
};
