import { bearerToken } from '../apiserver/authn/credentials.ts';
import type { ConnectionInfo, Server } from '../apiserver/context.ts';
import { parseStatusError } from '../apiserver/faults.ts';
import { requestInfo } from '../apiserver/request-info.ts';
import { statusResponse } from '../apiserver/respond.ts';

/** Answers a request beside the API; undefined for one that is not its own. */
export type Operate = (request: Request) => Promise<Response | undefined>;

const PATHS = /^\/skiff\.dev\/(keys|snapshots\/[a-z0-9][-a-z0-9]{0,62})$/;

/**
 * Audits what the operator asks for beside the API: whoever saves a cluster has read all its secrets. Rules of a policy find
 * these requests as `nonResourceURLs`. An event that has to be kept and is not lets none of them pass.
 */
export const auditedOperations =
  (server: Pick<Server, 'audit' | 'authenticator' | 'clock' | 'onFault'>, operate: Operate) =>
  async (request: Request, connection: ConnectionInfo = {}): Promise<Response | undefined> => {
    const audit = server.audit?.current();
    if (!audit || !PATHS.test(new URL(request.url).pathname)) return operate(request);
    const requestId = request.headers.get('audit-id') || server.clock.uuid();
    const trail = audit.trail({ request, requestId, connection });
    const info = requestInfo(request.method, request.url);
    const token = bearerToken(request.headers.get('authorization'));
    try {
      const caller = await server.authenticator.authenticate(info.cluster, token, connection);
      if (caller) await trail.received(info, caller);
      else trail.unauthenticated(info);
      const response = await operate(request);
      if (!response) return undefined;
      if (caller) trail.annotate('authorization.k8s.io/decision', response.status === 401 ? 'forbid' : 'allow');
      return await trail.ended(response);
    } catch (error) {
      const { status, fault } = parseStatusError(error, requestId);
      if (fault) server.onFault?.(error, requestId, info);
      if (fault) trail.panicked(status);
      else trail.failed(status);
      return trail.ended(statusResponse(requestId, status, status.code ?? 500));
    }
  };
