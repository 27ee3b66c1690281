import { unauthorized } from '../../machinery/status.ts';
import type { ConnectionInfo, Server } from '../context.ts';
import type { UserInfo } from '../registry.ts';
import type { RequestInfo } from '../request-info.ts';
import { anonymous } from './authenticator.ts';
import { bearerToken, protocolToken } from './credentials.ts';

/** What says whether the server is well, and of what version it is: for anybody, where nothing else is configured. */
export const isOpen = (path: string): boolean => open.test(path);
const open = /^\/(healthz|livez|readyz|version)(\/|$)/;

/** Whether a request without credentials is one of system:anonymous. */
const mayBeAnonymous = (server: Server, { cluster, path }: RequestInfo): boolean => {
  const settings = server.configured?.(cluster).authentication?.anonymous;
  if (!settings) return isOpen(path);
  const { enabled = false, conditions = [] } = settings;
  return enabled && (conditions.length === 0 || conditions.some((one) => one.path === path));
};

/**
 * Who asks, at once where nothing has to be asked. Throws or rejects with 401 for a credential that is not good, whatever the path, and for none where one is needed. The token of
 * a WebSocket may be among its `protocols`, which are only looked at where no header tells who asks.
 */
export const callerOf = (
  server: Server,
  info: RequestInfo,
  headers: Pick<Headers, 'get'>,
  connection: ConnectionInfo,
  protocols?: string | null,
): UserInfo | Promise<UserInfo> => {
  const token = bearerToken(headers.get('authorization'));
  const user = server.authenticator.authenticate(info.cluster, token, connection);
  return user && !(user instanceof Promise) ? user : otherwise(server, info, connection, { user, token, protocols });
};

interface Brought {
  user: Promise<UserInfo | undefined> | undefined;
  token: string | undefined;
  protocols: string | null | undefined;
}

const otherwise = async (
  server: Server,
  info: RequestInfo,
  connection: ConnectionInfo,
  { user, token, protocols }: Brought,
): Promise<UserInfo> => {
  const known = await user;
  if (known) return known;
  const other = protocols ? protocolToken(protocols) : undefined;
  if (other && 'token' in other) {
    const found = await server.authenticator.authenticate(info.cluster, other.token, connection);
    if (found) return found;
  }
  const brought = token !== undefined || other !== undefined || connection.clientCertificate !== undefined;
  if (brought || connection.untrustedCertificate || !mayBeAnonymous(server, info)) throw unauthorized();
  return anonymous;
};
