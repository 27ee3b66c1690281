import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { CommandError, dataDirectory, parse, UsageError } from './command.ts';

export const kubeconfigPath = (directory: string): string => join(directory, 'kubeconfig');

export interface Access {
  server: string;
  caCert: string;
  token: string;
  name: string;
}

/** A program that a client asks for tokens. */
export interface TokenProgram {
  command: string;
  args: readonly string[];
}

type Entry = Omit<Access, 'token'> & ({ token: string } | { exec: TokenProgram });

const userOf = (entry: Entry): object =>
  'token' in entry
    ? { token: entry.token }
    : {
        exec: {
          apiVersion: 'client.authentication.k8s.io/v1',
          command: entry.exec.command,
          args: entry.exec.args,
          interactiveMode: 'IfAvailable',
          provideClusterInfo: false,
        },
      };

/** A kubeconfig with one cluster, one user and one context, all of the same name. */
export const kubeconfigText = (entry: Entry): string =>
  kubeconfigOf(entry.name, entry.server, entry.caCert, userOf(entry));

const kubeconfigOf = (name: string, server: string, caCert: string, user: object): string =>
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
    users: [{ name, user }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  });

export const writeKubeconfig = (directory: string, access: Access): string => {
  const path = kubeconfigPath(directory);
  writeFileSync(`${path}.tmp`, kubeconfigText(access), { mode: 0o600 });
  renameSync(`${path}.tmp`, path);
  return path;
};

const options = {
  data: { type: 'string' },
  aws: { type: 'boolean' },
  cluster: { type: 'string' },
  'cluster-id': { type: 'string' },
  region: { type: 'string' },
  profile: { type: 'string' },
  'role-arn': { type: 'string' },
  'sts-endpoint': { type: 'string' },
} as const;

/** `skiff kubeconfig [--data DIR] [--aws [--cluster C] [--cluster-id ID] [--region R] [--profile P] [--role-arn ARN] [--sts-endpoint URL]]` */
export const run = async (args: string[]): Promise<number> => {
  const { values } = parse(args, options);
  const directory = dataDirectory(values.data);
  if (values.aws) {
    const { awsKubeconfig } = await import('./aws/kubeconfig.ts');
    process.stdout.write(await awsKubeconfig(directory, values));
    return 0;
  }
  const other = Object.keys(values).find((name) => name !== 'data');
  if (other) throw new UsageError(`--${other} is for --aws`);
  if (!existsSync(kubeconfigPath(directory))) {
    throw new CommandError(`no cluster in ${directory}: start one with ./skiff up`);
  }
  process.stdout.write(readFileSync(kubeconfigPath(directory), 'utf8'));
  return 0;
};
