import { join } from 'node:path';
import { BUILT_IN, type Cluster, FLEET } from '../../functions/apiserver/fleet/cluster-kind.ts';
import { CLUSTERS } from '../../functions/fleet/deletion.ts';
import { administrator } from '../administrator.ts';
import { CommandError } from '../command.ts';
import { kubeconfigText } from '../kubeconfig.ts';

export interface AwsKubeconfigOptions {
  cluster?: string | undefined;
  'cluster-id'?: string | undefined;
  region?: string | undefined;
  profile?: string | undefined;
  'role-arn'?: string | undefined;
  'sts-endpoint'?: string | undefined;
}

/** Without the launcher, which may install packages: clients call this many times, and at once. */
const PROGRAM = ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, '../main.ts')];
const PASSED = ['region', 'profile', 'role-arn', 'sts-endpoint'] as const;

/** A kubeconfig that holds no secret: whoever uses it shows credentials of AWS of their own. */
export const awsKubeconfig = async (directory: string, options: AwsKubeconfigOptions): Promise<string> => {
  const name = options.cluster ?? 'default';
  const admin = await administrator(directory);
  try {
    let clusterId = options['cluster-id'];
    if (!clusterId && BUILT_IN.has(name))
      throw new CommandError(`--cluster-id is needed: what AWSIdentityConfiguration calls ${name}`);
    if (!BUILT_IN.has(name)) {
      const cluster = await admin.client(FLEET).get<Cluster>(CLUSTERS, '', name);
      if (!cluster) throw new CommandError(`no cluster ${name}: make it with ./skiff cluster create ${name}`);
      clusterId ??= cluster.spec?.accessConfig?.clusterId ?? cluster.metadata.uid ?? '';
    }
    const args = [...PROGRAM, 'token', '--cluster-id', clusterId ?? ''];
    for (const one of PASSED) {
      const value = options[one];
      if (value) args.push(`--${one}`, value);
    }
    const base = admin.server.replace(/\/$/, '');
    const server = name === 'default' ? base : `${base}/clusters/${name}`;
    return kubeconfigText({ name, server, caCert: admin.caCert, exec: { command: process.execPath, args } });
  } finally {
    admin.close();
  }
};
