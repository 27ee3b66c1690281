import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { parse } from 'yaml';
import * as z from 'zod';

/** Where a webhook is and how it is known: what the current context of a kubeconfig names. */
export interface Connection {
  url: URL;
  tls: {
    ca?: string;
    cert?: string;
    key?: string;
    servername?: string;
    rejectUnauthorized?: boolean;
  };
  /** The value of the Authorization header, read anew where it is in a file that is replaced. */
  authorization(): Promise<string | undefined>;
}

const text = z.string().optional();
const shape = z.object({
  'current-context': z.string().default(''),
  contexts: z
    .array(z.object({ name: z.string(), context: z.object({ cluster: z.string(), user: z.string().default('') }) }))
    .default([]),
  clusters: z.array(
    z.object({
      name: z.string(),
      cluster: z.object({
        server: z.string(),
        'certificate-authority': text,
        'certificate-authority-data': text,
        'insecure-skip-tls-verify': z.boolean().optional(),
        'tls-server-name': text,
        'proxy-url': text,
      }),
    }),
  ),
  users: z
    .array(
      z.object({
        name: z.string(),
        user: z.object({
          'client-certificate': text,
          'client-certificate-data': text,
          'client-key': text,
          'client-key-data': text,
          token: text,
          tokenFile: text,
          username: text,
          password: text,
          exec: z.unknown().optional(),
          'auth-provider': z.unknown().optional(),
        }),
      }),
    )
    .default([]),
});
type KubeConfig = z.infer<typeof shape>;
type User = KubeConfig['users'][number]['user'];

/** Without a current context, a file with one cluster and one user means those. */
const chosen = (config: KubeConfig) => {
  const name = config['current-context'];
  const context = config.contexts.find((one) => one.name === name)?.context;
  if (name && !context) throw new Error(`context "${name}" does not exist`);
  const only = config.clusters.length === 1 ? config.clusters[0] : undefined;
  const cluster = context ? config.clusters.find((one) => one.name === context.cluster) : only;
  if (!cluster) throw new Error(context ? `cluster "${context.cluster}" does not exist` : 'no context is chosen');
  const user = context?.user ? config.users.find((one) => one.name === context.user) : undefined;
  if (context?.user && !user) throw new Error(`user "${context.user}" does not exist`);
  return { cluster: cluster.cluster, user: user?.user ?? (context ? {} : (config.users[0]?.user ?? {})) };
};

const authorizationOf = (user: User, at: (path: string) => string): Connection['authorization'] => {
  const { token, tokenFile, username, password = '' } = user;
  if (tokenFile) return async () => `Bearer ${(await readFile(at(tokenFile), 'utf8')).trim()}`;
  if (token) return async () => `Bearer ${token}`;
  if (username) return async () => `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  return async () => undefined;
};

const INLINE = /^data:[^,]*;base64,/;

/** Whether a text stands for a file's contents (RFC 2397) instead of its path. */
export const isInline = (file: string): boolean => INLINE.test(file);

const textOf = async (file: string): Promise<string> =>
  isInline(file) ? Buffer.from(file.replace(INLINE, ''), 'base64').toString() : readFile(file, 'utf8');

/** Reads a kubeconfig; paths in a file are relative to it. Rejects with an Error where it does not lead anywhere. */
export const readConnection = async (file: string): Promise<Connection> => {
  const parsed = shape.safeParse(parse(await textOf(file)));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new Error(`${issue?.path.join('.')}: ${issue?.message}`);
  }
  const { cluster, user } = chosen(parsed.data);
  if (user.exec || user['auth-provider']) throw new Error('users with exec or auth-provider are not supported here');
  if (cluster['proxy-url']) throw new Error('proxy-url is not supported here');
  const at = (path: string): string => {
    if (isInline(file)) throw new Error(`"${path}" is a file, which an inline kubeconfig has none of`);
    return resolve(dirname(file), path);
  };
  const pem = async (data: string | undefined, path: string | undefined): Promise<string | undefined> => {
    if (data) return Buffer.from(data, 'base64').toString();
    return path ? readFile(at(path), 'utf8') : undefined;
  };
  const [ca, cert, key] = await Promise.all([
    pem(cluster['certificate-authority-data'], cluster['certificate-authority']),
    pem(user['client-certificate-data'], user['client-certificate']),
    pem(user['client-key-data'], user['client-key']),
  ]);
  const url = new URL(cluster.server);
  if (url.protocol !== 'https:') throw new Error(`the server "${cluster.server}" is not reached by https`);
  const servername = cluster['tls-server-name'];
  return {
    url,
    tls: {
      ...(ca && { ca }),
      ...(cert && key && { cert, key }),
      ...(servername && { servername }),
      ...(cluster['insecure-skip-tls-verify'] && { rejectUnauthorized: false }),
    },
    authorization: authorizationOf(user, at),
  };
};
