import { existsSync } from 'node:fs';
import type { Client } from '../functions/client/client.ts';
import { createClient } from '../functions/client/fetch-client.ts';
import { createHttp2Fetch } from '../functions/client/http2-fetch.ts';
import { loadPki } from '../functions/entry/pki.ts';
import { readAccess } from './access.ts';
import { hasDeployment, readDeployment } from './cloud/deployment.ts';
import { readKeys } from './cloud/keys.ts';
import { kubeconfigPath } from './kubeconfig.ts';

/** The operator of what a data directory leads to: an embedded server, or a deployment. */
export interface Administrator {
  /** Where kubectl reaches it: the URL of the front on this machine where a deployment has no TLS of its own. */
  server: string;
  /** PEM; '' where the system's authorities vouch for the server. */
  caCert: string;
  /** The key that signs the tokens of all clusters: PKCS#8 PEM. */
  tokenKey: string;
  /** A client of one of its clusters, as the operator. */
  client(cluster: string): Client;
  close(): void;
}

/** Throws a CommandError where the directory leads to nothing. */
export const administrator = async (directory: string): Promise<Administrator> => {
  const remote = hasDeployment(directory) ? readDeployment(directory) : undefined;
  const fronted = remote?.url.startsWith('http:') && existsSync(kubeconfigPath(directory));
  const shown = !remote || fronted ? readAccess(directory) : undefined;
  const keys = remote ? await readKeys(directory) : await loadPki(directory);
  const url = remote?.url ?? shown?.server ?? '';
  const ca = remote ? '' : (shown?.caCert ?? '');
  const http2 = url.startsWith('https:') ? createHttp2Fetch({ ...(ca && { ca }) }) : undefined;
  return {
    server: shown?.server ?? url,
    caCert: shown?.caCert ?? ca,
    tokenKey: keys.tokenKey,
    client: (cluster) =>
      createClient({
        fetch: http2 ?? ((request) => fetch(request)),
        baseUrl: url,
        token: keys.adminToken,
        userAgent: 'skiff',
        ...(cluster !== 'default' && { cluster }),
      }),
    close: () => http2?.close(),
  };
};
