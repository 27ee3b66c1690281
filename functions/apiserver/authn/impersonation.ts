import { dns1123Subdomain } from '../../machinery/names.ts';
import { forbidden, type StatusError } from '../../machinery/status.ts';
import { type Attributes, type Authorizer, refusal, refused } from '../authz/authorizer.ts';
import type { UserInfo } from '../registry.ts';
import type { RequestInfo } from '../request-info.ts';
import { type RawHeaders, type Wanted, wantedOf } from './impersonation-headers.ts';

const ACCOUNT = /^system:serviceaccount:([a-z0-9][-a-z0-9]{0,62}):([a-z0-9][-a-z0-9.]{0,252})$/;
const NODE = 'system:node:';
const AUTHENTICATION = 'authentication.k8s.io';
/** More groups, or values of extra fields, than this are asked about all at once first. */
const MANY = 4;

/**
 * Constrained impersonation (KEP-5284): besides the right to act as somebody, one needs the right to do so for the verb at
 * hand. A mode says whom one can act as; the last one is impersonation as it always was, for any verb.
 */
interface Mode {
  name: 'associated-node' | 'arbitrary-node' | 'serviceaccount' | 'user-info' | undefined;
  fits(wanted: Wanted, requestor: UserInfo): boolean;
}

const nodeName = (username: string): string | undefined => {
  if (!username.startsWith(NODE)) return undefined;
  const name = username.slice(NODE.length);
  return dns1123Subdomain(name).length === 0 ? name : undefined;
};

const onlyUsername = ({ uid, groups, extra }: Wanted): boolean =>
  uid === '' && groups.length === 0 && Object.keys(extra).length === 0;

const isOnNode = ({ username, extra }: UserInfo, node: string | undefined): boolean => {
  const on = extra['authentication.kubernetes.io/node-name'] ?? [];
  return node !== undefined && ACCOUNT.test(username) && on.length === 1 && on[0] === node;
};

const modes: readonly Mode[] = [
  {
    name: 'associated-node',
    fits: (wanted, requestor) => onlyUsername(wanted) && isOnNode(requestor, nodeName(wanted.username)),
  },
  { name: 'arbitrary-node', fits: (wanted) => onlyUsername(wanted) && nodeName(wanted.username) !== undefined },
  { name: 'serviceaccount', fits: (wanted) => onlyUsername(wanted) && ACCOUNT.test(wanted.username) },
  { name: 'user-info', fits: ({ username }) => nodeName(username) === undefined && !ACCOUNT.test(username) },
  { name: undefined, fits: () => true },
];

/** A request on which somebody acts as another. */
interface Asking {
  authorizer: Authorizer;
  requestor: UserInfo;
  info: RequestInfo;
  wanted: Wanted;
}

type Right = Pick<Attributes, 'resource' | 'name'> & Partial<Pick<Attributes, 'namespace' | 'subresource' | 'group'>>;

const attributesOf = ({ info, requestor }: Asking, mode: Mode['name'], right: Right): Attributes => ({
  cluster: info.cluster,
  user: requestor,
  verb: mode ? `impersonate:${mode}` : 'impersonate',
  isResource: true,
  group: mode ? AUTHENTICATION : '',
  version: 'v1',
  namespace: '',
  subresource: '',
  path: '',
  ...right,
});

const authorized = async ({ authorizer }: Asking, asked: Attributes): Promise<StatusError | undefined> => {
  const decision = await authorizer.authorize(asked);
  return decision.allowed ? undefined : refused(asked, decision);
};

/** The right to act as the user by name. `*` stands for the node that one is on: which it is makes no difference. */
const nameRight = (mode: Mode['name'], username: string): Right => {
  const node = mode ? nodeName(username) : undefined;
  if (node !== undefined) return { resource: 'nodes', name: mode === 'associated-node' ? '*' : node };
  const [, namespace, name] = ACCOUNT.exec(username) ?? [];
  return namespace && name ? { resource: 'serviceaccounts', namespace, name } : { resource: 'users', name: username };
};

