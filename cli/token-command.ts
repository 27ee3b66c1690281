import { awsCredentials } from './aws/credentials.ts';
import { presignToken } from './aws/presigned-token.ts';
import { parse, UsageError } from './command.ts';

export const tokenOptions = {
  'cluster-id': { type: 'string' },
  region: { type: 'string' },
  profile: { type: 'string' },
  'role-arn': { type: 'string' },
  'session-name': { type: 'string' },
  'sts-endpoint': { type: 'string' },
} as const;

const VERSIONS = ['client.authentication.k8s.io/v1', 'client.authentication.k8s.io/v1beta1'];

/** The version that the client asks for, where it says so; it takes no other. */
const versionAsked = (info: string | undefined): string => {
  try {
    const { apiVersion } = JSON.parse(info ?? '{}') as { apiVersion?: string };
    return VERSIONS.find((one) => one === apiVersion) ?? (VERSIONS[0] as string);
  } catch {
    return VERSIONS[0] as string;
  }
};

/** An ExecCredential as client-go reads it from a plugin. `expires` in milliseconds since the epoch. */
export const execCredential = (token: string, expires: number, info: string | undefined): string =>
  JSON.stringify({
    apiVersion: versionAsked(info),
    kind: 'ExecCredential',
    spec: {},
    status: { expirationTimestamp: new Date(expires).toISOString().replace('.000Z', 'Z'), token },
  });

/** The region that AWS' own tools would take from the environment. */
export const regionOf = (given: string | undefined): string =>
  given ?? process.env.AWS_REGION ?? process.env.AWS_DEFAULT_REGION ?? 'us-east-1';

/** `skiff token --cluster-id ID [--region R] [--profile P] [--role-arn ARN] [--session-name N] [--sts-endpoint URL]` */
export const run = async (args: string[]): Promise<number> => {
  const { values } = parse(args, tokenOptions);
  const clusterId = values['cluster-id'];
  if (!clusterId) throw new UsageError('token needs --cluster-id');
  const region = regionOf(values.region);
  const endpoint = values['sts-endpoint'] ?? process.env.AWS_ENDPOINT_URL_STS ?? process.env.AWS_ENDPOINT_URL;
  const credentials = await awsCredentials({
    region,
    profile: values.profile,
    roleArn: values['role-arn'],
    sessionName: values['session-name'],
    endpoint,
  });
  const { token, expires } = await presignToken({ clusterId, region, endpoint, credentials, now: Date.now() });
  console.log(execCredential(token, expires, process.env.KUBERNETES_EXEC_INFO));
  return 0;
};
