import { timingSafeEqual } from 'node:crypto';
import type { Secret } from '../../machinery/kinds.d.ts';
import { decode } from '../../store/decoded.ts';
import type { Store } from '../../store/store.ts';
import type { UserInfo } from '../registry.ts';
import { type Authenticator, user } from './authenticator.ts';

/**
 * Tokens with which machines ask for their first credential
 * (https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/): each is a Secret of kube-system, looked up by
 * the first part of the token. Whoever deletes it takes the token back at once.
 */
const TOKEN = /^([a-z0-9]{6})\.([a-z0-9]{16})$/;
const TYPE = 'bootstrap.kubernetes.io/token';
const GROUP = /^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$/;
const RFC3339 = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/;

const field = ({ data }: Secret, name: string): string => Buffer.from(data?.[name] ?? '', 'base64').toString();

const isSame = (a: string, b: string): boolean => {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
};

/** What is no time has ended. */
const hasEnded = (secret: Secret, now: number): boolean => {
  const text = field(secret, 'expiration');
  if (text === '') return false;
  return !RFC3339.test(text) || !(Date.parse(text) > now);
};

/** The groups of a token; undefined where one of those it names is none that such a token may give. */
const groupsOf = (secret: Secret): string[] | undefined => {
  const extra = field(secret, 'auth-extra-groups');
  const named = extra === '' ? [] : extra.split(',');
  if (!named.every((group) => GROUP.test(group))) return undefined;
  return [...new Set(['system:bootstrappers', ...named])].sort();
};

const userOf = (secret: Secret, id: string, given: string, now: number): UserInfo | undefined => {
  if (secret.metadata.deletionTimestamp || secret.type !== TYPE) return undefined;
  if (!isSame(field(secret, 'token-secret'), given) || field(secret, 'token-id') !== id) return undefined;
  if (hasEnded(secret, now) || field(secret, 'usage-bootstrap-authentication') !== 'true') return undefined;
  const groups = groupsOf(secret);
  return groups && user(`system:bootstrap:${id}`, groups);
};

/** Costs a read of the store for tokens of this form only. */
export const bootstrapTokens = (store: Pick<Store, 'get'>, clock: { now(): number }): Authenticator => ({
  authenticate: async (cluster, token) => {
    const [, id, secret] = TOKEN.exec(token ?? '') ?? [];
    if (!id || !secret) return undefined;
    const stored = await store.get({ cluster, group: '', resource: 'secrets' }, `kube-system/bootstrap-token-${id}`);
    return stored && userOf(decode(stored) as Secret, id, secret, clock.now());
  },
});
