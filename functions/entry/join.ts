import { randomInt, timingSafeEqual } from 'node:crypto';
import type { Authenticator } from '../apiserver/authn/authenticator.ts';
import type { TokenAuthority } from '../apiserver/authn/token-authority.ts';
import { parseStatusError } from '../apiserver/faults.ts';
import type { Client } from '../client/client.ts';
import type { Clock } from '../clock/clock.ts';
import type { CertificateAuthority } from '../controllers/certificates/requests.ts';
import type { Node, Secret } from '../machinery/kinds.d.ts';
import { alreadyExists, badRequest, forbidden, notFound, StatusError, unauthorized } from '../machinery/status.ts';
import { FRONT_ADDRESSES, FRONT_NAMES, FRONT_SUBJECT } from './front-names.ts';

// How a machine becomes a node: it shows a token that is good for an hour and gets a credential of its own, which it
// renews for as long as its Node object is there.

const SECRETS = { group: '', version: 'v1', resource: 'secrets' };
const NODES = { group: '', version: 'v1', resource: 'nodes' };
const NAMESPACE = 'kube-system';
/** Type and fields of bootstrap token secrets, as the Kubernetes documentation lists them. */
const TYPE = 'bootstrap.kubernetes.io/token';
const PREFIX_FIELD = 'node-prefix';
const TOKEN = /^([a-z0-9]{6})\.([a-z0-9]{16})$/;
const NAME = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;
const DAY_SECONDS = 86_400;
/** A machine may be switched off for this long and still find its way back. */
export const CREDENTIAL_DAYS = 30;
const SERVING = ['digital signature', 'server auth'];
/** What a machine gets. */
export interface JoinAnswer {
  node: string;
  /** The node's own bearer token, and when it ends in seconds since the epoch. */
  token: string;
  expires: number;
  /** PEM of the authority that vouches for the gateway and for the certificate. */
  caCert: string;
  /** PEM of a serving certificate for the key of the request, by which pods reach the API on their own node. */
  certificate: string;
  /** The URL of the gateway, where there is one. */
  gateway?: string;
}

/** What it asks with: a name, and a PKCS#10 request (PEM) for the addresses by which its pods reach the API. */
export interface JoinRequest {
  node: string;
  request: string;
}

export interface JoinOptions {
  /** A client in process, as the administrator. */
  client(cluster: string): Client;
  authority: Pick<TokenAuthority, 'mintNodeToken' | 'nodeTokens'>;
  authenticator: Authenticator;
  clock: Clock;
  /** Signs what pods are to trust, loaded when it is first needed. */
  certificates(): Promise<{ authority: CertificateAuthority; caCert: string }>;
  gateway?: string;
  /** Where a node's agent hears that its pods changed, where there are bells. */
  bell?(cluster: string, node: string): Promise<{ url: string; seconds: number }>;
}

const random = (length: number): string =>
  Array.from({ length }, () => 'abcdefghijklmnopqrstuvwxyz0123456789'[randomInt(36)]).join('');

const decoded = (secret: Secret, field: string): string => Buffer.from(secret.data?.[field] ?? '', 'base64').toString();

const hasEnded = (secret: Secret, now: number): boolean => !(Date.parse(decoded(secret, 'expiration')) > now);

export interface MadeToken {
  token: string;
  expires: Date;
}

/**
 * Makes a token with which machines may join for `seconds`, under names that begin with `prefix` ('' is any). It is a
 * Secret of kube-system: deleting that revokes it. Tokens that have ended are removed on the way.
 */
export const makeJoinToken = async (
  client: Client,
  clock: Clock,
  { seconds, prefix }: { seconds: number; prefix: string },
): Promise<MadeToken> => {
  const old = await client.list<Secret>(SECRETS, { namespace: NAMESPACE, fieldSelector: `type=${TYPE}` });
  for (const secret of old.items)
    if (hasEnded(secret, clock.now()))
      await client.delete(SECRETS, NAMESPACE, secret.metadata.name ?? '').catch(() => {});
  const [id, secret] = [random(6), random(16)];
  const expires = new Date(clock.now() + seconds * 1000);
  await client.create<Secret>(SECRETS, {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { namespace: NAMESPACE, name: `bootstrap-token-${id}` },
    type: TYPE,
    stringData: {
      'token-id': id,
      'token-secret': secret,
      expiration: expires.toISOString(),
      'usage-bootstrap-authentication': 'true',
      [PREFIX_FIELD]: prefix,
    },
  });
  return { token: `${id}.${secret}`, expires };
};

const sameText = (a: string, b: string): boolean => {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
};

/** The prefix that a join token allows; throws 401 for any other token, and for one that has ended. */
const allowedPrefix = async (client: Client, token: string | undefined, now: number): Promise<string> => {
  const [, id, secret] = TOKEN.exec(token ?? '') ?? [];
  if (!id || !secret) throw unauthorized();
  const found = await client.get<Secret>(SECRETS, NAMESPACE, `bootstrap-token-${id}`);
  if (!found || found.type !== TYPE || !sameText(decoded(found, 'token-secret'), secret)) throw unauthorized();
  if (decoded(found, 'usage-bootstrap-authentication') !== 'true' || hasEnded(found, now)) throw unauthorized();
  return decoded(found, PREFIX_FIELD);
};

const bearer = (request: Request): string | undefined =>
  /^bearer (.+)$/i.exec(request.headers.get('authorization') ?? '')?.[1]?.trim();

