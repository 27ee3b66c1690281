import type { Authenticator } from '../authenticator.ts';
import type { AuthenticationDocument } from './document.ts';
import type { Issuers } from './issuers.ts';

type CompiledIssuers = Awaited<ReturnType<typeof import('./issuers.ts')['createIssuers']>>;

/** So many clusters keep their issuers compiled; the one that was not asked for longest goes first. */
const CLUSTERS_MAX = 256;

interface Held {
  document: AuthenticationDocument;
  text: string;
  issuers: Promise<CompiledIssuers>;
}

/**
 * Tokens of the issuers that a cluster's configuration, or its object, names (KEP-3331). Costs nothing where it names none; what verifies
 * tokens is loaded with the first one. A configuration that changes takes effect with the next request, and what is known of
 * issuers that it leaves as they were stays known.
 */
export const jwtTokens = (
  documentOf: (cluster: string) => AuthenticationDocument | undefined,
  clock: { now(): number },
): Authenticator => {
  const held = new Map<string, Held>();

  const compile = async (
    cluster: string,
    document: AuthenticationDocument,
    before?: Held,
  ): Promise<CompiledIssuers> => {
    const { createIssuers } = await import('./issuers.ts');
    const compiled = (await before?.issuers.catch(() => undefined))?.compiled;
    return createIssuers(document, { cluster, clock, ...(compiled && { before: compiled }) });
  };
  const issuersOf = (cluster: string, document: AuthenticationDocument): Promise<Issuers> => {
    const before = held.get(cluster);
    if (before?.document === document) return before.issuers;
    const text = JSON.stringify(document);
    const issuers = before?.text === text ? before.issuers : compile(cluster, document, before);
    held.delete(cluster);
    held.set(cluster, { document, text, issuers });
    issuers.catch(() => held.delete(cluster));
    for (const oldest of held.keys()) {
      if (held.size <= CLUSTERS_MAX) break;
      held.delete(oldest);
    }
    return issuers;
  };

  return {
    authenticate: async (cluster, token, connection) => {
      if (token === undefined) return undefined;
      const document = documentOf(cluster);
      if (!document?.jwt?.length) {
        held.delete(cluster);
        return undefined;
      }
      const verdict = await (await issuersOf(cluster, document)).verify(token);
      if (verdict === undefined) return undefined;
      if ('user' in verdict) return verdict.user;
      connection.explain?.(verdict.fault);
      return undefined;
    },
  };
};
