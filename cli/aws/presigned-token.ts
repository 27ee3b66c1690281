import { SignatureV4 } from '@smithy/signature-v4';
import { CLUSTER_HEADER, SIGNED_MS, TOKEN_PREFIX } from '../../functions/apiserver/authn/aws/presigned-token.ts';
import { stsOfRegion } from '../../functions/apiserver/authn/aws/sts-hosts.ts';
import { Sha256 } from '../../functions/client/sha256.ts';
import { CommandError } from '../command.ts';
import type { AwsCredentials } from './credentials.ts';

/** STS takes a signed request for 15 minutes whatever this says, which is what `aws eks get-token` says too. */
const EXPIRES_SECONDS = 60;
/** Clients ask for another token so long before the old one ends. */
const MARGIN_MS = 60_000;

export interface TokenRequest {
  /** What the cluster calls itself in AWSIdentityConfiguration or in spec.accessConfig; else the uid of its Cluster. */
  clusterId: string;
  region: string;
  /** Of a stand-in for STS: `http://127.0.0.1:4566`. */
  endpoint?: string | undefined;
  credentials: AwsCredentials;
  /** Milliseconds since the epoch. */
  now: number;
}

/** A token of the EKS convention, and when clients are to ask for another one, in milliseconds since the epoch. */
export const presignToken = async (request: TokenRequest): Promise<{ token: string; expires: number }> => {
  const { clusterId, region, endpoint, credentials, now } = request;
  const host = stsOfRegion(region);
  if (!host && !endpoint) throw new CommandError(`"${region}" is no region of AWS`);
  const url = new URL(endpoint ?? `https://${host}`);
  const signer = new SignatureV4({ credentials, region, service: 'sts', sha256: Sha256 });
  const signed = await signer.presign(
    {
      method: 'GET',
      protocol: url.protocol,
      hostname: url.hostname,
      path: '/',
      headers: { host: url.host, [CLUSTER_HEADER]: clusterId },
      query: { Action: 'GetCallerIdentity', Version: '2011-06-15' },
    },
    { expiresIn: EXPIRES_SECONDS, signingDate: new Date(now) },
  );
  const query = Object.entries(signed.query as Record<string, string>).map(
    ([name, value]) => `${name}=${encodeURIComponent(value)}`,
  );
  const text = `${url.origin}/?${query.join('&')}`;
  return {
    token: `${TOKEN_PREFIX}${Buffer.from(text).toString('base64url')}`,
    expires: Math.floor(now / 1000) * 1000 + SIGNED_MS - MARGIN_MS,
  };
};