const readBody = async (request: Request): Promise<JoinRequest> => {
  let body: Partial<JoinRequest> | null = null;
  try {
    body = JSON.parse(await request.text()) as Partial<JoinRequest> | null;
  } catch {
    // Told below.
  }
  const { node, request: pem } = body ?? {};
  if (typeof node !== 'string' || !NAME.test(node)) throw badRequest('node is not the name of a node');
  if (typeof pem !== 'string') throw badRequest('request is not a certificate request');
  return { node, request: pem };
};

const issue = async (options: JoinOptions, cluster: string, node: Node, pem: string): Promise<JoinAnswer> => {
  const { authority, caCert } = await options.certificates();
  const asked = await authority.parse(pem).catch((error: Error) => {
    throw badRequest(`request is not a certificate request: ${error.message}`);
  });
  const within = (given: readonly string[], allowed: readonly string[]) => given.every((one) => allowed.includes(one));
  const named = within(asked.dnsNames, FRONT_NAMES) && within(asked.addresses, FRONT_ADDRESSES);
  if (
    !named ||
    asked.commonName !== FRONT_SUBJECT ||
    asked.organizations.length + asked.uris.length + asked.emails.length
  )
    throw forbidden({ group: '', kind: 'nodes', name: node.metadata.name ?? '' }, 'the certificate is for other names');
  const now = options.clock.now();
  const seconds = CREDENTIAL_DAYS * DAY_SECONDS;
  const name = node.metadata.name ?? '';
  return {
    node: name,
    token: options.authority.mintNodeToken(cluster, name, seconds, node.metadata.uid),
    expires: Math.floor(now / 1000) + seconds,
    caCert,
    // It outlives the token a little: what was renewed late still serves.
    certificate: await authority.sign(pem, { usages: SERVING, seconds: seconds + DAY_SECONDS, now }),
    ...(options.gateway && { gateway: options.gateway }),
  };
};

/** A machine that was not there before. Whoever holds a join token can take no node's name that is in use. */
const join = async (options: JoinOptions, cluster: string, request: Request): Promise<JoinAnswer> => {
  const client = options.client(cluster);
  const prefix = await allowedPrefix(client, bearer(request), options.clock.now());
  const { node: name, request: pem } = await readBody(request);
  const which = { group: '', kind: 'nodes', name };
  if (!name.startsWith(prefix)) throw forbidden(which, `the token is for names that begin with ${prefix}`);
  if (await client.get<Node>(NODES, '', name)) throw alreadyExists(which);
  const node = await client.create<Node>(NODES, { apiVersion: 'v1', kind: 'Node', metadata: { name } });
  try {
    return await issue(options, cluster, node, pem);
  } catch (error) {
    // Only what this request made: the name may be another machine's by now.
    const { uid } = node.metadata;
    await client.delete(NODES, '', name, { ...(uid && { uid }) }).catch(() => {});
    throw error;
  }
};

/**
 * The node whose agent asks with the credential that it got here; throws 401 for anybody else. Who is a node by another
 * issuer's word gets no credential that outlives that word.
 */
const nodeOf = async (options: JoinOptions, cluster: string, request: Request): Promise<string> => {
  const token = bearer(request);
  if (!(await options.authority.nodeTokens.authenticate(cluster, token, {}))) throw unauthorized();
  const user = await options.authenticator.authenticate(cluster, token, {});
  const name = user?.groups.includes('system:nodes') ? /^system:node:(.+)$/.exec(user.username)?.[1] : undefined;
  if (!name) throw unauthorized();
  return name;
};

/** A node that shows its credential gets the next one. */
const renew = async (options: JoinOptions, cluster: string, request: Request): Promise<JoinAnswer> => {
  const name = await nodeOf(options, cluster, request);
  const body = await readBody(request);
  if (body.node !== name) throw forbidden({ group: '', kind: 'nodes', name: body.node }, 'it is another node');
  const node = await options.client(cluster).get<Node>(NODES, '', name);
  if (!node) throw unauthorized();
  return issue(options, cluster, node, body.request);
};

/** Where the node that asks hears its bell; 404 where there are none. */
const bell = async (options: JoinOptions, cluster: string, request: Request): Promise<object> => {
  const name = await nodeOf(options, cluster, request);
  if (!options.bell) throw notFound({ group: '', kind: 'bells', name });
  return options.bell(cluster, name);
};

const answers = { join, renew, bell };
const PATH = /^(?:\/clusters\/([^/]+))?\/skiff\/v1\/(join|renew|bell)$/;

const answer = async (
  options: JoinOptions,
  cluster: string,
  what: keyof typeof answers,
  request: Request,
): Promise<Response> => {
  try {
    return Response.json(await answers[what](options, cluster, request));
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    const { status } = parseStatusError(error, options.clock.uuid());
    return Response.json(status, { status: status.code ?? 500 });
  }
};

interface App<Rest extends unknown[]> {
  fetch(request: Request, ...rest: Rest): Promise<Response>;
}

/** An API server's app that also answers machines that join, at `POST /skiff/v1/join`, and nodes at `renew` and `bell`. */
export const withJoin = <Rest extends unknown[]>(app: App<Rest>, options: JoinOptions): App<Rest> => ({
  fetch: (request, ...rest) => {
    // Most requests are none of these: they are not looked at any further.
    const mayJoin = request.method === 'POST' && request.url.includes('/skiff/v1/');
    const [, cluster = 'default', what] = mayJoin ? (PATH.exec(new URL(request.url).pathname) ?? []) : [];
    return what ? answer(options, cluster, what as keyof typeof answers, request) : app.fetch(request, ...rest);
  },
});
