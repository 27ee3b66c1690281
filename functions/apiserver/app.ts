import { genericFailure, methodNotAllowed, notFound, StatusError } from '../machinery/status.ts';
import { createPlugins } from './admission/plugins.ts';
import { aggregatorOf } from './aggregation/aggregator.ts';
import type { AuditTrail } from './audit/trail.ts';
import { anonymous } from './authn/authenticator.ts';
import { callerOf } from './authn/caller.ts';
import { impersonated } from './authn/impersonation.ts';
import { wantedOf } from './authn/impersonation-headers.ts';
import { type Attributes, type Decision, refused } from './authz/authorizer.ts';
import type { ApiServerOptions, Call, ConnectionInfo, Server } from './context.ts';
import { createCustomResources } from './custom-resources.ts';
import { documentOf, inApi, negotiateDocument, pageNotFound } from './documents.ts';
import { parseStatusError } from './faults.ts';
import { FLEET, fleetResources } from './fleet/cluster-kind.ts';
import { createMetrics } from './metrics.ts';
import { negotiate } from './negotiate.ts';
import { plainParts } from './plain-response.ts';
import type { ResourceInfo, UserInfo } from './registry.ts';
import { builtinResources } from './registry-builtin.ts';
import { createRegistry } from './registry-clusters.ts';
import { checkWriteOptions, managerOf } from './request-body.ts';
import { type RequestInfo, requestInfo } from './request-info.ts';
import { statusResponse } from './respond.ts';
import { isReview, review } from './reviews.ts';
import { createServiceAllocator } from './strategies/service-allocation.ts';
import { eviction } from './subresources/eviction.ts';
import { log } from './subresources/node-request.ts';
import { connects } from './subresources/proxy.ts';
import { scale } from './subresources/scale.ts';
import { token } from './subresources/token.ts';
import { bind, bindings, finalize } from './subresources/writes.ts';
import { create } from './verbs/create.ts';
import { del } from './verbs/delete.ts';
import { deletecollection } from './verbs/deletecollection.ts';
import { get } from './verbs/get.ts';
import { list } from './verbs/list.ts';
import { patch } from './verbs/patch.ts';
import { deprecationOf } from './verbs/rules.ts';
import { update } from './verbs/update.ts';
import { watch } from './verbs/watch.ts';

