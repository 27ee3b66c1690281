import { badRequest, forbidden } from '../../machinery/status.ts';
import { type Attributes, type Authorizer, refusal } from '../authz/authorizer.ts';
import type { UserInfo } from '../registry.ts';

/** What the headers of a request ask for. */
interface Wanted {
  username: string;
  uid: string;
  groups: string[];
  extra: Record<string, string[]>;
}

const EXTRA = 'impersonate-extra-';
const ACCOUNT = /^system:serviceaccount:([a-z0-9][-a-z0-9]{0,62}):([a-z0-9][-a-z0-9.]{0,252})$/;
const AUTHENTICATION = 'authentication.k8s.io';

/** fetch joins repeated headers by a comma and a blank; so does Node's HTTP server. */
const values = (text: string | null): string[] =>
  (text ?? '')
    .split(',')
    .map((one) => one.trim())
    .filter(Boolean);

const extraKey = (header: string): string => {
  try {
    return decodeURIComponent(header.slice(EXTRA.length)).toLowerCase();
  } catch {
    return header.slice(EXTRA.length).toLowerCase();
  }
};

const wantedOf = (headers: Headers): Wanted | undefined => {
  const username = headers.get('impersonate-user') ?? '';
  const uid = headers.get('impersonate-uid') ?? '';
  const groups = values(headers.get('impersonate-group'));
  const extra: Record<string, string[]> = {};
  for (const [name, value] of headers) if (name.startsWith(EXTRA)) extra[extraKey(name)] = values(value);
  if (username) return { username, uid, groups, extra };
  if (!uid && !groups.length && !Object.keys(extra).length) return undefined;
  throw badRequest('groups, uid or extra fields are impersonated without a user');
};

type Right = Pick<Attributes, 'group' | 'version' | 'namespace' | 'resource' | 'subresource' | 'name'>;

/** Every right that the caller needs, as resources of the verb `impersonate`. */
const rightsFor = ({ username, uid, groups, extra }: Wanted): Right[] => {
  const core = { group: '', version: 'v1', namespace: '', subresource: '' };
  const authentication = { ...core, group: AUTHENTICATION };
  const account = ACCOUNT.exec(username);
  const rights: Right[] = account
    ? [{ ...core, resource: 'serviceaccounts', namespace: account[1] ?? '', name: account[2] ?? '' }]
    : [{ ...core, resource: 'users', name: username }];
  for (const name of groups) rights.push({ ...core, resource: 'groups', name });
  if (uid) rights.push({ ...authentication, resource: 'uids', name: uid });
  for (const [key, list] of Object.entries(extra))
    for (const name of list) rights.push({ ...authentication, resource: 'userextras', subresource: key, name });
  return rights;
};

const actAs = ({ username, uid, groups, extra }: Wanted): UserInfo => {
  const all = [...groups];
  const account = ACCOUNT.exec(username);
  if (account && !groups.length) all.push('system:serviceaccounts', `system:serviceaccounts:${account[1]}`);
  if (username === 'system:anonymous') all.push('system:unauthenticated');
  else if (!all.includes('system:unauthenticated')) all.push('system:authenticated');
  return { username, uid, groups: [...new Set(all)], extra };
};

/** The request on which somebody acts as another. */
export interface ImpersonatedRequest {
  cluster: string;
  group: string;
  resource: string;
  name: string;
  headers: Headers;
}

/**
 * The user that a request acts as: the caller, unless `Impersonate-User`, `-Group`, `-Uid` and `-Extra-*` headers name
 * another and the caller holds the verb `impersonate` on each
 * (https://kubernetes.io/docs/reference/access-authn-authz/user-impersonation/). Throws 400 when headers come without a
 * user, 403 for the request at hand when a right is missing.
 */
export const impersonate = async (
  authorizer: Authorizer,
  user: UserInfo,
  request: ImpersonatedRequest,
): Promise<UserInfo> => {
  const wanted = wantedOf(request.headers);
  if (!wanted) return user;
  for (const right of rightsFor(wanted)) {
    const asked = { ...right, cluster: request.cluster, user, verb: 'impersonate', isResource: true, path: '' };
    const decision = await authorizer.authorize(asked);
    if (decision.allowed) continue;
    const of = { group: request.group, kind: request.resource, name: request.name };
    throw forbidden(of, refusal(asked, decision.reason));
  }
  return actAs(wanted);
};
