import { afterAll, describe, expect, it } from 'vitest';
import { createStored } from '../../authz/stored-for-tests.ts';
import type { Configuration } from '../../configuration.ts';
import { createAwsAuthenticator } from './aws-authenticator.ts';
import { parseAwsIdentity } from './identity-configuration.ts';
import type { PresignedToken } from './presigned-token.ts';

const NOW = Date.parse('2026-11-21T10:05:00Z');
/** What botocore's RequestSigner makes of AWS' example keys for `my-cluster`; the second with a session token. */
const SIGNATURE = '57af769483d7ee910963bf994509c39399ee5bd6832d7eb017e39e66eaa96cee';
const PARAMETERS: readonly (readonly [string, string])[] = [
  ['Action', 'GetCallerIdentity'],
  ['Version', '2011-06-15'],
  ['X-Amz-Algorithm', 'AWS4-HMAC-SHA256'],
  ['X-Amz-Credential', 'AKIAIOSFODNN7EXAMPLE%2F20261121%2Feu-north-1%2Fsts%2Faws4_request'],
  ['X-Amz-Date', '20261121T100000Z'],
  ['X-Amz-Expires', '60'],
  ['X-Amz-SignedHeaders', 'host%3Bx-k8s-aws-id'],
  ['X-Amz-Signature', SIGNATURE],
];
const HOST = 'sts.eu-north-1.amazonaws.com';
const QUERY = PARAMETERS.map((pair) => pair.join('=')).join('&');
const GOOD = `https://${HOST}/?${QUERY}`;

const tokenOf = (text: string): string => `k8s-aws-v1.${Buffer.from(text, 'utf8').toString('base64url')}`;
/** The good query with some parameters replaced, or left out where undefined. */
const query = (changed: Record<string, string | undefined>): string =>
  PARAMETERS.flatMap(([name, value]) => {
    const other = name in changed ? changed[name] : value;
    return other === undefined ? [] : [`${name}=${other}`];
  }).join('&');
const withQuery = (changed: Record<string, string | undefined>): string => `https://${HOST}/?${query(changed)}`;
const at = (host: string): string => `https://${host}/?${QUERY}`;
const credential = (scope: string) => ({ 'X-Amz-Credential': encodeURIComponent(scope) });

const stored = createStored({
  now: () => NOW,
  uuid: () => '',
  sleep: async () => {},
  after: () => () => {},
} as never);
afterAll(() => stored.replicas.close());

const asked: PresignedToken[] = [];
const authenticatorOf = (sts: object = {}, audiences?: string[]) => {
  const awsIdentity = parseAwsIdentity({
    apiVersion: 'skiff.dev/v1',
    kind: 'AWSIdentityConfiguration',
    clusterId: 'my-cluster',
    accounts: ['111122223333'],
    sts,
  });
  const configuration: Configuration = { awsIdentity };
  return createAwsAuthenticator(
    {
      replicas: stored.replicas,
      clock: { now: () => NOW },
      configured: () => configuration,
      ...(audiences && { audiences }),
    },
    () => ({
      ask: async (presigned) => {
        asked.push(presigned);
        return { failure: 'refused', why: 'for this test' };
      },
      close: () => undefined,
    }),
  );
};
const authenticator = authenticatorOf();
const sends = async (token: string, by = authenticator): Promise<number> => {
  asked.length = 0;
  expect(await by.authenticate('default', token, {})).toBeUndefined();
  return asked.length;
};

