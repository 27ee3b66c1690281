import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { CommandError, dataDirectory, parse } from './command.ts';

export const kubeconfigPath = (directory: string): string => join(directory, 'kubeconfig');

export interface Access {
  server: string;
  caCert: string;
  token: string;
  name: string;
}

/** A kubeconfig with one cluster, one user and one context, all of the same name. */
export const kubeconfigText = ({ server, caCert, token, name }: Access): string =>
  stringify({
    apiVersion: 'v1',
    kind: 'Config',
    // Without a certificate of its own the server is one that the system's authorities vouch for.
    clusters: [
      {
        name,
        cluster: { server, ...(caCert && { 'certificate-authority-data': Buffer.from(caCert).toString('base64') }) },
      },
    ],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  });

export const writeKubeconfig = (directory: string, access: Access): string => {
  const path = kubeconfigPath(directory);
  writeFileSync(`${path}.tmp`, kubeconfigText(access), { mode: 0o600 });
  renameSync(`${path}.tmp`, path);
  return path;
};

/** `skiff kubeconfig [--data DIR]` */
export const run = async (args: string[]): Promise<number> => {
  const { values } = parse(args, { data: { type: 'string' } });
  const directory = dataDirectory(values.data);
  if (!existsSync(kubeconfigPath(directory))) {
    throw new CommandError(`no cluster in ${directory}: start one with ./skiff up`);
  }
  process.stdout.write(readFileSync(kubeconfigPath(directory), 'utf8'));
  return 0;
};