const verbs: Record<string, (call: Call) => Promise<Response>> = {
  get,
  list,
  watch,
  create,
  update,
  patch,
  delete: del,
  deletecollection,
};
const subresourceVerbs: Record<string, (call: Call) => Promise<Response>> = {
  binding: bind,
  eviction,
  finalize,
  log,
  scale,
  token,
};
const unknownPath = () => genericFailure(404, 'NotFound', 'the server could not find the requested resource', {});
const notOffered = () =>
  genericFailure(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource', {});
/** Answered whatever the authorizers say; single checks (`/livez/ping`) are for those who monitor. */
const forEverybody: ReadonlySet<string> = new Set(['/healthz', '/livez', '/readyz', '/version']);
/** Documents that show custom resources. */
const served = /^\/($|api|openapi)/;

/** Throws, or rejects, with the refusal; a promise where an authorizer has to read or to ask. */
const authorized = (
  server: Server,
  info: RequestInfo,
  user: UserInfo,
  trail: AuditTrail | undefined,
): Promise<void> | undefined => {
  const path = info.slash ? `${info.path}/` : info.path;
  const forAll = !info.isResource && forEverybody.has(path);
  if (forAll && !trail) return undefined;
  const attributes: Attributes = { ...info, path, user };
  const decided = (decision: Decision): undefined => {
    const allowed = decision.allowed || forAll;
    trail?.annotate('authorization.k8s.io/decision', allowed ? 'allow' : 'forbid');
    trail?.annotate('authorization.k8s.io/reason', decision.reason ?? '');
    if (!decision.allowed && !forAll) throw refused(attributes, decision);
  };
  const asked = server.authorizer.authorize(attributes);
  return asked instanceof Promise ? asked.then(decided) : decided(asked);
};

/** Objects are created in a collection, and updated and patched one by one. */
const fitsPath = (info: RequestInfo): boolean => {
  if (info.subresource) return true;
  return info.name === '' ? info.verb !== 'update' && info.verb !== 'patch' : info.verb !== 'create';
};

/** A custom resource asked for in the wrong scope is not there at all; only lists and watches span namespaces. */
const fitsScope = (info: RequestInfo, { namespaced }: ResourceInfo): boolean =>
  namespaced ? info.namespace !== '' || info.verb === 'list' || info.verb === 'watch' : info.namespace === '';

const namedVerbs = ['get', 'update', 'patch', 'delete'];
const collectionVerbs = ['list', 'watch', 'create', 'deletecollection'];

/** Whether anything at all is served at a path: kinds that can only be created have no paths with names. */
const isRouted = (info: RequestInfo, { namespaced, verbs }: ResourceInfo): boolean => {
  if (info.name !== '') return namedVerbs.some((verb) => verbs.has(verb));
  if (namespaced && !info.namespace) return verbs.has('list');
  return collectionVerbs.some((verb) => verbs.has(verb));
};

const allowedVerbs = (call: Call): ReadonlySet<string> | undefined =>
  call.info.subresource ? call.resource.subresources.get(call.info.subresource)?.verbs : call.resource.verbs;

const resourceRequest = async (
  server: Server,
  info: RequestInfo,
  request: Request,
  requestId: string,
  user: UserInfo,
  trail: AuditTrail | undefined,
): Promise<Response> => {
  const resource = server.registry.find(info.cluster, info.group, info.version, info.resource);
  if (!resource && !inApi(server, info)) return pageNotFound();
  if (resource?.custom && !fitsScope(info, resource)) return pageNotFound();
  if (!resource || (resource.namespaced && info.name !== '' && !info.namespace)) throw unknownPath();
  if (!resource.namespaced && info.resource !== 'namespaces' && info.namespace) throw unknownPath();
  const connect = resource.subresources.has(info.subresource) ? connects[info.subresource] : undefined;
  if (connect && !connect.methods.has(request.method)) throw notOffered();
  const isList = info.verb === 'list' || info.verb === 'deletecollection';
  // What a backend is asked to answer with is for the backend to judge.
  const wanted = connect ? null : request.headers.get('accept');
  const hasTable = !isReview(info.group, resource.kind);
  const accept = negotiate(wanted, info.query, request.headers.get('user-agent'), isList, resource.custom, hasTable);
  const call: Call = {
    server,
    info,
    request,
    requestId,
    user,
    resource,
    accept,
    warnings: [],
    dryRun: false,
    fieldManager: '',
    ...(trail && { trail }),
  };
  if (connect) return connect.answer(call);
  const allowed = allowedVerbs(call);
  if (!allowed && resource.custom) throw notFound({ group: info.group, kind: info.resource, name: info.name });
  if (!allowed) throw unknownPath();
  if (!info.subresource && !isRouted(info, resource)) throw unknownPath();
  if (resource.custom && info.subresource && !allowed.has(info.verb))
    throw methodNotAllowed({ group: info.group, kind: info.resource, name: '' }, info.verb);
  if (!allowed.has(info.verb) || request.method === 'HEAD' || !fitsPath(info)) throw notOffered();
  if (info.verb === 'watch' && request.method !== 'GET') throw notOffered();
  if (resource.namespaced && !info.namespace && ['create', 'deletecollection'].includes(info.verb)) throw notOffered();
  const isBindings = info.group === '' && info.resource === 'bindings';
  const own = info.subresource ? subresourceVerbs[info.subresource] : isBindings ? bindings : undefined;
  const plain = ['', 'status', 'resize', 'ephemeralcontainers', 'approval'].includes(info.subresource);
  if (!plain && !own) throw methodNotAllowed({ group: info.group, kind: info.resource, name: info.name }, info.verb);
  const asks = info.verb === 'create' && isReview(info.group, resource.kind);
  const verb = asks ? review : (own ?? verbs[info.verb]);
  if (!verb) throw notOffered();
  if (info.verb !== 'get' && info.verb !== 'list' && info.verb !== 'watch') {
    const options = checkWriteOptions(info.verb, info.query);
    call.dryRun = options.dryRun;
    call.fieldManager = options.manager || managerOf(request.headers.get('user-agent'));
  }
  const deprecation = info.subresource ? undefined : deprecationOf(resource);
  if (deprecation) {
    call.warnings.push(deprecation);
    trail?.annotate('k8s.io/deprecated', 'true');
  }
  try {
    return await verb(call);
  } catch (error) {
    if (!(error instanceof StatusError) || !call.warnings.length) throw error;
    trail?.failed(error.status);
    return statusResponse(requestId, error.status, error.code, undefined, call.warnings);
  }
};

/** Whoever gets these answers may have made the path up: it becomes no label of a metric unless it is served. */
const unnamed: ReadonlySet<number> = new Set([401, 403, 404, 405]);

const isServed = (server: Server, info: RequestInfo | undefined): boolean => {
  const resource = info && server.registry.find(info.cluster, info.group, info.version, info.resource);
  return resource !== undefined && (!info?.subresource || resource.subresources.has(info.subresource));
};

const documentRequest = async (server: Server, info: RequestInfo, request: Request): Promise<Response> => {
  if (info.method === 'GET' && info.path.startsWith('/api')) negotiateDocument(request.headers.get('accept'));
  const document = info.method === 'GET' ? await documentOf(server, server.metrics, info, request) : undefined;
  if (document) return document;
  if (!inApi(server, info)) return pageNotFound();
  if (info.method !== 'GET' && (await documentOf(server, server.metrics, info, request))) throw notOffered();
  throw unknownPath();
};

/**
 * A cluster that is not there answers strangers as one that is: 401, and what is said of health and version to anybody.
 * That it is not there is for those whose credentials are good for any.
 */
const noCluster = async (
  server: Server,
  info: RequestInfo,
  request: Request,
  connection: ConnectionInfo,
): Promise<Response> => {
  const caller = await callerOf(server, info, request.headers, connection);
  if (caller !== anonymous) throw unknownPath();
  return documentRequest(server, { ...info, cluster: 'default' }, request);
};

/** A client may choose a request's id, of any length: so much of it stands in logs. */
const LOGGED_ID_MAX = 64;

/** Answers that are no objects say their request's id too. */
const tellId = (response: Response, requestId: string): void => {
  const plain = plainParts(response)?.headers;
  if (plain) plain['audit-id'] ??= requestId;
  else if (!response.headers.has('audit-id')) response.headers.set('audit-id', requestId);
};

export interface ApiServer {
  /** Answers one request; never rejects. */
  fetch(request: Request, connection?: ConnectionInfo): Promise<Response>;
  readonly server: Server;
}

/** The API server as a fetch handler. The steps of a request stand in `handle` in the order they run. */
export const createApiServer = (options: ApiServerOptions): ApiServer => {
  const off = new Set(options.disableAdmission ?? []);
  const plugins = createPlugins(options).filter((plugin) => !off.has(plugin.name));
  const server: Server = {
    ...options,
    registry: createRegistry(builtinResources(), new Map([[FLEET, fleetResources()]])),
    plugins,
    metrics: createMetrics(options.clock.now()),
    services: createServiceAllocator({ store: options.store }),
  };
  const customResources = createCustomResources(server);
  const { metrics } = server;
  const handle = async (
    info: RequestInfo,
    request: Request,
    requestId: string,
    connection: ConnectionInfo,
    trail: AuditTrail | undefined,
  ): Promise<Response> => {
    const exists = server.clusterExists?.(info.cluster) ?? true;
    if (exists !== true && !(await exists)) return noCluster(server, info, request, connection);
    let user: UserInfo;
    try {
      const caller = callerOf(server, info, request.headers, connection);
      user = caller instanceof Promise ? await caller : caller;
    } catch (error) {
      trail?.unauthenticated(info);
      throw error;
    }
    if (trail) await trail.received(info, user);
    server.admitRequest?.(info, connection);
    const wanted = wantedOf(request);
    if (wanted) {
      const acting = await impersonated(server.authorizer, user, info, wanted);
      user = acting.user;
      trail?.impersonated(user, acting.constraint);
    }
    const { flow } = server;
    if (!flow || connection.internal) return await answered(info, request, requestId, user, connection, trail);
    const begun = flow.begin(info, user, request);
    if (!begun) return await answered(info, request, requestId, user, connection, trail);
    const pass = begun instanceof Promise ? await begun : begun;
    let response: Response;
    try {
      response = pass.refusal
        ? flow.refused(pass, requestId)
        : await answered(info, request, requestId, user, connection, trail);
    } catch (error) {
      response = failed(error, requestId, info, trail);
    }
    const ended = flow.end(pass, response);
    if (ended) await ended;
    return response;
  };
  const answered = async (
    info: RequestInfo,
    request: Request,
    requestId: string,
    user: UserInfo,
    connection: ConnectionInfo,
    trail: AuditTrail | undefined,
  ): Promise<Response> => {
    const decided = authorized(server, info, user, trail);
    if (decided) await decided;
    const known = info.isResource && server.registry.find(info.cluster, info.group, info.version, info.resource);
    const defines = info.group === 'apiextensions.k8s.io' && !customResources.follows(info.cluster);
    if (defines || (!known && (info.isResource || served.test(info.path)))) await customResources.refresh(info.cluster);
    // Whoever writes APIServices wants to see their conditions: they are kept from then on.
    if (known && info.group === 'apiregistration.k8s.io') await aggregatorOf(server).of(info.cluster);
    const remote = known ? undefined : await aggregatorOf(server).at(info);
    if (remote) return aggregatorOf(server).pass(remote, { info, request, user, connection });
    if (info.isResource) return await resourceRequest(server, info, request, requestId, user, trail);
    return documentRequest(server, info, request);
  };
  const failed = (
    error: unknown,
    requestId: string,
    info: RequestInfo | undefined,
    trail: AuditTrail | undefined,
  ): Response => {
    const { status, fault } = parseStatusError(error, requestId);
    if (fault) server.onFault?.(error, requestId.slice(0, LOGGED_ID_MAX), info);
    if (fault) trail?.panicked(status);
    else trail?.failed(status);
    return statusResponse(requestId, status, status.code ?? 500);
  };
  return {
    server,
    fetch: async (request, connection = {}) => {
      const requestId = request.headers.get('audit-id') || server.clock.uuid();
      const trail = server.audit?.current()?.trail({ request, requestId, connection });
      const began = server.clock.now();
      const mutating = request.method !== 'GET' && request.method !== 'HEAD';
      let info: RequestInfo | undefined;
      let code = 500;
      let response: Response | undefined;
      metrics.started(mutating);
      try {
        info = requestInfo(request.method, request.url);
        response = await handle(info, request, requestId, connection, trail);
        if (!info.isResource || info.subresource) tellId(response, requestId);
        code = response.status;
        return trail ? await trail.ended(response) : response;
      } catch (error) {
        const refused = failed(error, requestId, info, trail);
        code = refused.status;
        return trail ? await trail.ended(refused) : refused;
      } finally {
        const known = !unnamed.has(code) || isServed(server, info);
        const dryRun = mutating && (info?.query.has('dryRun') ?? false);
        const applied =
          request.method === 'PATCH' &&
          (request.headers.get('content-type') ?? '').startsWith('application/apply-patch');
        const ms = server.clock.now() - began;
        metrics.ended({ info, known, mutating, dryRun, code, ms, applied, ...(response && { response }) });
      }
    },
  };
};
