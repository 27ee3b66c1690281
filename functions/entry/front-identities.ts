import { type FrontIdentity, type FrontProxy, frontProxyName } from '../apiserver/aggregation/identity.ts';
import type { Pki } from './pki.ts';

/** Clusters whose certificates are kept; the one that was used longest ago goes first, and gets another when it comes again. */
const KEPT_MAX = 1000;

/** How a server shows itself to other API servers: under a name of each cluster's own, issued when it is first needed. */
export const frontProxyOf = ({ frontProxy }: Pick<Pki, 'frontProxy'>): FrontProxy => {
  const { caCert, caKey, cert, key } = frontProxy;
  const made = new Map<string, Promise<FrontIdentity>>();
  const issue = async (cluster: string): Promise<FrontIdentity> => {
    const { issueFrontIdentity } = await import('./issue.ts');
    return issueFrontIdentity({ caCert, caKey }, frontProxyName(cluster));
  };
  return {
    caCert,
    cert,
    key,
    identityOf: (cluster) => {
      if (cluster === 'default') return Promise.resolve({ cert, key });
      const identity = made.get(cluster) ?? issue(cluster);
      made.delete(cluster);
      made.set(cluster, identity);
      identity.catch(() => made.delete(cluster));
      for (const oldest of made.keys()) {
        if (made.size <= KEPT_MAX) break;
        made.delete(oldest);
      }
      return identity;
    },
  };
};
