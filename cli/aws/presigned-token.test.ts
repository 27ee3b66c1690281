import { describe, expect, it } from 'vitest';
import { execCredential } from '../token-command.ts';
import { presignToken } from './presigned-token.ts';

const NOW = Date.parse('2026-11-21T10:00:00Z');
const example = { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' };
const urlIn = (token: string) => new URL(Buffer.from(token.replace('k8s-aws-v1.', ''), 'base64url').toString());

describe('a presigned token', () => {
  // The signatures are those of botocore's RequestSigner for the same keys, time and cluster.
  it.each([
    [undefined, '57af769483d7ee910963bf994509c39399ee5bd6832d7eb017e39e66eaa96cee'],
    ['IQoJb3JpZ2luX2VjEH0+/aB==', '84c748d3f92c5067bf37e4920645ec865e353ad6bde86c37420ea96ff8593d84'],
  ])('is signed as botocore signs it, session token %s', async (sessionToken, signature) => {
    const credentials = { ...example, ...(sessionToken && { sessionToken }) };
    const { token, expires } = await presignToken({
      clusterId: 'my-cluster',
      region: 'eu-north-1',
      credentials,
      now: NOW,
    });
    const url = urlIn(token);
    expect(url.origin).toBe('https://sts.eu-north-1.amazonaws.com');
    expect(Object.fromEntries(url.searchParams)).toEqual({
      Action: 'GetCallerIdentity',
      Version: '2011-06-15',
      'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
      'X-Amz-Credential': 'AKIAIOSFODNN7EXAMPLE/20261121/eu-north-1/sts/aws4_request',
      'X-Amz-Date': '20261121T100000Z',
      'X-Amz-Expires': '60',
      'X-Amz-SignedHeaders': 'host;x-k8s-aws-id',
      'X-Amz-Signature': signature,
      ...(sessionToken && { 'X-Amz-Security-Token': sessionToken }),
    });
    expect(new Date(expires).toISOString()).toBe('2026-11-21T10:14:00.000Z');
  });

  it('is of another cluster under another signature', async () => {
    const of = async (clusterId: string) =>
      urlIn(
        (await presignToken({ clusterId, region: 'eu-north-1', credentials: example, now: NOW })).token,
      ).searchParams.get('X-Amz-Signature');
    expect(await of('a')).not.toBe(await of('b'));
  });

  it('goes to the STS of the region in its partition, or to a stand-in', async () => {
    const origin = async (region: string, endpoint?: string) =>
      urlIn((await presignToken({ clusterId: 'a', region, endpoint, credentials: example, now: NOW })).token).origin;
    expect(await origin('cn-north-1')).toBe('https://sts.cn-north-1.amazonaws.com.cn');
    expect(await origin('us-gov-west-1')).toBe('https://sts.us-gov-west-1.amazonaws.com');
    expect(await origin('local', 'http://127.0.0.1:4566/')).toBe('http://127.0.0.1:4566');
    await expect(origin('evil.com/a')).rejects.toThrow('no region');
  });
});

describe('an ExecCredential', () => {
  const version = (info: string | undefined) => JSON.parse(execCredential('t', NOW, info)).apiVersion;

  it('is of the version that the client asks for, where that is known', () => {
    const v1 = 'client.authentication.k8s.io/v1';
    expect(version(undefined)).toBe(v1);
    expect(version(JSON.stringify({ apiVersion: v1 }))).toBe(v1);
    expect(version(JSON.stringify({ apiVersion: `${v1}beta1` }))).toBe(`${v1}beta1`);
    expect(version(JSON.stringify({ apiVersion: 'client.authentication.k8s.io/v1alpha1' }))).toBe(v1);
    expect(version('{')).toBe(v1);
    expect(JSON.parse(execCredential('t', NOW, undefined))).toMatchObject({
      kind: 'ExecCredential',
      status: { token: 't', expirationTimestamp: '2026-11-21T10:00:00Z' },
    });
  });
});