const hosts = [
  'evil.com',
  'sts.evil.com',
  'sts.amazonaws.com.evil.com',
  'sts.amazonaws.com.evil',
  'sts.amazonaws.comevil.com',
  'evil.com.sts.amazonaws.com',
  'evilsts.amazonaws.com',
  'sts.amazonaws.com@evil.com',
  'user@sts.eu-north-1.amazonaws.com',
  'user:pass@sts.eu-north-1.amazonaws.com',
  'evil.com%2Fsts.eu-north-1.amazonaws.com',
  'evil.com%00.sts.amazonaws.com',
  'evil.com\\@sts.eu-north-1.amazonaws.com',
  'evil.com#@sts.eu-north-1.amazonaws.com',
  'evil.com?sts.eu-north-1.amazonaws.com',
  'evil.com/sts.eu-north-1.amazonaws.com',
  'sts.eu-north-1.amazonaws.com:443',
  'sts.eu-north-1.amazonaws.com:8443',
  'sts.eu-north-1.amazonaws.com:',
  'sts.eu-north-1.amazonaws.com.',
  '.sts.eu-north-1.amazonaws.com',
  'sts..amazonaws.com',
  'STS.eu-north-1.amazonaws.com',
  'sts.EU-NORTH-1.amazonaws.com',
  'sts.eu-north-1.AMAZONAWS.com',
  'sts.s3.amazonaws.com',
  'sts.s3.eu-north-1.amazonaws.com',
  'sts.s3-eu-north-1.amazonaws.com',
  'sts.s3-website-eu-north-1.amazonaws.com',
  'sts.execute-api.eu-north-1.amazonaws.com',
  'sts.elb.amazonaws.com',
  'sts.eu-north-1.elb.amazonaws.com',
  'sts.not-a-region.amazonaws.com',
  'sts.eu-north-123.amazonaws.com',
  'iam.amazonaws.com',
  'sts-evil.eu-north-1.amazonaws.com',
  'sts-fips.amazonaws.com',
  'sts.eu-north-1.amazonaws.com.cn',
  'sts.cn-north-1.amazonaws.com',
  'sts.us-gov-west-1.amazonaws.com.cn',
  'sts.eu-north-1.amazonaws.org',
  'sts.eu-north-1.on.aws',
  'sts.amazonaws.com.cn',
  'localhost',
  '127.0.0.1',
  '169.254.169.254',
  '[::1]',
  '0x7f000001',
  'sts．eu-north-1．amazonaws．com',
  'ѕts.eu-north-1.amazonaws.com',
  'sts.eu-north-1.amazonaws.cοm',
  'xn--ts-eka.eu-north-1.amazonaws.com',
  'sts.eu-north-1.amazonaws.com evil.com',
  'sts.eu-north-1.amazonaws.com\r\nHost: evil.com',
  'sts.eu-north-1.amazonaws.com\t',
  '',
];

const urls: Record<string, string> = {
  'plain HTTP': GOOD.replace('https', 'http'),
  'another scheme': GOOD.replace('https', 'ftp'),
  'a file': GOOD.replace(`https://${HOST}`, 'file:///etc/passwd'),
  'a scheme in capitals': GOOD.replace('https', 'HTTPS'),
  'no scheme': GOOD.replace('https:', ''),
  'one slash': GOOD.replace('https://', 'https:/'),
  'three slashes': GOOD.replace('https://', 'https:///'),
  'back slashes': GOOD.replace('https://', 'https:\\\\'),
  'no path': GOOD.replace('/?', '?'),
  'a path': GOOD.replace('/?', '/path?'),
  'a path that goes back': GOOD.replace('/?', '/a/../?'),
  'two slashes of path': GOOD.replace('/?', '//?'),
  'parameters of a path': GOOD.replace('/?', '/;a=b?'),
  'no query': `https://${HOST}/`,
  'an empty query': `https://${HOST}/?`,
  'a fragment': `${GOOD}#evil`,
  'an empty fragment': `${GOOD}#`,
  'a blank before': ` ${GOOD}`,
  'a blank after': `${GOOD} `,
  'a line break after': `${GOOD}\n`,
  'a request smuggled in': `${GOOD} HTTP/1.1\r\nHost: evil.com\r\n\r\nGET /`,
  'a null byte': `${GOOD}\0`,
  'an ampersand after': `${GOOD}&`,
  'an ampersand before': GOOD.replace('/?', '/?&'),
  'two ampersands': GOOD.replace('&Version', '&&Version'),
  'semicolons for ampersands': GOOD.replaceAll('&', ';'),
  'a second question mark': GOOD.replace('/?', '/??'),
  nothing: '',
  'no URL': 'hello',
  JSON: '{"url":"https://sts.amazonaws.com/"}',
};

