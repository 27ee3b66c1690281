/** The issuers that a cluster's configuration names, compiled: what is loaded when the first of their tokens comes. */
import { hash } from 'node:crypto';
import { isTenant } from '../../outgoing/addresses.ts';
import type { UserInfo } from '../../registry.ts';
import { createDistributedClaims, type DistributedClaims } from './distributed-claims.ts';
import type { AuthenticationDocument, JwtAuthenticator } from './document.ts';
import { loadExpressions } from './expressions.ts';
import { mapClaims } from './mapping.ts';
import { createProvider, GOOGLE, type Provider } from './provider.ts';
import { unverifiedClaims } from './signature.ts';
import { type Programs, validateAuthentication } from './validate.ts';

/** What came of a token: its user, why it is refused, or nothing where no issuer of ours made it. */
export type Verdict = { user: UserInfo } | { fault: string } | undefined;

/** The issuers of one cluster. */
export interface Issuers {
  verify(token: string): Promise<Verdict>;
}

const TOKEN_BYTES_MAX = 64 << 10;
/** A token that was verified counts for so long without being looked at again, in milliseconds: as upstream. */
const KNOWN_MS = 10_000;
const KNOWN_MAX = 1_000;

interface Known {
  user: UserInfo;
  until: number;
  generation: number;
}

/** One authenticator of the configuration with its keys, its programs, and the tokens it knows. */
interface Compiled {
  document: JwtAuthenticator;
  /** By which a later configuration tells that it is the same. */
  text: string;
  programs: Programs;
  provider: Provider;
  distributed: DistributedClaims | undefined;
  known: Map<string, Known>;
}

export interface IssuersOptions {
  cluster: string;
  clock: { now(): number };
  /** Those before: what they know of issuers that stay the same is kept. */
  before?: readonly Compiled[];
}

const compile = (
  document: JwtAuthenticator,
  programs: Programs,
  { cluster, clock, before }: IssuersOptions,
): Compiled => {
  const text = JSON.stringify(document);
  const kept = before?.find((one) => one.text === text);
  if (kept) return kept;
  const { url = '', discoveryURL = '', certificateAuthority: ca, audiences = [] } = document.issuer ?? {};
  const reading = { cluster, ...(ca && { ca }) };
  const options = { issuer: { url, discoveryURL, audiences }, reading, clock };
  const groups = document.claimMappings?.groups?.claim;
  return {
    document,
    text,
    programs,
    provider: createProvider(options),
    distributed: groups ? createDistributedClaims(groups, options) : undefined,
    known: new Map(),
  };
};

const remember = ({ known }: Compiled, digest: string, entry: Known): void => {
  known.delete(digest);
  known.set(digest, entry);
  for (const oldest of known.keys()) {
    if (known.size <= KNOWN_MAX) break;
    known.delete(oldest);
  }
};

/**
 * Names of the control plane's own: upstream leaves it to the rules of a document whether an issuer may give them. The
 * owner of a deployment is asked like that too; a tenant's issuer never gives them (record 020).
 */
const isReserved = (name: string): boolean => name.startsWith('system:');

const checkTenant = ({ username, groups }: UserInfo): void => {
  const reserved = [username, ...groups.filter((group) => group !== 'system:authenticated')].find(isReserved);
  if (reserved !== undefined)
    throw new Error(`${JSON.stringify(reserved)} is a name that an issuer of this cluster cannot give`);
};

/** The issuers of a document, of which those with mistakes are left out: whoever wrote it was told. */
export const createIssuers = async (
  document: AuthenticationDocument,
  options: IssuersOptions,
): Promise<Issuers & { compiled: readonly Compiled[] }> => {
  await loadExpressions();
  const { cluster, clock } = options;
  const compiled = new Map<string, Compiled>();
  for (const one of document.jwt ?? []) {
    const { causes, programs } = validateAuthentication({ jwt: [one] });
    const [first] = programs;
    if (causes.length === 0 && first) compiled.set(one.issuer?.url ?? '', compile(one, first, options));
  }
  const mapped = async (one: Compiled, token: string): Promise<{ user: UserInfo; expires: number }> => {
    const verified = await one.provider.verify(token).catch((error: Error) => {
      throw new Error(`oidc: verify token: ${error.message}`);
    });
    const claims = one.distributed
      ? await one.distributed.expand(verified).catch((error: Error) => {
          throw new Error(`oidc: could not expand distributed claims: ${error.message}`);
        })
      : verified;
    const user = mapClaims(claims, one.document, one.programs);
    if (isTenant(cluster)) checkTenant(user);
    return { user, expires: Number(claims.exp) * 1000 };
  };

  return {
    compiled: [...compiled.values()],
    verify: async (token) => {
      if (token.length > TOKEN_BYTES_MAX) return undefined;
      const iss = unverifiedClaims(token)?.iss;
      const one = typeof iss === 'string' ? compiled.get(iss === GOOGLE ? `https://${GOOGLE}` : iss) : undefined;
      if (!one) return undefined;
      const digest = hash('sha256', token, 'base64');
      const known = one.known.get(digest);
      const now = clock.now();
      if (known && known.until > now && known.generation === one.provider.generation()) return known;
      try {
        const { user, expires } = await mapped(one, token);
        const until = Math.min(now + KNOWN_MS, expires);
        remember(one, digest, { user, until, generation: one.provider.generation() });
        return { user };
      } catch (error) {
        one.known.delete(digest);
        return { fault: error instanceof Error ? error.message : String(error) };
      }
    },
  };
};
