/** Claims that a token does not hold but tells where they are (OpenID Connect Core 1.0, 5.6.2). */
import { createProvider, type Provider, type ProviderOptions } from './provider.ts';
import { readDocument } from './read-document.ts';
import { type Claims, unverifiedClaims } from './signature.ts';

/** So many issuers of distributed claims are kept per issuer that names them; the oldest go first. */
const PROVIDERS_MAX = 8;

export interface DistributedClaims {
  /** The claims with the distributed one among them, where it was only named. Throws where it cannot be had. */
  expand(claims: Claims): Promise<Claims>;
}

const endpointOf = (claims: Claims, claim: string): { url: string; token: string } | undefined => {
  const names = (claims._claim_names ?? {}) as Record<string, unknown>;
  if (Object.hasOwn(claims, claim) || !Object.hasOwn(names, claim)) return undefined;
  const sources = claims._claim_sources as Record<string, unknown> | null | undefined;
  if (typeof sources !== 'object' || sources === null) throw new Error('oidc: no claim sources');
  const name = names[claim];
  if (typeof name !== 'string' || !Object.hasOwn(sources, name))
    throw new Error(`id token _claim_names contained a source ${name} missing in _claims_sources`);
  const { endpoint, access_token: token } = (sources[name] ?? {}) as { endpoint?: unknown; access_token?: unknown };
  // Without an endpoint it is an aggregated claim, which upstream passes over too.
  if (typeof endpoint !== 'string' || !endpoint) return undefined;
  return { url: endpoint, token: typeof token === 'string' ? token : '' };
};

/**
 * Resolves one claim: asks the endpoint that the verified token names, which answers with a token of its own. That one is
 * verified with the keys of the issuer it names, read with the same authorities, for the same audiences.
 */
export const createDistributedClaims = (claim: string, options: ProviderOptions): DistributedClaims => {
  const providers = new Map<string, Provider>();
  const providerOf = (url: string): Provider => {
    const known = providers.get(url);
    if (known) return known;
    const { audiences } = options.issuer;
    const made = createProvider({ ...options, issuer: { url, audiences } });
    providers.set(url, made);
    for (const oldest of providers.keys()) {
      if (providers.size <= PROVIDERS_MAX) break;
      providers.delete(oldest);
    }
    return made;
  };
  const resolve = async (url: string, accessToken: string): Promise<unknown> => {
    const token = (await readDocument(url, options.reading, accessToken)).trim();
    const issuer = unverifiedClaims(token)?.iss;
    if (typeof issuer !== 'string' || !issuer) throw new Error(`${url} answered with no token`);
    const claims = await providerOf(issuer).verify(token);
    if (!Object.hasOwn(claims, claim))
      throw new Error(`jwt returned by distributed claim endpoint "${url}" did not contain claim: ${claim}`);
    return claims[claim];
  };
  return {
    expand: async (claims) => {
      const endpoint = endpointOf(claims, claim);
      return endpoint ? { ...claims, [claim]: await resolve(endpoint.url, endpoint.token) } : claims;
    },
  };
};