const queries: Record<string, string> = {
  'another action': withQuery({ Action: 'AssumeRole' }),
  'an action in lower case': withQuery({ Action: 'getcalleridentity' }),
  'an action with more behind it': withQuery({ Action: 'GetCallerIdentity%26Action=AssumeRole' }),
  'an action with a blank': withQuery({ Action: 'GetCallerIdentity%20' }),
  'an action with a null byte': withQuery({ Action: 'GetCallerIdentity%00' }),
  'an action and a line break': withQuery({ Action: 'GetCallerIdentity%0A' }),
  'no action': withQuery({ Action: undefined }),
  'an empty action': withQuery({ Action: '' }),
  'another version': withQuery({ Version: '2010-05-08' }),
  'no version': withQuery({ Version: undefined }),
  'no algorithm': withQuery({ 'X-Amz-Algorithm': undefined }),
  'another algorithm': withQuery({ 'X-Amz-Algorithm': 'AWS4-ECDSA-P256-SHA256' }),
  'no credential': withQuery({ 'X-Amz-Credential': undefined }),
  'a credential of another service': withQuery(credential('AKIAIOSFODNN7EXAMPLE/20261121/eu-north-1/s3/aws4_request')),
  'a credential of another region': withQuery(credential('AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/sts/aws4_request')),
  'a credential of another day': withQuery(credential('AKIAIOSFODNN7EXAMPLE/20261120/eu-north-1/sts/aws4_request')),
  'a credential of another end': withQuery(credential('AKIAIOSFODNN7EXAMPLE/20261121/eu-north-1/sts/aws5_request')),
  'a credential with more parts': withQuery(credential('AKIA/B/20261121/eu-north-1/sts/aws4_request')),
  'a credential with fewer parts': withQuery(credential('AKIAIOSFODNN7EXAMPLE/20261121/eu-north-1/aws4_request')),
  'a credential without a key': withQuery(credential('/20261121/eu-north-1/sts/aws4_request')),
  'a template for a key': withQuery(credential('{{UserID}}/20261121/eu-north-1/sts/aws4_request')),
  'no date': withQuery({ 'X-Amz-Date': undefined }),
  'a date that is none': withQuery({ 'X-Amz-Date': '20261321T100000Z' }),
  'a day that there is not': withQuery({ 'X-Amz-Date': '20260230T100000Z' }),
  'an hour that there is not': withQuery({ 'X-Amz-Date': '20261121T250000Z' }),
  'a date in another form': withQuery({ 'X-Amz-Date': '2026-11-21T10%3A00%3A00Z' }),
  'a date without a zone': withQuery({ 'X-Amz-Date': '20261121T100000' }),
  'an expired date': withQuery({ 'X-Amz-Date': '20261121T094959Z' }),
  'a date that expires now': withQuery({ 'X-Amz-Date': '20261121T095000Z' }),
  'a date of last year': withQuery({
    'X-Amz-Date': '20251121T100000Z',
    ...credential('AKIAIOSFODNN7EXAMPLE/20251121/eu-north-1/sts/aws4_request'),
  }),
  'a date of the future': withQuery({ 'X-Amz-Date': '20261121T101001Z' }),
  'a date of next century': withQuery({
    'X-Amz-Date': '21261121T100000Z',
    ...credential('AKIAIOSFODNN7EXAMPLE/21261121/eu-north-1/sts/aws4_request'),
  }),
  'no expiry': withQuery({ 'X-Amz-Expires': undefined }),
  'an empty expiry': withQuery({ 'X-Amz-Expires': '' }),
  'an expiry with zeros before it': withQuery({ 'X-Amz-Expires': '060' }),
  'a negative expiry': withQuery({ 'X-Amz-Expires': '-1' }),
  'a long expiry': withQuery({ 'X-Amz-Expires': '901' }),
  'a very long expiry': withQuery({ 'X-Amz-Expires': '604800' }),
  'an expiry with a fraction': withQuery({ 'X-Amz-Expires': '60.5' }),
  'an expiry in hexadecimal': withQuery({ 'X-Amz-Expires': '0x3c' }),
  'an expiry with a power': withQuery({ 'X-Amz-Expires': '6e1' }),
  'no signed headers': withQuery({ 'X-Amz-SignedHeaders': undefined }),
  'the host alone signed': withQuery({ 'X-Amz-SignedHeaders': 'host' }),
  'the cluster alone signed': withQuery({ 'X-Amz-SignedHeaders': 'x-k8s-aws-id' }),
  'a like header signed': withQuery({ 'X-Amz-SignedHeaders': 'host%3Bx-k8s-aws-idx' }),
  'headers in another order': withQuery({ 'X-Amz-SignedHeaders': 'x-k8s-aws-id%3Bhost' }),
  'headers in capitals': withQuery({ 'X-Amz-SignedHeaders': 'host%3BX-K8s-Aws-Id' }),
  'one more header signed': withQuery({ 'X-Amz-SignedHeaders': 'content-length%3Bhost%3Bx-k8s-aws-id' }),
  'headers parted by commas': withQuery({ 'X-Amz-SignedHeaders': 'host%2Cx-k8s-aws-id' }),
  'no signature': withQuery({ 'X-Amz-Signature': undefined }),
  'an empty signature': withQuery({ 'X-Amz-Signature': '' }),
  'a short signature': withQuery({ 'X-Amz-Signature': SIGNATURE.slice(1) }),
  'a long signature': withQuery({ 'X-Amz-Signature': `${SIGNATURE}0` }),
  'a signature in capitals': withQuery({ 'X-Amz-Signature': SIGNATURE.toUpperCase() }),
  'an empty session token': `${GOOD}&X-Amz-Security-Token=`,
  'a session token with a line break': `${GOOD}&X-Amz-Security-Token=a%0D%0AHost%3Aevil`,
  'an unknown parameter': `${GOOD}&RoleArn=arn`,
  'the name of a property': `${GOOD}&constructor=a`,
  'a parameter without a value': `${GOOD}&Action`,
  'a parameter without a name': `${GOOD}&=a`,
  'an encoded name': GOOD.replace('Action=', 'A%63tion='),
  'a name with a blank': GOOD.replace('Action=', 'Action%20='),
  'a name with brackets': GOOD.replace('Action=', 'Action[]='),
  'a name in lower case': GOOD.replace('Action=', 'action='),
  'a signed name in lower case': GOOD.replace('X-Amz-Date', 'x-amz-date'),
  'two actions': `${GOOD}&Action=GetCallerIdentity`,
  'two actions by case': `${GOOD}&action=AssumeRole`,
  'two credentials by case': `${GOOD}&x-amz-credential=eve`,
  'two signed headers by case': `${GOOD}&X-AMZ-SIGNEDHEADERS=host`,
  'two dates': `${GOOD}&X-Amz-Date=20261121T100000Z`,
  'two session tokens': `${GOOD}&X-Amz-Security-Token=a&X-Amz-Security-Token=b`,
  'a plus for a blank': withQuery({ Version: '2011-06-15+' }),
  'encoding that is cut off': withQuery({ 'X-Amz-Expires': '60%' }),
  'encoding that is none': withQuery({ 'X-Amz-Expires': '60%gh' }),
  'encoding twice': withQuery({ 'X-Amz-SignedHeaders': 'host%253Bx-k8s-aws-id' }),
  'encoding that is no UTF-8': withQuery({ 'X-Amz-Expires': '%ff%fe' }),
  'digits of other scripts': withQuery({ 'X-Amz-Expires': '%D9%A6%D9%A0' }),
};