/** What constrained impersonation never gives, whatever one's rights. */
const forbiddenAnyway = (asking: Asking, mode: Mode['name']): StatusError | undefined => {
  const { groups, extra } = asking.wanted;
  const no = (right: Right, why: string) => {
    const asked = attributesOf(asking, mode, right);
    return forbidden({ group: asked.group, kind: asked.resource, name: asked.name }, refusal(asked, why));
  };
  const group = (name: string) => ({ resource: 'groups', name });
  if (groups.includes('')) return no(group(''), 'impersonating the empty string group is not allowed');
  if (groups.includes('system:masters'))
    return no(group('system:masters'), 'impersonating the system:masters group is not allowed');
  const field = { group: AUTHENTICATION, resource: 'userextras', name: '' };
  for (const [key, values] of Object.entries(extra)) {
    if (key === '') return no(field, 'impersonating the empty string key in extra is not allowed');
    const slash = key.indexOf('/');
    const [domain, path] = [key.slice(0, slash), key.slice(slash + 1)];
    if (slash <= 0 || !/^[A-Za-z0-9/\-._~%!$&'()*+,;=:]+$/.test(path) || dns1123Subdomain(domain).length > 0) {
      const why = `extra.key: Invalid value: ${JSON.stringify(key)}: must be a domain-prefixed path (such as "acme.io/foo")`;
      return no(field, `impersonating an invalid key in extra is not allowed: ${why}`);
    }
    if (key !== key.toLowerCase())
      return no(field, `impersonating a non-lowercase key in extra is not allowed: ${JSON.stringify(key)}`);
    if (values.length === 0) return no(field, 'impersonating empty values in extra is not allowed');
    if (values.includes('')) return no(field, 'impersonating the empty string value in extra is not allowed');
  }
  return undefined;
};

/** The first right that is missing of several of a kind; of many, the right to all of them is enough. */
const missing = async (
  asking: Asking,
  mode: Mode['name'],
  rights: readonly Right[],
  all: Right,
): Promise<StatusError | undefined> => {
  if (mode && rights.length >= MANY && !(await authorized(asking, attributesOf(asking, mode, all)))) return undefined;
  for (const right of rights) {
    const refusal = await authorized(asking, attributesOf(asking, mode, right));
    if (refusal) return refusal;
  }
  return undefined;
};

const rightsMissing = async (asking: Asking, mode: Mode['name']): Promise<StatusError | undefined> => {
  const { username, uid, groups, extra } = asking.wanted;
  const one = async (right: Right) => authorized(asking, attributesOf(asking, mode, right));
  const field = (subresource: string, name: string) => ({
    group: AUTHENTICATION,
    resource: 'userextras',
    subresource,
    name,
  });
  return (
    (await one(nameRight(mode, username))) ??
    (uid ? await one({ group: AUTHENTICATION, resource: 'uids', name: uid }) : undefined) ??
    (await missing(
      asking,
      mode,
      groups.map((name) => ({ resource: 'groups', name })),
      { resource: 'groups', name: '*' },
    )) ??
    (await missing(
      asking,
      mode,
      Object.entries(extra).flatMap(([key, values]) => values.map((value) => field(key, value))),
      field('*', '*'),
    ))
  );
};

/** Where a node's own service account acts as the node, what it says of itself is left out: the node was compared before. */
const withoutExtra = (asking: Asking): Asking => {
  const keys = Object.keys(asking.requestor.extra).sort();
  const extra = { 'authentication.kubernetes.io/associated-node-keys': keys };
  return { ...asking, requestor: { ...asking.requestor, extra } };
};

const refusalIn = async (asking: Asking, mode: Mode['name']): Promise<StatusError | undefined> => {
  const as = mode === 'associated-node' ? withoutExtra(asking) : asking;
  if (!mode) return rightsMissing(as, mode);
  const { info, requestor } = as;
  const on = { ...info, user: requestor, verb: `impersonate-on:${mode}:${info.verb}` };
  return (await authorized(as, on)) ?? forbiddenAnyway(as, mode) ?? (await rightsMissing(as, mode));
};

const actAs = ({ username, uid, groups, extra }: Wanted, mode: Mode['name']): UserInfo => {
  const account = ACCOUNT.exec(username);
  let all = groups;
  if (mode && nodeName(username) !== undefined) all = ['system:nodes'];
  else if (account && groups.length === 0) all = ['system:serviceaccounts', `system:serviceaccounts:${account[1]}`];
  const stranger = username === 'system:anonymous';
  const added = stranger ? 'system:unauthenticated' : 'system:authenticated';
  const left = all.includes(added) || (!stranger && all.includes('system:unauthenticated'));
  return { username, uid, groups: left ? all : [...all, added], extra };
};

/** Whom a request acts as, and by which constrained right, where it was one. */
export interface ActingUser {
  user: UserInfo;
  constraint?: string;
}

/**
 * The user that a request acts as: the caller, unless `Impersonate-User`, `-Group`, `-Uid` and `-Extra-*` headers name
 * another and the caller may
 * (https://kubernetes.io/docs/reference/access-authn-authz/user-impersonation/). Throws 400 when headers come without a
 * user, 403 in the words of the first mode that would have fitted.
 */
export const impersonate = async (
  authorizer: Authorizer,
  requestor: UserInfo,
  info: RequestInfo,
  request: Pick<Request, 'headers'> & RawHeaders,
): Promise<ActingUser> => {
  const wanted = wantedOf(request);
  return wanted ? impersonated(authorizer, requestor, info, wanted) : { user: requestor };
};

/** As `impersonate`, with whom the headers ask for. */
export const impersonated = async (
  authorizer: Authorizer,
  requestor: UserInfo,
  info: RequestInfo,
  wanted: Wanted,
): Promise<ActingUser> => {
  const asking = { authorizer, requestor, info, wanted };
  let first: StatusError | undefined;
  for (const { name, fits } of modes) {
    if (!fits(wanted, requestor)) continue;
    const refusal = await refusalIn(asking, name);
    if (!refusal) return { user: actAs(wanted, name), ...(name && { constraint: `impersonate:${name}` }) };
    first ??= refusal;
  }
  throw first ?? forbidden({ group: '', kind: 'users', name: wanted.username }, 'no mode of impersonation fits');
};
