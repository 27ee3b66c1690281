import type { Replicas } from '../../../store/replica-port.ts';
import { BUILT_IN } from '../../fleet/cluster-kind.ts';
import type { Authenticator } from '../authenticator.ts';
import type { AccessOptions } from './cluster-access.ts';

export interface AwsTokensOptions extends AccessOptions {
  replicas: Replicas;
  clock: { now(): number };
  /** Of this server: a token that is asked about for others is none of theirs. All where absent. */
  audiences?: readonly string[];
  /** Told why STS could not be asked. */
  onFailure?(cluster: string, why: string): void;
}

const PREFIX = 'k8s-aws-v1.';

/** Whether principals of AWS come into a cluster at all. */
export const takesAws = ({ configured, specOf }: AccessOptions, cluster: string): boolean => {
  if (BUILT_IN.has(cluster)) return configured?.(cluster).awsIdentity !== undefined;
  const spec = specOf?.(cluster);
  return spec?.accessConfig !== undefined || spec?.accessEntries !== undefined;
};

/**
 * Tokens in the convention of EKS, in clusters that take them: presigned requests to AWS STS. What judges and sends them is
 * loaded with the first one.
 */
export const awsTokens = (options: AwsTokensOptions): Authenticator => {
  let loaded: Promise<Authenticator> | undefined;
  return {
    authenticate: (cluster, token, connection) => {
      if (!token?.startsWith(PREFIX) || !takesAws(options, cluster)) return undefined;
      loaded ??= import('./aws-authenticator.ts').then(({ createAwsAuthenticator }) => createAwsAuthenticator(options));
      return loaded.then((aws) => aws.authenticate(cluster, token, connection));
    },
  };
};