const encodings: Record<string, string> = {
  'no prefix': tokenOf(GOOD).slice('k8s-aws-v1.'.length),
  'another prefix': tokenOf(GOOD).replace('v1', 'v2'),
  'a prefix in capitals': tokenOf(GOOD).replace('k8s-aws', 'K8S-AWS'),
  'the prefix alone': 'k8s-aws-v1.',
  'plain text': `k8s-aws-v1.${GOOD}`,
  padding: `k8s-aws-v1.${Buffer.from(GOOD.replace(HOST, 'sts.us-east-1.amazonaws.com')).toString('base64url')}=`,
  'plain base64': `k8s-aws-v1.${Buffer.from(`${GOOD}???>>>`).toString('base64')}`,
  'characters left over': `${tokenOf(GOOD)}!`,
  'a blank within': `${tokenOf(GOOD).slice(0, 40)} ${tokenOf(GOOD).slice(40)}`,
  'another part': `${tokenOf(GOOD)}.a`,
  'encoded twice': tokenOf(Buffer.from(GOOD).toString('base64url')),
  'bits that no encoder sets': `k8s-aws-v1.${Buffer.from(GOOD.slice(0, -1))
    .toString('base64url')
    .replace(/.$/, (last) => String.fromCharCode(last.charCodeAt(0) + 1))}`,
  'more than 4096 characters': tokenOf(`${GOOD}&X-Amz-Security-Token=${'a'.repeat(4000)}`),
  'a megabyte': tokenOf(`${GOOD}&X-Amz-Security-Token=${'a'.repeat(1 << 20)}`),
};

