import type { GroupVersionResource, KubeObject } from '../machinery/object.ts';
import { genericFailure, type Status, StatusError } from '../machinery/status.ts';
import type {
  Client,
  DeleteOptions,
  ListOptions,
  PatchBody,
  RawInit,
  WatchEvent,
  WatchOptions,
  WriteOptions,
} from './client.ts';
import { decodeLines } from './lines.ts';

export interface FetchClientOptions {
  /** In process: the apiserver's; remote: createHttp2Fetch(). */
  fetch: (request: Request) => Response | Promise<Response>;
  /** `https://host:6443`, with a path where the server has one. */
  baseUrl: string;
  /** Addresses `/clusters/ID` below the base; absent: the base is the cluster. */
  cluster?: string;
  /** Bearer token; a function is asked for each request (tokens that are renewed). */
  token?: string | (() => string | undefined);
  userAgent?: string;
  /** Sent with every request. */
  headers?: Record<string, string>;
}

const patchTypes = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
} as const;

/** `/api/v1/namespaces/x/pods/name/status`; empty parts are left out. */
export const resourcePath = (
  resource: GroupVersionResource,
  namespace: string,
  name?: string,
  subresource?: string,
): string => {
  const root = resource.group ? `/apis/${resource.group}/${resource.version}` : `/api/${resource.version}`;
  const scope = namespace ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  const tail = name === undefined ? '' : `/${encodeURIComponent(name)}`;
  return `${root}${scope}/${resource.resource}${tail}${subresource ? `/${subresource}` : ''}`;
};

const listQuery = (options: ListOptions): Record<string, string> => {
  const query: Record<string, string> = {};
  if (options.labelSelector) query.labelSelector = options.labelSelector;
  if (options.fieldSelector) query.fieldSelector = options.fieldSelector;
  if (options.resourceVersion !== undefined) query.resourceVersion = options.resourceVersion;
  if (options.limit !== undefined) query.limit = String(options.limit);
  if (options.continue) query.continue = options.continue;
  return query;
};

const writeQuery = (options: WriteOptions | undefined): Record<string, string> => {
  const query: Record<string, string> = {};
  if (options?.fieldManager) query.fieldManager = options.fieldManager;
  if (options?.force !== undefined) query.force = String(options.force);
  return query;
};

/** The StatusError of a response that is not 2xx, whatever its body. */
export const failureOf = async (response: Response): Promise<StatusError> => {
  const text = await response.text();
  try {
    const status = JSON.parse(text) as Status;
    if (status.kind === 'Status') return new StatusError({ ...status, code: status.code ?? response.status });
  } catch {}
  return genericFailure(response.status, response.statusText, text.slice(0, 500) || `HTTP ${response.status}`);
};

/** A Client over any fetch. Failures of the API throw StatusError; failures of the transport throw what fetch throws. */
export const createClient = (options: FetchClientOptions): Client => {
  const base = `${options.baseUrl.replace(/\/$/, '')}${options.cluster ? `/clusters/${options.cluster}` : ''}`;
  const fixed: Record<string, string> = {
    accept: 'application/json',
    'user-agent': options.userAgent ?? 'skiff',
    ...options.headers,
  };

  const send = async (method: string, path: string, init: RawInit = {}): Promise<Response> => {
    const query = init.query && Object.keys(init.query).length > 0 ? `?${new URLSearchParams(init.query)}` : '';
    const headers: Record<string, string> = { ...fixed, ...init.headers };
    const token = typeof options.token === 'function' ? options.token() : options.token;
    if (token && headers.authorization === undefined) headers.authorization = `Bearer ${token}`;
    const request = new Request(`${base}${path}${query}`, {
      method,
      headers,
      ...(init.body !== undefined && { body: init.body as BodyInit }),
      ...(init.signal && { signal: init.signal }),
    });
    return options.fetch(request);
  };
  const json = async <T>(method: string, path: string, init?: RawInit): Promise<T> => {
    const response = await send(method, path, init);
    if (!response.ok) throw await failureOf(response);
    return (await response.json()) as T;
  };
  const withBody = (object: unknown, query: Record<string, string>, contentType = 'application/json'): RawInit => ({
    query,
    headers: { 'content-type': contentType },
    body: JSON.stringify(object),
  });

  return {
    async get<T extends KubeObject>(resource: GroupVersionResource, namespace: string, name: string) {
      const response = await send('GET', resourcePath(resource, namespace, name));
      if (response.ok) return (await response.json()) as T;
      const failure = await failureOf(response);
      if (failure.code === 404) return undefined;
      throw failure;
    },
    async list<T extends KubeObject>(resource: GroupVersionResource, list: ListOptions = {}) {
      type Body = {
        apiVersion: string;
        kind: string;
        metadata: { resourceVersion: string; continue?: string };
        items: T[];
      };
      const body = await json<Body>('GET', resourcePath(resource, list.namespace ?? ''), { query: listQuery(list) });
      const kind = body.kind.replace(/List$/, '');
      const items = body.items ?? [];
      // Items of a typed list carry neither; a controller that writes one back needs both.
      for (const item of items) {
        item.apiVersion ??= body.apiVersion;
        item.kind ??= kind;
      }
      const next = body.metadata.continue;
      return { items, resourceVersion: body.metadata.resourceVersion, ...(next && { continue: next }) };
    },
    async *watch<T extends KubeObject>(resource: GroupVersionResource, watch: WatchOptions, signal: AbortSignal) {
      const query = listQuery(watch);
      query.watch = '1';
      if (watch.allowWatchBookmarks) query.allowWatchBookmarks = 'true';
      if (watch.timeoutSeconds !== undefined) query.timeoutSeconds = String(watch.timeoutSeconds);
      const response = await send('GET', resourcePath(resource, watch.namespace ?? ''), { query, signal });
      if (!response.ok) throw await failureOf(response);
      if (response.body) yield* decodeLines<WatchEvent<T>>(response.body, signal);
    },
    create: (resource, object, write) =>
      json(
        'POST',
        resourcePath(
          resource,
          object.metadata.namespace ?? '',
          write?.subresource ? object.metadata.name : undefined,
          write?.subresource,
        ),
        withBody(object, writeQuery(write)),
      ),
    update: (resource, object, write) =>
      json(
        'PUT',
        resourcePath(resource, object.metadata.namespace ?? '', object.metadata.name, write?.subresource),
        withBody(object, writeQuery(write)),
      ),
    patch: (resource, namespace, name, patch: PatchBody, write) =>
      json(
        'PATCH',
        resourcePath(resource, namespace, name, write?.subresource),
        withBody(patch.body, writeQuery(write), patchTypes[patch.type]),
      ),
    async delete(resource, namespace, name, remove: DeleteOptions = {}) {
      const preconditions = {
        ...(remove.uid && { uid: remove.uid }),
        ...(remove.resourceVersion && { resourceVersion: remove.resourceVersion }),
      };
      const body = {
        kind: 'DeleteOptions',
        apiVersion: 'v1',
        ...(Object.keys(preconditions).length > 0 && { preconditions }),
        ...(remove.gracePeriodSeconds !== undefined && { gracePeriodSeconds: remove.gracePeriodSeconds }),
        ...(remove.propagationPolicy && { propagationPolicy: remove.propagationPolicy }),
      };
      const result = await json<KubeObject>('DELETE', resourcePath(resource, namespace, name), withBody(body, {}));
      return result.kind === 'Status' ? undefined : result;
    },
    raw: send,
  };
};
