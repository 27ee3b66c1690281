import { existsSync, readFileSync } from 'node:fs';
import { parse as parseYaml } from 'yaml';
import * as z from 'zod';
import type { Client } from '../functions/client/client.ts';
import { createClient } from '../functions/client/fetch-client.ts';
import { createHttp2Fetch } from '../functions/client/http2-fetch.ts';
import { CommandError } from './command.ts';
import { type Access, kubeconfigPath } from './kubeconfig.ts';

const schema = z.object({
  clusters: z
    .array(
      z.object({
        name: z.string(),
        cluster: z.object({ server: z.string(), 'certificate-authority-data': z.string() }),
      }),
    )
    .min(1),
  users: z.array(z.object({ user: z.object({ token: z.string() }) })).min(1),
});

/** What the kubeconfig of a data directory lets in with. */
export const readAccess = (directory: string): Access => {
  const path = kubeconfigPath(directory);
  if (!existsSync(path)) throw new CommandError(`no cluster in ${directory}: start one with ./skiff up`);
  const { clusters, users } = schema.parse(parseYaml(readFileSync(path, 'utf8')));
  const [cluster, user] = [clusters[0], users[0]];
  if (!cluster || !user) throw new CommandError(`${path} is not a kubeconfig of skiff`);
  return {
    name: cluster.name,
    server: cluster.cluster.server,
    caCert: Buffer.from(cluster.cluster['certificate-authority-data'], 'base64').toString(),
    token: user.user.token,
  };
};

export interface RemoteClient {
  client: Client;
  close(): void;
}

/** A client over HTTP/2, as any user of the cluster has one. */
export const connectClient = (access: Access): RemoteClient => {
  const http = createHttp2Fetch({ ca: access.caCert });
  return {
    client: createClient({ fetch: http, baseUrl: access.server, token: access.token, userAgent: 'skiff' }),
    close: () => http.close(),
  };
};