const table = [
  ...hosts.map((host) => [`host ${JSON.stringify(host)}`, tokenOf(at(host))] as const),
  ...Object.entries({ ...urls, ...queries }).map(([what, url]) => [what, tokenOf(url)] as const),
  ...Object.entries(encodings),
];

describe('tokens for which nothing is sent', () => {
  it('are told from a good one, which is', async () => {
    expect(await sends(tokenOf(GOOD))).toBe(1);
    expect(asked).toEqual([
      {
        origin: `https://${HOST}`,
        path: `/?${QUERY}`,
        partition: 'aws',
        accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
        expiresAt: Date.parse('2026-11-21T10:15:00Z'),
      },
    ]);
    expect(await sends(tokenOf(`${GOOD}&X-Amz-Security-Token=a%2Fb%2B%3D`))).toBe(1);
    // aws-iam-authenticator 0.6 writes 0.
    expect(await sends(tokenOf(withQuery({ 'X-Amz-Expires': '0' })))).toBe(1);
    // Clocks differ; a token of 10:10 may be of a caller whose clock is five minutes ahead.
    expect(await sends(tokenOf(withQuery({ 'X-Amz-Date': '20261121T101000Z' })))).toBe(1);
    expect(await sends(tokenOf(withQuery({ 'X-Amz-Date': '20261121T095001Z', 'X-Amz-Expires': '900' })))).toBe(1);
    expect(table.length).toBeGreaterThan(150);
  });

  it.each(table)('%s', async (_what, token) => {
    expect(await sends(token)).toBe(0);
  });

  it('name no host but those that are configured', async () => {
    const inChina = { ...credential('A/20261121/cn-north-1/sts/aws4_request') };
    const china = `https://sts.cn-north-1.amazonaws.com.cn/?${query(inChina)}`;
    expect(await sends(tokenOf(china))).toBe(1);
    expect(await sends(tokenOf(china), authenticatorOf({ partition: 'aws' }))).toBe(0);
    expect(await sends(tokenOf(GOOD), authenticatorOf({ partition: 'aws' }))).toBe(1);
    expect(await sends(tokenOf(GOOD), authenticatorOf({ regions: ['eu-west-1'] }))).toBe(0);
    const global = at('sts.amazonaws.com');
    expect(await sends(tokenOf(global))).toBe(1);
    expect(await sends(tokenOf(global), authenticatorOf({ regions: ['eu-north-1'] }))).toBe(0);
    expect(await sends(tokenOf(global), authenticatorOf({ regions: ['aws-global'] }))).toBe(1);
    const own = authenticatorOf({ endpoint: 'http://127.0.0.1:4566' });
    expect(await sends(tokenOf(GOOD), own)).toBe(0);
    expect(await sends(tokenOf(`http://127.0.0.1:4566/?${QUERY}`), own)).toBe(1);
    for (const origin of [
      'https://127.0.0.1:4566',
      'http://127.0.0.1:4567',
      'http://127.0.0.1',
      'http://a@127.0.0.1:4566',
    ])
      expect(await sends(tokenOf(`${origin}/?${QUERY}`), own)).toBe(0);
  });

  it('are not for this cluster, where it takes none or is asked for others', async () => {
    const none = createAwsAuthenticator(
      { replicas: stored.replicas, clock: { now: () => NOW }, configured: () => ({}) },
      () => expect.unreachable(),
    );
    expect(await none.authenticate('default', tokenOf(GOOD), {})).toBeUndefined();
    const server = authenticatorOf({}, ['https://kubernetes']);
    asked.length = 0;
    expect(await server.authenticate('default', tokenOf(GOOD), { audiences: ['vault'] })).toBeUndefined();
    expect(asked).toEqual([]);
    await server.authenticate('default', tokenOf(GOOD), { audiences: ['vault', 'https://kubernetes'] });
    expect(asked.length).toBe(1);
  });
});

/** Numbers in [0, 1) that a seed says (mulberry32). */
const randomOf = (seed: number) => {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
};

describe('random changes of a good token', () => {
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
  const alphabet = 'abcXYZ0159-._~%&=?/#@:;+ \\\r\n\t\0é/?&=%2F%00sts.amazonaws.com';

  it(`lead nowhere but to GetCallerIdentity of an STS of AWS, with that cluster's header signed (SEED=${seed})`, async () => {
    const random = randomOf(seed);
    const pick = (below: number) => Math.floor(random() * below);
    const mutate = (text: string): string => {
      const where = pick(text.length);
      const char = alphabet[pick(alphabet.length)] ?? '';
      const length = pick(12);
      const elsewhere = pick(text.length);
      const kinds = [
        () => text.slice(0, where) + char + text.slice(where),
        () => text.slice(0, where) + char + text.slice(where + 1),
        () => text.slice(0, where) + text.slice(where + length),
        () => text.slice(0, where) + text.slice(elsewhere, elsewhere + 30) + text.slice(where),
        () => text.slice(0, where) + text.slice(where, where + length).toUpperCase() + text.slice(where + length),
      ];
      return kinds[pick(kinds.length)]?.() ?? text;
    };
    let sent = 0;
    for (let i = 0; i < 20_000; i++) {
      let text = GOOD;
      for (let times = 1 + pick(3); times > 0; times--) text = mutate(text);
      // A cluster is asked for at most so much a second; each has its own measure.
      asked.length = 0;
      const fresh = i % 40 === 0 ? authenticatorOf() : undefined;
      if (fresh) Object.assign(authenticator, fresh);
      await authenticator.authenticate('default', tokenOf(text), {});
      for (const { origin, path } of asked) {
        sent++;
        const url = new URL(origin + path);
        expect(url.href).toBe(origin + path);
        expect(url.protocol).toBe('https:');
        expect(url.host).toMatch(/^sts(-fips)?(\.[a-z]+-[a-z]+-\d+)?\.(amazonaws\.com|api\.aws)$/);
        expect(url.searchParams.getAll('Action')).toEqual(['GetCallerIdentity']);
        expect(url.searchParams.get('X-Amz-SignedHeaders')).toBe('host;x-k8s-aws-id');
        expect(new Set([...url.searchParams.keys()].map((name) => name.toLowerCase())).size).toBe(
          [...url.searchParams.keys()].length,
        );
      }
    }
    // Changes of the signature and the key leave a token well formed.
    expect(sent).toBeGreaterThan(100);
  });
});
